"""What an email will look like, or looked like, to whoever gets it: read out of the very bytes that are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.database import row
from services import reading
from services.errors import ConflictError, NotFoundError
from services.relay import Relay
from utils.mail_reader import read_mail

SHOWN = 200_000  # bytes of the source


@dataclass(frozen=True, slots=True)
class Preview:
    """`mail` as utils.mail_reader tells it; None, with the reason, where there is nothing to show."""

    mail: dict[str, Any] | None
    source: str = ""
    reason: str = ""


def preview(relay: Relay, tenant: str | None, email_id: int) -> Preview:
    try:
        raw = reading.raw(relay, tenant, email_id)
    except (ConflictError, NotFoundError) as error:
        return Preview(None, reason=error.message)
    return Preview(read_mail(raw), raw[:SHOWN].decode("utf-8", "replace"))


def html_of(relay: Relay, tenant: str | None, email_id: int) -> str:
    shown = preview(relay, tenant, email_id)
    return str(shown.mail["html"] or "") if shown.mail else ""


def attachment(tenant: str | None, email_id: int, position: int) -> tuple[str, bytes]:
    """(filename, bytes) of the attachment at `position`, from 0."""
    email = reading.find(tenant, email_id)
    found = row(
        "SELECT a.filename, b.data FROM attachments a JOIN blobs b ON b.id = a.blob_id WHERE a.email_id = ?"
        " ORDER BY a.position LIMIT 1 OFFSET ?",
        email.id, position,
    )  # fmt: skip
    if found is None:
        raise NotFoundError("no such attachment")
    return str(found[0]), bytes(found[1])
