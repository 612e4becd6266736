"""API keys: made, shown once, revoked."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from controllers.bodies import checked
from controllers.pages.forms import whole_number, wrong_fields
from controllers.pages.frame import Done, Visit, action, actor, page, render
from controllers.schemas.keys import NewKeyBody
from services import audit
from services import keys as store
from services.errors import InvalidInputError
from services.principal import Scope
from services.roles import Role

PAGE_SIZE = 100


@page("/keys", Role.ADMIN)
def keys(visit: Visit) -> Response:
    return _page(visit, {})


@action("/keys", Role.ADMIN)
def create_key(visit: Visit) -> Any:
    """Shows the secret, which no other page can; so it is no redirect."""
    form = request.form
    given = {
        "name": form.get("name", ""), "scopes": form.getlist("scopes"), "tenant_id": form.get("tenant_id") or None,
        "user_id": form.get("user_id") or None,
        "rate_limit": _limit(form.get("rate_limit", "")),
    }  # fmt: skip
    try:
        body = checked(given, NewKeyBody)
        asked = store.KeyRequest(
            body.name, body.tenant_id or "", body.user_id or "", tuple(body.scopes), body.rate_limit
        )
        key, secret = store.create(asked, visit.now)
    except InvalidInputError as error:
        return _page(visit, given, error)
    audit.note(actor(visit.who), "create_key", f"key {key.id}", given, visit.now)
    return _page(visit, {}, made=store.described(key), secret=secret)


@action("/keys/<id:key_id>/revoke", Role.ADMIN)
def revoke_key(visit: Visit, key_id: int) -> Done:
    store.revoke(visit.tenant, key_id, visit.now)
    return Done("Revoked: it stops at once.", url_for("pages.keys"), f"key {key_id}")


def _limit(text: str) -> int | str | None:
    """What is no number stays a text, which is refused beside its field."""
    if not text.strip():
        return None
    number = whole_number(text)
    return text[:20] if number is None else number


def _page(
    visit: Visit, values: dict[str, Any], error: InvalidInputError | None = None, *,
    made: dict[str, Any] | None = None, secret: str = "",
) -> Response:  # fmt: skip
    found, total = store.listed(visit.tenant, PAGE_SIZE, 0)
    return render(
        "keys.html", 400 if error else 200, keys=found, total=total, values=values, wrong=wrong_fields(error),
        told=error.message if error else "", made=made, secret=secret, scopes=list(Scope),
    )  # fmt: skip
