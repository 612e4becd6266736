"""Accepting an email: check, store durably, answer. Once the answer is out, the email can no longer be lost.

Requests that arrive while a commit is under way are stored together, by one statement a table (models/database.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from models.database import database, hold, row, run, write_together
from services import submission, suppressions
from services.errors import (
    FieldError,
    IdempotencyMismatchError,
    InvalidInputError,
    ServiceError,
    StorageFullError,
    TooLargeError,
)
from services.principal import Principal
from services.relay import Relay
from services.routing import lane_for
from services.submission import Checked, NewEmail, Placed, check
from services.suppression_filter import filter_
from services.suppressions import Entry
from services.templates.finding import Shelf
from services.templates.sending import filled
from utils.clock import DAY, iso, politely
from utils.machine import FreeSpace

__all__ = ["Answer", "IdempotencyKey", "NewEmail", "check_disk", "replay", "submit", "submit_batch"]

IDEMPOTENCY_AGE = DAY

_Stored = tuple[int, Placed]  # an email's id, and what was stored


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


@dataclass(frozen=True, slots=True)
class _Request:
    """What waits to be stored. `answer` is told what became of each item: its id, or what is wrong with it."""

    who: Principal
    items: Sequence[Checked | InvalidInputError]
    now: int
    key: IdempotencyKey | None
    all_or_none: bool
    answer: Callable[[list[_Stored | InvalidInputError]], Answer]


def submit(
    relay: Relay, who: Principal, email: NewEmail, now: int, key: IdempotencyKey | None = None,
    also: Callable[[int, Placed], Answer] | None = None,
) -> Answer:  # fmt: skip
    """Accept one email. ServiceError when it cannot be.

    `also` is called with its id, and what was stored, in the transaction that stores it: to store what belongs to it,
    and to word the answer. What it raises is raised here, and nothing is stored.
    """
    before = replay(who, key, now)  # whatever has changed since, such as the time
    if before is not None:
        return before
    check_disk(relay)
    if email.template is not None:
        email = filled(email, Shelf(relay.templates, who.tenant))
    checked = check(relay, email, now)

    def answer(outcomes: list[_Stored | InvalidInputError]) -> Answer:
        stored = outcomes[0]
        return also(*stored) if also and isinstance(stored, tuple) else _one(outcomes)

    return _store(relay, _Request(who, [checked], now, key, True, answer))


def submit_batch(
    relay: Relay,
    who: Principal,
    emails: Sequence[NewEmail | InvalidInputError],
    mode: str,
    now: int,
    key: IdempotencyKey | None = None,
) -> Answer:
    """Accept many in one commit. `strict`: all or none; `permissive`: those that are right, a result for each."""
    before = replay(who, key, now)
    if before is not None:
        return before
    check_disk(relay)
    shelf = Shelf(relay.templates, who.tenant)
    items = [_check_item(relay, email, shelf, now) for email in politely(emails, relay.delivering)]
    try:
        return _store(relay, _Request(who, items, now, key, mode == "strict", _many))
    except _ItemError as exc:
        raise InvalidInputError.of([
            FieldError(f"emails.{exc.index}.{one.field}", one.message, one.code) for one in exc.details
        ]) from None  # fmt: skip


def _store(relay: Relay, request: _Request) -> Answer:
    answer = write_together(_store_all, request, durable=True)
    relay.wake()
    return answer


def _store_all(requests: list[_Request]) -> list[Answer | Exception]:
    """An answer or an error for each, all in the transaction at hand."""
    _refuse_twins(requests)
    lane_of = lru_cache(maxsize=None)(_lane_of)  # within this transaction nobody else changes the lanes
    suppressed = _suppressed(requests)
    placed: list[Placed] = []
    outcomes = [_place(one, lane_of, suppressed.get(one.who.tenant), placed) for one in requests]
    ids = iter(submission.insert(placed))
    return [
        _conclude(request, outcome, ids) if isinstance(outcome, list) else outcome
        for request, outcome in zip(requests, outcomes, strict=True)
    ]


def _suppressed(requests: list[_Request]) -> dict[str, dict[str, Entry]]:
    """By tenant, those of its recipients that it must not send to. A tenant without any costs one look."""
    found = {}
    for tenant in {one.who.tenant for one in requests}:
        wanted = filter_.maybe(tenant, _addressed(requests, tenant))
        if wanted is None and suppressions.has_any(tenant):
            wanted = list(_addressed(requests, tenant))
        if wanted:
            found[tenant] = suppressions.among(tenant, wanted)
    return found


def _addressed(requests: list[_Request], tenant: str) -> Iterator[str]:
    for one in requests:
        if one.who.tenant == tenant:
            for item in one.items:
                if isinstance(item, Checked):
                    yield from (suppressions.folded(address.email) for _, address in item.recipients)


_Lane = int | InvalidInputError
_Place = Placed | InvalidInputError


def _place(
    request: _Request, lane_of: Callable[..., _Lane], suppressed: dict[str, Entry] | None, placed: list[Placed]
) -> Answer | ServiceError | list[_Place]:  # fmt: skip
    """Choose the lane of each item, and put the good ones with what is to be inserted. Or: what to say instead."""
    if request.key is not None:
        hold(f"idempotency {request.who.tenant} {request.key.endpoint} {request.key.key}")
    try:
        before = replay(request.who, request.key, request.now)
    except IdempotencyMismatchError as exc:
        return exc
    if before is not None:
        return before
    places: list[_Place] = []
    for index, item in enumerate(request.items):
        place = (
            item if isinstance(item, InvalidInputError) else _place_item(request, item, lane_of, suppressed)
        )
        if request.all_or_none and not isinstance(place, Placed):
            return _ItemError(place, index)
        places.append(place)
    placed += [one for one in places if isinstance(one, Placed)]
    return places


def _place_item(
    request: _Request, item: Checked, lane_of: Callable[..., _Lane], suppressed: dict[str, Entry] | None
) -> _Place:
    who, email, people = request.who, item.email, len(item.recipients)
    barred = suppressions.positions(suppressed, item.recipients) if suppressed else None
    if barred:
        if len(barred) == people:
            return InvalidInputError.of(suppressions.refusals(item.recipients, barred))
        people -= len(barred)
    pinned_by = who.user if email.smtp_config_id else ""
    lane = lane_of(who.tenant, item.sender.email, email.smtp_config_id, people, pinned_by)
    if not isinstance(lane, int):
        return lane
    if barred:
        return Placed(who, item, lane, request.now, barred)
    return Placed(who, item, lane, request.now)


def _lane_of(tenant: str, sender: str, smtp_config_id: int | None, recipients: int, user: str) -> _Lane:
    try:
        return lane_for(tenant, sender, smtp_config_id, recipients, user)
    except InvalidInputError as exc:
        return exc


def _conclude(request: _Request, places: list[_Place], ids: Iterator[int]) -> Answer:
    answer = request.answer([(next(ids), one) if isinstance(one, Placed) else one for one in places])
    return _remember(request.who, request.key, answer, request.now)


def _one(outcomes: list[_Stored | InvalidInputError]) -> Answer:
    (stored,) = outcomes
    assert isinstance(stored, tuple)
    body = {"message": "Email created and queued successfully", **_told(stored)}
    if "suppressed" in body:
        body["message"] += "; suppressed recipients get no mail"
    return Answer(201, body)


def _many(outcomes: list[_Stored | InvalidInputError]) -> Answer:
    results = [_result(index, outcome) for index, outcome in enumerate(outcomes)]
    accepted = sum(isinstance(outcome, tuple) for outcome in outcomes)
    return Answer(200, {"results": results, "accepted": accepted, "rejected": len(results) - accepted})


def _told(stored: _Stored) -> dict[str, Any]:
    """`suppressed` stands there only where somebody is."""
    email_id, placed = stored
    if not placed.suppressed:
        return {"email_id": email_id}
    people = placed.checked.recipients
    return {
        "email_id": email_id,
        "suppressed": [
            {"address": people[at][1].email, "reason": entry.reason, "since": iso(entry.created_at)}
            for at, entry in placed.suppressed.items()
        ],
    }


def _result(index: int, outcome: _Stored | InvalidInputError) -> dict[str, Any]:
    if isinstance(outcome, tuple):
        return {"index": index, **_told(outcome)}
    error = {"code": outcome.code, "message": outcome.message, "field": outcome.field}
    return {"index": index, "error": error}


class _ItemError(InvalidInputError):
    """What is wrong with one item, for which none is stored."""

    def __init__(self, error: InvalidInputError, index: int) -> None:
        super().__init__(error.message, code=error.code, field=error.field, details=error.details)
        self.index = index


@lru_cache(maxsize=16)
def _space_of(path: str) -> FreeSpace:
    return FreeSpace(path)


def check_disk(relay: Relay) -> None:
    """StorageFullError before there is no room for what is to be stored."""
    if database.folder and _space_of(database.database).bytes() < relay.policy.min_free_bytes:
        raise StorageFullError("the disk is nearly full: no mail is accepted until there is room again")


def _check_item(
    relay: Relay, email: NewEmail | InvalidInputError, shelf: Shelf, now: int
) -> Checked | InvalidInputError:
    if isinstance(email, InvalidInputError):
        return email
    try:
        if email.template is not None:
            email = filled(email, shelf)
        return check(relay, email, now)
    except InvalidInputError as exc:
        return exc
    except TooLargeError as exc:
        return InvalidInputError.of([FieldError("attachments", exc.message, exc.code)])


def _refuse_twins(requests: list[_Request]) -> None:
    """Two requests with one key: the second must find what the first has stored, so each is done by itself."""
    keys = [(one.who.tenant, one.key.endpoint, one.key.key) for one in requests if one.key]
    if len(set(keys)) < len(keys):
        raise RuntimeError("the same Idempotency-Key twice")


def replay(who: Principal, key: IdempotencyKey | None, now: int) -> Answer | None:
    """The answer that was given to this request before. IdempotencyMismatchError when it was another request."""
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
            "INSERT INTO idempotency (tenant, endpoint, key, fingerprint, status, answer, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, endpoint, key) DO UPDATE SET answer = excluded.answer,"
            " fingerprint = excluded.fingerprint, status = excluded.status, created_at = excluded.created_at",
            who.tenant, key.endpoint, key.key, key.fingerprint, answer.status, json.dumps(answer.body), now,
        )  # fmt: skip
    return answer
