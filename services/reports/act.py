"""What a report changes: the recipient's state, the timeline, the list of suppressed addresses. Inside a write job."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from models.account import Account
from models.database import FOR_UPDATE, row, run
from models.email import Email, Event, Recipient, RecipientState, State
from models.inbox import Letter
from services import suppressions
from services.reports.fields import canonical
from services.reports.match import Match, Proof
from services.reports.report import Action, Fate, Kind, Report
from services.reports.severity import is_hard
from services.settle import conclude
from services.suppressions import Cause, New

log = logging.getLogger("mailferry.reports")

LONGEST = 400  # characters of a line in the timeline
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_CODE = re.compile(r"\s*([245]\d\d)(?!\d)")
_BEFORE_BOUNCE = (RecipientState.SENT, RecipientState.UNKNOWN)
_BEFORE_COMPLAINT = (*_BEFORE_BOUNCE, RecipientState.BOUNCED)


class Hit(NamedTuple):
    """A recipient that a report means. `exact`: it names the very address that the mail went to."""

    person: Recipient
    exact: bool


def act(report: Report, found: Match, account: Account, letter: Letter, now: int) -> None:
    email = found.email
    row(f"SELECT 1 FROM emails WHERE id = ? {FOR_UPDATE}", email.id)
    again = _was_seen(letter, email)
    if email.tenant == account.tenant:
        run("UPDATE letters SET email_id = ? WHERE id = ?", email.id, letter.id)
    if again or report.kind is Kind.COPY:
        return
    if report.is_about_delivery:
        log.info(
            "action=report email=%s letter=%s kind=%s proof=%s", email.id, letter.id, report.kind, found.proof
        )
        _settle(report, found, now)
    elif report.by.lower() not in (account.email_address.lower(), email.sender.lower()):
        kind = "auto_replied" if report.kind is Kind.AUTO_REPLY else "replied"
        known = bool(letter.message_id) and email.tenant == account.tenant  # by `_was_seen`
        _note(email, now, kind, f"{report.by}: {letter.subject}", once=not known)


def _was_seen(letter: Letter, email: Email) -> bool:
    """The same letter in another folder, or after its folder was renumbered."""
    found = row(
        "SELECT 1 FROM letters WHERE account_id = ? AND message_id = ? AND id != ? AND email_id = ? LIMIT 1",
        letter.account_id, letter.message_id, letter.id, email.id,
    )  # fmt: skip
    return bool(letter.message_id) and found is not None


def _settle(report: Report, found: Match, now: int) -> None:
    email = found.email
    people = list(Recipient.select().where(Recipient.email_id == email.id).order_by(Recipient.position))
    strays, told = [], set()
    for fate in report.fates:
        hit = _hit(people, fate)
        if hit is None:
            strays.append(fate.final or fate.original)
        elif (place := (hit.person.position, fate.action)) not in told:
            told.add(place)
            _settle_one(report, found, hit, fate, now)
    if strays:
        others = f" and {len(strays) - 1} more" if strays[1:] else ""
        _note(email, now, "stray_report", f"about {strays[0]}{others}, who is no recipient of it")
    if report.kind is Kind.COMPLAINT and not report.fates:
        _nameless_complaint(found, people, now)
    if email.state == State.UNKNOWN:
        conclude(
            email.id, now, again=None, sort_step=0, retry_count=email.retry_count, lost_count=email.lost_count,
            summary=email.error_message or "told by a report",
        )  # fmt: skip


def _settle_one(report: Report, found: Match, hit: Hit, fate: Fate, now: int) -> None:
    if report.kind is Kind.COMPLAINT:
        _complained(found, hit, fate, now)
    elif fate.action is Action.FAILED:
        _bounced(found, hit, fate, report.by, now)
    else:
        line = _line(hit.person.address, fate, report.by)
        _note(found.email, now, str(fate.action), line)
        _change(hit.person, RecipientState.SENT, (RecipientState.UNKNOWN,), line)  # so it was taken


def _hit(people: list[Recipient], fate: Fate) -> Hit | None:
    by_address = {suppressions.folded(one.address): one for one in people}
    for address, exact in ((fate.final, True), (fate.original, False)):
        person = by_address.get(canonical(address)) if address else None
        if person is not None:
            return Hit(person, exact)
    return Hit(people[0], False) if len(people) == 1 else None  # it was forwarded


def _bounced(found: Match, hit: Hit, fate: Fate, by: str, now: int) -> None:
    person, line = hit.person, _line(hit.person.address, fate, by)
    _note(found.email, now, "bounced", line)
    _change(
        person, RecipientState.BOUNCED, _BEFORE_BOUNCE, _tidy(fate.diagnostic) or f"reported: {fate.status}"
    )
    if found.proof is Proof.MARK and hit.exact and is_hard(fate.status, fate.diagnostic):
        _suppress(found.email, person, Cause.HARD_BOUNCE, _tidy(fate.diagnostic) or fate.status, now)


def _complained(found: Match, hit: Hit, fate: Fate, now: int) -> None:
    person = hit.person
    _note(found.email, now, "complained", f"{person.address}: {fate.diagnostic}")
    _change(person, RecipientState.COMPLAINED, _BEFORE_COMPLAINT, f"complaint: {fate.diagnostic}")
    if found.proof is Proof.MARK and hit.exact:
        _suppress(found.email, person, Cause.COMPLAINT, fate.diagnostic, now)


def _nameless_complaint(found: Match, people: list[Recipient], now: int) -> None:
    _note(found.email, now, "complained", "the report names nobody")
    if len(people) == 1:
        _change(people[0], RecipientState.COMPLAINED, _BEFORE_COMPLAINT, "complaint")
        if found.proof is Proof.MARK:
            _suppress(found.email, people[0], Cause.COMPLAINT, "", now)


def _change(person: Recipient, state: RecipientState, before: tuple[RecipientState, ...], reply: str) -> None:
    """Whoever is still to be tried stays so: what bounced was an earlier try."""
    if person.state in before:
        code = _CODE.match(reply)
        run(
            "UPDATE recipients SET state = ?, code = ?, reply = ? WHERE email_id = ? AND position = ?",
            state, int(code[1]) if code else None, reply, person.email_id, person.position,
        )  # fmt: skip


def _suppress(email: Email, person: Recipient, cause: Cause, detail: str, now: int) -> None:
    new = New(suppressions.folded(person.address), cause, detail, email.id)
    if suppressions.enter(email.tenant, new, now):
        log.info("action=suppressed email=%s reason=%s", email.id, cause)
        _note(email, now, "suppression_added", suppressions.told(person.address, cause))


def _note(email: Email, now: int, kind: str, detail: str, once: bool = True) -> None:
    """`once`: reports are repeated, and read in several folders."""
    detail = _tidy(detail)
    same = (Event.email_id == email.id) & (Event.type == kind) & (Event.detail == detail)
    if not once or not Event.select().where(same).exists():
        Event.create(email_id=email.id, at=now, type=kind, detail=detail)


def _line(address: str, fate: Fate, by: str) -> str:
    told = " ".join(one for one in (fate.status, fate.diagnostic) if one)
    return f"{address}: {told or fate.action}" + (f" (says {by})" if by else "")


def _tidy(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:LONGEST]
