"""The folders of a mail account, and the messages in each."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, answered, next_link, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.messages import FolderQuery
from services import accounts
from services.inbox import conversations, folders, listing
from services.inbox.view import items
from services.principal import Scope

bp = APIBlueprint("folders", __name__)
TAG = "Folders"


@operation(bp, "GET", "/api/<key:account_id>/folders", Operation(
    "list_folders", "The folders of a mail account", TAG, Scope.READ, {200: ("All of them", says.FOLDERS)},
    group="accounts", of_user=True,
))  # fmt: skip
def listed(call: Call, account_id: str) -> dict[str, Any]:
    found = folders.listed(accounts.find(call.who, account_id).id)
    return {"folders": found, "total": len(found)}


@operation(bp, "GET", "/api/<key:account_id>/folders/<id:folder_id>/messages", Operation(
    "list_messages", "The messages of a folder", "Messages", Scope.READ,
    {200: ("A page of messages", says.MESSAGES)}, group="accounts", of_user=True, query=FolderQuery,
    sets=("Link",),
))  # fmt: skip
def messages(call: Call, account_id: str, folder_id: int) -> Response:
    """Newest first, unless `sort` says otherwise. With `conversations=true`, each conversation once, with its
    counts.
    """
    query: FolderQuery = call.query
    folder = folders.find(accounts.find(call.who, account_id).id, folder_id)
    page = listing.folder_page(folder_id, query.wanted())
    found = items(page.ids)
    total: int | None = {
        "all": folder.message_count,
        "unread": folder.unread_count,
        "read": folder.message_count - folder.unread_count,
    }[query.filter]
    if query.conversations == "true":
        found, total = conversations.with_counts(found, account_id), None
    response = answered({
        "messages": found,
        "pagination": {"total": total, "limit": query.limit, "offset": query.offset, "nextCursor": page.next_cursor},
    })  # fmt: skip
    if page.next_cursor is not None:
        response.headers["Link"] = next_link({"cursor": page.next_cursor}, without=("offset",))
    return response
