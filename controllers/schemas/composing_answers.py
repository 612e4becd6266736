"""What the API answers about mail that is being written. Times in ms since the epoch."""

from __future__ import annotations

from controllers.schemas.answers import COUNT, ID, MOMENT, PAGINATION, TEXT, YES_NO, array, obj, or_null

SENDING = obj(
    taskId=TEXT, status={"type": "string", "enum": ["pending", "scheduled"]}, messageId=TEXT, email_id=ID
)
_FILE = obj(
    id=TEXT, filename=TEXT, contentType=TEXT, size=COUNT, contentId=or_null(TEXT), isInline=YES_NO, createdAt=MOMENT
)  # fmt: skip
UPLOAD = obj(**_FILE["properties"], expiresAt=MOMENT)
_DRAFT = obj(
    draftId=TEXT, accountId=TEXT, to=array(TEXT), cc=array(TEXT), bcc=array(TEXT), replyTo=or_null(TEXT), subject=TEXT,
    inReplyTo=or_null(TEXT), sendAt=or_null(MOMENT), attachments=array(_FILE), createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
DRAFT = obj(
    **_DRAFT["properties"], body=or_null(TEXT), isHtml=YES_NO, textBody=or_null(TEXT), htmlBody=or_null(TEXT)
)
DRAFTS = obj(
    drafts=array(obj(**_DRAFT["properties"], preview=TEXT)), count=COUNT,
    pagination=PAGINATION,
)  # fmt: skip
