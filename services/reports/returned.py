"""The mail that a report is about, as far as the report gives it back."""

from __future__ import annotations

from services.message_ids import pairs_in
from services.reports.fields import Fields, head
from services.reports.report import Said

_TYPES = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
LONGEST = 100_000  # characters that are looked through for a mark


def returned(said: Said) -> Fields:
    """Its header fields; empty where it is not there."""
    return next((head(data) for kind, data in said.parts if kind in _TYPES), Fields(""))


def pairs_of(said: Said, original: Fields) -> tuple[str, ...]:
    """From its Message-ID; where that is missing, from wherever the report may quote it."""
    named = pairs_in(original.get("message-id"))
    if named:
        return tuple(named)
    texts = [said.text, *(data.decode("utf-8", "replace") for _, data in said.parts)]
    return tuple(pairs_in("\n".join(one[:LONGEST] for one in texts)))
