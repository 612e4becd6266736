"""JSON request bodies: read strictly, checked by a pydantic model, refused field by field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from math import isinf
from typing import Any, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from services.errors import FieldError, InvalidInputError

Model = TypeVar("Model", bound=BaseModel)

_MAX_INTEGER_DIGITS = 19
_MAX_FIELD_CHARS = 100
_MAX_DETAILS = 100
_MESSAGES = {
    "extra_forbidden": "unknown field",
    "missing": "is needed",
    "string_unicode": "holds a broken character",
}
_CODES = {"extra_forbidden": "UNKNOWN_FIELD", "missing": "MISSING", "string_unicode": "INVALID_CHARACTER"}


def read_json(request: Request) -> Any:
    """The body's value; InvalidInputError (400) when it is not plain JSON."""
    if request.environ.get("CONTENT_TYPE") != "application/json" and request.mimetype != "application/json":
        raise _refused("Content-Type", "must be application/json", "WRONG_CONTENT_TYPE")
    data = request.get_data(cache=False)
    if request.content_length is None and len(data) >= (request.max_content_length or len(data) + 1):
        raise RequestEntityTooLarge  # of a chunked body Werkzeug only reads what fits
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _refused("body", "is not UTF-8", "MALFORMED_JSON") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _refused("body", "is nested too deep", "MALFORMED_JSON") from None
    except json.JSONDecodeError as exc:
        message = f"is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}"
        raise _refused("body", message, "MALFORMED_JSON") from None
    if "\\u0000" in text:  # raw ones are no JSON; only an escaped one gets this far
        refuse_nul(value)
    return value


def has_body(request: Request) -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def read_object(request: Request, model: type[Model]) -> Model:
    return checked(read_json(request), model)


def read_nothing(request: Request) -> None:
    """For operations without a body: none, or an empty object."""
    if has_body(request):
        value = read_json(request)
        if not isinstance(value, dict):
            raise _refused("body", "must be an object", "INVALID_TYPE")
        if value:
            raise InvalidInputError.of(
                [FieldError(_shown(name), "unknown field", "UNKNOWN_FIELD") for name in value]
            )


def checked(value: Any, model: type[Model]) -> Model:
    """InvalidInputError that lists every bad field of the value."""
    if not isinstance(value, dict):
        raise _refused("body", "must be an object", "INVALID_TYPE")
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise InvalidInputError.of(field_errors(exc)) from None


def field_errors(error: ValidationError, whole: str = "body") -> list[FieldError]:
    """What pydantic found, without any value: one may be a password. `whole`: the name of all of it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_field_error(one["type"], one["loc"] or (whole,), one["msg"]) for one in found[:_MAX_DETAILS]]


def fingerprint(value: Any) -> bytes:
    """SHA-256 of the body in one canonical spelling."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()


def _field_error(kind: str, place: Iterable[int | str], message: str) -> FieldError:
    field = ".".join(_shown(part) for part in place)
    message = _MESSAGES.get(kind) or message.removeprefix("Value error, ")
    return FieldError(field, message[:1].lower() + message[1:], _CODES.get(kind, "INVALID_VALUE"))


def _shown(name: int | str) -> str:
    text = str(name).encode(errors="backslashreplace").decode()
    return text if len(text) <= _MAX_FIELD_CHARS else text[:_MAX_FIELD_CHARS] + "…"


def _refused(field: str, message: str, code: str) -> InvalidInputError:
    return InvalidInputError.of([FieldError(field, message, code)])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name, readers disagree on which counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(_shown(twice), "is given twice", "DUPLICATE_FIELD")
    return found


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_INTEGER_DIGITS:
        raise _refused("body", "holds a number that is too large", "INVALID_NUMBER")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise _refused("body", "holds a number that is too large", "INVALID_NUMBER")
    return number


def _constant(name: str) -> float:
    raise _refused("body", f"holds {name}, which is not JSON", "INVALID_NUMBER")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def refuse_nul(value: Any) -> None:
    """SQLite, C libraries and mail headers each cut a text at another NUL."""
    places = [
        FieldError(place or "body", "holds a NUL character", "INVALID_CHARACTER")
        for place in _nuls(value, "")
    ]
    if places:
        raise InvalidInputError.of(places[:_MAX_DETAILS])


def _nuls(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield place
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nuls(item, f"{place}.{index}".lstrip("."))
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield f"{place}.{_shown(name)}".lstrip(".")
            yield from _nuls(item, f"{place}.{_shown(name)}".lstrip("."))
