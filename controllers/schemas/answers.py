"""What the API answers, as JSON schemas for /openapi.json."""

from __future__ import annotations

from typing import Any

from services.principal import Scope

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "minimum": 1}
YES_NO: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def obj(**properties: Schema) -> Schema:
    """An object that always has these; more may come."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


MESSAGE = obj(message=TEXT)
ERROR = obj(error=TEXT, message=TEXT, code=TEXT, timestamp=COUNT)
ERROR["properties"]["details"] = array(obj(field=TEXT, message=TEXT, code=TEXT))

KEY = obj(
    id=ID, name=TEXT, prefix=TEXT, tenant_id=or_null(TEXT), user_id=or_null(TEXT),
    scopes=array({"type": "string", "enum": [str(scope) for scope in Scope]}), rate_limit=or_null(COUNT),
    created_at=TIME, last_used_at=or_null(TIME), revoked_at=or_null(TIME),
)  # fmt: skip
NEW_KEY = obj(message=TEXT, key=TEXT, **KEY["properties"])
TOKEN = obj(token=TEXT, token_type=TEXT, expires_at=TIME, tenant_id=TEXT, user_id=or_null(TEXT))

_WINDOW = obj(used=COUNT, limit=or_null(COUNT))
CONFIG = obj(
    id=ID, name=TEXT, email_address=TEXT, display_name=TEXT, smtp_host=TEXT, smtp_port=COUNT, username=or_null(TEXT),
    has_password=YES_NO, use_tls=YES_NO, use_ssl=YES_NO, verify_tls=YES_NO, active=YES_NO, daily_limit=COUNT,
    hourly_limit=COUNT, limit_unit=TEXT, max_connections=COUNT, max_messages_per_connection=COUNT, weight=COUNT,
    from_domains=array(TEXT), allow_any_sender=YES_NO, shared=YES_NO, verp=YES_NO,
    sent_count_hour=COUNT, sent_count_today=COUNT,
    windows=obj(unit=TEXT, hour=_WINDOW, day=_WINDOW, next_free_at=or_null(TIME)),
    breaker=obj(
        state={"type": "string", "enum": ["closed", "open", "half_open"]}, until=or_null(TIME), reason=or_null(TEXT)
    ),
    pause=or_null(obj(by=TEXT, until=or_null(TIME), reason=or_null(TEXT))),
    hold=or_null(obj(kind=TEXT, until=or_null(TIME), detail=TEXT)), next_available_at=or_null(TIME),
    last_sent=or_null(TIME), last_error=or_null(TEXT), last_error_at=or_null(TIME), created_at=TIME, updated_at=TIME,
)  # fmt: skip
CONFIG_CREATED = obj(message=TEXT, config_id=ID)
CONFIG_TEST = obj(
    ok=YES_NO, steps=array(obj(step=TEXT, ok=YES_NO, ms=COUNT, detail=TEXT)), capabilities={"type": "object"},
    certificate=or_null(obj(subject=TEXT, issuer=TEXT, expires_at=TIME, days_left={"type": "integer"})),
)  # fmt: skip

_SUPPRESSED = array(
    obj(address=TEXT, reason=TEXT, since=TIME)
)  # recipients that get no mail, where there are any
EMAIL_CREATED = obj(message=TEXT, email_id=ID)
EMAIL_CREATED["properties"]["suppressed"] = _SUPPRESSED
EMAIL_SUMMARY = obj(id=ID, subject=TEXT, status=TEXT, priority=COUNT, retry_count=COUNT, created_at=TIME)
EMAIL = obj(
    **EMAIL_SUMMARY["properties"], recipients=array(TEXT), cc=array(TEXT), bcc=array(TEXT), sender=or_null(TEXT),
    sender_name=or_null(TEXT), smtp_config=or_null(TEXT), updated_at=TIME, sent_at=or_null(TIME),
    error_message=or_null(TEXT),
)  # fmt: skip
EMAILS = obj(emails=array(EMAIL_SUMMARY), next_cursor=or_null(TEXT))
_RESULT = obj(index=COUNT)
_RESULT["properties"] |= {"email_id": ID, "error": ANY, "suppressed": _SUPPRESSED}
BATCH = obj(results=array(_RESULT), accepted=COUNT, rejected=COUNT)
CAUGHT = obj(id=ID, received_at=TIME, envelope=ANY, subject=TEXT, size=COUNT)
CAUGHT_WHOLE = obj(
    **CAUGHT["properties"],
    headers=array(array(TEXT)),
    html=or_null(TEXT),
    text=or_null(TEXT),
    attachments=array(ANY),
)

# Inbound: camel case, times in ms since the epoch.
MOMENT: Schema = {"type": "integer", "minimum": 0}
CREDENTIAL = obj(
    id=TEXT, kind={"type": "string", "enum": ["password", "oauth2"]}, createdAt=MOMENT, updatedAt=MOMENT
)
_ENCRYPTION: Schema = {"type": "string", "enum": ["tls", "starttls", "none"]}
_SMTP = obj(
    smtpConfigId=ID, hostname=TEXT, port=COUNT, encryption=_ENCRYPTION, verifyTls=YES_NO, username=or_null(TEXT),
    hasPassword=YES_NO, displayName=TEXT, hourlyLimit=COUNT, dailyLimit=COUNT,
)  # fmt: skip
ACCOUNT = obj(
    id=TEXT, tenantId=TEXT, userId=TEXT, accountName=TEXT, emailAddress=TEXT,
    protocol={"type": "string", "enum": ["imap", "pop3"]}, hostname=TEXT, port=COUNT, encryption=_ENCRYPTION,
    verifyTls=YES_NO, username=TEXT, credentialId=TEXT, isSyncEnabled=YES_NO, syncInterval=COUNT,
    lastSyncAt=or_null(MOMENT), isSyncing=YES_NO, isEnabled=YES_NO,
    sentCopy={"type": "string", "enum": ["auto", "always", "never"]},
    state={"type": "string", "enum": ["active", "needs_credentials", "needs_reauth"]}, lastError=or_null(TEXT),
    smtp=or_null(_SMTP), createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
PAGINATION = obj(total=COUNT, limit=COUNT, offset=COUNT)
_MAIL_CERTIFICATE = obj(subject=TEXT, issuer=TEXT, expiresAt=MOMENT, daysLeft={"type": "integer"}, tls=TEXT)
ACCOUNT_TEST = obj(
    success=YES_NO, protocol=TEXT, server=TEXT, message=TEXT, timestamp=MOMENT, folders=COUNT,
    folderDetails=array(obj(name=TEXT, displayName=TEXT, type=TEXT, isSelectable=YES_NO, parent=or_null(TEXT))),
    capabilities=array(TEXT), steps=array(obj(step=TEXT, ok=YES_NO, ms=COUNT, detail=TEXT)),
    certificate=or_null(_MAIL_CERTIFICATE),
)  # fmt: skip
ACCOUNTS = obj(accounts=array(ACCOUNT), count=COUNT, pagination=PAGINATION)

_ROLES = ["inbox", "sent", "drafts", "spam", "trash", "archive", "custom"]
FOLDER = obj(
    id=TEXT, accountId=TEXT, name=TEXT, displayName=TEXT, type={"type": "string", "enum": _ROLES},
    parentId=or_null(TEXT), isSelectable=YES_NO, messageCount=COUNT, unreadCount=COUNT, syncedAt=or_null(MOMENT),
)  # fmt: skip
FOLDERS = obj(folders=array(FOLDER), total=COUNT)
MESSAGE_ITEM = obj(
    id=TEXT, accountId=TEXT, folderId=TEXT, conversationId=TEXT, **{"from": TEXT}, fromName=TEXT, to=array(TEXT),
    cc=array(TEXT), bcc=array(TEXT), subject=TEXT, preview=TEXT, isRead=YES_NO, isStarred=YES_NO, isSpam=YES_NO,
    isDeleted=YES_NO, labels=array(TEXT), attachmentCount=COUNT, size=COUNT, sentAt=or_null(MOMENT),
    receivedAt={"type": "integer"}, createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip
_LISTED = MESSAGE_ITEM | {"properties": MESSAGE_ITEM["properties"] | {
    "conversation": obj(messageCount=COUNT, unreadCount=COUNT) | {"description": "with conversations=true"},
}}  # fmt: skip
MESSAGES = obj(
    messages=array(_LISTED),
    pagination=obj(total=or_null(COUNT), limit=COUNT, offset=COUNT, nextCursor=or_null(TEXT)),
)
_SNIPPET = TEXT | {"description": "html: escaped text, with <mark> around the words that were asked for"}
_HIT = MESSAGE_ITEM | {
    "properties": MESSAGE_ITEM["properties"] | {"snippet": _SNIPPET, "subjectSnippet": _SNIPPET}
}
FOUND_MESSAGES = obj(messages=array(_HIT), pagination=obj(limit=COUNT, nextCursor=or_null(TEXT)))
_PEOPLE = array(obj(name=TEXT, email=TEXT))
ATTACHMENT = obj(
    id=TEXT, messageId=TEXT, filename=TEXT, mimeType=TEXT, size=COUNT, contentId=or_null(TEXT), isInline=YES_NO,
    downloadUrl={"type": "string", "format": "uri-reference"},
)  # fmt: skip
MESSAGE_DETAIL = obj(
    **MESSAGE_ITEM["properties"], hasBody=YES_NO, body=or_null(TEXT), bodyHtml=or_null(TEXT), blockedImages=COUNT,
    messageId=or_null(TEXT), inReplyTo=or_null(TEXT), replyTo=array(TEXT),
    people=obj(**{"from": _PEOPLE}, to=_PEOPLE, cc=_PEOPLE, bcc=_PEOPLE),
    headers={"type": "object", "additionalProperties": TEXT}, attachments=array(ATTACHMENT),
)  # fmt: skip
_SYNC_STATE: Schema = {
    "type": "string",
    "enum": ["pending", "started", "success", "failure", "retry", "cancelled"],
}
SYNC_STARTED = obj(
    taskId=TEXT, syncId=TEXT, accountId=TEXT, status=_SYNC_STATE, startedAt=MOMENT, estimatedCompletionAt=MOMENT,
    message=TEXT, progressMessage=TEXT,
)  # fmt: skip
_SYNC_RESULT = obj(
    messagesAdded=COUNT, messagesMoved=COUNT, messagesUpdated=COUNT, messagesRemoved=COUNT,
    messagesQuarantined=COUNT, foldersSync=COUNT,
)  # fmt: skip
SYNC_TASK = obj(
    taskId=TEXT, syncId=TEXT, accountId=TEXT, status=_SYNC_STATE, progress=COUNT, progressMessage=TEXT,
    result=or_null(_SYNC_RESULT), error=or_null(TEXT), createdAt=MOMENT, startedAt=or_null(MOMENT),
    finishedAt=or_null(MOMENT), estimatedCompletionAt=or_null(MOMENT),
)  # fmt: skip
QUARANTINED = obj(
    messages=array(obj(folderId=ID, folder=TEXT, uid=COUNT, reason=TEXT, createdAt=MOMENT)), pagination=PAGINATION
)  # fmt: skip

SUPPRESSION = obj(
    address=TEXT, reason={"type": "string", "enum": ["hard_bounce", "complaint", "manual"]}, detail=TEXT,
    email_id=or_null(ID), created_at=TIME,
)  # fmt: skip
SUPPRESSIONS = obj(suppressions=array(SUPPRESSION), next_cursor=or_null(TEXT))
TEMPLATE_SUMMARY = obj(
    id=ID, name=TEXT, description=TEXT, version=ID, tenant_id=or_null(TEXT), created_at=TIME, updated_at=TIME
)
TEMPLATE = obj(
    **TEMPLATE_SUMMARY["properties"], current_version=ID, subject=TEXT, html=or_null(TEXT), text=or_null(TEXT),
    css_inlined=or_null({"type": "string", "enum": ["at save", "at render"]}), variables=array(TEXT),
    optional=array(TEXT), saved_at=TIME,
)  # fmt: skip
TEMPLATE_SAVED = obj(message=TEXT, template_id=ID, version=ID)
TEMPLATE_VERSION = obj(version=ID, in_force=YES_NO, subject=TEXT, saved_at=TIME)
PREVIEW = obj(
    subject=TEXT, html=or_null(TEXT), text=or_null(TEXT), text_derived=YES_NO, version=or_null(ID),
    variables=array(TEXT), optional=array(TEXT), missing=array(TEXT),
)  # fmt: skip
IMPORTED = obj(added=COUNT, present=COUNT, failed=COUNT, rejected=array(obj(line=COUNT, message=TEXT)))
