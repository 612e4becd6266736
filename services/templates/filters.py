"""The filters and tests that templates may use: Jinja's, but for those whose cost cannot be bounded, which look into
Python, or which give another result each time. What they make is paid for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2 import filters as jinja
from jinja2 import pass_environment, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape, soft_str

from services.templates import operators
from services.templates.budget import charge, charged, weight
from services.templates.errors import LimitError
from services.templates.missing import Missing
from services.templates.operators import NUMBERS, plain

MAX_SLOW = 50_000  # characters, for filters that take longer than their text is long
MAX_WIDTH = 999
MAX_INDENT = 100
MAX_PRECISION = 15

_AS_THEY_ARE = """
    abs capitalize count d default dictsort e escape filesizeformat first float forceescape groupby int items last
    length list lower map max min reject rejectattr reverse safe select selectattr sort title trim truncate unique
    upper urlencode wordcount
""".split()
_TESTS = """
    boolean defined divisibleby even false float integer iterable lower mapping none number odd sequence string true
    undefined upper
""".split()
_COMPARING = {
    "eq": "eq", "==": "eq", "equalto": "eq", "ne": "ne", "!=": "ne", "lt": "lt", "<": "lt", "lessthan": "lt",
    "le": "lteq", "<=": "lteq", "gt": "gt", ">": "gt", "greaterthan": "gt", "ge": "gteq", ">=": "gteq", "in": "in",
}  # fmt: skip

Function = Callable[..., Any]


def _paid(function: Function) -> Function:
    @wraps(function)  # keeps Jinja's mark of what it wants to be passed
    def paying(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        charge(weight(result))
        return result

    return paying


def _at_most(most: int, what: str, value: int) -> int:
    if abs(value) > most:
        raise LimitError(f"{what} is more than {most}")
    return value


@pass_eval_context
def _join(context: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> Any:
    parts = []
    if attribute is not None:
        value = map(jinja.make_attrgetter(context.environment, attribute), value)
    for one in value:
        parts.append(str(one) if isinstance(one, Missing) else plain(one, "join"))
        charge((len(one) if isinstance(one, str) else 0) + len(d))
    return jinja.sync_do_join(context, parts, d)


@pass_eval_context
def _sum(
    context: EvalContext, value: Iterable[Any], attribute: str | int | None = None, start: Any = 0
) -> Any:
    if attribute is not None:
        value = map(jinja.make_attrgetter(context.environment, attribute), value)
    total = start
    for one in value:
        charge()
        if not isinstance(one, (*NUMBERS, Missing)):
            raise TypeError(f"sum takes numbers, not {type(one).__name__}")
        total = total + one
    return total


@pass_eval_context
def _replace(context: EvalContext, s: Any, old: Any, new: Any, count: int | None = None) -> Any:
    text, old, new = plain(s, "replace"), plain(old, "replace"), plain(new, "replace")
    times = str(text).count(str(old))
    charge(times * len(str(new)))
    return jinja.do_replace(context, text, old, new, count)


def _center(value: Any, width: int = 80) -> Any:
    return jinja.do_center(value, _at_most(MAX_WIDTH, "the width of center", width))


def _indent(s: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> Any:
    size = _at_most(MAX_INDENT, "the width of indent", len(width) if isinstance(width, str) else width)
    charge(str(s).count("\n") * max(size, 0))
    return jinja.do_indent(s, width, first, blank)


@pass_environment
def _wordwrap(
    environment: Any, s: Any, width: int = 79, break_long_words: bool = True, wrapstring: str | None = None,
    break_on_hyphens: bool = True,
) -> Any:  # fmt: skip
    _at_most(MAX_SLOW, "the text of wordwrap", len(str(s)))
    charge(len(str(s)) * len(wrapstring or "\n"))
    return jinja.do_wordwrap(environment, s, max(width, 10), break_long_words, wrapstring, break_on_hyphens)


def _striptags(value: Any) -> str:
    _at_most(MAX_SLOW, "the text of striptags", len(str(value)))
    return jinja.do_striptags(value)


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Any:
    if not 0 < linecount <= MAX_WIDTH:
        raise LimitError(f"batch takes 1 to {MAX_WIDTH}")
    return map(charged, jinja.do_batch(value, linecount, fill_with))


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    return jinja.do_round(value, _at_most(MAX_PRECISION, "the precision of round", precision), method)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    text = value if isinstance(value, str) else str(plain(value, "format"))
    operators.check_percent(text, kwargs or args)
    return jinja.do_format(text, *args, **kwargs)


def _string(value: Any) -> str:
    return soft_str(plain(value, "string"))


def _tojson(value: Any, indent: int | None = None) -> Markup:
    charge(weight(value) * 6)  # as which it may be escaped
    return htmlsafe_json_dumps(
        value,
        dumps=json.dumps,
        sort_keys=True,
        default=_json_of,
        indent=_at_most(8, "the indent of tojson", indent or 0) or None,
    )


def _json_of(value: Any) -> Any:
    if isinstance(value, Missing):
        return str(value)
    raise TypeError(f"tojson cannot show {type(value).__name__}")


def _nl2br(value: Any) -> Markup:
    """Text with its line breaks, for html."""
    return Markup("<br>\n").join(escape(plain(value, "nl2br")).splitlines())


def _number(function: Function) -> Function:
    """Of a list: they would write out all of it, to find that it is no number."""

    def converted(value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(plain(value, "a number"), *args, **kwargs)

    return converted


FILTERS: dict[str, Function] = {name: _paid(jinja.FILTERS[name]) for name in _AS_THEY_ARE}
FILTERS |= {
    "join": _paid(_join), "sum": _sum, "replace": _paid(_replace), "center": _paid(_center), "indent": _paid(_indent),
    "wordwrap": _paid(_wordwrap), "striptags": _paid(_striptags), "batch": _batch, "round": _round,
    "format": _paid(_format), "string": _paid(_string), "tojson": _paid(_tojson), "nl2br": _paid(_nl2br),
    "int": _number(jinja.do_int), "float": _number(jinja.do_float),
    operators.EACH: operators.each, operators.CHARGE: operators.pay_for, operators.COMPARE: operators.compare,
    operators.CONCAT: operators.concat_all, operators.SLICE: operators.cut_out, operators.LITERAL: operators.made_of,
}  # fmt: skip
_JINJA_TESTS: dict[str, Any] = dict(JINJA_TESTS)
TESTS: dict[str, Function] = {name: _JINJA_TESTS[name] for name in _TESTS}
TESTS |= {name: operators.compared(comparison) for name, comparison in _COMPARING.items()}
