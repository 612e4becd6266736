"""The list of emails: found by many things, and acted upon many at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, request, url_for

from controllers.pages.forms import whole_number
from controllers.pages.frame import Done, Visit, action, came_from, page, render
from services import actions, configs, search
from services.errors import ConflictError, InvalidInputError, NotFoundError
from services.roles import Role

PAGE_SIZE = 50
MOST_AT_ONCE = 500


@page("/emails")
def emails(visit: Visit) -> Response:
    filters, wrong = _filters()
    found = search.Page([], None)
    if not wrong:
        try:
            found = search.search(visit.tenant, filters, PAGE_SIZE, request.args.get("cursor") or None)
        except InvalidInputError as error:
            wrong = error.message
    asked = {name: value for name, value in request.args.items() if value and name != "cursor"}
    return render(
        "emails.html", emails=found.items, next=found.next_cursor,
        looked_back_to=found.looked_back_to, first="cursor" not in request.args, asked=asked,
        wrong=wrong, states=search.STATES, configs=configs.listed(visit.who, 200, 0)[0],
    )  # fmt: skip


@action("/emails/cancel", Role.OPERATOR)
def cancel_emails(visit: Visit) -> Done:
    return _each(visit, "cancelled", lambda one: actions.cancel(visit.tenant, one, visit.now))


@action("/emails/retry", Role.OPERATOR)
def retry_emails(visit: Visit) -> Done:
    return _each(visit, "queued again", lambda one: actions.retry(visit.relay, visit.tenant, one, visit.now))


@action("/emails/erase", Role.OPERATOR)
def erase_emails(visit: Visit) -> Done:
    return _each(visit, "erased", lambda one: actions.erase(visit.tenant, one, visit.now))


def _each(visit: Visit, done: str, act: Callable[[int], Any]) -> Done:
    """Each by itself: one that cannot be is told, and stops no other."""
    chosen = map(whole_number, request.form.getlist("id")[:MOST_AT_ONCE])
    ids = [one for one in chosen if one is not None]
    good, refused = [], []
    for email_id in ids:
        try:
            act(email_id)
            good.append(email_id)
        except (ConflictError, NotFoundError) as error:
            refused.append(f"{email_id}: {error.message}")
    to = came_from(url_for("pages.emails"))
    if not ids:
        return Done("Choose some emails first.", to, category="warning")
    told = f"{len(good)} {done}."
    if refused:
        told += f" {len(refused)} could not be: {'; '.join(refused[:3])}{' …' if len(refused) > 3 else ''}."
    listed = ", ".join(map(str, good[:20])) + (" …" if len(good) > 20 else "")
    return Done(told, to, f"emails {listed}" if good else "", None, "warning" if refused else "success")


def _filters() -> tuple[search.Filters, str]:
    """What is asked for, and what is wrong with it."""
    args = request.args
    try:
        return search.Filters(
            status=args.get("status") or None,
            tag=args.get("tag") or None,
            q=args.get("q", "").strip()[:200] or None,
            recipient=args.get("recipient", "").strip() or None,
            since=_moment(args.get("since", "")),
            until=_moment(args.get("until", "")),
            smtp_config_id=_config(args.get("config", "")),
        ), ""
    except ValueError:
        return search.Filters(), "A time or a config in the address is not one."


def _config(text: str) -> int | None:
    if not text:
        return None
    found = whole_number(text)
    if found is None:
        raise ValueError(text)
    return found


def _moment(text: str) -> int | None:
    """A day and time as the browser's field gives it, in UTC; ms."""
    if not text:
        return None
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
