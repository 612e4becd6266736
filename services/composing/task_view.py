"""Mail that was composed, as the task that its answer names: its state is the email's."""

from __future__ import annotations

from typing import Any

from models.account import Account, TaskState
from models.email import WAITING, Email, State
from services.errors import NotFoundError
from services.principal import Principal

PREFIX = "email-"
_MAX_ID = 2**63 - 1
# What the task is, how far in percent, and what to say.
_TOLD = {
    State.SCHEDULED: (TaskState.PENDING, 0, "Waiting for its time"),
    State.QUEUED: (TaskState.PENDING, 0, "Waiting to be sent"),
    State.SENDING: (TaskState.STARTED, 50, "On its way"),
    State.RETRY: (TaskState.RETRY, 50, "Waiting for another try"),
    State.UNKNOWN: (
        TaskState.STARTED,
        99,
        "Handed over, but the server's answer was lost: it may have arrived",
    ),
    State.SENT: (TaskState.SUCCESS, 100, "Sent"),
    State.FAILED: (TaskState.FAILURE, 100, "Failed"),
    State.CANCELLED: (TaskState.CANCELLED, 100, "Cancelled"),
}


def is_of_email(task_id: str) -> bool:
    return task_id.startswith(PREFIX)


def view(who: Principal, task_id: str) -> dict[str, Any]:
    """In the shape of a sync task. NotFoundError unless it is an email of this user's."""
    email = _find(who, task_id)
    state, progress, message = _TOLD[State(email.state)]
    account = Account.get_or_none(
        Account.smtp_config_id == email.smtp_config_id, Account.tenant == who.tenant
    )
    return {
        "taskId": task_id,
        "syncId": task_id,
        "accountId": None if account is None else account.id,
        "status": str(state),
        "progress": progress,
        "progressMessage": message,
        "result": None,
        "error": email.error_message if state in (TaskState.FAILURE, TaskState.RETRY) else None,
        "createdAt": email.created_at,
        "startedAt": email.claimed_at,
        "finishedAt": email.finished_at,
        "estimatedCompletionAt": email.available_at if email.state in WAITING else email.finished_at,
    }


def _find(who: Principal, task_id: str) -> Email:
    number = task_id.removeprefix(PREFIX)
    found = None
    if number.isascii() and number.isdigit() and int(number) <= _MAX_ID:
        found = Email.get_or_none(Email.id == int(number), Email.tenant == who.tenant, Email.user == who.user)
    if found is None:
        raise NotFoundError(f"no task {task_id}")
    return found
