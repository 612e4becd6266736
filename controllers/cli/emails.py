"""Emails: found, told about, acted upon."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli import bulk
from controllers.cli.completing import config_ids
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.filters import Choice, chosen, filtered
from controllers.cli.moments import Moment
from controllers.cli.output import (
    json_option,
    local_minute,
    print_facts,
    print_json,
    print_table,
    tenant_option,
    write_bytes,
)
from services import actions
from services.reading import email_detail, raw
from services.search import search
from services.timeline import timeline
from services.why import why
from utils.clock import now_ms

_FACTS = (
    "id", "status", "subject", "sender", "sender_name", "tenant_id", "smtp_config", "priority", "retry_count", "tags",
    "created_at", "send_at", "next_attempt_at", "expires_at", "sent_at", "error_message", "message_id",
)  # fmt: skip
_COLUMNS = ("id", "accepted", "status", "to", "subject", "tenant", "error")
_PAGE = 500
_WAITING = ("scheduled", "queued", "retry")

_id = click.argument("email_id", type=int)


@click.group("emails")
def group() -> None:
    """Find emails, look at them, and act upon one or many."""


@group.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, newest first."
)
@filtered
@pass_session
def list_(session: Session, choice: Choice, limit: int) -> None:
    """Find emails, newest first. All filters must hold."""
    session.open()
    tenant = operator(choice.tenant).visible_tenant
    found = [one for filters in choice.by_state() for one in _some(tenant, filters, limit)]
    found = sorted(found, key=lambda one: -int(one["id"]))[:limit]
    if choice.as_json:
        print_json(found)
        return
    print_table(_COLUMNS, [_row(one) for one in found])


@group.command()
@_id
@tenant_option
@json_option
@pass_session
def show(session: Session, email_id: int, tenant: str, as_json: bool) -> None:
    """Tell all about an email: state, recipients, timeline, and why it is there."""
    relay = session.open()
    visible, now = operator(tenant).visible_tenant, now_ms()
    detail = email_detail(relay, visible, email_id, now)
    happened = timeline(visible, email_id)
    reason = why(relay, visible, email_id, now)
    if as_json:
        print_json(detail | {"events": happened, "why": reason})
        return
    facts = {name.replace("_", " "): detail[name] for name in _FACTS}
    print_facts((facts | {"why": reason["message"], "expected at": reason["expected_at"]}).items())
    click.echo()
    people = [(one["kind"], one["address"], one["state"], one["reply"]) for one in detail["recipient_states"]]
    print_table(("", "recipient", "state", "reply"), people)
    click.echo()
    _print_events(happened)


@group.command("why")
@_id
@tenant_option
@json_option
@pass_session
def why_(session: Session, email_id: int, tenant: str, as_json: bool) -> None:
    """Tell why an email is not sent yet, and when it should be."""
    reason = why(session.open(), operator(tenant).visible_tenant, email_id, now_ms())
    if as_json:
        print_json(reason)
        return
    click.echo(reason["message"])
    print_facts([("expected at", reason["expected_at"])])


@group.command()
@_id
@tenant_option
@json_option
@pass_session
def events(session: Session, email_id: int, tenant: str, as_json: bool) -> None:
    """Tell what happened to an email, oldest first. `tail --email ID` goes on telling."""
    session.open()
    happened = timeline(operator(tenant).visible_tenant, email_id)
    if as_json:
        print_json(happened)
    else:
        _print_events(happened)


@group.command("raw")
@_id
@tenant_option
@pass_session
def raw_(session: Session, email_id: int, tenant: str) -> None:
    """Write the message as it is sent (RFC 5322) to standard output."""
    message = raw(session.open(), operator(tenant).visible_tenant, email_id)
    write_bytes(message)


@group.command()
@chosen
@pass_session
def cancel(session: Session, choice: Choice) -> int:
    """Stop emails that have not left."""
    verb = bulk.Verb("Cancel", "Cancelled", (*_WAITING, "sending"))
    return bulk.act(session, choice, verb, lambda tenant, one: actions.cancel(tenant, one, now_ms()))


@group.command()
@chosen
@pass_session
def retry(session: Session, choice: Choice) -> int:
    """Queue failed, cancelled or unknown emails again, for whoever has not got them."""
    verb = bulk.Verb("Send again", "Queued again", ("failed", "cancelled", "unknown"))
    relay = session.open()
    return bulk.act(session, choice, verb, lambda tenant, one: actions.retry(relay, tenant, one, now_ms()))


@group.command()
@click.option(
    "--as", "outcome", required=True, type=click.Choice(["sent", "failed"]), help="What became of them."
)
@chosen
@pass_session
def resolve(session: Session, choice: Choice, outcome: str) -> int:
    """Settle unknown emails by what became of them."""
    verb = bulk.Verb(f"Settle as {outcome}", f"Settled as {outcome}", ("unknown",))
    return bulk.act(
        session, choice, verb, lambda tenant, one: actions.resolve(tenant, one, outcome, now_ms())
    )


@group.command()
@click.option(
    "--send-at", type=Moment(ahead=True), help="When to send: a time, or how long from now, such as 2h."
)
@click.option("--priority", type=click.IntRange(1, 5), help="1 goes first.")
@click.option("--pin", type=int, shell_complete=config_ids, help="SMTP config (id) that must carry them.")
@click.option("--unpin", is_flag=True, help="Any SMTP config may carry them.")
@chosen
@pass_session
def change(
    session: Session, choice: Choice, send_at: int | None, priority: int | None, pin: int | None, unpin: bool
) -> int:
    """Reschedule, re-prioritise or re-pin emails that wait."""
    if send_at is priority is pin is None and not unpin:
        raise click.UsageError("say what to change: --send-at, --priority, --pin or --unpin")
    if unpin and pin is not None:
        raise click.UsageError("--pin and --unpin exclude each other")
    pinned = None if unpin else actions.UNSET if pin is None else pin
    changes = actions.Patch(priority=priority, send_at=send_at, smtp_config_id=pinned)
    verb = bulk.Verb("Change", "Changed", _WAITING)
    relay = session.open()
    return bulk.act(
        session, choice, verb, lambda tenant, one: actions.patch(relay, tenant, one, changes, now_ms())
    )


@group.command()
@chosen
@pass_session
def erase(session: Session, choice: Choice) -> int:
    """Erase what emails say; their rows and timelines stay until retention. Waiting ones are cancelled."""
    verb = bulk.Verb("Erase", "Erased", (*_WAITING, "sent", "failed", "cancelled", "unknown"))
    return bulk.act(session, choice, verb, lambda tenant, one: actions.erase(tenant, one, now_ms()))


def _some(tenant: str | None, filters: Any, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = search(tenant, filters, min(_PAGE, limit - len(found)), cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _row(email: dict[str, Any]) -> tuple[Any, ...]:
    people = email["recipients"]
    to = f"{people[0]} (+{len(people) - 1})" if people[1:] else "".join(people)
    at = local_minute(email["created_at"])
    return (
        email["id"],
        at,
        email["status"],
        to,
        email["subject"],
        email["tenant_id"] or "",
        email["error_message"] or "",
    )


def _print_events(happened: list[dict[str, Any]]) -> None:
    print_table(("at", "event", "config", "detail"), [_line(one) for one in happened])


def _line(event: dict[str, Any]) -> tuple[Any, ...]:
    told = " ".join(str(event[name]) for name in ("detail", "code", "reply") if event[name])
    return event["at"], event["type"], event["smtp_config"], told
