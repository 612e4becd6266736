"""Mail that the sandbox caught."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, operation, paged
from controllers.schemas import answers as says
from controllers.schemas.sandbox import SandboxQuery
from services import sandbox
from services.principal import Scope

bp = APIBlueprint("sandbox", __name__)
TAG = "Sandbox"


@operation(bp, "GET", "/api/sandbox", Operation(
    "list_sandbox", "Caught mail, newest first", TAG, Scope.ADMIN,
    {200: ("A page of mail", says.array(says.CAUGHT))}, group="sandbox", service_only=True, query=SandboxQuery,
    sets=("Link",),
))  # fmt: skip
def listed(call: Call) -> Response:
    """`before` is the id that the page before ended with; the `Link` header has it."""
    query: SandboxQuery = call.query
    items = sandbox.messages(query.limit, query.before)
    return paged(items, None, {"before": items[-1]["id"]} if len(items) == query.limit else None)


@operation(bp, "GET", "/api/sandbox/<id:message_id>", Operation(
    "get_sandbox_message", "One caught mail, read", TAG, Scope.ADMIN, {200: ("The mail", says.CAUGHT_WHOLE)},
    group="sandbox", service_only=True,
))  # fmt: skip
def detail(call: Call, message_id: int) -> dict[str, Any]:
    return sandbox.message(message_id)


@operation(bp, "DELETE", "/api/sandbox", Operation(
    "clear_sandbox", "Delete all caught mail", TAG, Scope.ADMIN,
    {200: ("How many there were", says.CLEARED)}, group="sandbox",
    service_only=True,
))  # fmt: skip
def clear(call: Call) -> dict[str, Any]:
    return {"message": "Sandbox cleared", "deleted": sandbox.clear()}
