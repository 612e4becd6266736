"""One email: where it stands, why, and what happened so far."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, tenant_option
from services.reading import email_detail
from services.timeline import timeline
from services.why import why
from utils.clock import now_ms

_FACTS = (
    "id", "status", "subject", "sender", "sender_name", "tenant_id", "smtp_config", "priority", "retry_count", "tags",
    "created_at", "send_at", "next_attempt_at", "expires_at", "sent_at", "error_message", "message_id",
)  # fmt: skip


@click.command()
@click.argument("email_id", type=int)
@tenant_option
@json_option
@pass_session
def email(session: Session, email_id: int, tenant: str, as_json: bool) -> None:
    """Tell all about an email: state, recipients, timeline, and why it is not sent yet."""
    relay = session.open()
    visible, now = operator(tenant).visible_tenant, now_ms()
    detail = email_detail(relay, visible, email_id, now)
    events = timeline(visible, email_id)
    reason = why(relay, visible, email_id, now)
    if as_json:
        print_json(detail | {"events": events, "why": reason})
        return
    facts = {name.replace("_", " "): detail[name] for name in _FACTS}
    print_facts((facts | {"why": reason["message"], "expected at": reason["expected_at"]}).items())
    click.echo()
    people = [(one["kind"], one["address"], one["state"], one["reply"]) for one in detail["recipient_states"]]
    print_table(("", "recipient", "state", "reply"), people)
    click.echo()
    print_table(("at", "event", "config", "detail"), [_line(one) for one in events])


def _line(event: dict[str, Any]) -> tuple[Any, ...]:
    told = " ".join(str(event[name]) for name in ("detail", "code", "reply") if event[name])
    return event["at"], event["type"], event["smtp_config"], told
