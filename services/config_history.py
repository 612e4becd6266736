"""What went wrong with an SMTP config of late: attempts that did not end in `sent`, as its servers told it."""

from __future__ import annotations

from typing import Any

from models.database import rows
from utils.clock import iso

SHOWN = 30
_SEEN = 2_000  # newest attempts that are looked through: a page must not read years


def history(config_id: int) -> list[dict[str, Any]]:
    """Newest first: at, email_id, outcome, stage, blame, code, reply."""
    found = rows(
        "SELECT finished_at, email_id, outcome, stage, blame, code, reply FROM"
        " (SELECT * FROM attempts WHERE id > (SELECT coalesce(max(id), 0) FROM attempts) - ?) latest"
        " WHERE smtp_config_id = ? AND outcome != 'sent' ORDER BY id DESC LIMIT ?",
        _SEEN, config_id, SHOWN,
    )  # fmt: skip
    names = ("at", "email_id", "outcome", "stage", "blame", "code", "reply")
    return [dict(zip(names, (iso(one[0]), *one[1:]), strict=True)) for one in found]
