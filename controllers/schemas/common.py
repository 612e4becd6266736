"""Types that several requests share."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from utils.clock import parse_iso

# RFC 3339, the seconds optional.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_WHOLE = re.compile(r"\d{1,19}\Z", re.ASCII)
_SPACE = re.compile(r"\s+")


class Strict(BaseModel):
    """A request's body: no unknown fields, no conversions between types."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class Query(BaseModel):
    """Query parameters, which are all text."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _time(value: Any) -> int:
    if not isinstance(value, str) or not _TIME.match(value):
        raise ValueError("must be a time with its offset, as in 2026-01-31T09:30:00Z")
    try:
        return max(0, parse_iso(value.upper()))
    except (ValueError, OverflowError):
        raise ValueError("is no time that exists") from None


def _base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be a string in base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:  # MIME tools wrap their lines
        return base64.b64decode(_SPACE.sub("", value), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


def whole(value: Any) -> int:
    if not isinstance(value, str) or not _WHOLE.match(value):
        raise ValueError("must be a whole number")
    return int(value)


# ms since the epoch, from ISO 8601
Time = Annotated[
    int,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00Z"]}),
]
Base64 = Annotated[
    bytes, BeforeValidator(_base64), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
]
Whole = Annotated[int, BeforeValidator(whole)]  # in a query
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Field(ge=1, le=500), BeforeValidator(whole)]
Offset = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(whole)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
