"""From a form of the browser to a body of the API: fields are texts there, so that each is read as its type wants it.

The same models check both. A box that can be ticked stands after an empty hidden field of its name (`tick` in ui.html),
for browsers send nothing at all for an empty box. What a form leaves out is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from flask import request
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict

from controllers.bodies import checked, refuse_nul
from services.errors import ServiceError

Model = TypeVar("Model", bound=BaseModel)
_DIGITS = 18  # databases hold no number with more


def read_form(model: type[Model], *, secrets: tuple[str, ...] = ("password",)) -> Model:
    """InvalidInputError naming every bad field. `secrets`: what is empty of these stays as it is."""
    given: dict[str, Any] = {}
    for name, about in model.model_fields.items():
        texts = request.form.getlist(name)
        if not texts or (name in secrets and not texts[-1]):
            continue
        given[name] = _value(texts[-1], set(_types(about.annotation)))
    refuse_nul(given)
    return checked(given, model)


def whole_number(text: str) -> int | None:
    """What a form or an address gives as a number of ours: an id, a limit. None for anything else."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def refuse_broken(given: MultiDict[str, str]) -> None:
    """InvalidInputError for a NUL in any field: PostgreSQL takes none."""
    refuse_nul(given.to_dict(flat=False))


def wrong_fields(error: ServiceError | None) -> dict[str, str]:
    """Field → what is wrong with it, to be shown beside it."""
    if error is None:
        return {}
    if error.details:
        return {one.field.partition(".")[0]: one.message for one in error.details}
    return {error.field: error.message} if error.field else {}


def _value(text: str, types: set[Any]) -> Any:
    if list in types:
        return [one for one in re.split(r"[\s,]+", text) if one]
    if bool in types:
        return text == "on"
    if int in types and re.fullmatch(r"-?\d{1,18}", text.strip(), re.ASCII):
        return int(text)
    return text if text or type(None) not in types else None


def _types(annotation: Any) -> Iterator[Any]:
    """All types that an annotation names, `list` for a list of anything."""
    origin = getattr(annotation, "__origin__", annotation)
    if origin is list:
        yield list
        return
    parts = get_args(annotation)
    if not parts:
        yield annotation
    for part in parts:
        yield from _types(part)
