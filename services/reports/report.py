"""What a letter says about mail that was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    BOUNCE = "bounce"  # delivery reports of all kinds: failed, delayed, delivered
    COMPLAINT = "complaint"
    REPLY = "reply"
    AUTO_REPLY = "auto_reply"
    COPY = "copy"  # our own email, in a folder of sent mail


class Action(StrEnum):
    """RFC 3464 2.3.3; `relayed` and `expanded` tell nothing that is worth a line."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Said:
    """A letter as it was stored. `parts`: (type, bytes) of a report's parts beside the text."""

    headers: str
    text: str
    parts: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient. `status` as in RFC 3463, or ''."""

    action: Action
    final: str  # the address it was in the end
    original: str = ""  # as the sender had written it
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`pairs`: what looks like the marks of our Message-IDs; `queue_ids`: by what others may have called the email."""

    kind: Kind
    pairs: tuple[str, ...]
    fates: tuple[Fate, ...] = ()
    queue_ids: frozenset[str] = field(default_factory=frozenset)
    by: str = ""  # who says so
    answer: Report | None = None  # what a copy is to whoever got that email of ours

    @property
    def is_about_delivery(self) -> bool:
        return self.kind in (Kind.BOUNCE, Kind.COMPLAINT)

    @property
    def addresses(self) -> list[str]:
        return [one for fate in self.fates for one in (fate.final, fate.original) if one]
