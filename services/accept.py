"""Accepting an email: check, store durably, answer. Once the answer is out, the email can no longer be lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.database import database, row, run, write
from services import submission
from services.errors import (
    FieldError,
    IdempotencyMismatchError,
    InvalidInputError,
    StorageFullError,
    TooLargeError,
)
from services.principal import Principal
from services.relay import Relay
from services.routing import lane_for
from services.submission import Checked, NewEmail, check
from utils.clock import DAY
from utils.machine import free_bytes

__all__ = ["Answer", "IdempotencyKey", "NewEmail", "submit", "submit_batch"]

IDEMPOTENCY_AGE = DAY


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`fingerprint`: SHA-256 of the request's body, so that another body under the same key is noticed."""

    key: str
    endpoint: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    replayed: bool = False


def submit(
    relay: Relay, who: Principal, email: NewEmail, now: int, key: IdempotencyKey | None = None
) -> Answer:
    """Accept one email. ServiceError when it cannot be."""
    before = _replay(who, key, now)  # whatever has changed since, such as the time
    if before is not None:
        return before
    _check_disk(relay)
    checked = check(relay, email, now)

    def job() -> Answer:
        found = _replay(who, key, now)
        if found is not None:
            return found
        email_id = _store(who, checked, now)
        answer = Answer(201, {"message": "Email created and queued successfully", "email_id": email_id})
        return _remember(who, key, answer, now)

    return _commit(relay, job)


def submit_batch(
    relay: Relay,
    who: Principal,
    emails: Sequence[NewEmail | InvalidInputError],
    mode: str,
    now: int,
    key: IdempotencyKey | None = None,
) -> Answer:
    """Accept many in one commit. `strict`: all or none; `permissive`: those that are right, a result for each."""
    before = _replay(who, key, now)
    if before is not None:
        return before
    _check_disk(relay)
    checked = [_check_item(relay, email, now) for email in emails]

    def job() -> Answer:
        found = _replay(who, key, now)
        if found is not None:
            return found
        results = [_store_item(who, index, item, now, mode) for index, item in enumerate(checked)]
        accepted = sum("email_id" in result for result in results)
        body = {"results": results, "accepted": accepted, "rejected": len(results) - accepted}
        return _remember(who, key, Answer(200, body), now)

    return _commit(relay, job)


def _commit(relay: Relay, job: Any) -> Answer:
    answer: Answer = write(job, durable=True)
    relay.wake()
    return answer


def _check_disk(relay: Relay) -> None:
    if free_bytes(Path(database.database).parent) < relay.policy.min_free_bytes:
        raise StorageFullError("the disk is nearly full: no mail is accepted until there is room again")


def _check_item(relay: Relay, email: NewEmail | InvalidInputError, now: int) -> Checked | InvalidInputError:
    if isinstance(email, InvalidInputError):
        return email
    try:
        return check(relay, email, now)
    except InvalidInputError as exc:
        return exc
    except TooLargeError as exc:
        return InvalidInputError.of([FieldError("attachments", exc.message, exc.code)])


def _store_item(
    who: Principal, index: int, item: Checked | InvalidInputError, now: int, mode: str
) -> dict[str, Any]:
    try:
        if isinstance(item, InvalidInputError):
            raise item
        return {"index": index, "email_id": _store(who, item, now)}
    except InvalidInputError as exc:
        if mode == "strict":
            raise InvalidInputError.of([
                FieldError(f"emails.{index}.{one.field}", one.message, one.code) for one in exc.details
            ]) from None  # fmt: skip
        error = {"code": exc.code, "message": exc.message, "field": exc.field}
        return {"index": index, "error": error}


def _store(who: Principal, checked: Checked, now: int) -> int:
    """Insert one checked email; its id. Inside a write job."""
    email = checked.email
    lane = lane_for(who.tenant, checked.sender.email, email.smtp_config_id, len(checked.recipients))
    return submission.insert(who, checked, lane, now)


def _replay(who: Principal, key: IdempotencyKey | None, now: int) -> Answer | None:
    if key is None:
        return None
    found = row(
        "SELECT fingerprint, status, answer, created_at FROM idempotency WHERE tenant = ? AND endpoint = ? AND key = ?",
        who.tenant, key.endpoint, key.key,
    )  # fmt: skip
    if found is None or found[3] <= now - IDEMPOTENCY_AGE:
        return None
    if bytes(found[0]) != key.fingerprint:
        raise IdempotencyMismatchError("Idempotency-Key: this key was used with another body")
    return Answer(found[1], json.loads(found[2]), replayed=True)


def _remember(who: Principal, key: IdempotencyKey | None, answer: Answer, now: int) -> Answer:
    """Kept in the transaction of the emails themselves, so the two cannot come apart."""
    if key is not None:
        run(
            "INSERT OR REPLACE INTO idempotency (tenant, endpoint, key, fingerprint, status, answer, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            who.tenant, key.endpoint, key.key, key.fingerprint, answer.status, json.dumps(answer.body), now,
        )  # fmt: skip
    return answer
