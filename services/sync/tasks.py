"""Runs of sync that somebody has asked for: to be followed, and to be called off."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from models.account import Account, AccountState, SyncTask, TaskState
from models.database import row, run, write
from models.inbox import Folder
from services import accounts
from services.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from services.principal import Principal
from services.sync.run import Counts, Wish
from utils.clock import DAY, SECOND

ByFolder = dict[str, list[int]]  # name -> [messages that have come, messages to come]

OPEN = (TaskState.PENDING, TaskState.STARTED, TaskState.RETRY)
TRIES = 3  # of a task whose server fails
KEPT = 7 * DAY  # after its end
_GUESS = 30 * SECOND  # how long a pass may take, before one has been seen


def ask(who: Principal, account_id: str, wish: Wish, now: int) -> SyncTask:
    """The task. One that waits with the same wish is given again, not doubled."""
    account = accounts.find(who, account_id)
    _check_ready(account)
    _check_folders(account, wish)

    def job() -> SyncTask:
        for task in _open_tasks(account_id):
            same = task.full == wish.full and task.folders == _names(wish)
            if same and not task.cancel and task.state != TaskState.STARTED:
                run(
                    "UPDATE accounts SET next_sync_at = ? WHERE id = ? AND next_sync_at > ?",
                    now,
                    account_id,
                    now,
                )
                return task
        return SyncTask.create(
            id=str(uuid.uuid4()), account_id=account_id, full=wish.full, folders=_names(wish),
            message="Waiting to start", created_at=now,
        )  # fmt: skip

    return write(job, durable=True)


def find(who: Principal, task_id: str) -> SyncTask:
    task: SyncTask | None = SyncTask.get_or_none(SyncTask.id == task_id)
    if task is None:
        raise NotFoundError(f"no sync task {task_id}")
    try:
        accounts.find(who, task.account_id)
    except NotFoundError:
        raise NotFoundError(f"no sync task {task_id}") from None
    return task


def of_account(who: Principal, account_id: str, task_id: str | None) -> SyncTask:
    """That one, or the latest. NotFoundError when it is another account's, or none was ever asked for."""
    accounts.find(who, account_id)
    query = SyncTask.select().where(SyncTask.account_id == account_id)
    if task_id is not None:
        query = query.where(SyncTask.id == task_id)
    task: SyncTask | None = query.order_by(SyncTask.created_at.desc(), SyncTask.id.desc()).first()
    if task is None:
        what = "no sync was asked for yet" if task_id is None else f"no sync task {task_id} of this account"
        raise NotFoundError(what)
    return task


def cancel(who: Principal, account_id: str, task_id: str | None, now: int) -> SyncTask:
    """What a running one has stored stays. ConflictError when it has ended already."""
    task = of_account(who, account_id, task_id)

    def job() -> None:
        run("UPDATE sync_tasks SET cancel = TRUE WHERE id = ? AND finished_at IS NULL", task.id)
        run(
            "UPDATE sync_tasks SET state = ?, message = ?, finished_at = ?"
            " WHERE id = ? AND finished_at IS NULL AND state <> ?",
            TaskState.CANCELLED, "Cancelled before it started", now, task.id, TaskState.STARTED,
        )  # fmt: skip

    if task.finished_at is not None:
        raise ConflictError(f"syncId: this sync has ended: {task.state}", code="SYNC_ENDED", field="syncId")
    write(job, durable=True)
    return SyncTask.get_by_id(task.id)


def expected_end(task: SyncTask) -> int | None:
    """By how far it is; a guess before that."""
    if task.finished_at is not None:
        return int(task.finished_at)
    if task.started_at is None or task.progress <= 0:
        return int((task.started_at or task.created_at) + _GUESS)
    last = row("SELECT max(synced_at) FROM folders WHERE account_id = ?", task.account_id)
    seen = max(int((last or [None])[0] or 0), int(task.started_at))
    return seen + _GUESS * (100 - task.progress) // 100


# For whoever runs it.


def progress(task_id: str, percent: int, message: str, by_folder: ByFolder) -> None:
    write(
        lambda: (
            SyncTask.update(progress=percent, message=message, by_folder=by_folder)
            .where(SyncTask.id == task_id, SyncTask.finished_at.is_null())
            .execute()
        )
    )


def succeed(task_id: str, counts: Counts, by_folder: ByFolder, now: int) -> None:
    told = {"result": result_of(counts), "by_folder": by_folder, "progress": 100, "error": None}
    _finish(task_id, TaskState.SUCCESS, "Done", now, **told)


def fail(task_id: str, detail: str, now: int, *, final: bool, counts: Counts) -> None:
    if final:
        _finish(task_id, TaskState.FAILURE, "Failed", now, result=result_of(counts), error=detail[:1_000])
    else:
        write(
            lambda: run(
                "UPDATE sync_tasks SET state = ?, message = ?, error = ? WHERE id = ? AND finished_at IS NULL",
                TaskState.RETRY, "Waiting for another try", detail[:1_000], task_id,
            )
        )  # fmt: skip


def end_cancelled(task_id: str, counts: Counts, now: int) -> None:
    _finish(task_id, TaskState.CANCELLED, "Cancelled", now, result=result_of(counts))


def return_to_queue(task_id: str) -> None:
    """Its process is about to stop."""
    write(
        lambda: run(
            "UPDATE sync_tasks SET state = ?, message = ? WHERE id = ? AND finished_at IS NULL",
            TaskState.PENDING, "Waiting to go on", task_id,
        )
    )  # fmt: skip


def prune(now: int) -> None:
    """Nobody polls them any more."""
    write(lambda: run("DELETE FROM sync_tasks WHERE finished_at < ?", now - KEPT))


def result_of(counts: Counts) -> dict[str, int]:
    told = asdict(counts)
    names = {
        "messagesAdded": "added", "messagesMoved": "moved", "messagesUpdated": "changed",
        "messagesRemoved": "removed", "messagesQuarantined": "quarantined", "foldersSync": "folders",
    }  # fmt: skip
    return {name: told[ours] for name, ours in names.items()}


def _finish(task_id: str, state: TaskState, message: str, now: int, **told: Any) -> None:
    values = {"state": state, "message": message, "finished_at": now, **told}
    write(
        lambda: (
            SyncTask.update(**values).where(SyncTask.id == task_id, SyncTask.finished_at.is_null()).execute()
        ),
        durable=True,
    )


def _open_tasks(account_id: str) -> list[SyncTask]:
    return list(SyncTask.select().where(SyncTask.account_id == account_id, SyncTask.finished_at.is_null()))


def _names(wish: Wish) -> list[str] | None:
    return None if wish.folders is None else list(wish.folders)


def _check_ready(account: Account) -> None:
    if not account.is_enabled:
        raise ConflictError(
            "isEnabled: this account is switched off", code="ACCOUNT_DISABLED", field="isEnabled"
        )
    if account.state == AccountState.NEEDS_CREDENTIALS:
        raise ConflictError(
            "credentialId: no credential is stored for this account yet", code="NEEDS_CREDENTIALS",
            field="credentialId",
        )  # fmt: skip


def _check_folders(account: Account, wish: Wish) -> None:
    """Before the first pass nobody knows what there is: any name may be right then."""
    known = list(Folder.select().where(Folder.account_id == account.id))
    if wish.folders is None or not known:
        return
    names = {text.casefold() for one in known for text in (str(one.id), one.name, str(one.role))}
    for at, one in enumerate(wish.folders):
        if one.casefold() not in names:
            raise InvalidInputError.of(
                [
                    FieldError(
                        f"folders.{at}",
                        "no folder of this account has that id, name or type",
                        "UNKNOWN_FOLDER",
                    )
                ]
            )
