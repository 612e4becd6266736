"""What comes back for mail that was sent: bounces, complaints, replies. Sync hands over letters whose text has come."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from models.account import Account
from models.inbox import Letter
from services.relay import Relay
from services.reports.act import act
from services.reports.match import match
from services.reports.recognise import recognise
from services.reports.report import Said
from services.sync.run import Looked

log = logging.getLogger("mailferry.reports")

__all__ = ["look_at"]


def look_at(relay: Relay, letters: Sequence[Looked], now: int) -> None:
    """Inside the write job that stores the letters' text, so that neither happens without the other.

    Nothing that a letter says makes it raise; what the database raises, it raises.
    """
    for looked in letters:
        letter = Letter.get_or_none(Letter.id == looked.letter_id)
        if letter is not None:
            _look_at(relay, letter, looked.parts, now)


def _look_at(relay: Relay, letter: Letter, parts: Sequence[tuple[str, bytes]], now: int) -> None:
    said = Said(letter.headers or "", letter.text or "", tuple(parts))
    try:
        report = recognise(said)
    except Exception as exc:  # a stranger wrote it: it must not hold up the others
        log.warning("action=report_unreadable letter=%s error=%s", letter.id, type(exc).__name__)
        return
    if report is None:
        return
    account = Account.get_or_none(Account.id == letter.account_id)
    if account is None:
        return
    if report.answer is not None and report.by.lower() != account.email_address.lower():
        report = report.answer  # somebody's who writes through this relay, too
    found = match(relay, account, report, letter.id, now)
    if found is not None:
        act(report, found, account, letter, now)
    elif report.is_about_delivery:
        log.info("action=report_unmatched letter=%s kind=%s", letter.id, report.kind)
