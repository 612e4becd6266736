"""The list of suppressed addresses as CSV: what is written can be read back, and what other services export, too."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.errors import FieldError, InvalidInputError
from services.suppressions import Cause, Filters, New, add, listed, normal
from utils.clock import parse_iso

COLUMNS = ("address", "reason", "detail", "created_at")
MAX_LINES = 100_000
STEP = 500
MAX_REJECTED = 100  # that are told one by one
_ADDRESS_NAMES = ("address", "email", "email_address", "recipient", "emailaddress")
# Spreadsheets take such a beginning for a formula. It goes out behind a ', which an import takes away again.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r\n]")


@dataclass(slots=True)
class Imported:
    """`rejected`: [{line, message}], the first of them; `failed` counts all."""

    added: int = 0
    present: int = 0
    failed: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)


def read(tenant: str, text: str, now: int) -> Imported:
    """Enter all lines that are right, in steps; what is there already stays as it is.

    InvalidInputError for a file that cannot be read at all, before anything is entered.
    """
    result, step = Imported(), []
    for line, values in _lines(text):
        try:
            step.append(_new(values))
        except InvalidInputError as exc:
            result.failed += 1
            if len(result.rejected) < MAX_REJECTED:
                result.rejected.append({"line": line, "message": exc.message})
        if len(step) >= STEP:
            _enter(tenant, step, now, result)
            step = []
    _enter(tenant, step, now, result)
    return result


def written(tenant: str) -> Iterator[str]:
    """The whole list, a page at a time."""
    yield _csv([COLUMNS])
    after = ""
    while page := listed(tenant, Filters(), STEP, after):
        after = str(page[-1]["address"])
        yield _csv(
            [
                (_harmless(one["address"]), one["reason"], _harmless(one["detail"]), one["created_at"])
                for one in page
            ]
        )


def _enter(tenant: str, step: list[New], now: int, result: Imported) -> None:
    if step:
        added = add(tenant, step, now)
        result.added += added
        result.present += len(step) - added


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and values by column. Without a line of names, the first column is the address."""
    try:
        lines = [
            (at, one) for at, one in enumerate(csv.reader(io.StringIO(text.lstrip("\ufeff"))), 1) if any(one)
        ]
    except csv.Error as exc:
        raise _unreadable(f"is no CSV: {exc}") from None
    if not lines:
        raise _unreadable("is empty")
    if len(lines) > MAX_LINES + 1:
        raise _unreadable(f"has over {MAX_LINES:,} lines: import it in pieces")
    names = [one.strip().lower() for one in lines[0][1]]
    at = next((names.index(one) for one in _ADDRESS_NAMES if one in names), None)
    if at is None:
        if "@" not in lines[0][1][0]:
            raise _unreadable("has no column called address")
        names, at, lines = ["address"], 0, [(0, []), *lines]
    names[at] = "address"
    for number, values in lines[1:]:
        yield number, dict(zip(names, values, strict=False))


def _new(values: dict[str, str]) -> New:
    reason = values.get("reason", "").strip() or str(Cause.MANUAL)
    if reason not in tuple(Cause):
        raise InvalidInputError.of([FieldError("reason", f"must be one of {', '.join(Cause)}")])
    created_at, detail = (
        values.get("created_at", "").strip(),
        _plain(values.get("detail", "").replace("\0", "")),
    )
    address = normal(_plain(values.get("address", "").strip()))
    try:
        return New(
            address, reason, detail, None, max(0, parse_iso(created_at.upper())) if created_at else None
        )
    except (ValueError, OverflowError):
        message = "must be a time with its offset, as in 2026-01-31T09:30:00Z"
        raise InvalidInputError.of([FieldError("created_at", message)]) from None


def _csv(lines: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()


def _harmless(text: str) -> str:
    """Strangers chose the address, and their servers wrote the detail."""
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(text: str) -> str:
    return text[1:] if _ESCAPED.match(text) else text


def _unreadable(message: str) -> InvalidInputError:
    return InvalidInputError.of([FieldError("body", message, "INVALID_CSV")])
