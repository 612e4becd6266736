"""Stored templates: the list, one of them with its versions, writing one beside its preview, trying it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Response, request, url_for

from controllers.bodies import checked
from controllers.pages.forms import whole_number, wrong_fields
from controllers.pages.frame import Done, Visit, action, page, render
from controllers.schemas.templates import (
    NewTemplateBody,
    PreviewBody,
    SourcePreviewBody,
    TemplateChangesBody,
    TestSendBody,
)
from services import configs
from services.errors import FieldError, InvalidInputError, ServiceError
from services.principal import Principal
from services.roles import Role
from services.submission import TemplateUse
from services.templates import preview, store, view
from services.templates.samples import sample_of
from utils.clock import iso

MOST, MOST_VERSIONS = 1_000, 50
PARTS = ("name", "description", "subject", "html", "text")
# Our own words around a template's html, which is in a cage of its own within. Its images are its writer's.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; font-src data:; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@page("/templates")
def templates(visit: Visit) -> Response:
    found, total = store.listed(_who(visit), MOST, 0)
    return render("templates.html", templates=[view.summary(one) for one in found], total=total)


@page("/templates/new", Role.ADMIN)
def new_template(visit: Visit) -> Response:
    return _form(None, {"variables": '{"name": "Ann"}'})


@action("/templates/new", Role.ADMIN, large=True)
def create_template(visit: Visit) -> Any:
    try:
        body = checked(_written(), NewTemplateBody)
        template_id, _ = store.create(_who(visit), body.model_dump(), visit.now)
    except ServiceError as error:
        return _form(None, request.form.to_dict(), error)
    return _done(template_id, "Stored. Mail that names it is made of it.", body.name)


@page("/templates/<id:template_id>")
def template(visit: Visit, template_id: int) -> Response:
    """`version`: an older one."""
    found = store.find(_who(visit), template_id)
    shown = view.detail(found, whole_number(request.args.get("version", "")))
    versions = [
        {"number": number, "at": iso(at), "subject": subject}
        for number, at, subject in store.versions(found, MOST_VERSIONS, 0)
    ]
    return render(
        "template.html", stored=shown, versions=versions, variables=_sample(shown), total=store.count_versions(found),
        configs=configs.listed(visit.who, 200, 0)[0],
    )  # fmt: skip


@page("/templates/<id:template_id>/edit", Role.ADMIN)
def edit_template(visit: Visit, template_id: int) -> Response:
    shown = view.detail(store.find(_who(visit), template_id))
    return _form(template_id, shown | {"variables": _sample(shown), "expected_version": shown["version"]})


@action("/templates/<id:template_id>/edit", Role.ADMIN, large=True)
def update_template(visit: Visit, template_id: int) -> Any:
    """Refused when somebody else has changed it since the form was opened: their version would be lost to sight."""
    before = store.find(_who(visit), template_id)
    try:
        values = _written()
        if expected := whole_number(request.form.get("expected_version", "")):
            values["expected_version"] = expected
        version = store.update(
            _who(visit), template_id, checked(values, TemplateChangesBody).values(), visit.now
        )
    except ServiceError as error:
        return _form(template_id, request.form.to_dict() | {"name": before.name}, error)
    told = f"Saved: version {version} is in force." if version != before.version else "Saved."
    return _done(template_id, told, values["name"])


@action("/templates/<id:template_id>/restore", Role.ADMIN)
def restore_template(visit: Visit, template_id: int) -> Done:
    number = whole_number(request.form.get("version", ""))
    if number is None:
        raise InvalidInputError("version: choose one")
    version = store.restore(_who(visit), template_id, number, visit.now)
    told = f"What version {number} says is in force again, as version {version}."
    return _done(template_id, told, f"version {number}")


@action("/templates/<id:template_id>/delete", Role.ADMIN)
def delete_template(visit: Visit, template_id: int) -> Done:
    name = store.find(_who(visit), template_id).name
    store.delete(_who(visit), template_id)
    return Done(f"{name} is deleted.", url_for("pages.templates"), f"template {template_id} {name}")


@action("/templates/<id:template_id>/test", Role.OPERATOR, audited=False, large=True)
def send_template_test(visit: Visit, template_id: int) -> Done:
    form = request.form
    asked: dict[str, Any] = {
        "to": form.get("to", "").strip(),
        "variables": _variables(form.get("variables", "")),
    }
    asked |= {
        "version": whole_number(form.get("version", "")),
        "smtp_config_id": whole_number(form.get("config", "")),
    }
    body = checked(asked, TestSendBody)
    use = TemplateUse(str(template_id), body.version, body.variables)
    answer = preview.send_test(
        visit.relay, _who(visit), template_id, body.to, use, body.smtp_config_id, visit.now
    )
    to = url_for("pages.email", email_id=int(answer.body["email_id"]))
    return Done("Accepted. This page shows what becomes of it.", to)


@action("/templates/preview", Role.ADMIN, audited=False, large=True)
def preview_source(visit: Visit) -> Response:
    """For the frame beside the form: what is written there, or what is wrong with it."""

    def make() -> preview.Preview:
        asked: dict[str, Any] = {name: request.form.get(name) or None for name in ("html", "text")}
        asked |= {"subject": request.form.get("subject", "")}
        body = checked(
            asked | {"variables": _variables(request.form.get("variables", ""))}, SourcePreviewBody
        )
        return preview.preview_of(
            visit.relay, _who(visit), body.subject, body.html, body.text, body.variables
        )

    return _shown(make)


@page("/templates/<id:template_id>/preview")
def preview_template(visit: Visit, template_id: int) -> Response:
    """For the frame of its page, as that is opened: each variable has its name for a value."""

    def make() -> preview.Preview:
        version = whole_number(request.args.get("version", ""))
        shown = view.detail(store.find(_who(visit), template_id), version)
        return preview.preview(visit.relay, _who(visit), template_id, sample_of(shown["variables"]), version)

    return _shown(make)


@action("/templates/<id:template_id>/preview", Role.VIEWER, audited=False, large=True)
def preview_stored(visit: Visit, template_id: int) -> Response:
    """For the same frame: with the variables of the form."""

    def make() -> preview.Preview:
        asked: dict[str, Any] = {"variables": _variables(request.form.get("variables", ""))}
        body = checked(asked | {"version": whole_number(request.form.get("version", ""))}, PreviewBody)
        return preview.preview(visit.relay, _who(visit), template_id, body.variables, body.version)

    return _shown(make)


def _who(visit: Visit) -> Principal:
    """The templates of the service itself: those of tenants are their own affair."""
    return visit.who


def _written() -> dict[str, Any]:
    values: dict[str, Any] = {name: request.form.get(name, "").replace("\r\n", "\n") for name in PARTS}
    values["name"] = values["name"].strip()
    return values | {"html": values["html"] or None, "text": values["text"] or None}


def _variables(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        told = f"is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else "is no JSON"
        raise InvalidInputError.of([FieldError("variables", told)]) from None
    if not isinstance(found, dict):
        raise InvalidInputError.of([FieldError("variables", 'must be an object: {"name": "Ann"}')])
    return found


def _sample(shown: dict[str, Any]) -> str:
    return json.dumps(sample_of(shown["variables"]), indent=2, ensure_ascii=False)


def _shown(make: Callable[[], preview.Preview]) -> Response:
    """Always 200: the frame has to show it, whatever it is."""
    try:
        done, wrong = make().view(), ""
    except ServiceError as error:
        done, wrong = None, "; ".join(f"{one.field}: {one.message}" for one in error.details) or error.message
    response = render("template_preview.html", shown=done, wrong=wrong)
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _done(template_id: int, message: str, details: str) -> Done:
    to = url_for("pages.template", template_id=template_id)
    return Done(message, to, f"template {template_id}", {"name": details})


def _form(template_id: int | None, values: dict[str, Any], error: ServiceError | None = None) -> Response:
    return render(
        "template_form.html", error.status if error else 200, id=template_id, values=values, wrong=wrong_fields(error),
        told=error.message if error else "",
    )  # fmt: skip
