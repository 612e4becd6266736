"""A variable that was not given. Strict, as mail is sent: whatever is done with it names it and ends the rendering.
Lenient, as in a preview: it is noted and shown as it stands in the template, is false and has nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import BuiltinMethodType
from typing import Any, NoReturn

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.utils import missing as NOTHING  # noqa: N812

from services.templates.budget import JOB
from services.templates.errors import MissingVariableError

_MOST = 10_000  # objects that are looked through for a path


_Strict: Any = StrictUndefined  # whose operators never return, as it is typed


class Missing(_Strict):  # type: ignore[misc]
    __slots__ = ()

    @property
    def _path(self) -> str:
        name = str(self._undefined_name)
        owner = self._undefined_obj
        if owner is NOTHING:
            return name
        before = owner._path if isinstance(owner, Missing) else path_to(owner, JOB.get().variables)
        return f"{before}.{name}" if before else name

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> NoReturn:
        hint = self._undefined_hint
        if self._undefined_exception is SecurityError:
            raise SecurityError(hint or "")
        if hint:  # such as a macro's parameter
            raise self._undefined_exception(hint)
        raise MissingVariableError(self._path)

    def _tolerated(self) -> None:
        """Only in a lenient rendering."""
        if not JOB.get().lenient or self._undefined_exception is SecurityError:
            self._fail_with_undefined_error()

    def _noted(self) -> str:
        """Its path, which is noted."""
        self._tolerated()
        path = self._path
        JOB.get().missing[path] = None
        return path

    def __str__(self) -> str:
        return "{{ " + self._noted() + " }}"

    def __iter__(self) -> Iterator[Any]:
        self._noted()
        return iter(())

    def __len__(self) -> int:
        self._noted()
        return 0

    def __bool__(self) -> bool:
        self._noted()
        return False

    def __contains__(self, item: Any) -> bool:
        return bool(self)

    def __hash__(self) -> int:
        return hash(self._noted())

    def __eq__(self, other: object) -> bool:
        self._noted()
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def _false(self, other: Any) -> bool:
        return bool(self)

    __lt__ = __le__ = __gt__ = __ge__ = _false

    def _itself(self, *args: Any, **kwargs: Any) -> Any:
        self._noted()
        return self

    __call__ = __neg__ = __pos__ = _itself
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __pow__ = __rpow__ = _itself
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _itself

    def __int__(self) -> int:
        return len(self)

    def __float__(self) -> float:
        return float(len(self))

    def __getitem__(self, name: Any) -> Any:
        self._tolerated()  # what is noted is what becomes of the one below
        return Missing(obj=self, name=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


def unless_method(value: Any) -> Any:
    """`{% for one in order.items %}` of an order without `items` has met Python's method of that name."""
    if isinstance(value, BuiltinMethodType) and isinstance(value.__self__, dict):
        return Missing(obj=value.__self__, name=value.__name__)
    return value


def path_to(owner: Any, variables: Mapping[str, Any]) -> str | None:
    """How `owner` itself is reached from the variables: `order.items.0`. None where it is not among them."""
    waiting: list[tuple[str, Any]] = [("", variables)]
    for path, value in waiting:
        if value is owner:
            return path or None
        below = (
            value.items()
            if isinstance(value, Mapping)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        if len(waiting) < _MOST:
            waiting += [(f"{path}.{name}" if path else str(name), one) for name, one in below]
    return None
