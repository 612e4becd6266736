"""The Idempotency-Key header of a request, and how its answer says that it is a replay."""

from __future__ import annotations

from typing import Any

from flask import Request, Response

from controllers.bodies import fingerprint
from controllers.operation import answered
from services.accept import Answer, IdempotencyKey
from services.errors import FieldError, InvalidInputError

MAX_CHARS = 256
HEADERS = {
    "Idempotency-Key": {
        "type": "string", "minLength": 1, "maxLength": MAX_CHARS,
        "description": "The same key and body within 24 hours bring the first answer again, and no second email",
    }
}  # fmt: skip


def key_of(request: Request, endpoint: str, body: Any) -> IdempotencyKey | None:
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (0 < len(key) <= MAX_CHARS and key.isascii() and key.isprintable()):
        message = f"must be 1 to {MAX_CHARS} printable ASCII characters"
        raise InvalidInputError.of([FieldError("Idempotency-Key", message, "INVALID_IDEMPOTENCY_KEY")])
    return IdempotencyKey(key, endpoint, fingerprint(body))


def of_answer(answer: Answer) -> Response:
    response = answered((answer.body, answer.status))
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
