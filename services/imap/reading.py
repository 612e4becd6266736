"""Reading the messages of a folder. All of it by UID: sequence numbers move while others delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from .client import Client
from .errors import ImapError, Reason
from .grammar import number_set
from .names import quoted

CHUNK = 262_144  # bytes of a body that are asked for at once
_MONTHS = {name: at for at, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}


@dataclass(frozen=True, slots=True)
class Selected:
    """A folder as it was when it was selected. `modseq` is None where the server keeps none for it."""

    uidvalidity: int
    uidnext: int
    exists: int
    modseq: int | None
    keeps_flags: bool  # also those that clients invent


@dataclass(frozen=True, slots=True)
class Fetched:
    """By UID, the items that came: `b"FLAGS"`, `b"BODY[1]"`, … `vanished` are UIDs that are no more (RFC 7162)."""

    messages: dict[int, dict[bytes, Any]]
    vanished: list[range] = field(default_factory=list)


def select(client: Client, raw_name: bytes, *, readonly: bool = True) -> Selected:
    """Make it the folder that all else is about. ImapError (`rejected`) when there is none of that name."""
    parameters = "(CONDSTORE)" if client.has_condstore else ""
    answer = client.protocol.selects(quoted(raw_name), readonly=readonly, parameters=parameters)
    uidvalidity, exists = answer.number("UIDVALIDITY") or 0, answer.number("EXISTS") or 0
    uidnext = answer.number("UIDNEXT") or _next_uid(client, exists)
    flags = answer.code("PERMANENTFLAGS") or b""
    return Selected(uidvalidity, uidnext, exists, answer.number("HIGHESTMODSEQ"), b"\\*" in flags)


def _next_uid(client: Client, exists: int) -> int:
    """Some servers leave it out."""
    return max(fetch(client, "*", "UID").messages, default=0) + 1 if exists else 1


def enable_qresync(client: Client) -> bool:
    """Whether VANISHED may be asked for from now on: only what ENABLED confirms is (RFC 5161). Before any SELECT."""
    if not client.has("ENABLE", "QRESYNC"):
        return False
    try:
        answer = client.protocol.run("ENABLE", "QRESYNC")
    except ImapError as error:
        if error.is_answer:
            return False
        raise
    told = b" ".join(one for one in answer.untagged.get("ENABLED", []) if isinstance(one, bytes))
    return b"QRESYNC" in told.upper().split()


def fetch(client: Client, uids: str, items: str, modifiers: str = "") -> Fetched:
    """`uids` as in `1:5,9`. Also holds what came unasked for other messages; a message that is gone does not come."""
    arguments = [uids, f"({items})", *([f"({modifiers})"] if modifiers else [])]
    answer = client.protocol.run_uid("FETCH", *arguments)
    messages: dict[int, dict[bytes, Any]] = {}
    with client.reading("FETCH"):
        for values in answer.all("FETCH"):
            told = _pairs(values[1])
            uid = told.pop(b"UID", None)
            if uid is not None:
                messages.setdefault(int(uid), {}).update(told)
        vanished = [one for values in answer.all("VANISHED") for one in number_set(values[-1])]
    return Fetched(messages, vanished)


def _pairs(values: list[Any]) -> dict[bytes, Any]:
    if len(values) % 2:
        raise ValueError("an item without its value")
    return {values[at].upper(): values[at + 1] for at in range(0, len(values), 2)}


def existing(client: Client, first: int, last: int) -> list[range]:
    """The UIDs between the two that the folder has."""
    if client.has("ESEARCH"):
        answer = client.protocol.run_uid("SEARCH", "RETURN", "(ALL)", "UID", f"{first}:{last}")
        with client.reading("SEARCH"):
            for values in answer.all("ESEARCH"):
                if b"ALL" in values:
                    return _within(number_set(values[values.index(b"ALL") + 1]), first, last)
        return []
    return _within((range(uid, uid + 1) for uid in client.search("UID", f"{first}:{last}")), first, last)


def _within(found: Iterable[range], first: int, last: int) -> list[range]:
    """`n:*` names the last message even when its UID is lower."""
    cut = (range(max(one.start, first), min(one.stop, last + 1)) for one in found)
    return [one for one in cut if one]


def section(client: Client, uid: int, name: str) -> Iterator[bytes]:
    """The bytes of a section such as `1.2` or `HEADER`, in chunks, still encoded. Marks nothing as read. `rejected`
    with the code NONEXISTENT when the message is gone."""
    at = 0
    while True:
        told = fetch(client, str(uid), f"BODY.PEEK[{name}]<{at}.{CHUNK}>").messages.get(uid, {})
        if not any(one.startswith(b"BODY[") for one in told):
            raise ImapError(Reason.REJECTED, "the message is not there any more", "NONEXISTENT")
        chunk = body_of(told, name)
        if len(chunk) > CHUNK:  # it would never come to an end
            raise client.protocol.wire.fail(Reason.PROTOCOL, "the server sent more than it was asked for")
        if chunk:
            yield chunk
        if len(chunk) < CHUNK:
            return
        at += CHUNK


def body_of(message: dict[bytes, Any], name: str) -> bytes:
    """What came for BODY[name], whole or in part; empty when nothing did."""
    key = f"BODY[{name}]".encode().upper()
    for told, value in message.items():
        if told == key or told.startswith(key + b"<"):
            return value if isinstance(value, bytes) else b""
    return b""


def internal_date(text: bytes | None) -> int | None:
    """ms since the epoch, of `17-Jul-1996 02:44:25 -0700`."""
    try:
        day, clock, zone = (text or b"").split()
        date, month, year = day.split(b"-")
        hour, minute, second = (int(one) for one in clock.split(b":"))
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (-1 if zone[:1] == b"-" else 1)
        when = datetime(
            int(year),
            _MONTHS[month.lower()],
            int(date),
            hour,
            minute,
            min(second, 59),
            tzinfo=timezone(offset),
        )
        return round(when.astimezone(UTC).timestamp() * 1000)
    except (ValueError, KeyError, OverflowError):
        return None
