"""Mail that a person sends from an account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apiflask import APIBlueprint
from flask import Response

from controllers.bodies import checked, read_json
from controllers.idempotency import HEADERS, key_of, of_answer
from controllers.operation import Call, Operation, operation
from controllers.schemas import composing_answers as says
from controllers.schemas.composing import SendBody
from services.accept import Answer
from services.composing import outgoing
from services.errors import FieldError, InvalidInputError
from services.principal import Scope

bp = APIBlueprint("composing", __name__)
TAG = "Compose"
EXAMPLE = {
    "accountId": "cuid123456", "to": ["recipient@example.com"], "cc": ["cc@example.com"], "subject": "Meeting Tomorrow",
    "body": "Hi,\n\nLet's discuss the project at 2pm tomorrow.\n\nBest regards", "isHtml": False,
}  # fmt: skip
EXAMPLES = {
    "Plain text": EXAMPLE,
    "Html, with a file, tomorrow": {
        "accountId": "cuid123456", "to": ["Bob <bob@example.com>"], "subject": "Minutes", "textBody": "Here they are.",
        "htmlBody": "<p>Here they are.</p>", "sendAt": 1_795_600_800_000,
        "attachments": [{"filename": "minutes.txt", "contentType": "text/plain", "data": "TWludXRlcw=="}],
    },
}  # fmt: skip
SENT = {202: ("Stored durably, and queued", says.SENDING)}

# In the words of the relay, and in those of the contract.
_SPOKEN = {
    "recipients": "to", "html_content": "htmlBody", "text_content": "textBody", "send_at": "sendAt",
    "smtp_config_id": "accountId", "sender": "accountId", "headers": "inReplyTo",
    "filename": "filename", "content_type": "contentType", "content_id": "contentId",
}  # fmt: skip
_WHOLE = {"headers": "inReplyTo", "reply_to": "replyTo"}  # what stands behind these is the relay's affair


def _send(call: Call) -> Response:
    value = read_json(call.request)
    body = checked(value, SendBody)
    with spoken(uploaded=len(body.attachment_ids or []), in_one=body.body is not None):
        answer = outgoing.send(
            call.relay,
            call.who,
            body.composition(),
            body.files(),
            call.now,
            key_of(call.request, f"compose of {call.who.user}", value),
        )
    return sent(answer)


_SAYS = (
    "It goes through the relay's queue, by the SMTP settings of the account, and a copy into its Sent folder. The text"
    " comes as `body` with `isHtml`, or as `textBody` and `htmlBody`; files as `attachments`, or as `attachmentIds` of"
    " uploads. `inReplyTo` makes it a reply. Follow it with `GET /api/emails/{email_id}`."
)
for _path, _name, _says in (
    ("/api/compose/send", "send_message", _SAYS), ("/api/compose", "compose_message", "As `POST /api/compose/send`."),
):  # fmt: skip
    operation(bp, "POST", _path, Operation(
        _name, "Send mail from an account, now or later", TAG, Scope.SEND, SENT, group="compose", of_user=True,
        body=SendBody, example=EXAMPLE, errors=(404, 409, 422, 502, 507), large=True, raw_body=True, headers=HEADERS,
        outward=True,
        description=_says, sets=("Location", "Idempotent-Replayed"), examples=EXAMPLES,
    ))(_send)  # fmt: skip


def sent(answer: Answer) -> Response:
    response = of_answer(answer)
    response.headers["Location"] = f"/api/emails/{answer.body['email_id']}"
    return response


@contextmanager
def spoken(uploaded: int, in_one: bool = False) -> Iterator[None]:
    """Errors of the relay in the words of the contract. `uploaded`: how many of the attachments came by their id;
    `in_one`: whether the text came as `body`."""
    try:
        yield
    except InvalidInputError as exc:
        raise InvalidInputError.of([
            FieldError(_spoken(one, uploaded, in_one), one.message, one.code) for one in exc.details
        ]) from None  # fmt: skip


def _spoken(error: FieldError, uploaded: int, in_one: bool) -> str:
    head, _, rest = error.field.partition(".")
    if head in _WHOLE:
        return _WHOLE[head]
    if head == "attachments" and rest:
        number, _, part = rest.partition(".")
        if int(number) < uploaded:
            return f"attachmentIds.{number}"
        return f"attachments.{int(number) - uploaded}.{_SPOKEN.get(part, part)}"
    if error.code == "MISSING_CONTENT" or (in_one and head in ("html_content", "text_content")):
        return "body"
    return ".".join([_SPOKEN.get(head, head), *([rest] if rest else [])])
