"""Who changed what: a line for each change that a person, a key or the command line makes to how the relay works.

Sending mail is no such change; the timeline of an email tells about that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.database import rows, run, write
from models.people import AuditEntry
from utils.clock import DAY, iso

KEPT = 400 * DAY  # a year, and time to look back at it
_LONGEST = 200  # characters of a value
_SECRET = ("password", "secret", "token", "credential")
_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who it was: a name as people know it (`ann`, `key 5 shop`), the tenant it belongs to, and its address."""

    name: str
    tenant: str = ""
    address: str = ""


def note(actor: Actor, action: str, target: str, details: Mapping[str, Any] | None, now: int) -> None:
    """After the change was made. `details`: the fields as they were asked for; secrets are masked here."""
    fields = {name: _shown(name, value) for name, value in (details or {}).items()}
    write(lambda: AuditEntry.create(
        at=now, actor=actor.name[:_LONGEST], tenant=actor.tenant, address=actor.address, action=action,
        target=target[:_LONGEST], details=fields or None,
    ))  # fmt: skip


def page(tenant: str | None, *, actor: str = "", action: str = "", before: int | None = None, limit: int = 50) -> (
    list[dict[str, Any]]
):  # fmt: skip
    """Newest first; `before`: below that id."""
    query = AuditEntry.select().order_by(AuditEntry.id.desc()).limit(limit)
    if tenant is not None:
        query = query.where(AuditEntry.tenant == tenant)
    for column, value in ((AuditEntry.actor, actor), (AuditEntry.action, action)):
        query = query.where(column == value) if value else query
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return [_described(one) for one in query]


def prune(now: int) -> int:
    return write(lambda: run(
        "DELETE FROM audit_entries WHERE id IN (SELECT id FROM audit_entries WHERE at < ? ORDER BY id LIMIT ?)",
        now - KEPT, _STEP,
    ))  # fmt: skip


def actors() -> list[str]:
    """Who has changed anything of late, for a choice."""
    found = rows(
        "SELECT DISTINCT actor FROM (SELECT actor FROM audit_entries ORDER BY id DESC LIMIT 5000) latest"
    )
    return sorted(str(name) for (name,) in found)


def _described(one: AuditEntry) -> dict[str, Any]:
    return {
        "id": one.id, "at": iso(one.at), "actor": one.actor, "tenant_id": one.tenant or None, "address": one.address,
        "action": one.action, "target": one.target, "details": one.details or {},
    }  # fmt: skip


def _shown(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return "(set)" if value else "(empty)"
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), one) for key, one in list(value.items())[:50]}
    if isinstance(value, list | tuple):
        return [_shown(name, one) for one in value[:20]]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
