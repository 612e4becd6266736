"""Which email of ours a report is about, and how sure that is."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.account import Account
from models.database import row, rows
from models.email import Email
from models.smtp_config import SmtpConfig
from services.message_ids import is_ours, made_at
from services.relay import Relay
from services.reports.fields import canonical
from services.reports.report import Report
from services.search import first_id_at
from utils.clock import DAY, MINUTE, SECOND

log = logging.getLogger("mailferry.reports")

MOST = 20  # marks, and addresses, that are looked at
QUEUE_ID_AGE = 14 * DAY  # how late a report may come that only names a queue id
# Ids follow the time of accepting, but for requests that took long to be read.
SLACK = MINUTE
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=-]*")
_RUN = re.compile(r"[0-9]+|[a-z]+|[A-Z]+")
_POSTFIX = re.compile(
    r"(?=.*[0-9])(?=.*[A-F])[0-9A-F]{9,16}"
)  # microseconds and an inode: long, and of nobody's choice
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
SHORTEST_ID = 8


class Proof(StrEnum):
    MARK = "mark"  # a keyed mark, which nobody can make who never saw the email
    QUEUE_ID = "queue_id"  # what the server called the email when it took it


@dataclass(frozen=True, slots=True)
class Match:
    email: Email
    proof: Proof


def match(relay: Relay, account: Account, report: Report, letter_id: int, now: int) -> Match | None:
    """Only mail of the account's tenant, or mail that went out under the account's own address."""
    proven = []
    for pair in report.pairs[:MOST]:
        if is_ours(relay.signer, pair):
            proven.append(pair)
        else:
            log.warning(
                "action=report_forged letter=%s account=%s kind=%s", letter_id, account.id, report.kind
            )
    for pair in proven:
        email = _by_pair(pair, report.addresses[:MOST] or [report.by])
        if email is not None and _concerns(account, email):
            return Match(email, Proof.MARK)
    if report.pairs and not proven:
        return None  # a bad mark is worse than none
    email = next((one for one in _by_queue_id(report, now) if _concerns(account, one)), None)
    return Match(email, Proof.QUEUE_ID) if email is not None else None


def _by_pair(pair: str, addresses: Iterable[str]) -> Email | None:
    """By a recipient that the report names; else among what was accepted in that second."""
    begins = f"<{pair}@"
    for address in addresses:
        found = row(
            "SELECT e.id FROM recipients r JOIN emails e ON e.id = r.email_id"
            " WHERE lower(r.address) = lower(?) AND substr(e.message_id, 1, ?) = ? LIMIT 1",
            canonical(address), len(begins), begins,
        )  # fmt: skip
        if found is not None:
            return Email.get_or_none(Email.id == found[0])
    at = made_at(pair)
    found = row(
        "SELECT id FROM emails WHERE id >= ? AND id < ? AND created_at >= ? AND created_at < ?"
        " AND substr(message_id, 1, ?) = ? LIMIT 1",
        first_id_at(at - SLACK), first_id_at(at + SLACK), at, at + SECOND, len(begins), begins,
    )  # fmt: skip
    return Email.get_or_none(Email.id == found[0]) if found is not None else None


def _by_queue_id(report: Report, now: int) -> Iterator[Email]:
    """Mail to a recipient that the report names, whose server's 250 had called it so."""
    names = {one for one in report.queue_ids if is_telling(one)}
    for address in report.addresses[:MOST] if names else ():
        for email_id, *replies in _replies(address, now):
            words = {word for reply in replies if reply for word in _words(reply)}
            if words & names:
                email = Email.get_or_none(Email.id == email_id)
                if email is not None:
                    yield email


def is_telling(name: str) -> bool:
    """Whether it is a server's own name for one email: a word such as "accepted", a host, a time or a version stands in
    every 250, and would let anybody speak about any email."""
    if _POSTFIX.fullmatch(name):
        return True
    runs = len(_RUN.findall(name))
    enough = 3 if any(one.isupper() for one in name) else 5
    mixed = any(one.isdigit() for one in name) and any(one.isalpha() for one in name)
    return len(name) >= SHORTEST_ID and mixed and runs >= enough and not _HOST.fullmatch(name)


def _words(reply: str) -> set[str]:
    """Exim writes `id=…`."""
    words = [word.rstrip(".-") for word in _WORD.findall(reply)]
    return {part for one in words for part in (one, one.partition("@")[0], one.rpartition("=")[2])}


def _replies(address: str, now: int) -> list[tuple[Any, ...]]:
    return rows(
        "SELECT e.id, r.reply, a.reply FROM recipients r JOIN emails e ON e.id = r.email_id"
        " LEFT JOIN attempts a ON a.email_id = e.id AND a.outcome = 'sent'"
        " WHERE lower(r.address) = lower(?) AND e.created_at > ? ORDER BY e.id DESC LIMIT 200",
        canonical(address), now - QUEUE_ID_AGE,
    )  # fmt: skip


def _concerns(account: Account, email: Email) -> bool:
    if email.tenant == account.tenant:
        return True
    config = SmtpConfig.get_or_none(SmtpConfig.id == (email.carrier_id or email.smtp_config_id or 0))
    return config is not None and config.email_address.lower() == account.email_address.lower()
