"""One email: what it is, why it is where it is, what happened, what it says, and what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from flask import Response, request, url_for

from controllers.pages.forms import whole_number
from controllers.pages.frame import Done, Visit, action, page, render
from controllers.pages.sandbox import eml, mail_html
from services import actions, configs, reading
from services.errors import FieldError, InvalidInputError
from services.preview import attachment, html_of, preview
from services.roles import Role
from services.timeline import timeline
from services.why import why

WAITING = ("scheduled", "queued", "retry")
AGAIN = ("failed", "cancelled", "unknown")
_YEAR_10000 = datetime(9999, 12, 31, tzinfo=UTC).timestamp()  # near enough; in s


@page("/emails/<id:email_id>")
def email(visit: Visit, email_id: int) -> Response:
    found = reading.email_detail(visit.relay, visit.tenant, email_id, visit.now)
    return render(
        "email.html", email=found, why=why(visit.relay, visit.tenant, email_id, visit.now),
        timeline=timeline(visit.tenant, email_id), shown=preview(visit.relay, visit.tenant, email_id),
        waiting=found["status"] in WAITING, again=found["status"] in AGAIN and found["has_content"],
        configs=configs.listed(visit.who, 200, 0)[0] if found["status"] in WAITING else [],
    )  # fmt: skip


@page("/emails/<id:email_id>/html")
def email_html(visit: Visit, email_id: int) -> Response:
    return mail_html(html_of(visit.relay, visit.tenant, email_id))


@page("/emails/<id:email_id>/raw")
def email_raw(visit: Visit, email_id: int) -> Response:
    return eml(reading.raw(visit.relay, visit.tenant, email_id), f"email-{email_id}")


@page("/emails/<id:email_id>/attachments/<id:position>")
def email_attachment(visit: Visit, email_id: int, position: int) -> Response:
    """Always saved, never shown: it must not run as a page of ours."""
    name, data = attachment(visit.tenant, email_id, position)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(data, mimetype="application/octet-stream", headers=headers)


@action("/emails/<id:email_id>/cancel", Role.OPERATOR)
def cancel_email(visit: Visit, email_id: int) -> Done:
    actions.cancel(visit.tenant, email_id, visit.now)
    return _done(email_id, "Cancelled.")


@action("/emails/<id:email_id>/retry", Role.OPERATOR)
def retry_email(visit: Visit, email_id: int) -> Done:
    actions.retry(visit.relay, visit.tenant, email_id, visit.now)
    return _done(email_id, "Queued again.")


@action("/emails/<id:email_id>/resolve", Role.OPERATOR)
def resolve_email(visit: Visit, email_id: int) -> Done:
    outcome = request.form.get("outcome", "")
    actions.resolve(visit.tenant, email_id, outcome, visit.now)
    return _done(email_id, f"Settled as {outcome}.", outcome=outcome)


@action("/emails/<id:email_id>/change", Role.OPERATOR)
def update_email(visit: Visit, email_id: int) -> Done:
    """What is empty stays as it is; a pin of `none` lets any config carry it."""
    form = request.form
    asked = {name: form[name] for name in ("priority", "send_at", "pin") if form.get(name)}
    pin = asked.get("pin")
    changes = actions.Patch(
        priority=_number("priority", asked["priority"]) if "priority" in asked else None,
        send_at=moment("send_at", asked["send_at"]) if "send_at" in asked else None,
        smtp_config_id=actions.UNSET if pin is None else None if pin == "none" else _number("pin", pin),
    )
    if changes.priority is not None and not 1 <= changes.priority <= 5:
        raise InvalidInputError.of([FieldError("priority", "must be from 1 to 5")])
    actions.patch(visit.relay, visit.tenant, email_id, changes, visit.now)
    return _done(email_id, "Changed.", **asked)


@action("/emails/<id:email_id>/erase", Role.OPERATOR)
def erase_email(visit: Visit, email_id: int) -> Done:
    actions.erase(visit.tenant, email_id, visit.now)
    return _done(email_id, "What it says is erased; that it was there stays until retention.")


def _done(email_id: int, message: str, **details: str) -> Done:
    return Done(message, url_for("pages.email", email_id=email_id), f"email {email_id}", details)


def _number(name: str, text: str) -> int:
    found = whole_number(text)
    if found is None:
        raise InvalidInputError.of([FieldError(name, "must be a number")])
    return found


def moment(name: str, text: str) -> int:
    """A day and time as the browser's field gives it: in UTC, unless static/pages.js has added its zone. ms."""
    try:
        found = datetime.fromisoformat(text)
        at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        at = -1.0
    if not 0 <= at < _YEAR_10000:
        raise InvalidInputError.of([FieldError(name, "must be a day and a time")])
    return round(at * 1000)
