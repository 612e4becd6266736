"""The addresses that a tenant must not send to: looked up when mail is accepted, kept by people, apps and reports.

Addresses are compared without case (that of ASCII letters), whole: `ann+shop@example.com` is not `ann@example.com`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from models.database import marks, row, rows, run, write
from services.errors import FieldError, InvalidInputError, NotFoundError
from utils.addresses import Address, AddressError, parse_address
from utils.clock import iso

STEP = 200  # addresses of one statement
MAX_DETAIL = 500


class Cause(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"


class Entry(NamedTuple):
    """A suppressed address, why, and since when (ms)."""

    address: str
    reason: str
    created_at: int

    @property
    def told(self) -> str:
        return told(self.address, self.reason)


@dataclass(frozen=True, slots=True)
class New:
    """`address` in the form of `normal`. `created_at` None: now."""

    address: str
    reason: str = Cause.MANUAL
    detail: str = ""
    email_id: int | None = None
    created_at: int | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    reason: str | None = None
    q: str | None = None  # part of the address


def told(address: str, reason: str) -> str:
    """A line for timelines."""
    return f"{address}: {reason}"


def normal(text: str, field: str = "address") -> str:
    """The form in which addresses are kept and compared; InvalidInputError for what is none."""
    try:
        address = parse_address(text)
    except AddressError as exc:
        raise InvalidInputError.of([FieldError(field, str(exc), "INVALID_EMAIL_FORMAT")]) from None
    return folded(address.email)


def folded(address: str) -> str:
    return address.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


# Looked up by those who accept and deliver, inside their write jobs.


def are_there() -> bool:
    """Any, of any tenant."""
    return row("SELECT 1 FROM suppressions LIMIT 1") is not None


def has_any(tenant: str) -> bool:
    return row("SELECT 1 FROM suppressions WHERE tenant = ? LIMIT 1", tenant) is not None


def among(tenant: str, addresses: Collection[str]) -> dict[str, Entry]:
    """Those of the addresses that are suppressed, by the form of `folded`."""
    found: dict[str, Entry] = {}
    wanted = sorted({folded(one) for one in addresses})
    for start in range(0, len(wanted), STEP):
        some = wanted[start : start + STEP]
        for one in rows(
            "SELECT address, reason, created_at FROM suppressions WHERE tenant = ?"
            f" AND address IN ({marks(len(some))})",
            tenant, *some,
        ):  # fmt: skip
            found[one[0]] = Entry(*one)
    return found


def positions(suppressed: dict[str, Entry], recipients: Sequence[tuple[str, Address]]) -> dict[int, Entry]:
    """Which of an email's recipients (kind, address) are among them, by position."""
    looked = [(at, suppressed.get(folded(address.email))) for at, (_, address) in enumerate(recipients)]
    return {at: entry for at, entry in looked if entry is not None}


def refusals(recipients: Sequence[tuple[str, Address]], barred: dict[int, Entry]) -> list[FieldError]:
    """What is said when nobody is left."""
    return [
        FieldError(
            "recipients" if recipients[at][0] == "to" else recipients[at][0],
            f"{recipients[at][1].email} is suppressed ({entry.reason}, since {iso(entry.created_at)})",
            "RECIPIENT_SUPPRESSED",
        )
        for at, entry in barred.items()
    ]


def enter(tenant: str, new: New, now: int) -> bool:
    """Whether it was not there yet. Inside a write job."""
    return bool(
        run(
            "INSERT INTO suppressions (tenant, address, reason, detail, email_id, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (tenant, address) DO NOTHING",
            tenant, new.address, new.reason, new.detail[:MAX_DETAIL], new.email_id,
            now if new.created_at is None else new.created_at,
        )
    )  # fmt: skip


# What people and apps do with the list.


def add(tenant: str, news: Iterable[New], now: int) -> int:
    """How many were not there yet; what is there stays as it is."""
    several = list(news)
    return write(lambda: sum(enter(tenant, one, now) for one in several), durable=True)


def remove(tenant: str, address: str) -> None:
    """NotFoundError when it is not suppressed."""
    key = _key(address)
    if not write(
        lambda: run("DELETE FROM suppressions WHERE tenant = ? AND address = ?", tenant, key), durable=True
    ):
        raise _absent(address)


def tenants() -> list[str]:
    """Those that suppress anybody; '' is the service itself."""
    found, last = [], row("SELECT min(tenant) FROM suppressions")
    while last is not None and last[0] is not None:  # a seek each, where DISTINCT would read all addresses
        found.append(str(last[0]))
        last = row("SELECT min(tenant) FROM suppressions WHERE tenant > ?", last[0])
    return found


def find(tenant: str, address: str) -> dict[str, Any]:
    found = _select("tenant = ? AND address = ?", [tenant, _key(address)], 1)
    if not found:
        raise _absent(address)
    return found[0]


def listed(tenant: str, filters: Filters, limit: int, after: str = "") -> list[dict[str, Any]]:
    """In the order of the addresses, from the one behind `after`."""
    terms, values = ["tenant = ?", "address > ?"], [tenant, after]
    if filters.reason is not None:
        terms.append("reason = ?")
        values.append(filters.reason)
    if filters.q is not None:
        escaped = folded(filters.q).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        terms.append("address LIKE ? ESCAPE '\\'")
        values.append(f"%{escaped}%")
    return _select(" AND ".join(terms), values, limit)


def _select(where: str, values: list[Any], limit: int) -> list[dict[str, Any]]:
    found = rows(
        f"SELECT address, reason, detail, email_id, created_at FROM suppressions WHERE {where}"
        " ORDER BY address LIMIT ?",
        *values, limit,
    )  # fmt: skip
    names = ("address", "reason", "detail", "email_id", "created_at")
    return [dict(zip(names, one, strict=True)) | {"created_at": iso(one[4])} for one in found]


def _key(address: str) -> str:
    try:
        return normal(address)
    except InvalidInputError:
        raise _absent(address) from None


def _absent(address: str) -> NotFoundError:
    return NotFoundError(f"not suppressed: {address[:100]!r}")
