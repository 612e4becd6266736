"""What one reply or error means (RFC 5321 4.2.1, RFC 3463): for whom, whose fault, and what it costs.

Blame goes to the recipient, the email or the config (the account and its server), never to one for another.
A retry is burnt only where the email or a recipient was judged; the config is paused or counted against
only where the account or the network was at fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from services.provider_texts import DAY, Pause, delay_named, pause_named
from services.smtp import CLOSING, Reason, Reply, SmtpError, Stage


class Verdict(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"
    AGAIN = "again"  # at once, in a further transaction: this one was full


class Blame(StrEnum):
    """In rising order: the last one that applies is named."""

    NOBODY = "nobody"
    RECIPIENT = "recipient"
    EMAIL = "email"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one reply or error means for the recipients that it covers."""

    verdict: Verdict
    blame: Blame
    burns: bool = False
    pause: Pause | None = None
    auth_refused: bool = False
    config_failure: bool = False


SENT: Final = Judgement(Verdict.SENT, Blame.NOBODY)
LEFT_OVER: Final = Judgement(Verdict.AGAIN, Blame.NOBODY)
_UNFIT: Final = Judgement(Verdict.FAILED, Blame.EMAIL)
_NETWORK: Final = Judgement(Verdict.RETRY, Blame.CONFIG, config_failure=True)
# It burns a retry, or a server that always hangs up after the dot would get an email resent without end.
_UNDECIDED: Final = Judgement(Verdict.UNKNOWN, Blame.CONFIG, burns=True, config_failure=True)
# The server is out of step, which may be its fault or this email's: counted against both.
_OUT_OF_STEP: Final = Judgement(Verdict.RETRY, Blame.CONFIG, burns=True, config_failure=True)

_LOGIN_CODES: Final = (530, 534, 535, 538)  # RFC 4954 6
_DIALOG_CODES: Final = (500, 502, 503)  # not understood, or out of sequence
_TOO_MANY: Final = re.compile(r"too many recipients|destination domains per transaction", re.I)
_NO_RELAY: Final = re.compile(r"relay(ing)? (access )?(denied|not permitted)|unable to relay", re.I)
_SENDER: Final = re.compile(r"sender address rejected|send ?as|relaying disallowed as|not owned by", re.I)
_SERVER_STATUS: Final = re.compile(r"4\.[34]\.")  # mail system; network (RFC 3463 3.4, 3.5)
_MAILBOX_STATUS: Final = re.compile(r"[45]\.(1\.[1-6]|2\.[0124])$")  # address; mailbox (RFC 3463 3.2, 3.3)


def judge_error(error: SmtpError, dot_sent: bool) -> Judgement:
    reply, stage = error.reply, error.stage
    # Whether the server took the mail cannot be known; to say "retry" would be to send it twice.
    if dot_sent and stage is not Stage.BODY:
        return _UNDECIDED
    # Found before anything was sent: this server can never take this email.
    if error.reason is Reason.TOO_LARGE or (error.reason is Reason.UNSUPPORTED and stage is Stage.MAIL):
        return _UNFIT
    if reply is None:
        return replace(_NETWORK, auth_refused=error.reason is Reason.AUTH)
    if account := _judge_account(reply):
        return account
    # A refusal in the middle of the body ("552 too large") is about the body, though the server then hung up.
    if stage is Stage.BODY and reply.code != CLOSING:
        return judge_email(reply)
    if error.reason is Reason.AUTH:
        return replace(_NETWORK, auth_refused=True)
    # Any other refusal before MAIL, and a 421 anywhere, is the server's own state: no email caused it.
    named = delay_named(reply.text)
    return replace(_NETWORK, pause=Pause(min(named, DAY), str(reply)) if named else None)


def _judge_account(reply: Reply) -> Judgement | None:
    """Replies about the account, wherever in the dialog they come: a quota spent, a login that is wrong or
    needed. They say nothing about the email, which waits and burns no retry."""
    if pause := pause_named(reply):
        return Judgement(Verdict.RETRY, Blame.CONFIG, pause=pause, config_failure=pause.crowded)
    if reply.code in _LOGIN_CODES:
        return replace(_NETWORK, auth_refused=True)
    return None


def judge_rcpt(reply: Reply) -> Judgement:
    if reply.ok:
        return SENT  # provided that the rest goes well
    if account := _judge_account(reply):
        return account
    if reply.code == CLOSING:
        return _NETWORK
    # RFC 5321 4.5.3.1.10: 452, and from older servers 552; X.5.3 in RFC 3463. Not the recipient's fault.
    if (reply.enhanced or "").endswith(".5.3") or _TOO_MANY.search(reply.text):
        return LEFT_OVER
    # Relay denied is the account's lack of rights, but maybe for this recipient's domain only: so no pause,
    # and retries that count, in which another config may take the email.
    if _NO_RELAY.search(reply.text):
        return Judgement(Verdict.RETRY, Blame.CONFIG, burns=True)
    if reply.code in _DIALOG_CODES or not (reply.temporary or reply.permanent):
        return _OUT_OF_STEP
    # Servers that delay their checks refuse the sender at RCPT.
    blame = Blame.EMAIL if _SENDER.search(reply.text) else Blame.RECIPIENT
    if reply.temporary:
        return Judgement(Verdict.RETRY, blame, burns=True)
    return Judgement(Verdict.FAILED, blame)


def judge_email(reply: Reply) -> Judgement:
    """A refusal of the whole email: at MAIL (its sender or size), at DATA, or after the dot (its content)."""
    if account := _judge_account(reply):
        return account
    if reply.code == CLOSING:
        return _NETWORK
    if reply.code in _DIALOG_CODES or not (reply.temporary or reply.permanent):
        return _OUT_OF_STEP
    if reply.permanent:
        return _UNFIT
    # 452: the server has no room. It burns all the same: the room may lack only for an email of this size.
    server = reply.code == 452 or _SERVER_STATUS.match(reply.enhanced or "")
    return Judgement(Verdict.RETRY, Blame.CONFIG if server else Blame.EMAIL, burns=True)


def judge_final(reply: Reply, alone: bool) -> Judgement:
    """A 4yz or 5yz after the dot is a decision: nothing was accepted (RFC 5321 4.2.5)."""
    if reply.ok:
        return SENT
    if not (reply.temporary or reply.permanent):
        return _UNDECIDED  # a 354 again, say: who knows what became of the email
    judgement = judge_email(reply)
    # Spam filters answer content with a 421: so here it burns a retry. A server that really goes down costs
    # one.
    if judgement is _NETWORK:
        return Judgement(Verdict.RETRY, Blame.CONFIG, burns=True)
    # With one recipient, a status about a mailbox is about that one: the server looked it up late.
    if alone and judgement.blame is Blame.EMAIL and _MAILBOX_STATUS.match(reply.enhanced or ""):
        return replace(judgement, blame=Blame.RECIPIENT)
    return judgement
