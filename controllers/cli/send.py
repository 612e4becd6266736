"""Send an email from a shell: straight into the queue, from where the running relay picks it up."""

from __future__ import annotations

import mimetypes
import sys
import time
from pathlib import Path

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_json, tenant_option
from services.accept import NewAttachment, NewEmail, submit
from services.presence import running
from utils.addresses import AddressError, parse_address
from utils.clock import now_ms

_POLL_SECONDS = 0.2
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--to", required=True, multiple=True, help="Recipient. Repeatable.")
@click.option("--cc", multiple=True, help="Repeatable.")
@click.option("--bcc", multiple=True, help="Repeatable.")
@click.option("--subject", default="", help="Subject line.")
@click.option("--text", help="Text; - reads it from standard input.")
@click.option("--html", help="HTML; - reads it from standard input.")
@click.option("--attach", multiple=True, type=_FILE, help="File to attach. Repeatable.")
@click.option("--from", "sender", help="Sender, where the SMTP config allows it: an address, also with a name.")
@click.option("--config", "config_id", type=int, help="Id of the SMTP config to use.")
@click.option("--priority", type=click.IntRange(1, 5), default=3, show_default=True, help="1 goes first.")
@click.option("--wait", is_flag=True, help="Wait until it is sent; exit status 1 if it is not.")
@tenant_option
@json_option
@pass_session
def send(
    session: Session, to: tuple[str, ...], cc: tuple[str, ...], bcc: tuple[str, ...], subject: str, text: str | None,
    html: str | None, attach: tuple[Path, ...], sender: str | None, config_id: int | None, priority: int, wait: bool,
    tenant: str, as_json: bool,
) -> None:  # fmt: skip
    """Queue an email."""
    if text == "-" and html == "-":
        raise click.UsageError("--text and --html cannot both be read from standard input")
    address, name = _sender(sender)
    email = NewEmail(
        subject=subject, to=list(to), cc=list(cc), bcc=list(bcc), text=_content(text), html=_content(html),
        sender=address, sender_name=name, attachments=[_attachment(path) for path in attach], priority=priority,
        smtp_config_id=config_id,
    )  # fmt: skip
    relay = session.open()
    email_id = int(submit(relay, operator(tenant), email, now_ms()).body["email_id"])
    _report(session, email_id, wait, as_json)


def _content(text: str | None) -> str | None:
    return sys.stdin.read() if text == "-" else text


def _sender(text: str | None) -> tuple[str | None, str | None]:
    """Address and name; what is no address is left for the service to refuse in its own words."""
    try:
        parsed = parse_address(text or "")
    except AddressError:
        return text, None
    return parsed.email, parsed.name or None


def _attachment(path: Path) -> NewAttachment:
    kind, encoding = mimetypes.guess_type(path.name)
    return NewAttachment(path.name, kind if kind and not encoding else "application/octet-stream", path.read_bytes())
