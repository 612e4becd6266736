"""What all pages of mail share: whose it is, who looks at it, and that it is written down when that is somebody else.

Mail belongs to a user of a tenant. Whoever signs in belongs to the service, and acts here as that user, within the own
role; the services see no difference to the user's own app.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from flask import Response, session

from controllers.pages.frame import Visit, actor, render
from services import accounts, audit
from services.account_view import view
from services.inbox import folders
from services.inbox.owners import Owner
from services.principal import Principal, check_name
from services.roles import SCOPES
from utils.clock import iso_or_none

TENANT = "dashboard"  # of accounts that people add for themselves
_REMEMBERED = 60  # owners of a session, in its cookie
_STRANGE = re.compile(r"[^A-Za-z0-9._@:-]+")


@dataclass(frozen=True, slots=True)
class Box:
    """An account, as the API shows it, and the one to act as."""

    id: str
    who: Principal
    account: dict[str, Any]

    @property
    def owner(self) -> Owner:
        return Owner(self.who.tenant, self.who.user)


def own(visit: Visit) -> Owner:
    """Where one's own accounts are."""
    name = visit.who.name if visit.who.key_id is None else f"key-{visit.who.key_id}"
    return Owner(TENANT, _STRANGE.sub("-", name)[:100])


def acting(visit: Visit, owner: Owner) -> Principal:
    """InvalidInputError for what can be the name of no tenant or user."""
    tenant, user = check_name("tenant", owner.tenant), check_name("user", owner.user)
    return Principal(None, visit.who.label, True, tenant, user, SCOPES[visit.role])


def account_box(visit: Visit, account_id: str) -> Box:
    """For its settings and its sync; NotFoundError when there is none."""
    found = accounts.find(visit.who, account_id)
    return Box(found.id, acting(visit, Owner(found.tenant, found.user)), view(found))


def mail_box(visit: Visit, account_id: str) -> Box:
    """For its mail. The first look at somebody else's in a session goes to the audit log."""
    box = account_box(visit, account_id)
    if box.owner != own(visit):
        _note_opened(visit, box.owner)
    return box


def note(visit: Visit, box: Box, done: str, target: str, details: dict[str, Any] | None = None) -> None:
    """What was done to somebody else's mail goes there too; what people do with their own does not."""
    if box.owner != own(visit):
        audit.note(actor(visit.who), done, target, details, visit.now)


def show(template: str, box: Box, status: int = 200, **values: Any) -> Response:
    """A page with the folders of the account beside it."""
    return render(
        template,
        status,
        box=box,
        account=box.account,
        folders=folders.listed(box.id),
        iso=iso_or_none,
        **values,
    )


def _note_opened(visit: Visit, owner: Owner) -> None:
    mark = hashlib.sha256(f"{owner.tenant}/{owner.user}".encode()).hexdigest()[:8]
    opened = session.get("opened", [])
    if mark not in opened:
        session["opened"] = [*opened, mark][-_REMEMBERED:]
        audit.note(actor(visit.who), "open_inbox", f"mail of {owner.tenant}/{owner.user}", None, visit.now)
