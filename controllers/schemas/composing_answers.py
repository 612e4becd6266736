"""What the API answers about mail that is being written. Times in ms since the epoch."""

from __future__ import annotations

from controllers.schemas.answers import SUPPRESSED
from controllers.schemas.basics import (
    COUNT,
    ID,
    MOMENT,
    TEXT,
    YES_NO,
    array,
    named,
    obj,
    one_of,
    or_null,
    told,
    with_more,
)  # fmt: skip
from controllers.schemas.components import Named
from controllers.schemas.mail_answers import PAGINATION

SENDING = Named("Sending", with_more(obj(
    taskId=TEXT, status=one_of("pending", "scheduled"), messageId=told(TEXT, "its Message-ID"),
    email_id=told(ID, "of the email in the relay's queue"),
), suppressed=told(SUPPRESSED, "recipients that get no mail, where there are any")))  # fmt: skip
_FILE = named(
    "DraftAttachment", id=TEXT, filename=TEXT, contentType=TEXT, size=COUNT, contentId=or_null(TEXT), isInline=YES_NO,
    createdAt=MOMENT,
)  # fmt: skip
UPLOAD = named("Upload", **_FILE["properties"], expiresAt=MOMENT)
_DRAFT = named(
    "DraftSummary", draftId=TEXT, accountId=TEXT, to=array(TEXT), cc=array(TEXT), bcc=array(TEXT),
    replyTo=or_null(TEXT), subject=TEXT, inReplyTo=or_null(TEXT), sendAt=or_null(MOMENT), attachments=array(_FILE),
    createdAt=MOMENT, updatedAt=MOMENT, preview=told(TEXT, "how its text begins"),
)  # fmt: skip
_SHARED = {name: one for name, one in _DRAFT["properties"].items() if name != "preview"}
DRAFT = named(
    "Draft", **_SHARED, body=or_null(TEXT), isHtml=YES_NO, textBody=or_null(TEXT), htmlBody=or_null(TEXT)
)
DRAFTS = named("DraftPage", drafts=array(_DRAFT), count=COUNT, pagination=PAGINATION)
