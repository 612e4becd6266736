"""The mail that a report is about, as far as the report gives it back."""

from __future__ import annotations

import re

from services.message_ids import pairs_in
from services.reports.fields import Fields, head
from services.reports.report import Said

_TYPES = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
LONGEST = 100_000  # characters that are looked through for a mark
# What the mail that is given back had answered: earlier mail of ours, maybe.
_ANSWERED = re.compile(
    r"^([> \t]*)(?:References|In-Reply-To)[ \t]*:.*(?:\n\1[ \t]+.*)*", re.IGNORECASE | re.MULTILINE
)


def returned(said: Said) -> Fields:
    """Its header fields; empty where it is not there."""
    return next((head(data) for kind, data in said.parts if kind in _TYPES), Fields(""))


def pairs_of(said: Said, original: Fields, marked: tuple[str, ...]) -> tuple[str, ...]:
    """From its Message-ID; else from the address that the report came to, `marked`; where a provider has replaced the
    one and there is no other, from wherever the report may quote it."""
    named = tuple(pairs_in(original.get("message-id"))) or marked
    if named:
        return named
    texts = [said.text, *(data.decode("utf-8", "replace").replace("\r\n", "\n") for _, data in said.parts)]
    return tuple(pairs_in("\n".join(_ANSWERED.sub("", one[:LONGEST]) for one in texts)))
