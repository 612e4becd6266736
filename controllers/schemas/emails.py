"""Requests about emails."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)  # fmt: skip
from pydantic.json_schema import JsonSchemaValue

from controllers.schemas.common import Base64, Id, Limit, Offset, Query, Strict, Time, whole
from services.search import Filters
from services.submission import MAX_RECIPIENTS, NewEmail
from utils.mime import Attachment

MAX_BATCH = 1_000
_MAX_METADATA = 16_384
_MAX_DEPTH = 8
Status = Literal["scheduled", "queued", "sending", "sent", "retry", "failed", "cancelled", "unknown"]

AddressText = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Addresses = Annotated[list[AddressText], Field(max_length=MAX_RECIPIENTS)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Priority = Annotated[int, Field(ge=1, le=5, description="1 goes first")]
HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=76)]
HeaderValue = Annotated[str, StringConstraints(max_length=2_000)]


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if _depth(value) > _MAX_DEPTH:
        raise ValueError(f"must not be nested deeper than {_MAX_DEPTH} levels")
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise ValueError("holds a broken character") from None
    if size > _MAX_METADATA:
        raise ValueError(f"must not take more than {_MAX_METADATA} bytes")
    return value


class AttachmentBody(Strict):
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    content_type: Annotated[
        str, StringConstraints(max_length=127, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$")
    ] = "application/octet-stream"
    content: Base64
    content_id: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]+$"),
        ]
        | None
    ) = Field(None, description="makes it an inline part, shown by cid: in the html")


class EmailBody(Strict):
    """An email. It needs `recipients` (or `to`), and at least one of `html_content` and `text_content`."""

    subject: Annotated[str, StringConstraints(max_length=2_000)]
    recipients: Addresses | None = Field(
        None, description='addresses, with or without names: "Ann <ann@example.com>"'
    )
    to: Addresses | None = Field(None, description="the same as recipients; give one of the two")
    cc: Addresses | None = None
    bcc: Addresses | None = None
    reply_to: Annotated[list[AddressText], Field(max_length=20)] | None = None
    html_content: str | None = None
    text_content: str | None = Field(None, description="derived from the html where it is missing")
    sender: AddressText | None = Field(None, description="only where the SMTP config allows it")
    sender_name: Annotated[str, StringConstraints(max_length=255)] | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=50)] | None = None
    attachments: Annotated[list[AttachmentBody], Field(max_length=100)] | None = None
    priority: Priority = 3
    smtp_config_id: Id | None = Field(
        None, description="pin it to one SMTP config; otherwise any that may carry it"
    )
    send_at: Time | None = None
    expires_at: Time | None = Field(None, description="when it is not sent by then, it fails")
    tags: Annotated[list[Tag], Field(max_length=20)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_small)] | None = None
    on_unknown: Literal["resend", "hold"] = Field(
        "resend", description="what to do when a connection is lost after the final dot"
    )
    max_retries: Annotated[int, Field(ge=0, le=1_000)] | None = None

    @model_validator(mode="after")
    def _one_list(self) -> EmailBody:
        if self.recipients is not None and self.to is not None:
            raise ValueError("recipients and to are the same: give one of them")
        return self

    def to_email(self) -> NewEmail:
        return NewEmail(
            subject=self.subject,
            to=self.recipients or self.to or [],
            cc=self.cc or [],
            bcc=self.bcc or [],
            reply_to=self.reply_to or [],
            html=self.html_content,
            text=self.text_content,
            sender=self.sender,
            sender_name=self.sender_name,
            headers=list((self.headers or {}).items()),
            attachments=[
                Attachment(one.filename, one.content_type, one.content, one.content_id)
                for one in self.attachments or []
            ],
            priority=self.priority,
            smtp_config_id=self.smtp_config_id,
            send_at=self.send_at,
            expires_at=self.expires_at,
            tags=self.tags or [],
            metadata=self.metadata,
            on_unknown=self.on_unknown,
            max_retries=self.max_retries,
        )


class _Described:
    """Read later, one by one, so that a wrong one does not hold up the others; but described as what it should be."""

    def __get_pydantic_json_schema__(self, _: object, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(EmailBody.__pydantic_core_schema__)


class BatchBody(Strict):
    """Each of `emails` is as in POST /api/emails. In `permissive` mode a wrong one does not hold up the others."""

    emails: Annotated[
        list[Annotated[dict[str, Any], _Described()]], Field(min_length=1, max_length=MAX_BATCH)
    ]
    mode: Literal["permissive", "strict"] = "permissive"


class PatchBody(Strict):
    """What to change of an email that waits. `smtp_config_id` null unpins it."""

    model_config = ConfigDict(title="EmailChangesBody")

    priority: Priority | None = None
    send_at: Time | None = None
    smtp_config_id: Id | None = None

    @model_validator(mode="after")
    def _something(self) -> PatchBody:
        if not self.model_fields_set:
            raise ValueError("give at least one of priority, send_at and smtp_config_id")
        return self


class ResolveBody(Strict):
    outcome: Literal["sent", "failed"] = Field(description="what became of it, by your own inquiry")


class StatusQuery(Query):
    limit: Limit = 50
    offset: Offset = 0


class SearchQuery(Query):
    status: Status | None = None
    tag: Tag | None = None
    q: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="words"
    )
    recipient: AddressText | None = None
    since: Time | None = None
    until: Time | None = None
    smtp_config_id: Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(whole)] | None = None
    ids: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}(,[0-9]{1,18}){0,499}$")] | None = Field(
        None, description="up to 500 ids, separated by commas"
    )
    limit: Limit = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None

    def filters(self) -> Filters:
        ids = [int(one) for one in self.ids.split(",")] if self.ids else None
        return Filters(
            status=self.status, tag=self.tag, q=self.q, recipient=self.recipient, since=self.since, until=self.until,
            smtp_config_id=self.smtp_config_id, ids=ids,
        )  # fmt: skip
