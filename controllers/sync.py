"""Sync on demand: start it, follow it, call it off."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from controllers.operation import Call, Operation, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.sync import QuarantinedQuery, SyncBody, SyncQuery
from services.composing import task_view as composed
from services.principal import Scope
from services.sync import quarantine, tasks
from services.sync.run import Wish
from services.sync.task_view import started_view, view

bp = APIBlueprint("sync", __name__)
TAG = "Sync"


@operation(bp, "POST", "/api/sync/<key:account_id>", Operation(
    "sync_account", "Sync an account now", TAG, Scope.SEND, {202: ("The task to follow", says.SYNC_STARTED)},
    group="sync", of_user=True, body=SyncBody, body_optional=True,
    example={"forceFullSync": False, "folderIds": ["inbox", "sent"]}, errors=(409,),
))  # fmt: skip
def start(call: Call, account_id: str) -> tuple[dict[str, Any], int]:
    """The answer names a task to be followed. While one runs, a further wish joins it or waits behind it."""
    wish = call.body.wish() if call.body is not None else Wish()
    return started_view(tasks.ask(call.who, account_id, wish, call.now)), 202


@operation(bp, "GET", "/api/sync/task/<key:task_id>", Operation(
    "get_sync_task", "How far a sync is, or mail that was composed", TAG, Scope.READ,
    {200: ("The task", says.SYNC_TASK)}, group="accounts", of_user=True,
))  # fmt: skip
def task(call: Call, task_id: str) -> dict[str, Any]:
    if composed.is_of_email(task_id):
        return composed.view(call.who, task_id)
    return view(tasks.find(call.who, task_id))


@operation(bp, "GET", "/api/sync/<key:account_id>/status", Operation(
    "get_sync_status", "How far an account's sync is", TAG, Scope.READ, {200: ("The task", says.SYNC_TASK)},
    group="accounts", of_user=True, query=SyncQuery,
))  # fmt: skip
def status(call: Call, account_id: str) -> dict[str, Any]:
    """Of the latest sync, or of the one that `syncId` names."""
    return view(tasks.of_account(call.who, account_id, call.query.syncId))


@operation(bp, "POST", "/api/sync/<key:account_id>/cancel", Operation(
    "cancel_sync", "Call a sync off; what it has stored stays", TAG, Scope.SEND, {200: ("The task", says.SYNC_TASK)},
    group="accounts", of_user=True, query=SyncQuery, errors=(409,),
))  # fmt: skip
def cancel(call: Call, account_id: str) -> dict[str, Any]:
    return view(tasks.cancel(call.who, account_id, call.query.syncId, call.now))


@operation(bp, "GET", "/api/sync/<key:account_id>/quarantined", Operation(
    "list_quarantined", "Messages that could not be read, newest first; a full sync tries them again", TAG,
    Scope.READ, {200: ("A page of them", says.QUARANTINED)}, group="accounts", of_user=True, query=QuarantinedQuery,
))  # fmt: skip
def quarantined(call: Call, account_id: str) -> dict[str, Any]:
    query: QuarantinedQuery = call.query
    found, total = quarantine.listed(call.who, account_id, query.limit, query.offset)
    return {
        "messages": found,
        "pagination": {"total": total, "limit": query.limit, "offset": query.offset},
    }
