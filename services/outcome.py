"""What happened in one SMTP transaction, turned into a decision."""

from __future__ import annotations

from dataclasses import dataclass

from services.judgement import (
    LEFT_OVER,
    SENT,
    Blame,
    Judgement,
    Verdict,
    judge_email,
    judge_error,
    judge_final,
    judge_rcpt,
)
from services.provider_texts import Pause, delay_named
from services.smtp import EnvelopeReplies, Reply, SmtpError

__all__ = ["Blame", "Outcome", "Pause", "Verdict", "decide"]

_Judged = tuple[Judgement, Reply | None]
Result = tuple[Verdict, Reply | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`results`: one a recipient, in the envelope's order. `retry_after`: seconds that a 4yz reply named.
    `auth_refused`: the login is wrong, or needed and missing. `config_failure` counts against breaker and
    concurrency. `summary`: one line for people."""

    results: tuple[Result, ...]
    blame: Blame
    summary: str
    burns_retry: bool = False
    retry_after: int | None = None
    pause: Pause | None = None
    auth_refused: bool = False
    config_failure: bool = False


def decide(
    recipients: int,
    *,
    envelope: EnvelopeReplies | None,
    final: Reply | None,
    error: SmtpError | None,
    dot_sent: bool,
) -> Outcome:
    """`envelope` is None when its replies did not all come. `dot_sent`: the final dot may be out, in which
    case an error with stage BODY still proves that it is not."""
    if error is None and final is not None and final.ok and envelope is not None and envelope.all_accepted:
        return Outcome(((Verdict.SENT, final),) * recipients, Blame.NOBODY, str(final))
    rcpts = _judge_rcpts(envelope)
    accepted = sum(judgement is SENT for judgement, _ in rcpts)
    whole = _judge_whole(envelope, final, error, dot_sent, accepted)
    if whole is None:  # every recipient was refused by name
        judged = [_now_or_later(item, Verdict.RETRY) for item in rcpts]
    elif not rcpts:
        judged = [whole] * recipients
    else:
        judged = [whole if item[0] is SENT else _now_or_later(item, whole[0].verdict) for item in rcpts]
    by_error = error is not None and final is None and whole is not None and whole[1] is error.reply
    return _sum_up(judged, error if by_error else None)


def _judge_rcpts(envelope: EnvelopeReplies | None) -> list[_Judged]:
    if envelope is None or not envelope.mail.ok:
        return []
    return [(judge_rcpt(reply), reply) for reply in envelope.rcpts]


def _judge_whole(
    envelope: EnvelopeReplies | None,
    final: Reply | None,
    error: SmtpError | None,
    dot_sent: bool,
    accepted: int,
) -> _Judged | None:
    """What decided for the accepted recipients, or for all of them when the email failed as a whole."""
    if envelope is not None and not envelope.mail.ok:
        return judge_email(envelope.mail), envelope.mail
    if envelope is not None and not accepted:
        return None
    if final is not None:
        return judge_final(final, alone=accepted == 1), final
    if error is not None:
        return judge_error(error, dot_sent), error.reply
    if envelope is None or envelope.data is None or envelope.must_end_data:
        raise ValueError("the transaction is not over")
    return judge_email(envelope.data), envelope.data


def _now_or_later(item: _Judged, whole: Verdict) -> _Judged:
    """Too many recipients: the rest go at once only when this transaction got somewhere, else without end."""
    judgement, reply = item
    if judgement is LEFT_OVER and whole not in (Verdict.SENT, Verdict.FAILED):
        return Judgement(Verdict.RETRY, Blame.RECIPIENT, burns=True), reply
    return item


def _sum_up(judged: list[_Judged], error: SmtpError | None) -> Outcome:
    judgements = [judgement for judgement, _ in judged]
    deferred = [reply for judgement, reply in judged if reply and judgement.verdict is Verdict.RETRY]
    delays = [delay for reply in deferred if reply.temporary and (delay := delay_named(reply.text))]
    return Outcome(
        results=tuple((judgement.verdict, reply) for judgement, reply in judged),
        blame=max((judgement.blame for judgement in judgements), key=list(Blame).index),
        summary=str(error) if error else _summary(judged),
        burns_retry=any(judgement.burns for judgement in judgements),
        retry_after=max(delays, default=None),
        pause=next((judgement.pause for judgement in judgements if judgement.pause), None),
        auth_refused=any(judgement.auth_refused for judgement in judgements),
        config_failure=any(judgement.config_failure for judgement in judgements),
    )


def _summary(judged: list[_Judged]) -> str:
    """The first reply that was not a yes, and how many recipients had none."""
    bad = [reply for judgement, reply in judged if judgement.verdict is not Verdict.SENT]
    if not bad:
        return str(judged[0][1])
    return str(bad[0]) + (f" ({len(bad)} of {len(judged)} recipients)" if len(judged) > 1 else "")
