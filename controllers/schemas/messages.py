"""Requests about messages. Camel case, as all of the account side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from controllers.schemas.accounts import Camel
from controllers.schemas.common import Limit, Offset, Query, Whole, whole
from services.inbox import listing

Cursor = Annotated[str, StringConstraints(min_length=1, max_length=3_000)]
IdText = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(whole)]
YesNo = Literal["true", "false"]


class CamelQuery(Query):
    model_config = ConfigDict(alias_generator=to_camel)


class FolderQuery(CamelQuery):
    limit: Limit = 50
    offset: Offset = 0
    cursor: Cursor | None = Field(
        None, description="nextCursor of the page before: new mail shifts nothing. Not together with offset"
    )
    sort: Literal["receivedAt:asc", "receivedAt:desc", "from:asc", "from:desc"] = "receivedAt:desc"
    filter: Literal["all", "read", "unread"] = "all"
    conversations: YesNo = Field("false", description="only the newest message of each conversation")

    def wanted(self) -> listing.Wanted:
        return listing.Wanted(
            self.sort, self.filter, self.conversations == "true", self.limit, self.offset, self.cursor
        )


class MessagesQuery(CamelQuery):
    """Of the whole account: give `q`, or `conversationId`."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        None, description='words, all of them; "words in a row"; -without; beginni*. Any text is taken'
    )
    folder_id: IdText | None = Field(None, description="with q: only there")
    conversation_id: IdText | None = Field(None, description="its messages in all folders, oldest first")
    limit: Limit = 50
    cursor: Cursor | None = Field(None, description="nextCursor of the page before")

    @model_validator(mode="after")
    def _one_question(self) -> MessagesQuery:
        if (self.q is None) == (self.conversation_id is None):
            raise ValueError("give either q or conversationId")
        if self.folder_id is not None and self.q is None:
            raise ValueError("folderId goes with q")
        return self


class DetailQuery(CamelQuery):
    remote_images: YesNo = Field("false", description="true: leave images in that are loaded from elsewhere")


class DownloadQuery(CamelQuery):
    """Both are of a link that we made; with a credential neither is needed."""

    expires: Whole | None = None
    signature: Annotated[str, StringConstraints(pattern="^[0-9a-f]{20}$")] | None = None

    @model_validator(mode="after")
    def _whole_link(self) -> DownloadQuery:
        if (self.expires is None) != (self.signature is None):
            raise ValueError("expires and signature belong together")
        return self


def _distinct(labels: list[str]) -> list[str]:
    if len({one.lower() for one in labels}) != len(labels):
        raise ValueError("names a label twice")
    return labels


# What the server can keep is told by changes.py. What begins with a backslash is the server's own.
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f\\][^\x00-\x1f\x7f]*$")
]


class MessageChanges(Camel):
    """Only what is to change. `folderId` moves it, as does isSpam."""

    model_config = ConfigDict(title="MessageChangesBody")

    is_read: bool | None = None
    is_starred: bool | None = None
    is_spam: bool | None = Field(None, description="moves it to the spam folder, or from there to the inbox")
    labels: Annotated[list[Label], Field(max_length=50), AfterValidator(_distinct)] | None = Field(
        None, description="all that it is to have; kept as keywords on the server, at Gmail as labels"
    )
    folder_id: Annotated[str, StringConstraints(pattern="^[0-9]{1,18}$")] | None = Field(
        None, description="where it is to be moved"
    )

    @model_validator(mode="after")
    def _something(self) -> MessageChanges:
        if not self.given():
            raise ValueError("give at least one field to change")
        if self.folder_id is not None and self.is_spam is not None:
            raise ValueError("folderId and isSpam both move it: give one of them")
        return self
