"""The Jinja in which templates are compiled and rendered: a sandbox that knows no files, reaches nothing but the
variables and what is listed here, and pays for what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinMethodType
from typing import Any, Literal, get_args

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup

from services.templates import operators
from services.templates.budget import JOB, charge, weight
from services.templates.errors import LimitError
from services.templates.filters import FILTERS, TESTS
from services.templates.guard import guarded
from services.templates.missing import Missing, unless_method
from services.templates.operators import NUMBERS, plain

Part = Literal["subject", "html", "text"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_RANGE = 10_000
MAX_TOKENS = 30_000  # words and signs of a template, but for its static text

_TEXT = frozenset(
    "capitalize count endswith find index isalnum isalpha isdigit islower isnumeric isspace isupper lower lstrip"
    " removeprefix removesuffix rfind rsplit rstrip split splitlines startswith strip swapcase title upper".split()
)
_OBJECT = frozenset({"get", "items", "keys", "values"})
_LOOP = frozenset(
    "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0".split()
)
_ATTRIBUTES: dict[type, frozenset[str]] = {
    str: _TEXT, Markup: _TEXT, dict: _OBJECT, list: frozenset({"count", "index"}), LoopContext: _LOOP,
    Cycler: frozenset({"current", "next", "reset"}), BlockReference: frozenset({"super"}),
}  # fmt: skip
_ANY_PUBLIC = (Namespace, TemplateReference)  # what a template has named itself


def _range(*args: int) -> range:
    numbers = range(*args)
    if len(numbers) > MAX_RANGE:
        raise LimitError(f"a range is longer than {MAX_RANGE}")
    return numbers


@pass_context  # so that Jinja does not do it when it compiles, and leave in a loop what was paid for once
def _shown(context: Context, value: Any) -> Any:
    """What `{{ value }}` becomes, but for escaping."""
    if isinstance(value, str):
        charge(len(value))
        return value
    charge()
    if type(value) in NUMBERS:
        return value
    if value is None:
        return ""
    value = unless_method(value)
    if isinstance(value, Missing):
        return str(value)
    if callable(getattr(value, "__html__", None)):
        return value
    if isinstance(value, list | tuple | dict):
        return plain(value, "{{ }}")
    raise TypeError(f"a {type(value).__name__} cannot be shown")


class Sandbox(ImmutableSandboxedEnvironment):
    """Of one part: html is escaped, subject and text are not."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, part: Part) -> None:
        super().__init__(
            undefined=Missing, autoescape=part == "html", finalize=_shown, optimized=False, cache_size=0
        )
        self.part: Part = part
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = {"range": _range, "cycler": Cycler, "joiner": Joiner, "namespace": Namespace}

    def raw_tree(self, source: str) -> nodes.Template:
        """As it is written. TemplateSyntaxError."""
        return super()._parse(source, None, None)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return guarded(super()._parse(source, name, filename), name)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        """Counted, since reading them takes much longer than their text is long."""
        return TokenStream(
            _not_too_many(super()._tokenize(source, name, filename, state), name), name, filename
        )

    def made(self, source: str, name: str) -> Template:
        """TemplateSyntaxError."""
        code = self.compile(source, name)
        return Template.from_code(self, code, self.globals, None)

    def _load_template(self, name: Any, globals: Any) -> Template:
        """Another template of the same owner, for extends, include and import."""
        if isinstance(name, Undefined):
            raise TemplateNotFound(str(name))
        job = JOB.get()
        job.charge_load()
        if job.finder is None or not isinstance(name, str):
            raise TemplateNotFound(str(plain(name, "include")))
        found: Template = job.finder.template(name, self.part)
        return found

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`order.items` is what was given as `items`, and not Python's method."""
        if type(obj) is dict:
            if attribute in obj:
                return obj[attribute]
            return (
                getattr(obj, attribute) if attribute in _OBJECT else self.undefined(obj=obj, name=attribute)
            )
        if isinstance(obj, Missing):
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(obj) is dict:
            if isinstance(argument, str) and argument in obj:
                return obj[argument]
            return self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if attr.startswith("_"):
            return False
        return attr in _ATTRIBUTES.get(type(obj), ()) or isinstance(obj, _ANY_PUBLIC) or _is_module(obj)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        owner = getattr(value, "__self__", None)
        is_method = isinstance(value, BuiltinMethodType) or getattr(value, "__func__", None) is Markup.format
        if is_method and isinstance(owner, str) and value.__name__ == "format":
            return operators.formatting(self, owner)
        return None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        operators.before_binary(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        result = super().call(__context, __obj, *args, **kwargs)
        charge(weight(result))
        return result

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """By its name in a text, as `map` does: those of our own are not for this."""
        if " " in name:
            raise TypeError(f"there is no filter {name!r}")
        return super().call_filter(name, *args, **kwargs)


def _not_too_many(tokens: Iterable[Token], name: str | None) -> Iterator[Token]:
    for count, token in enumerate(tokens):
        if count > MAX_TOKENS:
            raise TemplateSyntaxError("there is too much between its braces", token.lineno, name)
        yield token


def _is_module(obj: Any) -> bool:
    return type(obj).__name__ == "TemplateModule" and type(obj).__module__ == "jinja2.environment"


SANDBOXES: Mapping[Part, Sandbox] = {part: Sandbox(part) for part in PARTS}
