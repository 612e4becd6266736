"""The sandbox: mail that was caught to be read, and the SMTP config that leads there."""

from __future__ import annotations

import json
from typing import Any

from models.database import hold, row, rows, run, write
from models.smtp_config import Health, SmtpConfig
from services.errors import NotFoundError
from services.relay import Policy
from services.routing import config_changed
from utils.clock import iso
from utils.mail_reader import header_of, read_mail

HOST = "127.0.0.1"
NAME = "Sandbox"
_SUMMARY = "id, at, mail_from, rcpt_tos, subject, message_id, size"


def store(mail_from: str, rcpt_tos: list[str], data: bytes, now: int) -> int:
    """Keep one message; its id."""
    values = (
        now, mail_from, json.dumps(rcpt_tos), header_of(data, "Subject"), header_of(data, "Message-ID"), len(data), data
    )  # fmt: skip

    def work() -> int:
        found = row(
            "INSERT INTO sandbox_messages (at, mail_from, rcpt_tos, subject, message_id, size, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            *values,
        )
        assert found is not None
        return int(found[0])

    return write(work)


def messages(limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """The latest, newest first, without their contents; `before` is the id that the page before ended with."""
    found = rows(
        f"SELECT {_SUMMARY} FROM sandbox_messages WHERE id < ? ORDER BY id DESC LIMIT ?",
        before or 2**62,
        limit,
    )
    return [_summary(one) for one in found]


def message(message_id: int) -> dict[str, Any]:
    """A summary and what `utils.mail_reader.read_mail` finds in it."""
    found = row(f"SELECT {_SUMMARY}, data FROM sandbox_messages WHERE id = ?", message_id)
    if found is None:
        raise NotFoundError(f"no sandbox message {message_id}")
    return _summary(found[:-1]) | read_mail(bytes(found[-1]))


def raw(message_id: int) -> bytes:
    """The message as it came over SMTP."""
    found = row("SELECT data FROM sandbox_messages WHERE id = ?", message_id)
    if found is None:
        raise NotFoundError(f"no sandbox message {message_id}")
    return bytes(found[0])


def clear() -> int:
    """Delete all; how many there were."""
    return write(lambda: run("DELETE FROM sandbox_messages"))


def ensure_config(policy: Policy, now: int) -> None:
    """At start: where there is no SMTP config at all, one that leads to the sandbox, so that the first email goes
    somewhere. Later starts keep its port in step with the setting."""
    port = policy.sandbox_port
    if port is not None:
        write(lambda: _ensure(policy, port, now), durable=True)


def _ensure(policy: Policy, port: int, now: int) -> None:
    """One write job, so that of two processes that start together one makes it and the other finds it."""
    hold("sandbox")
    if row("SELECT 1 FROM smtp_configs LIMIT 1") is None:
        _make(policy, port, now)
    for (config_id,) in rows("SELECT id FROM smtp_configs WHERE sandbox AND smtp_port != ?", port):
        run("UPDATE smtp_configs SET smtp_port = ?, updated_at = ? WHERE id = ?", port, now, config_id)
        config_changed(config_id)


def _make(policy: Policy, port: int, now: int) -> None:
    config = SmtpConfig.create(
        tenant="", name=NAME, email_address=f"sandbox@{policy.message_id_domain}", smtp_host=HOST, smtp_port=port,
        use_tls=False, use_ssl=False, allow_any_sender=True, shared=True, sandbox=True,
        created_at=now, updated_at=now,
    )  # fmt: skip
    Health.create(smtp_config_id=config.id)
    config_changed(config.id)


def _summary(found: tuple[Any, ...]) -> dict[str, Any]:
    message_id, at, mail_from, rcpt_tos, subject, header_id, size = found
    return {
        "id": message_id,
        "received_at": iso(at),
        "envelope": {"mail_from": mail_from, "rcpt_tos": json.loads(rcpt_tos)},
        "subject": subject,
        "message_id": header_id,
        "size": size,
    }
