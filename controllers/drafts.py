"""Drafts: save, read, change, delete, send."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.bodies import checked, has_body, read_json
from controllers.composing import SENT, TAG, sent, spoken
from controllers.idempotency import HEADERS, key_of
from controllers.operation import Call, Operation, answered, operation
from controllers.schemas import composing_answers as says
from controllers.schemas.composing import DraftBody, DraftChangesBody, DraftsQuery, SendDraftBody
from services.composing import drafts, outgoing
from services.principal import Scope

bp = APIBlueprint("drafts", __name__)
EXAMPLE = {
    "accountId": "cuid123456", "to": ["recipient@example.com"], "subject": "Draft Subject", "textBody": "Draft body",
    "attachments": [],
}  # fmt: skip
_ONE = "/api/compose/drafts/<key:draft_id>"


def _save(call: Call) -> Response:
    body: DraftBody = call.body
    draft = drafts.create(call.relay, call.who, body.account_id, body.fields(), body.files(), call.now)
    response = answered((draft, 201))
    response.headers["Location"] = f"/api/compose/drafts/{draft['draftId']}"
    return response


for _path, _name, _says in (
    ("/api/compose/drafts", "create_draft", "It may lack anything but its account, and is checked when it is sent."),
    ("/api/compose/draft", "save_draft", "As `POST /api/compose/drafts`."),
):  # fmt: skip
    operation(bp, "POST", _path, Operation(
        _name, "Save a draft", TAG, Scope.SEND, {201: ("The draft", says.DRAFT)}, group="accounts", of_user=True,
        body=DraftBody, example=EXAMPLE, errors=(404, 502, 507), large=True, outward=True,
        description=_says, sets=("Location",),
    ))(_save)  # fmt: skip


@operation(bp, "GET", "/api/compose/drafts", Operation(
    "list_drafts", "Drafts, the last changed first", TAG, Scope.READ, {200: ("A page of drafts", says.DRAFTS)},
    group="accounts", of_user=True, query=DraftsQuery, errors=(404,),
))  # fmt: skip
def listed(call: Call) -> dict[str, Any]:
    query: DraftsQuery = call.query
    page = drafts.listed(call.who, query.accountId, query.limit, query.offset)
    pagination = {"total": page.total, "limit": query.limit, "offset": query.offset}
    return {"drafts": page.items, "count": len(page.items), "pagination": pagination}


@operation(bp, "GET", _ONE, Operation(
    "get_draft", "One draft", TAG, Scope.READ, {200: ("The draft", says.DRAFT)}, group="accounts", of_user=True,
))  # fmt: skip
def detail(call: Call, draft_id: str) -> dict[str, Any]:
    return drafts.detail(call.who, draft_id)


@operation(bp, "PUT", _ONE, Operation(
    "update_draft", "Change some of a draft", TAG, Scope.SEND, {200: ("The draft", says.DRAFT)}, group="accounts",
    of_user=True, body=DraftChangesBody, example={"subject": "Updated Subject", "textBody": "Updated body"},
    errors=(502, 507), large=True, outward=True,
))  # fmt: skip
def update(call: Call, draft_id: str) -> dict[str, Any]:
    """Only the fields that are given change; null empties one. `attachmentIds` and `attachments` together are the
    new list of files.
    """
    body: DraftChangesBody = call.body
    return drafts.update(call.relay, call.who, draft_id, body.fields(), body.new_files(), call.now)


@operation(bp, "DELETE", _ONE, Operation(
    "delete_draft", "Delete a draft with its attachments", TAG, Scope.SEND, {204: ("Deleted", None)},
    group="accounts", of_user=True,
))  # fmt: skip
def delete(call: Call, draft_id: str) -> tuple[None, int]:
    drafts.delete(call.who, draft_id)
    return None, 204


@operation(bp, "POST", f"{_ONE}/send", Operation(
    "send_draft", "Send a draft, which then is no more", TAG, Scope.SEND, SENT, group="compose", of_user=True,
    body=SendDraftBody, example={"sendAt": 1_706_033_200_000}, body_optional=True, errors=(409, 422, 507),
    raw_body=True, headers=HEADERS,
    sets=("Location", "Idempotent-Replayed"),
))  # fmt: skip
def send(call: Call, draft_id: str) -> Response:
    """It is checked only now. A 409 means that somebody sent or changed it meanwhile."""
    value = read_json(call.request) if has_body(call.request) else {}
    body = checked(value, SendDraftBody)
    key = key_of(call.request, f"drafts/{draft_id}/send of {call.who.user}", value)
    with spoken(uploaded=0):
        answer = outgoing.send_draft(
            call.relay, call.who, draft_id, body.model_dump(exclude_unset=True), call.now, key
        )
    return sent(answer)
