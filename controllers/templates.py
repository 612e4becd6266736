"""Stored templates: create, read, change, delete, preview, try out. Each by its id or name."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.idempotency import HEADERS, key_of, of_answer
from controllers.operation import Call, Operation, answered, operation, paged
from controllers.schemas import answers as says
from controllers.schemas.templates import (
    NewTemplateBody,
    PreviewBody,
    SourcePreviewBody,
    TemplateChangesBody,
    TemplatesQuery,
    TestSendBody,
    VersionQuery,
)
from services.principal import Scope
from services.submission import TemplateUse
from services.templates import preview, store, view
from utils.clock import iso

bp = APIBlueprint("templates", __name__)
TAG = "Templates"
PATH = "/api/templates/<key:template>"
EXAMPLE = {
    "name": "order-shipped", "description": "Sent by the shop when a parcel leaves",
    "subject": "Your order {{ order.number }} is on its way",
    "html": "<style>h1 { color: #0a5 }</style><h1>Hello {{ name }}</h1><ul>{% for item in order.items %}"
            "<li>{{ item.title }}</li>{% endfor %}</ul>",
    "text": "Hello {{ name }}, order {{ order.number }} is on its way.",
}  # fmt: skip
VARIABLES = {"name": "Ann", "order": {"number": 7, "items": [{"title": "A kettle"}]}}


@operation(bp, "POST", "/api/templates", Operation(
    "create_template", "Store a template", TAG, Scope.ADMIN, {201: ("Its id", says.TEMPLATE_SAVED)}, group="admin",
    body=NewTemplateBody, large=True, example=EXAMPLE, errors=(409,), sets=("Location",),
))  # fmt: skip
def create(call: Call) -> Response:
    """In Jinja. A mistake is a 400 that names the part and the line. A service key that names no tenant stores the
    service's own.
    """
    body: NewTemplateBody = call.body
    template_id, version = store.create(call.who, body.model_dump(), call.now)
    message = "Template created successfully"
    response = answered(({"message": message, "template_id": template_id, "version": version}, 201))
    response.headers["Location"] = f"/api/templates/{template_id}"
    return response


@operation(bp, "GET", "/api/templates", Operation(
    "list_templates", "Stored templates, by name", TAG, Scope.READ,
    {200: ("A page of templates", says.array(says.TEMPLATE_SUMMARY))}, query=TemplatesQuery,
    sets=("X-Total-Count", "Link"),
))  # fmt: skip
def listed(call: Call) -> Response:
    query: TemplatesQuery = call.query
    found, total = store.listed(call.who, query.limit, query.offset)
    end = query.offset + len(found)
    more = {"offset": end} if end < total and found else None
    return paged([view.summary(one) for one in found], total, more)


@operation(bp, "POST", "/api/template-previews", Operation(
    "preview_source", "Render a template that is not saved", TAG, Scope.ADMIN,
    {200: ("As it would be sent", says.PREVIEW)},
    group="admin", body=SourcePreviewBody, large=True,
    example={name: EXAMPLE[name] for name in ("subject", "html", "text")} | {"variables": VARIABLES},
))  # fmt: skip
def previewed_source(call: Call) -> dict[str, Any]:
    """Held to the same rules as one that is saved. What is missing is named, and shown as it stands in the template."""
    body: SourcePreviewBody = call.body
    shown = preview.preview_of(call.relay, call.who, body.subject, body.html, body.text, body.variables)
    return shown.view()


@operation(bp, "GET", PATH, Operation(
    "get_template", "One template: what it says, and the variables it uses", TAG, Scope.READ,
    {200: ("The template", says.TEMPLATE)}, query=VersionQuery,
))  # fmt: skip
def detail(call: Call, template: str) -> dict[str, Any]:
    """The version in force, or an older one."""
    query: VersionQuery = call.query
    return view.detail(store.find(call.who, template), query.version)


@operation(bp, "PUT", PATH, Operation(
    "update_template", "Change a template; what it says becomes a new version", TAG, Scope.ADMIN,
    {200: ("The version in force", says.TEMPLATE_SAVED)}, group="admin", body=TemplateChangesBody, large=True,
    example={"subject": "Order {{ order.number }} has left us"}, errors=(409,),
))  # fmt: skip
def update(call: Call, template: str) -> dict[str, Any]:
    """Only what is given changes. The new version is in force at once; mail that waits is not touched, and the last
    500 versions are kept.
    """
    body: TemplateChangesBody = call.body
    found = store.find(call.who, template)
    version = store.update(call.who, found.id, body.values(), call.now)
    return {"message": "Template updated successfully", "template_id": found.id, "version": version}


@operation(bp, "DELETE", PATH, Operation(
    "delete_template", "Delete a template and all its versions", TAG, Scope.ADMIN, {204: ("Deleted", None)},
    group="admin",
))  # fmt: skip
def delete(call: Call, template: str) -> tuple[None, int]:
    """Mail that was made of it is still sent."""
    store.delete(call.who, template)
    return None, 204


@operation(bp, "GET", f"{PATH}/versions", Operation(
    "list_template_versions", "The versions of a template, newest first", TAG, Scope.READ,
    {200: ("A page of versions", says.array(says.TEMPLATE_VERSION))}, query=TemplatesQuery,
    sets=("X-Total-Count", "Link"),
))  # fmt: skip
def versions(call: Call, template: str) -> Response:
    query: TemplatesQuery = call.query
    found = store.find(call.who, template)
    page, total = store.versions(found, query.limit, query.offset), store.count_versions(found)
    end = query.offset + len(page)
    items = [
        {"version": number, "in_force": number == found.version, "subject": subject, "saved_at": iso(at)}
        for number, at, subject in page
    ]
    return paged(items, total, {"offset": end} if end < total and page else None)


@operation(bp, "POST", f"{PATH}/versions/<id:version>/restore", Operation(
    "restore_template_version", "Make what an old version says a new one", TAG, Scope.ADMIN,
    {200: ("The version in force", says.TEMPLATE_SAVED)}, group="admin", errors=(409,),
))  # fmt: skip
def restore(call: Call, template: str, version: int) -> dict[str, Any]:
    """If it is the one in force, nothing changes."""
    found = store.find(call.who, template)
    number = store.restore(call.who, found.id, version, call.now)
    message = f"What version {version} says is in force again"
    return {"message": message, "template_id": found.id, "version": number}


@operation(bp, "POST", f"{PATH}/preview", Operation(
    "preview_template", "Render a template, with what is missing named", TAG, Scope.READ,
    {200: ("As it would be sent", says.PREVIEW)}, body=PreviewBody, large=True, example={"variables": VARIABLES},
))  # fmt: skip
def previewed(call: Call, template: str) -> dict[str, Any]:
    """Variables that are missing are named, and shown as they stand in the template. Nothing is sent."""
    body: PreviewBody = call.body
    return preview.preview(call.relay, call.who, template, body.variables, body.version).view()


@operation(bp, "POST", f"{PATH}/test", Operation(
    "send_template_test", "Send a template to an address, through the queue", TAG, Scope.SEND,
    {201: ("Stored durably, and queued", says.EMAIL_CREATED)}, group="test", body=TestSendBody, large=True,
    example={"to": "you@example.com", "variables": VARIABLES}, errors=(422, 507), headers=HEADERS,
    sets=("Location", "Idempotent-Replayed"),
))  # fmt: skip
def tested(call: Call, template: str) -> Response:
    """It travels like all other mail, with the tag `template-test`. A variable that is missing is a 400."""
    body: TestSendBody = call.body
    use = TemplateUse(template, body.version, body.variables)
    key = key_of(call.request, f"templates/{template}/test", body.model_dump())
    answer = preview.send_test(
        call.relay, call.who, template, body.to, use, body.smtp_config_id, call.now, key
    )
    response = of_answer(answer)
    response.headers["Location"] = f"/api/emails/{answer.body['email_id']}"
    return response
