"""Requests about emails."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from services.errors import FieldError, InvalidInputError
from services.search import Filters
from services.submission import MAX_RECIPIENTS, NewEmail, TemplateUse
from utils.mime import Attachment

MAX_BATCH = 1_000
_encode = json.JSONEncoder(ensure_ascii=False).encode
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


def _bounded(depth: int, most: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A check of an object of the caller's choice."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            return value
        text = _encode(value)
        if (
            text.count("{") + text.count("[") > depth and _depth(value) > depth
        ):  # counting is quick, looking is not
            raise ValueError(f"must not be nested deeper than {depth} levels")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise ValueError("holds a broken character") from None
        if size > most:
            raise ValueError(f"must not take more than {most} bytes")
        return value

    return check


TemplateName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Reference = TemplateName | Id
Variables = Annotated[dict[str, Any], AfterValidator(_bounded(20, 256_000))]


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
    """An email. It needs `recipients` (or `to`), and a subject and at least one of `html_content` and `text_content`;
    or a `template`, which brings what is not given."""

    subject: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, description="needed without a template"
    )
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
    metadata: Annotated[dict[str, Any], AfterValidator(_bounded(8, 16_384))] | None = None
    on_unknown: Literal["resend", "hold"] = Field(
        "resend", description="what to do when a connection is lost after the final dot"
    )
    max_retries: Annotated[int, Field(ge=0, le=1_000)] | None = None
    template: Reference | None = Field(
        None,
        description="a stored template, by name or id; subject, html_content and text_content go before its own",
    )
    template_version: Id | None = Field(None, description="the one in force, where it is not given")
    variables: Variables | None = Field(None, description="what the template is filled with")

    @model_validator(mode="after")
    def _one_list(self) -> EmailBody:
        if self.recipients is not None and self.to is not None:
            raise ValueError("recipients and to are the same: give one of them")
        return self

    def to_email(self) -> NewEmail:
        """InvalidInputError."""
        return NewEmail(
            template=self._template(),
            subject=self.subject or "",
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

    def _template(self) -> TemplateUse | None:
        if self.template is None:
            if self.subject is None or self.variables is not None or self.template_version is not None:
                raise InvalidInputError.of(self._wrong_without_template())
            return None
        given = {"subject": self.subject, "html": self.html_content, "text": self.text_content}
        brought = frozenset(name for name, value in given.items() if value is not None)
        return TemplateUse(self.template, self.template_version, self.variables or {}, brought)

    def _wrong_without_template(self) -> list[FieldError]:
        wrong = [FieldError("subject", "is needed", "MISSING")] if self.subject is None else []
        wrong += [
            FieldError(name, "is of no use without a template", "NO_TEMPLATE")
            for name in ("template_version", "variables")
            if getattr(self, name) is not None
        ]
        return wrong


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
    template: TemplateName | None = Field(None, description="made of this stored template, by name or id")
    limit: Limit = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None

    def filters(self, template_id: int | None = None) -> Filters:
        ids = [int(one) for one in self.ids.split(",")] if self.ids else None
        return Filters(
            status=self.status, tag=self.tag, q=self.q, recipient=self.recipient, since=self.since, until=self.until,
            smtp_config_id=self.smtp_config_id, ids=ids, template_id=template_id,
        )  # fmt: skip
