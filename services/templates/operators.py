"""What templates compute with. Each of these pays for its result before there is one."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from string import Formatter
from typing import Any

from jinja2 import Environment, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import markup_join, str_join
from jinja2.sandbox import SandboxedFormatter
from markupsafe import EscapeFormatter, Markup

from services.templates.budget import JOB, STEP, charge, charged, weight
from services.templates.errors import LimitError
from services.templates.missing import unless_method

NUMBERS = (int, float, bool)
MAX_BITS = 512  # of a number
MAX_FIELD = 999  # characters that a format may pad a value to, and digits of one
_PERCENT = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")
_DIGITS = re.compile(r"\d+")

# The names of these filters cannot be written in a template; only services/templates/guard.py puts them there.
EACH, CHARGE, COMPARE, CONCAT, SLICE, LITERAL = (
    "each one",
    "pay for",
    "compare with",
    "concat all",
    "cut out",
    "made of",
)


def each(items: Iterable[Any], work: int) -> Iterator[Any]:
    """The items of a loop, whose body weighs so much."""
    pay = JOB.get().charge
    for one in unless_method(items):
        pay(work)
        yield one


def pay_for(work: int) -> None:
    charge(work)


def _contains(left: Any, right: Any) -> bool:
    return left in right


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lteq": operator.le, "gt": operator.gt,
    "gteq": operator.ge, "in": _contains, "notin": lambda left, right: left not in right,
}  # fmt: skip


def compare(left: Any, *rest: Any) -> Any:
    """`left op right`, and further ops and operands."""
    result: Any = True
    for name, right in zip(rest[::2], rest[1::2], strict=True):
        if type(left) not in NUMBERS or type(right) not in NUMBERS:
            charge(weight(left) + weight(right))
        result = _COMPARISONS[name](left, right)
        if not result:
            return result
        left = right
    return result


def compared(name: str) -> Callable[[Any, Any], Any]:
    """The same as a test: `is eq 3`."""
    return lambda left, right: compare(left, name, right)


@pass_eval_context
def concat_all(context: EvalContext, *parts: Any) -> Any:
    """`a ~ b`"""
    shown = [plain(one, "~") for one in parts]
    charge(sum(len(one) if isinstance(one, str) else STEP for one in shown))
    return (markup_join if context.autoescape else str_join)(shown)


def cut_out(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """`value[start:stop:step]`"""
    return charged(value[start:stop:step])


def made_of(value: Any) -> Any:
    """A list, tuple or dict that is written down."""
    return charged(value)


def plain(value: Any, what: str) -> Any:
    """The value, unless it is a list or an object, whose Python form is of no use in an email."""
    if isinstance(value, list | tuple | dict):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise TypeError(f"{what} takes text and numbers, not {kind}: show what is in it one by one")
    return value


def before_binary(sign: str, left: Any, right: Any) -> None:
    """Pay for `left sign right`, or LimitError."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        _check_numbers(sign, left, right)
    elif sign == "%" and isinstance(left, str):
        check_percent(left, right)
    elif sign == "*":
        sequence, number = (right, left) if isinstance(left, int) else (left, right)
        charge(weight(sequence) * max(0, number) if isinstance(number, int) else 0)
    else:
        charge(weight(left) + weight(right))


def _check_numbers(sign: str, left: Any, right: Any) -> None:
    if sign not in ("*", "**") or not isinstance(left, int) or not isinstance(right, int):
        return
    bits = left.bit_length() * right if sign == "**" else left.bit_length() + right.bit_length()
    if bits > MAX_BITS:
        raise LimitError("a number gets too large")


def check_percent(form: str, values: Any) -> None:
    """Pay for `form % values`."""
    for width, precision in _PERCENT.findall(form):
        _check_field(width, precision)
    if isinstance(values, tuple):
        for one in values:
            plain(one, "a format")
    fields = form.count("%")
    charge(len(form) + fields * weight(values) + (fields * MAX_FIELD if _DIGITS.search(form) else 0))


def _check_field(*sizes: str) -> None:
    if "*" in sizes:
        raise SecurityError("a format must name its widths")
    if any(one and int(one[:9]) > MAX_FIELD for one in sizes):
        raise LimitError(f"a format is wider than {MAX_FIELD} characters")


class PaidFormatter(SandboxedFormatter):
    """`str.format` whose fields are not too wide, and hold no lists."""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return super().convert_field(plain(value, "a format"), conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        _check_field(*_DIGITS.findall(format_spec))
        return charged(super().format_field(plain(value, "a format"), format_spec))


class PaidEscapeFormatter(PaidFormatter, EscapeFormatter):
    """The same for html."""


def formatting(environment: Environment, text: str) -> Callable[..., str]:
    """`text.format`"""
    formatter: Formatter = (
        PaidEscapeFormatter(environment, escape=text.escape)
        if isinstance(text, Markup)
        else PaidFormatter(environment)
    )

    def formatted(*args: Any, **kwargs: Any) -> str:
        charge(len(text))
        return type(text)(formatter.vformat(text, args, kwargs))

    return formatted
