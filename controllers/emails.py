"""Emails: submit one, read it back, search."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.bodies import checked, read_json
from controllers.idempotency import HEADERS, key_of, of_answer
from controllers.operation import Call, Operation, answered, next_link, operation, paged
from controllers.schemas import answers as says
from controllers.schemas.emails import EmailBody, SearchQuery, StatusQuery
from services import accept, reading, search, timeline, why
from services.errors import FieldError, InvalidInputError
from services.principal import Scope
from services.templates import finding
from utils.clock import now_ms

bp = APIBlueprint("emails", __name__)
TAG = "Emails"
EXAMPLE = {
    "subject": "Welcome", "recipients": ["Ann <ann@example.com>"], "html_content": "<h1>Hello!</h1>", "priority": 1,
}  # fmt: skip
EXAMPLES = {
    "An email": EXAMPLE,
    "With a file": {
        "subject": "Your invoice", "to": ["Ann <ann@example.com>"], "text_content": "It is attached.",
        "attachments": [{"filename": "invoice.txt", "content_type": "text/plain", "content": "MTAwIEVVUg=="}],
        "tags": ["invoice"], "metadata": {"order": 1017},
    },
    "Later, and behind all other mail": {
        "subject": "The sale ends tonight", "recipients": ["ann@example.com"], "text_content": "Until midnight.",
        "priority": 5, "send_at": "2026-12-24T09:00:00Z",
    },
}  # fmt: skip


@operation(bp, "POST", "/api/emails", Operation(
    "create_email", "Submit an email", TAG, Scope.SEND,
    {201: ("Stored durably, and queued", says.EMAIL_CREATED)}, group="send", body=EmailBody, example=EXAMPLE,
    examples=EXAMPLES,
    errors=(422, 507), large=True, raw_body=True, headers=HEADERS,
    sets=("Location", "Idempotent-Replayed"),
))  # fmt: skip
def create(call: Call) -> Response:
    """The 201 comes after the email is on disk: from then on it is delivered, or its state says why not. Without an
    `smtp_config_id` it goes through any SMTP config that may carry it, and fails over when one is down. An email
    that no config may ever carry is a 400.
    """
    value = read_json(call.request)
    body = checked(value, EmailBody)
    try:
        answer = accept.submit(
            call.relay, call.who, body.to_email(), call.now, key_of(call.request, "emails", value)
        )
    except InvalidInputError as exc:
        raise exc if body.to is None else _as_given(exc) from None
    response = of_answer(answer)
    response.headers["Location"] = f"/api/emails/{answer.body['email_id']}"
    call.relay.accept_ms.append(now_ms() - call.now)
    return response


def _as_given(error: InvalidInputError) -> InvalidInputError:
    """The list is `recipients` to the service; name it as the caller did."""
    return InvalidInputError.of([
        FieldError("to" + one.field.removeprefix("recipients"), one.message, one.code)
        if one.field.partition(".")[0] == "recipients" else one
        for one in error.details
    ])  # fmt: skip


@operation(bp, "GET", "/api/emails", Operation(
    "search_emails", "Search emails, newest first", TAG, Scope.READ, {200: ("A page of emails", says.EMAILS)},
    query=SearchQuery,
    sets=("Link",),
))  # fmt: skip
def found(call: Call) -> Response:
    """All filters together. `ids` polls up to 500 at once. `next_cursor` leads to the next page, and so does the
    `Link` header.
    """
    query: SearchQuery = call.query
    template_id = finding.id_of(call.who.tenant, query.template) if query.template else None
    page = search.search(call.who.visible_tenant, query.filters(template_id), query.limit, query.cursor)
    response = answered({"emails": page.items, "next_cursor": page.next_cursor})
    if page.next_cursor is not None:
        response.headers["Link"] = next_link({"cursor": page.next_cursor})
    return response


@operation(bp, "GET", "/api/emails/status/<status>", Operation(
    "list_emails_by_status", "Emails in one state, newest first", TAG, Scope.READ,
    {200: ("A page of emails", says.array(says.EMAIL_SUMMARY))}, query=StatusQuery,
    sets=("Link",),
))  # fmt: skip
def by_status(call: Call, status: str) -> Response:
    query: StatusQuery = call.query
    items = search.by_status(call.who.visible_tenant, status, query.limit + 1, query.offset)
    more = {"offset": query.offset + query.limit} if len(items) > query.limit else None
    return paged(items[: query.limit], None, more)


@operation(bp, "GET", "/api/emails/<id:email_id>", Operation(
    "get_email", "One email: state, recipients, attempts", TAG, Scope.READ, {200: ("The email", says.EMAIL)},
))  # fmt: skip
def detail(call: Call, email_id: int) -> dict[str, Any]:
    """`recipient_states` tells what became of it at each address: an email is `sent` once nobody is left to try and
    at least one address was accepted.
    """
    return reading.email_detail(call.relay, call.who.visible_tenant, email_id, call.now)


@operation(bp, "GET", "/api/emails/<id:email_id>/events", Operation(
    "list_email_events", "The timeline of an email", TAG, Scope.READ, {200: ("Oldest first", says.array(says.EVENT))},
))  # fmt: skip
def events(call: Call, email_id: int) -> list[dict[str, Any]]:
    return timeline.timeline(call.who.visible_tenant, email_id)


@operation(bp, "GET", "/api/emails/<id:email_id>/why", Operation(
    "explain_email", "Why it is not sent yet, and when it will be", TAG, Scope.READ, {200: ("The reason", says.WHY)},
))  # fmt: skip
def explained(call: Call, email_id: int) -> dict[str, Any]:
    """One word for programs (`reason`), one sentence for people (`message`), and `expected_at`, at the pace of the
    queue and under the limits as they are now.
    """
    reason: dict[str, Any] = why.why(call.relay, call.who.visible_tenant, email_id, call.now)
    return reason


@operation(bp, "GET", "/api/emails/<id:email_id>/raw", Operation(
    "get_raw_email", "The message as it is sent", TAG, Scope.READ, {200: ("The message", says.BINARY)},
    content_type="message/rfc822", errors=(409,),
))  # fmt: skip
def raw(call: Call, email_id: int) -> Response:
    """Byte by byte what goes over the wire, but for the signature of DKIM where a provider adds one. A 409 means
    that no SMTP config may carry it now, so that its sender is not known; a 404 also that its content was erased.
    """
    data = reading.raw(call.relay, call.who.visible_tenant, email_id)
    response = Response(data, mimetype="message/rfc822")
    response.headers["Content-Disposition"] = f'attachment; filename="email-{email_id}.eml"'
    return response
