"""Messages of a mail account: search, read, change, delete."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, answered, next_link, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.messages import DetailQuery, MessageChanges, MessagesQuery
from services import accounts
from services.inbox import changes, detail, folders, search
from services.inbox.questions import terms_of
from services.inbox.view import items
from services.principal import Scope

bp = APIBlueprint("messages", __name__)
TAG = "Messages"


@operation(bp, "GET", "/api/<key:account_id>/messages", Operation(
    "search_messages", "Search messages by their words, newest first; or list a conversation, oldest first", TAG,
    Scope.READ, {200: ("A page of messages", says.FOUND_MESSAGES)}, group="accounts", of_user=True,
    query=MessagesQuery,
    sets=("Link",),
))  # fmt: skip
def found(call: Call, account_id: str) -> Response:
    """Give `q` or `conversationId`. Words are found in subject, people and text; snippets show where."""
    query: MessagesQuery = call.query
    accounts.find(call.who, account_id)
    if query.folder_id is not None:
        folders.find(account_id, query.folder_id)
    if query.conversation_id is not None:
        page = search.of_conversation(account_id, query.conversation_id, query.limit, query.cursor)
        messages = items(page.ids)
    else:
        terms = terms_of(query.q or "")
        page = search.found(account_id, terms, query.limit, query.cursor, query.folder_id)
        messages = search.with_snippets(items(page.ids), terms)
    response = answered({
        "messages": messages, "pagination": {"limit": query.limit, "nextCursor": page.next_cursor}
    })  # fmt: skip
    if page.next_cursor is not None:
        response.headers["Link"] = next_link({"cursor": page.next_cursor})
    return response


@operation(bp, "GET", "/api/<key:account_id>/messages/<id:message_id>", Operation(
    "get_message", "One message: its text, safe html, headers and attachments", TAG, Scope.READ,
    {200: ("The message", says.MESSAGE_DETAIL)}, group="accounts", of_user=True, query=DetailQuery, outward=True,
))  # fmt: skip
def one(call: Call, account_id: str, message_id: int) -> dict[str, Any]:
    """`bodyHtml` has no scripts, forms or trackers. Images from elsewhere are left out, unless `remoteImages=true`
    asks for them.
    """
    account = accounts.find(call.who, account_id)
    images = call.query.remote_images == "true"
    return detail.detail(call.relay, account.id, message_id, call.now, images=images)


@operation(bp, "PATCH", "/api/<key:account_id>/messages/<id:message_id>", Operation(
    "change_message", "Mark, label or move a message: on its server first, then here", TAG, Scope.SEND,
    {200: ("As it is now", says.MESSAGE_DETAIL)}, group="accounts", of_user=True, body=MessageChanges,
    example={"isRead": True, "labels": ["invoices"]}, errors=(409, 502, 503), outward=True,
))  # fmt: skip
def change(call: Call, account_id: str, message_id: int) -> dict[str, Any]:
    """It is done on the account's server first. A 502 means that the server did not, and that nothing changed. POP3
    has no flags or folders: there it is a 409.
    """
    account = accounts.find(call.who, account_id)
    changes.change(call.relay, account.id, message_id, changes.Changes(**call.body.given()), call.now)
    return detail.detail(call.relay, account.id, message_id, call.now, moving=True)


@operation(bp, "DELETE", "/api/<key:account_id>/messages/<id:message_id>", Operation(
    "delete_message", "Move a message to the trash; from there, delete it for good", TAG, Scope.SEND,
    {204: ("Done", None)}, group="accounts", of_user=True, errors=(409, 502, 503), outward=True,
))  # fmt: skip
def delete(call: Call, account_id: str, message_id: int) -> tuple[None, int]:
    """It is done on the account's server first."""
    changes.delete(call.relay, accounts.find(call.who, account_id).id, message_id, call.now)
    return None, 204
