"""Rows as accepting and delivering would leave them."""

from __future__ import annotations

from typing import Any

from models import Attempt, Email, Health, Recipient, SmtpConfig, Usage
from models.database import write
from services.principal import Principal, Scope
from services.relay import Relay
from tests.support.relay import submit
from utils.clock import HOUR, MINUTE

NOW = 29_500_000 * MINUTE  # 2026-02-02T02:40:00Z
M = NOW // MINUTE
STEP = 6 * HOUR


def tenant(name: str) -> Principal:
    return Principal(None, name, False, name, "", frozenset(Scope))


def change(email_id: int, **values: Any) -> None:
    write(lambda: Email.update(**values).where(Email.id == email_id).execute())


def change_config(config_id: int, **values: Any) -> None:
    write(lambda: SmtpConfig.update(**values).where(SmtpConfig.id == config_id).execute())


def change_health(config_id: int, **values: Any) -> None:
    write(lambda: Health.update(**values).where(Health.smtp_config_id == config_id).execute())


def change_recipient(email_id: int, position: int, **values: Any) -> None:
    this = (Recipient.email_id == email_id) & (Recipient.position == position)
    write(lambda: Recipient.update(**values).where(this).execute())


def use(config_id: int, minute: int, messages: int, recipients: int = 0) -> None:
    write(
        lambda: Usage.create(
            smtp_config_id=config_id, minute=minute, messages=messages, recipients=recipients
        )
    )


def used(config_id: int, minute: int) -> tuple[int, int]:
    one = Usage.get((Usage.smtp_config_id == config_id) & (Usage.minute == minute))
    return one.messages, one.recipients


def claimed(relay: Relay, config_id: int, dot_at: int | None = None, **fields: Any) -> int:
    """An email that a worker holds, charged to the present minute."""
    email_id = submit(relay, NOW, **fields)
    recipients = Email.get_by_id(email_id).recipient_count
    use(config_id, M, 1, recipients)
    change(
        email_id, state="sending", lease=7, instance_id=1, carrier_id=config_id, claimed_at=NOW, dot_at=dot_at,
        charged_minute=M,
    )  # fmt: skip
    return email_id


def ended(relay: Relay, state: str, at: int = NOW, **fields: Any) -> int:
    """An email that has been `sent`, `failed` or `cancelled`, or ended as `unknown`, at `at`."""
    email_id = submit(relay, at, **fields)
    finished = None if state == "unknown" else at
    change(
        email_id,
        state=state,
        finished_at=finished,
        sent_at=at if state == "sent" else None,
        recipient_count=0,
    )
    word = state if state in ("sent", "failed", "unknown") else "pending"
    write(lambda: Recipient.update(state=word).where(Recipient.email_id == email_id).execute())
    return email_id


def attempt(email_id: int, config_id: int, at: int = NOW, **values: Any) -> None:
    facts: dict[str, Any] = {
        "instance_id": 1, "claimed_at": at, "dot_at": at + 10, "finished_at": at + 20, "stage": "final",
        "outcome": "sent", "blame": "nobody", "code": 250, "reply": "ok",
    }  # fmt: skip
    write(lambda: Attempt.create(email_id=email_id, smtp_config_id=config_id, **facts | values))
