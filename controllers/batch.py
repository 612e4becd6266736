"""Many emails in one request."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.bodies import checked, read_json
from controllers.emails import EXAMPLE
from controllers.idempotency import HEADERS, key_of, of_answer
from controllers.operation import Call, Operation, operation
from controllers.schemas import answers as says
from controllers.schemas.emails import BatchBody, EmailBody
from services import accept
from services.errors import InvalidInputError
from services.principal import Scope
from services.submission import NewEmail
from utils.clock import now_ms, politely

bp = APIBlueprint("batch", __name__)


@operation(bp, "POST", "/api/emails/batch", Operation(
    "create_emails", "Submit up to 1,000 emails", "Emails", Scope.SEND,
    {200: ("A result for each", says.BATCH)}, group="send", body=BatchBody,
    example={"mode": "permissive", "emails": [EXAMPLE, EXAMPLE | {"recipients": ["bob@example.com"]}]},
    errors=(422, 507), large=True, raw_body=True,
    headers=HEADERS,
    sets=("Idempotent-Replayed",),
))  # fmt: skip
def create(call: Call) -> Response:
    """One request, one commit. Each result has the index of its email. In `permissive` mode what is wrong is
    rejected and the rest is taken; in `strict` mode one wrong email refuses them all, with a 400.
    """
    value = read_json(call.request)
    body = checked(value, BatchBody)
    emails = [_email(one) for one in politely(body.emails, call.relay.delivering)]
    key = key_of(call.request, "emails/batch", value)
    response = of_answer(accept.submit_batch(call.relay, call.who, emails, body.mode, call.now, key))
    call.relay.accept_ms.append(now_ms() - call.now)
    return response


def _email(value: dict[str, Any]) -> NewEmail | InvalidInputError:
    try:
        return checked(value, EmailBody).to_email()
    except InvalidInputError as exc:
        return exc
