"""Which letters are reports or replies, and what they say."""

from __future__ import annotations

import re
from dataclasses import replace

from services.message_ids import pairs_in, pairs_in_addresses
from services.reports import arf, auto_reply, delivery_status, loose_bounce
from services.reports.fields import Fields, addresses_in
from services.reports.report import Kind, Report, Said

# Where the server of the mailbox, or the report itself, may have kept the address that it was sent to.
RETURN_FIELDS = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to")


def recognise(said: Said) -> Report | None:
    """None: nothing that concerns mail of ours."""
    fields = Fields(said.headers)
    marked = tuple(pairs_in_addresses(fields.join(*RETURN_FIELDS)))
    complaint = arf.read(fields, said, marked)
    return complaint or _bounce(fields, said, marked) or _answer(fields, marked)


def _bounce(fields: Fields, said: Said, marked: tuple[str, ...]) -> Report | None:
    """A report that names nobody may still say so in its text."""
    report = delivery_status.read(fields, said, marked)
    if report is not None and report.fates:
        return report
    told = loose_bounce.read(fields, said, marked)
    return replace(report, fates=told.fates) if report and told else report or told


def _answer(fields: Fields, marked: tuple[str, ...]) -> Report | None:
    by = next(iter(addresses_in(fields.get("from"))), "")
    answer = _of_chain(fields, marked, by)
    own = tuple(pairs_in(fields.get("message-id")))
    return Report(Kind.COPY, own, by=by, answer=answer) if own else answer


def _of_chain(fields: Fields, marked: tuple[str, ...], by: str) -> Report | None:
    """Nearest first: what it answers, then what that had answered."""
    chain = [
        *re.split(r"\s+", fields.get("in-reply-to")),
        *reversed(re.split(r"\s+", fields.get("references"))),
    ]
    pairs = tuple(dict.fromkeys(pair for one in chain for pair in pairs_in(one))) or marked
    if not pairs:
        return None
    return Report(Kind.AUTO_REPLY if auto_reply.is_auto(fields) else Kind.REPLY, pairs, by=by)
