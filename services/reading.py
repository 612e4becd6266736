"""Reading an email back: everything known about it, and the message itself."""

from __future__ import annotations

from typing import Any

from models.database import row, rows
from models.email import Attempt, Content, Email, Recipient, State
from models.smtp_config import Route, SmtpConfig
from services import compose
from services.errors import ConflictError, NotFoundError
from services.relay import Relay
from utils.clock import iso, iso_or_none

MAX_ID = 2**63 - 1


def find(tenant: str | None, email_id: int) -> Email:
    """The email if it is there and the tenant's (None: anyone's); NotFoundError otherwise."""
    email = Email.get_or_none(Email.id == email_id) if 0 < email_id <= MAX_ID else None
    if email is None or tenant not in (None, email.tenant):
        raise NotFoundError(f"no email {email_id}")
    return email


def email_detail(relay: Relay, tenant: str | None, email_id: int, now: int) -> dict[str, Any]:
    """The email as JSON. `sender` is null while it is not settled which config carries it."""
    email = find(tenant, email_id)
    people = list(Recipient.select().where(Recipient.email_id == email_id).order_by(Recipient.position))
    names = config_names()
    config = _config(email)
    return _facts(email, config) | {
        "recipients": [one.address for one in people if one.kind == "to"],
        "cc": [one.address for one in people if one.kind == "cc"],
        "bcc": [one.address for one in people if one.kind == "bcc"],
        "reply_to": _reply_to(email_id),
        "recipient_states": [
            {"address": one.address, "name": one.name, "kind": one.kind, "state": one.state, "code": one.code,
             "reply": one.reply}
            for one in people
        ],
        "attempts": [_attempt(one, names) for one in attempts_of(email_id)],
        "attachments": _attachments(email_id),
    }  # fmt: skip


def raw(relay: Relay, tenant: str | None, email_id: int) -> bytes:
    """The message as it is, or was, sent; of unpinned mail not yet claimed, as its likeliest config would send it.

    NotFoundError when its content was erased, ConflictError while no config could carry it.
    """
    email = find(tenant, email_id)
    if not email.has_content:
        raise NotFoundError("the content of this email was erased")
    config = _config(email) or _likely_config(email)
    if config is None:
        raise ConflictError(
            "no SMTP config may carry this email, so its sender is not known", code="NO_SMTP_CONFIG"
        )
    return compose.message(email.id, config)


def attempts_of(email_id: int) -> list[Attempt]:
    return list(Attempt.select().where(Attempt.email_id == email_id).order_by(Attempt.id))


def config_names() -> dict[int, str]:
    return {int(one): str(name) for one, name in rows("SELECT id, name FROM smtp_configs")}


def _facts(email: Email, config: SmtpConfig | None) -> dict[str, Any]:
    sender = compose.sender_of(email, config)
    return {
        "id": email.id,
        "subject": email.subject,
        "sender": sender.email or None,
        "sender_name": sender.name or (config.display_name if config else "") or None,
        "status": email.state,
        "priority": email.priority,
        "retry_count": email.retry_count,
        "max_retries": email.max_retries,
        "smtp_config": config.name if config else None,
        "smtp_config_id": email.smtp_config_id,
        "tenant_id": email.tenant or None,
        "user_id": email.user or None,
        "message_id": email.message_id,
        "size": email.size,
        "tags": email.tags or [],
        "metadata": email.metadata,
        "template": _template(email),
        "on_unknown": email.on_unknown,
        "has_content": email.has_content,
        "send_at": iso(email.available_at) if email.state == State.SCHEDULED else None,
        "next_attempt_at": iso(email.available_at) if email.state == State.RETRY else None,
        "expires_at": iso_or_none(email.expires_at),
        "created_at": iso(email.created_at),
        "updated_at": iso(email.updated_at),
        "sent_at": iso_or_none(email.sent_at),
        "finished_at": iso_or_none(email.finished_at),
        "error_message": email.error_message,
    }


def _template(email: Email) -> dict[str, Any] | None:
    """What it was made of; its name, as long as it is there."""
    if email.template_id is None:
        return None
    found = row("SELECT name FROM templates WHERE id = ?", email.template_id)
    return {"id": email.template_id, "name": found[0] if found else None, "version": email.template_version}


def _config(email: Email) -> SmtpConfig | None:
    """The one that carries or carried it, else the one it is pinned to."""
    for one in (email.carrier_id, email.smtp_config_id):
        config = SmtpConfig.get_or_none(SmtpConfig.id == one) if one is not None else None
        if config is not None:
            return config
    return None


def _likely_config(email: Email) -> SmtpConfig | None:
    served = Route.select(Route.smtp_config_id).where(Route.lane_id == email.lane_id)
    query = SmtpConfig.select().where(SmtpConfig.id.in_(served))
    found: SmtpConfig | None = query.order_by(
        SmtpConfig.active.desc(), SmtpConfig.weight.desc(), SmtpConfig.id
    ).first()
    return found


def _reply_to(email_id: int) -> list[str]:
    content = Content.select(Content.reply_to).where(Content.email_id == email_id).first()
    return [address for _, address in (content.reply_to or [])] if content else []


def _attempt(one: Attempt, names: dict[int, str]) -> dict[str, Any]:
    return {
        "smtp_config": names.get(one.smtp_config_id),
        "smtp_config_id": one.smtp_config_id,
        "claimed_at": iso(one.claimed_at),
        "handed_over_at": iso_or_none(one.dot_at),
        "finished_at": iso(one.finished_at),
        "stage": one.stage,
        "outcome": one.outcome,
        "blame": one.blame,
        "code": one.code,
        "reply": one.reply,
        "replies": [
            {"address": address, "verdict": verdict, "reply": reply}
            for address, verdict, reply in one.replies or []
        ],
    }


def _attachments(email_id: int) -> list[dict[str, Any]]:
    found = rows(
        "SELECT filename, content_type, content_id, size FROM attachments JOIN blobs ON blobs.id = blob_id"
        " WHERE email_id = ? ORDER BY position",
        email_id,
    )
    names = ("filename", "content_type", "content_id", "size")
    return [dict(zip(names, one, strict=True)) for one in found]
