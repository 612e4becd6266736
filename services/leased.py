"""What a worker holds of an email, and what it tells about it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from models.database import run_many
from models.email import RecipientState
from models.smtp_config import SmtpConfig
from services import health
from services.outcome import Outcome, Verdict
from services.smtp import Reply

STATE_OF = {
    Verdict.SENT: RecipientState.SENT,
    Verdict.RETRY: RecipientState.RETRY,
    Verdict.FAILED: RecipientState.FAILED,
    Verdict.UNKNOWN: RecipientState.UNKNOWN,
    Verdict.AGAIN: RecipientState.RETRY,
}


@dataclass(frozen=True, slots=True)
class Leased:
    """An email that a worker holds: its id, the lease's token, and the recipients to try, by position."""

    email_id: int
    lease: int
    config: SmtpConfig
    instance_id: int
    claimed_at: int
    charged: int  # recipients that are charged for
    recipients: tuple[tuple[int, str], ...]
    size: int = 0  # bytes, estimated
    fresh: bool = False  # nothing has been told about any of its recipients yet, in whatever attempt
    probe: bool = False
    opened_at: int | None = None  # when the connection was opened, unless it was kept from before

    @property
    def tried(self) -> health.Tried:
        config = self.config
        return health.Tried(config.id, config.max_connections, self.instance_id, self.probe, self.opened_at)


@dataclass(frozen=True, slots=True)
class Dot:
    """An email whose body is about to go out, and the recipients that were refused before it."""

    leased: Leased
    refused: tuple[tuple[int, Verdict, Reply], ...] = ()  # (position, …)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of one transaction. `stage`: how far the dialog came. `dot_at` is None when no dot went out."""

    leased: Leased
    outcome: Outcome
    stage: str
    dot_at: int | None
    finished_at: int


def set_recipients(email_id: int, changes: list[tuple[int, RecipientState, Reply | None]]) -> None:
    run_many(
        "UPDATE recipients SET state = ?, code = ?, reply = ? WHERE email_id = ? AND position = ?",
        [
            (state, reply.code if reply else None, reply.text if reply else None, email_id, position)
            for position, state, reply in changes
        ],
    )
