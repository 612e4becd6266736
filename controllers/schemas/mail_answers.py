"""What the account side answers, as JSON schemas. Camel case, times in ms since the epoch."""

from __future__ import annotations

from typing import get_args

from controllers.schemas.accounts import EncryptionName, ProtocolName, SentCopy
from controllers.schemas.answers import STEPS
from controllers.schemas.basics import (
    BINARY,
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

__all__ = ["BINARY"]

_ENCRYPTION = one_of(*get_args(EncryptionName))
_PROTOCOL = one_of(*get_args(ProtocolName))
FOLDER_TYPES = ("inbox", "sent", "drafts", "spam", "trash", "archive", "custom")
TASK_STATES = ("pending", "started", "success", "failure", "retry", "cancelled")
ACCOUNT_STATES = ("active", "needs_credentials", "needs_reauth")

_LOGIN = {
    "kind": one_of("password", "oauth2"),
    "expiresAt": told(or_null(MOMENT), "of the access token"),
    "isRenewable": told(YES_NO, "a refresh token brings new ones"),
}
CREDENTIAL = named(
    "Credential", "That there is one; what it holds is never shown.",
    id=TEXT, **_LOGIN, createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
_SMTP = named(
    "AccountSmtp", "Where the account sends.",
    smtpConfigId=ID, hostname=TEXT, port=COUNT, encryption=_ENCRYPTION, verifyTls=YES_NO, username=or_null(TEXT),
    hasPassword=YES_NO, usesToken=YES_NO, displayName=TEXT, hourlyLimit=COUNT, dailyLimit=COUNT,
)  # fmt: skip
ACCOUNT = named(
    "Account", id=TEXT, tenantId=TEXT, userId=TEXT, accountName=TEXT, emailAddress=TEXT, protocol=_PROTOCOL,
    hostname=TEXT, port=COUNT, encryption=_ENCRYPTION, verifyTls=YES_NO, username=TEXT, credentialId=TEXT,
    isSyncEnabled=YES_NO, syncInterval=told(COUNT, "seconds"), lastSyncAt=or_null(MOMENT), isSyncing=YES_NO,
    isEnabled=YES_NO, sentCopy=one_of(*get_args(SentCopy)), state=one_of(*ACCOUNT_STATES), lastError=or_null(TEXT),
    login=told(or_null(named("AccountLogin", **_LOGIN)), "null: nothing is stored that goes to its server"),
    smtp=or_null(_SMTP), createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
PAGINATION = named("Pagination", total=COUNT, limit=COUNT, offset=COUNT)
_CERTIFICATE = named(
    "MailCertificate", subject=TEXT, issuer=TEXT, expiresAt=MOMENT, daysLeft={"type": "integer"}, tls=TEXT
)
_TESTED_FOLDER = named(
    "TestedFolder",
    name=TEXT,
    displayName=TEXT,
    type=one_of(*FOLDER_TYPES),
    isSelectable=YES_NO,
    parent=or_null(TEXT),
)
_TESTED_SMTP = named(
    "AccountSmtpTest", success=YES_NO, server=TEXT, steps=STEPS, capabilities=array(TEXT),
    certificate=or_null(_CERTIFICATE),
)  # fmt: skip
ACCOUNT_TEST = Named("AccountTest", with_more(
    obj(
        success=YES_NO, protocol=_PROTOCOL, server=TEXT, message=TEXT, timestamp=MOMENT, folders=COUNT,
        folderDetails=array(_TESTED_FOLDER), capabilities=array(TEXT), steps=STEPS, certificate=or_null(_CERTIFICATE),
    ),
    messages=told(COUNT, "with pop3: how many there are"),
    smtp=told(_TESTED_SMTP, "of an account that has SMTP settings"),
))  # fmt: skip
ACCOUNTS = named("AccountPage", accounts=array(ACCOUNT), count=COUNT, pagination=PAGINATION)

FOLDER = named(
    "Folder", id=TEXT, accountId=TEXT, name=TEXT, displayName=TEXT, type=one_of(*FOLDER_TYPES), parentId=or_null(TEXT),
    isSelectable=YES_NO, messageCount=COUNT, unreadCount=COUNT, syncedAt=or_null(MOMENT),
)  # fmt: skip
FOLDERS = named("Folders", folders=array(FOLDER), total=COUNT)
_ITEM = obj(
    id=TEXT, accountId=TEXT, folderId=TEXT, conversationId=TEXT, **{"from": TEXT}, fromName=TEXT, to=array(TEXT),
    cc=array(TEXT), bcc=array(TEXT), subject=TEXT, preview=TEXT, isRead=YES_NO, isStarred=YES_NO, isSpam=YES_NO,
    isDeleted=YES_NO, labels=array(TEXT), attachmentCount=COUNT, size=COUNT, sentAt=or_null(MOMENT),
    receivedAt={"type": "integer", "format": "int64"}, createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
_CONVERSATION = told(
    named("ConversationCounts", messageCount=COUNT, unreadCount=COUNT), "with conversations=true"
)
MESSAGES = named(
    "MessagePage", messages=array(Named("MessageSummary", with_more(_ITEM, conversation=_CONVERSATION))),
    pagination=named(
        "MessagePagination", total=or_null(COUNT), limit=COUNT, offset=COUNT, nextCursor=or_null(TEXT)
    ),
)  # fmt: skip
_SNIPPET = told(TEXT, "with q; html: escaped text, with <mark> around the words that were asked for")
FOUND_MESSAGES = named(
    "FoundMessages",
    messages=array(Named("FoundMessage", with_more(_ITEM, snippet=_SNIPPET, subjectSnippet=_SNIPPET))),
    pagination=named("CursorPagination", limit=COUNT, nextCursor=or_null(TEXT)),
)
_PEOPLE = array(named("Person", name=TEXT, email=TEXT))
ATTACHMENT = named(
    "Attachment", id=TEXT, messageId=TEXT, filename=TEXT, mimeType=TEXT, size=COUNT, contentId=or_null(TEXT),
    isInline=YES_NO, downloadUrl=told({"type": "string", "format": "uri-reference"}, "signed; good for an hour"),
)  # fmt: skip
MESSAGE_DETAIL = named(
    "MailMessage", "A message of a mail account.",
    **_ITEM["properties"], hasBody=told(YES_NO, "false while its text is not to be had"), body=or_null(TEXT),
    bodyError=told(or_null(TEXT), "why the text is not here, nor to be had from the mail server now"),
    isHtmlRefused=told(YES_NO, "bodyHtml shows the text: the html would take too long to be read"),
    bodyHtml=told(or_null(TEXT), "safe to be shown"), blockedImages=told(COUNT, "remote images that were left out"),
    messageId=or_null(TEXT), inReplyTo=or_null(TEXT), replyTo=array(TEXT),
    people=named("People", **{"from": _PEOPLE}, to=_PEOPLE, cc=_PEOPLE, bcc=_PEOPLE),
    headers={"type": "object", "additionalProperties": TEXT}, attachments=array(ATTACHMENT),
)  # fmt: skip

_TASK_STATE = one_of(*TASK_STATES)
SYNC_STARTED = named(
    "SyncStarted", taskId=TEXT, syncId=told(TEXT, "the same"), accountId=TEXT, status=_TASK_STATE, startedAt=MOMENT,
    estimatedCompletionAt=or_null(MOMENT), message=TEXT, progressMessage=TEXT,
)  # fmt: skip
_SYNC_RESULT = named(
    "SyncResult", messagesAdded=COUNT, messagesMoved=COUNT, messagesUpdated=COUNT, messagesRemoved=COUNT,
    messagesQuarantined=COUNT, foldersSync=COUNT,
)  # fmt: skip
_FOLDER_DONE = named("SyncedFolder", name=TEXT, done=COUNT, total=COUNT)
SYNC_TASK = named(
    "SyncTask", taskId=TEXT, syncId=TEXT,
    accountId=told(or_null(TEXT), "null: of composed mail, once its account is gone"),
    status=_TASK_STATE, folders=told(array(_FOLDER_DONE), "how far each is"),
    progress={"type": "integer", "minimum": 0, "maximum": 100}, progressMessage=TEXT, result=or_null(_SYNC_RESULT),
    error=or_null(TEXT), createdAt=MOMENT, startedAt=or_null(MOMENT), finishedAt=or_null(MOMENT),
    estimatedCompletionAt=or_null(MOMENT),
)  # fmt: skip
QUARANTINED = named(
    "QuarantinedPage", pagination=PAGINATION,
    messages=array(named("Quarantined", folderId=ID, folder=TEXT, uid=COUNT, reason=TEXT, createdAt=MOMENT)),
)  # fmt: skip
