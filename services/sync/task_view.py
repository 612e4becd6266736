"""A sync task as its user reads it: camel case, times in ms since the epoch."""

from __future__ import annotations

from typing import Any

from models.account import SyncTask
from services.sync.tasks import expected_end


def started_view(one: SyncTask) -> dict[str, Any]:
    return {
        "taskId": one.id,
        "syncId": one.id,
        "accountId": one.account_id,
        "status": str(one.state),
        "startedAt": one.started_at or one.created_at,
        "estimatedCompletionAt": expected_end(one),
        "message": "Sync started in background",
        "progressMessage": one.message,
    }


def view(one: SyncTask) -> dict[str, Any]:
    return {
        "taskId": one.id,
        "syncId": one.id,
        "accountId": one.account_id,
        "status": str(one.state),
        "progress": one.progress,
        "progressMessage": one.message,
        "folders": [
            {"name": name, "done": done, "total": total} for name, (done, total) in one.by_folder.items()
        ],
        "result": one.result,
        "error": one.error,
        "createdAt": one.created_at,
        "startedAt": one.started_at,
        "finishedAt": one.finished_at,
        "estimatedCompletionAt": expected_end(one),
    }
