"""Bounces that keep to no RFC: flufl.bounce knows what those of many servers look like."""

from __future__ import annotations

import re
from email.message import Message

from flufl.bounce import all_failures

from services.reports.fields import Fields, addresses_in
from services.reports.report import Action, Fate, Kind, Report, Said
from services.reports.returned import pairs_of, returned

LONGEST = 64_000  # characters that are looked through
_SENDERS = ("mailer-daemon", "postmaster", "mail-daemon", "mailerdaemon", "mdaemon", "mailer")
_SUBJECT = re.compile(
    r"undeliver|deliver|returned mail|return(ed)? to sender|mail (system )?err|failure|failed|bounce|"
    r"unzustellbar|non remis|rejected",
    re.IGNORECASE,
)
_STATUS = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
_REPLY = re.compile(r"(?<!\d)[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}\b)?.{0,200}")


def read(fields: Fields, said: Said, marked: tuple[str, ...]) -> Report | None:
    if not _is_likely(fields):
        return None
    text = said.text[:LONGEST]
    later, never = all_failures(_message(fields, text))
    pairs = pairs_of(said, returned(said)) or marked
    status, reply = _STATUS.search(text), _REPLY.search(text)
    told = (status[0] if status else "", reply[0].strip() if reply else "")
    fates = [Fate(Action.DELAYED, one.decode("ascii", "replace"), "", *told) for one in sorted(later - never)]
    fates += [Fate(Action.FAILED, one.decode("ascii", "replace"), "", *told) for one in sorted(never)]
    if not fates:
        named = addresses_in(fields.get("x-failed-recipients"))
        fates = [Fate(Action.FAILED, one, "", *told) for one in named]
    by = next(iter(addresses_in(fields.get("from"))), "")
    return Report(Kind.BOUNCE, pairs, tuple(fates), by=by) if fates else None


def _is_likely(fields: Fields) -> bool:
    """By its sender or subject; only then is it worth to be looked through. A person's answer may quote a bounce."""
    sender = next(iter(addresses_in(fields.get("from"))), "").partition("@")[0].lower()
    return bool(
        fields.all("x-failed-recipients")
        or sender in _SENDERS
        or (_SUBJECT.search(fields.get("subject")) and not fields.get("in-reply-to"))
    )


def _message(fields: Fields, text: str) -> Message:
    """Its text, which came without the parts that it was in."""
    message = Message()
    for name in ("From", "To", "Subject", "X-Failed-Recipients"):
        if fields.get(name):
            message[name] = fields.get(name)
    message["Content-Type"] = "text/plain; charset=utf-8"
    message["Content-Transfer-Encoding"] = "8bit"
    message.set_payload(text)
    return message
