"""Query parameters: known, given once, and of the right form."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError

from controllers.bodies import field_errors
from services.errors import FieldError, InvalidInputError

Model = TypeVar("Model", bound=BaseModel)

NAMING = frozenset({"tenant_id", "user_id"})  # who is meant: read with the credential


def read_query(request: Request, model: type[Model]) -> Model:
    names = frozenset(field.alias or name for name, field in model.model_fields.items())
    values, wrong = _once(request, names)
    try:
        query = model.model_validate(values)
    except ValidationError as exc:
        wrong += field_errors(exc, "query")
    if wrong:
        raise InvalidInputError.of(wrong)
    return query


def read_no_query(request: Request) -> None:
    if request.query_string:
        _, wrong = _once(request, frozenset())
        if wrong:
            raise InvalidInputError.of(wrong)


def _once(request: Request, known: frozenset[str]) -> tuple[dict[str, Any], list[FieldError]]:
    wrong: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if name not in known and name not in NAMING:
            wrong.append(FieldError(name[:100] or "query", "unknown query parameter", "UNKNOWN_PARAMETER"))
        elif len(given) > 1:
            wrong.append(FieldError(name, "is given more than once", "DUPLICATE_PARAMETER"))
        elif "\0" in given[0]:
            wrong.append(FieldError(name, "holds a NUL character", "INVALID_CHARACTER"))
        elif name in known:
            values[name] = given[0]
    return values, wrong
