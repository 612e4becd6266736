"""Bounces that keep to no RFC: flufl.bounce knows what those of many servers look like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message

from flufl.bounce import all_failures

from services.reports.fields import Fields, addresses_in
from services.reports.report import Action, Fate, Kind, Report, Said
from services.reports.returned import pairs_of, returned

# What is looked through: the patterns take the square of a line's length, and strangers choose that.
MOST_LINES, LONGEST_LINE, LONGEST = 400, 300, 20_000
BESIDE = 600  # characters behind an address in which the reason stands, where several failed
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
    text = "\n".join(one[:LONGEST_LINE] for one in said.text[:LONGEST].split("\n")[:MOST_LINES])
    later, never = _failures(fields, text)
    if not never and not later:
        never = set(addresses_in(fields.get("x-failed-recipients")))
    if not never and not later:
        return None
    reasons = _reasons(text, later | never)
    fates = [Fate(Action.DELAYED, one, "", *reasons[one]) for one in sorted(later - never)]
    fates += [Fate(Action.FAILED, one, "", *reasons[one]) for one in sorted(never)]
    by = next(iter(addresses_in(fields.get("from"))), "")
    return Report(Kind.BOUNCE, pairs_of(said, returned(said), marked), tuple(fates), by=by)


def _is_likely(fields: Fields) -> bool:
    """By its sender or subject; only then is it worth to be looked through. A person's answer may quote a bounce."""
    sender = next(iter(addresses_in(fields.get("from"))), "").partition("@")[0].lower()
    return bool(
        fields.all("x-failed-recipients")
        or sender in _SENDERS
        or "delivery-status" in fields.get("content-type").lower()
        or (_SUBJECT.search(fields.get("subject")) and not fields.get("in-reply-to"))
    )


def _failures(fields: Fields, text: str) -> tuple[set[str], set[str]]:
    """(for now, for good). Its text came without the parts that it was in: it is tried as one, then as one of several,
    which some forms are known by."""
    for message in (_headed(fields, _part(text)), _in_parts(fields, text)):
        later, never = all_failures(message)
        if later or never:
            return _texts(later), _texts(never)
    return set(), set()


def _in_parts(fields: Fields, text: str) -> Message:
    whole = Message()
    whole["Content-Type"] = "multipart/mixed"
    part = _part(text)
    part["Content-Description"] = "Notification"
    whole.attach(part)
    return _headed(fields, whole)


def _part(text: str) -> Message:
    part = Message()
    part["Content-Type"] = "text/plain; charset=utf-8"
    part["Content-Transfer-Encoding"] = "8bit"
    part.set_payload(text.encode("utf-8", "replace").decode("ascii", "surrogateescape"))
    return part


def _headed(fields: Fields, message: Message) -> Message:
    message["From"] = next(iter(addresses_in(fields.get("from"))), "<>")  # one detector needs some address
    for name in ("To", "Subject", "X-Mailer", "X-Failed-Recipients"):
        if fields.get(name):
            message[name] = fields.get(name)
    return message


def _texts(addresses: Iterable[bytes]) -> set[str]:
    return {one.decode("ascii", "replace").strip().strip("<>") for one in addresses}


def _reasons(text: str, addresses: set[str]) -> dict[str, tuple[str, str]]:
    """Status and reply by address. Of one alone, wherever they stand; of several, what follows each: the reason of one
    must not be held against another."""
    lower = text.lower()
    places = sorted((lower.find(one.lower()), one) for one in addresses)
    ends = [at for at, _ in places[1:]] + [len(text)]
    reasons = {}
    for (at, one), end in zip(places, ends, strict=True):
        beside = text[at + len(one) : min(end, at + BESIDE)] if at >= 0 else ""
        reasons[one] = _reason(text if len(addresses) == 1 else beside, beside)
    return reasons


def _reason(text: str, beside: str) -> tuple[str, str]:
    """`beside`: what a person would read, where there is no reply of a server."""
    status, reply = _STATUS.search(text), _REPLY.search(text)
    words = " ".join(beside.strip(">:\"' \n").split())[:LONGEST_LINE]
    return status[0] if status else "", reply[0].strip() if reply else words
