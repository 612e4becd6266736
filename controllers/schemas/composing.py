"""Requests about what people write: mail to be sent, drafts, uploads.

Two shapes are taken, and may be mixed but for the text: `body` + `isHtml` + `attachmentIds`, or `textBody`/`htmlBody` +
`attachments`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from controllers.schemas.common import Base64, Offset, Query, Strict, whole
from controllers.schemas.emails import Addresses, AddressText
from services.composing.outgoing import Composition
from services.composing.uploads import Files
from services.submission import MAX_RECIPIENTS
from utils.mime import Attachment

MOST_FILES = 100


def _number_as_text(value: Any) -> Any:
    """A message's id may come as the number that it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value


AccountId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Subject = Annotated[str, StringConstraints(max_length=500)]
Milliseconds = Annotated[int, Field(ge=0, le=2**53 - 1, description="ms since the epoch")]
InReplyTo = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(min_length=1, max_length=1_000),
    WithJsonSchema({
        "anyOf": [{"type": "string", "minLength": 1, "maxLength": 1_000}, {"type": "integer", "minimum": 0}],
        "description": "the id of a message here, or a Message-ID",
    }),
]  # fmt: skip
MessageId = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(min_length=1, max_length=100),
    WithJsonSchema({
        "anyOf": [{"type": "string", "minLength": 1, "maxLength": 100}, {"type": "integer", "minimum": 0}],
    }),
]  # fmt: skip
FileIds = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=MOST_FILES)
]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ContentType = Annotated[
    str, StringConstraints(max_length=127, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$")
]
ContentId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]+$")
]


class Camel(Strict):
    model_config = ConfigDict(alias_generator=to_camel)


class FileBody(Camel):
    """A file. `contentId` makes it an inline part, which the html shows as `cid:…`."""

    filename: Filename
    content_type: ContentType = "application/octet-stream"
    data: Base64
    content_id: ContentId | None = None

    def file(self) -> Attachment:
        return Attachment(self.filename, self.content_type, self.data, self.content_id)


class _Written(Camel):
    cc: Addresses | None = None
    bcc: Addresses | None = None
    reply_to: AddressText | None = None
    body: str | None = Field(None, description="the text, or html where isHtml is true")
    is_html: bool = False
    text_body: str | None = Field(None, description="derived from the html where it is missing")
    html_body: str | None = None
    attachment_ids: FileIds | None = Field(
        None, description="of POST /api/compose/attachments, or of attachments of messages here"
    )
    forward_of: MessageId | None = Field(
        None, description="the id of a message here, whose attachments all go along"
    )
    attachments: Annotated[list[FileBody], Field(max_length=MOST_FILES)] | None = None
    in_reply_to: InReplyTo | None = None
    send_at: Milliseconds | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> _Written:
        if self.body is not None and (self.text_body is not None or self.html_body is not None):
            raise ValueError("give either body with isHtml, or textBody and htmlBody")
        if self.is_html and self.body is None:
            raise ValueError("is needed beside isHtml")
        return self

    def texts(self) -> dict[str, str | None]:
        if self.body is not None:
            return {"html": self.body, "text": None} if self.is_html else {"text": self.body, "html": None}
        return {"text": self.text_body, "html": self.html_body}

    def files(self) -> Files:
        new = [one.file() for one in self.attachments or []]
        return Files(self.attachment_ids or [], new, self.forward_of)


class SendBody(_Written):
    """Mail to be sent. It needs a text: `body`, `textBody` or `htmlBody`."""

    account_id: AccountId
    to: Annotated[list[AddressText], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    subject: Annotated[Subject, StringConstraints(min_length=1)]

    def composition(self) -> Composition:
        return Composition(
            account_id=self.account_id, to=self.to, cc=self.cc or [], bcc=self.bcc or [],
            reply_to=self.reply_to or "", subject=self.subject, in_reply_to=self.in_reply_to, send_at=self.send_at,
            **self.texts(),
        )  # fmt: skip


class _Draft(_Written):
    to: Addresses | None = None
    subject: Subject | None = None

    def fields(self) -> dict[str, Any]:
        """What was given, in the service's words; null empties a field."""
        given = self.model_fields_set
        empty: dict[str, Any] = {"to": [], "cc": [], "bcc": [], "reply_to": "", "subject": ""}
        named = [one for one in (*empty, "in_reply_to", "send_at") if one in given]
        values = {one: empty.get(one) if getattr(self, one) is None else getattr(self, one) for one in named}
        texts = self.texts()
        if "body" in given:  # the whole of the text, in one form
            return values | texts
        return values | {one: texts[one] for one in ("text", "html") if f"{one}_body" in given}


class DraftBody(_Draft):
    """A draft may lack anything but its account; what it holds is checked when it is sent."""

    account_id: AccountId


class DraftChangesBody(_Draft):
    """Only what is to change. `attachmentIds` and `attachments` together are the new list of files."""

    account_id: AccountId | None = None

    @model_validator(mode="after")
    def _something(self) -> DraftChangesBody:
        if not self.model_fields_set:
            raise ValueError("give at least one field to change")
        return self

    def fields(self) -> dict[str, Any]:
        return super().fields() | ({"account_id": self.account_id} if self.account_id else {})

    def new_files(self) -> Files | None:
        return (
            self.files() if self.model_fields_set & {"attachment_ids", "attachments", "forward_of"} else None
        )


class SendDraftBody(Camel):
    send_at: Milliseconds | None = Field(None, description="in place of the draft's own; null: at once")


class DraftsQuery(Query):
    accountId: AccountId | None = None  # noqa: N815 - as it stands in the URL
    limit: Annotated[int, Field(ge=1, le=1_000), BeforeValidator(whole)] = 100
    offset: Offset = 0
