"""The delivery of a claimed batch over one connection: the path of an email, top to bottom.

    prepare → envelope → replies → fence and dot → body → final reply → record

With PIPELINING the next email's envelope travels behind the body of the one before, so that an email costs one
round trip and one commit.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from models.database import marks, rows
from models.email import RecipientState
from services import health_checks, record, recover, settle
from services.claim import Claim, Queued
from services.judgement import judge_rcpt
from services.leased import Dot, Finished, Leased
from services.outcome import Blame, Outcome, Verdict, decide
from services.prepare import Preparation, Prepared, UnbuildableError, UnreadableError
from services.relay import Relay
from services.smtp import Connection, EnvelopeReplies, Reason, Reply, SmtpError, Stage

log = logging.getLogger("mailferry.delivery")

UNTOLD = (RecipientState.PENDING, RecipientState.SUPPRESSED)  # no reply has come about them


class Monitor(Protocol):
    """What whoever delivers offers: the clock, whether to stop, and somewhere to show progress."""

    def now(self) -> int: ...
    def stopping(self) -> bool: ...
    def at(self, stage: str, email_id: int) -> None: ...


def leased_of(claim: Claim) -> list[Leased]:
    """The claim's emails in order, with the recipients that are still to be tried."""
    ids = [email.id for email in claim.emails]
    found: dict[int, list[tuple[int, str, str]]] = {}
    for email_id, *person in rows(
        f"SELECT email_id, position, address, state FROM recipients WHERE email_id IN ({marks(len(ids))})"
        " ORDER BY email_id, position",
        *ids,
    ):
        found.setdefault(email_id, []).append((person[0], person[1], person[2]))
    return [_leased(claim, email, found.get(email.id, [])) for email in claim.emails]


def _leased(claim: Claim, email: Queued, people: list[tuple[int, str, str]]) -> Leased:
    to_try = (RecipientState.PENDING, RecipientState.RETRY)
    return Leased(
        email.id, claim.lease, claim.config, claim.instance_id, claim.claimed_at, email.recipient_count,
        tuple([(position, address) for position, address, state in people if state in to_try]), email.size,
        fresh=all(state in UNTOLD for _, _, state in people), probe=claim.probe,
        opened_at=claim.claimed_at if claim.opens_connection else None,
    )  # fmt: skip


def connection_failed(relay: Relay, batch: list[Leased], error: SmtpError, now: int) -> None:
    """No connection: the first email's attempt tells why, and the whole batch returns to its place."""
    outcome = decide(len(batch[0].recipients), envelope=None, final=None, error=error, dot_sent=False)
    log.warning("action=connect_failed config=%s error=%r", batch[0].config.id, outcome.summary)
    record.commit(relay.policy, [Finished(batch[0], outcome, error.stage, None, now)], None, now)
    record.give_back([one.email_id for one in batch[1:]], batch[0].lease, now)


class Delivery:
    """One batch over one connection. Call `run`, and `settle` whatever `run` did."""

    def __init__(
        self, relay: Relay, connection: Connection, batch: list[Leased], monitor: Monitor,
        more: Callable[[int], list[Leased]] = lambda most: [],
    ) -> None:  # fmt: skip
        """`more`: asked for so many further emails at most, under the same lease, when the batch is used up: so the
        connection's pipeline does not run dry between two batches."""
        self.connection = connection
        self._relay = relay
        self._more = more
        self._preparation = Preparation()
        self._waiting = deque(batch)
        self._unfinished = {one.email_id: one for one in batch}
        self._first = batch[0]
        self._unrecorded: list[Finished] = []
        self._monitor = monitor
        self._dry = False  # there was no more when we asked
        self._halted = False  # the config must rest: nothing more of this batch goes
        self._logged_out = False  # the server takes nothing more on this connection
        self._room = max(1, batch[0].config.max_messages_per_connection - connection.used)

    def run(self) -> None:
        current = self._start_next()
        while current is not None:
            current = self._carry(current)

    def settle(self) -> None:
        """Record what is not yet recorded and give back what was not sent. May be repeated until it succeeds."""
        self._record(None)
        if self._first.probe:
            record.end_probe(self._first)
        if left := list(self._unfinished):
            record.give_back(left, self._first.lease, self._monitor.now())
            recover.take_back_started(self._relay.policy, left, self._first.lease, self._monitor.now())
        self._unfinished.clear()

    def _carry(self, current: Prepared) -> Prepared | None:
        """One email whose envelope is on its way; returns the one whose envelope is on its way after it."""
        self._show("envelope", current)
        try:
            replies = self.connection.read_envelope()
            if not replies.ready:
                return self._refused(current, replies)
        except SmtpError as error:
            return self._fail(current, error, None, dot_sent=False)
        following = self._following()  # before the fence: between it and the dot nothing may take time
        dot_at = self._monitor.now()
        if not self._record(_dot(current.leased, replies)):
            self._fence_lost(current)
            return None
        self._show("body", current)
        try:
            self.connection.send_body(current.data, following.envelope if following else None)
            self._show("dot", current)
            final = self.connection.read_final()
        except SmtpError as error:
            return self._fail(current, error, replies, dot_sent=True, dot_at=dot_at)
        self._finish(current, replies, final, None, "dot", dot_at)
        return following or self._start_next()

    def _refused(self, current: Prepared, replies: EnvelopeReplies) -> Prepared | None:
        """Nobody, or not the sender, was accepted: there is no body to send."""
        stage = "mail" if not replies.mail.ok else "rcpt" if not any(r.ok for r in replies.rcpts) else "data"
        self._finish(current, replies, None, None, stage, None)
        try:
            if replies.must_end_data:
                self.connection.refuse_body()
        except SmtpError:
            self.connection.close()
        if self._logged_out:
            self.connection.close()
        return self._start_next()

    def _start_next(self) -> Prepared | None:
        following = self._next()
        if following is None or not self.connection.usable:
            return None
        try:
            self.connection.send_envelope(following.envelope)
        except SmtpError as error:
            return self._fail(following, error, None, dot_sent=False)
        return following

    def _fail(
        self, current: Prepared, error: SmtpError, replies: EnvelopeReplies | None, *, dot_sent: bool,
        dot_at: int | None = None,
    ) -> Prepared | None:  # fmt: skip
        """The dialog broke. Only an email that this server can never take leaves the connection as it was."""
        if self._was_over(error):
            self.connection.close()
            return None
        if error.stage is Stage.BODY:
            dot_at = None
        self._finish(current, replies, None, error, error.stage, dot_at, dot_sent)
        if self.connection.usable and error.reason in (Reason.UNSUPPORTED, Reason.TOO_LARGE):
            return self._start_next()
        self.connection.close()
        return None

    def _was_over(self, error: SmtpError) -> bool:
        """A server may end a connection between two emails: by a time-out, by a limit of emails per connection. It
        tells nothing about the next email nor about the config, so that one is given back, and goes on another."""
        return self.connection.used > 0 and error.stage in (Stage.MAIL, Stage.RSET) and error.reason in (
            Reason.CLOSED, Reason.REJECTED
        )  # fmt: skip

    def _fence_lost(self, current: Prepared) -> None:
        """Someone took the email back (a cancellation, or we were thought dead): drop it before the dot."""
        log.warning("action=fence_lost email=%s", current.leased.email_id)
        self.connection.close()

    def _finish(
        self, current: Prepared, replies: EnvelopeReplies | None, final: Reply | None, error: SmtpError | None,
        stage: str, dot_at: int | None, dot_sent: bool = False,
    ) -> None:  # fmt: skip
        leased, now = current.leased, self._monitor.now()
        outcome = decide(
            len(leased.recipients), envelope=replies, final=final, error=error, dot_sent=dot_sent
        )
        self._unrecorded.append(Finished(leased, outcome, stage, dot_at, now))
        log.info(
            "action=%s email=%s config=%s stage=%s reply=%r",
            settle.overall(outcome), leased.email_id, leased.config.id, stage, outcome.summary,
        )  # fmt: skip
        if outcome.config_failure or outcome.auth_refused or outcome.pause is not None:
            self._halted = True
        self._logged_out |= outcome.auth_refused
        if settle.goes_on(outcome):
            self._continue(leased, outcome)
        else:
            self._unfinished.pop(leased.email_id, None)

    def _continue(self, leased: Leased, outcome: Outcome) -> None:
        """452 4.5.3: the recipients that did not fit go at once, in a further transaction."""
        rest = tuple(
            one
            for one, (verdict, _) in zip(leased.recipients, outcome.results, strict=True)
            if verdict is Verdict.AGAIN
        )
        self._waiting.appendleft(replace(leased, recipients=rest, charged=len(rest), fresh=False))

    def _record(self, dot: Dot | None) -> bool:
        if not self._unrecorded and dot is None:
            return True
        kept = record.commit(self._relay.policy, self._unrecorded, dot, self._monitor.now())
        self._unrecorded.clear()  # only once it is committed
        return kept

    def _next(self) -> Prepared | None:
        """The next email of the batch that can be built, unless it is time to stop."""
        while not self._halted and self._room > 0 and not self._monitor.stopping() and self._has_more():
            leased = self._waiting.popleft()
            try:
                prepared = self._preparation.prepare(leased, self._waiting)
            except UnbuildableError as exc:
                log.warning("action=quarantined email=%s error=%s", leased.email_id, exc)
                self._unrecorded.append(_unbuildable(leased, exc, self._monitor.now()))
                self._unfinished.pop(leased.email_id, None)
                continue
            except UnreadableError as exc:
                self._put_back(leased, exc)
                continue
            self._room -= 1
            return prepared
        return None

    def _following(self) -> Prepared | None:
        """The next one while an email is on its way, which must go whatever is wrong with others."""
        try:
            return self._next()
        except Exception as exc:
            log.exception("action=next_trouble config=%s", self._first.config.id)
            health_checks.note(exc)
            self._halted = True
            return None

    def _put_back(self, leased: Leased, error: UnreadableError) -> None:
        log.error("action=unreadable email=%s error=%s", leased.email_id, error)
        if error.__cause__ is not None:
            health_checks.note(error.__cause__)
        self._record(None)  # an earlier transaction of the same email comes first
        recover.put_back(self._relay.policy, leased.email_id, leased.lease, str(error), self._monitor.now())
        self._unfinished.pop(leased.email_id, None)

    def _has_more(self) -> bool:
        if not self._waiting and not self._dry:
            further = self._more(self._room)
            self._dry = not further
            self._waiting += further
            self._unfinished |= {one.email_id: one for one in further}
        return bool(self._waiting)

    def _show(self, stage: str, current: Prepared) -> None:
        self._monitor.at(stage, current.leased.email_id)


def _dot(leased: Leased, replies: EnvelopeReplies) -> Dot:
    if replies.all_accepted:
        return Dot(leased)
    verdicts = [
        (position, judge_rcpt(reply).verdict, reply) for (position, _), reply in _each(leased, replies)
    ]
    return Dot(leased, tuple(one for one in verdicts if one[1] is not Verdict.SENT))


def _each(leased: Leased, replies: EnvelopeReplies) -> Iterable[tuple[tuple[int, str], Reply]]:
    return zip(leased.recipients, replies.rcpts, strict=True)


def _unbuildable(leased: Leased, error: Exception, now: int) -> Finished:
    outcome = Outcome(tuple((Verdict.FAILED, None) for _ in leased.recipients), Blame.EMAIL, str(error))
    return Finished(leased, outcome, "build", None, now)
