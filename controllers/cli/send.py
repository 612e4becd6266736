"""Send an email from a shell: straight into the queue, from where the running relay picks it up."""

from __future__ import annotations

import mimetypes
import sys
import time
from pathlib import Path
from typing import Any

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_json, safe, tenant_option
from services.accept import NewEmail, submit
from services.presence import running
from services.reading import email_detail
from services.relay import Relay
from utils.clock import now_ms
from utils.mime import Attachment

_POLL_SECONDS = 0.2
_FINAL = ("sent", "failed", "cancelled", "unknown")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--to", required=True, multiple=True, help="Recipient. Repeatable.")
@click.option("--cc", multiple=True, help="Repeatable.")
@click.option("--bcc", multiple=True, help="Repeatable.")
@click.option("--subject", default="", help="Subject line.")
@click.option("--text", help="Text; - reads it from standard input.")
@click.option("--html", help="HTML; - reads it from standard input.")
@click.option("--attach", multiple=True, type=_FILE, help="File to attach. Repeatable.")
@click.option(
    "--from", "sender", help="Sender, where the SMTP config allows it: an address, also with a name."
)
@click.option("--config", "config_id", type=int, help="Id of the SMTP config to use.")
@click.option("--priority", type=click.IntRange(1, 5), default=3, show_default=True, help="1 goes first.")
@click.option("--wait", is_flag=True, help="Wait until it is sent; exit status 1 if it is not.")
@tenant_option
@json_option
@pass_session
def send(session: Session, /, wait: bool, tenant: str, as_json: bool, **options: Any) -> int:
    """Queue an email."""
    if options["text"] == options["html"] == "-":
        raise click.UsageError("--text and --html cannot both be read from standard input")
    email = _email(options)
    relay = session.open()
    email_id = int(submit(relay, operator(tenant), email, now_ms()).body["email_id"])
    if not wait:
        _tell({"email_id": email_id}, f"Email {email_id} is queued.", as_json)
        return 0
    detail = _final(relay, email_id)
    told = f"Email {email_id}: {detail['status']}" + (
        f", {detail['error_message']}" if detail["error_message"] else ""
    )
    _tell(
        {"email_id": email_id, "status": detail["status"], "error_message": detail["error_message"]},
        told,
        as_json,
    )
    return 0 if detail["status"] == "sent" else 1


def _email(options: dict[str, Any]) -> NewEmail:
    return NewEmail(
        subject=options["subject"],
        to=list(options["to"]),
        cc=list(options["cc"]),
        bcc=list(options["bcc"]),
        text=_content(options["text"]),
        html=_content(options["html"]),
        sender=options["sender"],
        attachments=[_attachment(path) for path in options["attach"]],
        priority=options["priority"],
        smtp_config_id=options["config_id"],
    )


def _final(relay: Relay, email_id: int) -> dict[str, Any]:
    """The email once nothing more will happen to it."""
    if not running(relay.policy, now_ms()):
        raise click.ClickException(
            f"email {email_id} is queued, but no relay runs on {relay.policy.data_dir}"
        )
    while True:
        detail = email_detail(relay, None, email_id, now_ms())
        if detail["status"] in _FINAL:
            return detail
        time.sleep(_POLL_SECONDS)


def _tell(value: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(safe(text))


def _content(text: str | None) -> str | None:
    return sys.stdin.read() if text == "-" else text


def _attachment(path: Path) -> Attachment:
    kind, encoding = mimetypes.guess_type(path.name)
    return Attachment(
        path.name, kind if kind and not encoding else "application/octet-stream", path.read_bytes()
    )
