"""What /openapi.json says of the API as a whole, for its readers."""

from __future__ import annotations

from typing import Any, get_args

from controllers.schemas.accounts import EncryptionName, ProtocolName, SentCopy
from controllers.schemas.accounts import Provider as AccountProvider
from controllers.schemas.answers import OUTCOMES, REASONS, RECIPIENT_STATES
from controllers.schemas.basics import TEXT
from controllers.schemas.emails import Status
from controllers.schemas.mail_answers import ACCOUNT_STATES, FOLDER_TYPES, TASK_STATES
from controllers.schemas.smtp_configs import LimitUnit
from controllers.schemas.smtp_configs import Provider as SmtpProvider
from services.judgement import Blame
from services.principal import NAME_PATTERN, Scope

DESCRIPTION = """\
A queue-driven mail relay. Hand it email; it stores each one durably and delivers it through a pool of SMTP accounts,
under the limits of each. It also syncs mail accounts over IMAP and POP3, and sends from them.

- **Credential:** `X-API-Key: KEY`, or `Authorization: Bearer KEY-or-JWT`. An API key or a JWT belongs to a tenant; a
  service key names whom it acts for, by `X-Tenant-ID` and `X-User-ID`.
- **Errors** are JSON with a `code` for programs and a `message` for people. A 400 lists every bad field in `details`.
- **Try again without fear:** with an `Idempotency-Key`, the same request brings the first answer again, and no second
  email.
- **Words and times:** the relay speaks snake_case and ISO 8601 in UTC; accounts, sync, messages and compose speak
  camelCase and milliseconds since the epoch.
- **Unknown fields** and query parameters are refused, so that a misspelt one is not lost unnoticed. Answers may gain
  fields.
"""

TAGS = {
    "Emails": "Hand over mail, and ask what became of it. An email goes `queued`, `sending`, `sent`; or it waits "
    "(`scheduled`, `retry`), or ends as `failed`, `cancelled`, or `unknown`, where only the server can know.",
    "Templates": "What emails say, stored once, with versions; posts then bring only the variables.",
    "SMTP configs": "The accounts that mail is sent through: their limits, how much of them is used, what holds them.",
    "Queue": "The queue as a whole: how much waits, since when, and why.",
    "Suppressions": "Addresses that get no mail: they bounced, complained, or asked.",
    "Sandbox": "Mail that was caught to be read, and is never relayed. For service keys.",
    "Keys": "API keys and JWTs: who may do what, and for whom.",
    "Accounts": "Mail accounts of a user (IMAP or POP3), and the credentials that they log in with.",
    "Sync": "Bring an account's mail in now, and follow how far that is. Enabled accounts also sync by themselves.",
    "Folders": "The folders of a mail account.",
    "Messages": "Messages of a mail account: list, search, read, mark, move, delete.",
    "Attachments": "What comes with messages.",
    "Compose": "Write and send mail from an account: at once, later, or as a draft.",
    "Service": "Whether the relay lives and can work.",
}

SECURITY: dict[str, dict[str, Any]] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "an API key or a JWT"},
    "Token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "a JWT"},
}
_NAME = {"type": "string", "pattern": NAME_PATTERN}
NAMING = {
    "TenantId": {"name": "X-Tenant-ID", "in": "header", "schema": _NAME,
                 "description": "A service key names the tenant that it acts for"},
    "UserId": {"name": "X-User-ID", "in": "header", "schema": _NAME,
               "description": "And the user, where one is needed; beside X-Tenant-ID"},
}  # fmt: skip

# A list of just these values has this name, in requests and answers.
ENUMS: dict[str, tuple[str, ...]] = {
    "EmailStatus": get_args(Status),
    "RecipientStatus": RECIPIENT_STATES,
    "AttemptOutcome": OUTCOMES,
    "Blame": tuple(Blame),
    "SuppressionReason": REASONS,
    "LimitUnit": get_args(LimitUnit),
    "SmtpProvider": get_args(SmtpProvider),
    "AccountProvider": get_args(AccountProvider),
    "AccountState": ACCOUNT_STATES,
    "Protocol": get_args(ProtocolName),
    "Encryption": get_args(EncryptionName),
    "SentCopy": get_args(SentCopy),
    "FolderType": FOLDER_TYPES,
    "SyncStatus": TASK_STATES,
    "Scope": tuple(Scope),
    "TrueOrFalse": ("true", "false"),
    "OnUnknown": ("resend", "hold"),
    "BatchMode": ("permissive", "strict"),
}

_KEY = {"type": "string", "pattern": NAME_PATTERN}
ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "status": ("The state", {"type": "string", "enum": list(get_args(Status))}),
    "address": (
        "The email address", {"type": "string", "minLength": 3, "maxLength": 320, "pattern": "^[^/@]+@[^/@]+$"}
    ),
    "account_id": ("The mail account's id", _KEY),
    "credential_id": ("The credential's id: of your choice", _KEY),
    "draft_id": ("The draft's id", _KEY),
    "task_id": ("The task's id", _KEY),
    "template": ("The template's name or id", _KEY),
}  # fmt: skip

HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "Where to read what was made", "schema": {"type": "string", "format": "uri-reference"}},
    "Link": {"description": 'The next page, where there is one: `</api/…>; rel="next"`', "schema": TEXT},
    "X-Total-Count": {"description": "How many there are in all", "schema": {"type": "integer", "minimum": 0}},
    "Idempotent-Replayed": {
        "description": "`true`: it is the first answer again", "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Limit": {"description": "Calls in the window", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Remaining": {"description": "Calls that are left", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Reset": {"description": "When one frees, in seconds since the epoch", "schema": {"type": "integer"}},
}  # fmt: skip


def _error(title: str, message: str, code: str, field: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"error": title, "message": message, "code": code, "timestamp": 1_769_853_000_000}
    if field:
        told = {"field": field, "message": message.removeprefix(f"{field}: "), "code": code}
        found["details"] = [told]
    return found


# status → name, description, example, headers
ERRORS: dict[int, tuple[str, str, dict[str, Any], tuple[str, ...]]] = {
    400: (
        "BadRequest", "Something in the request is wrong; `details` names every bad field",
        _error("Bad request", "priority: input should be less than or equal to 5", "INVALID_VALUE", "priority"), (),
    ),
    401: (
        "Unauthorized",
        "No credential, or not a good one; or a service key that names nobody, where somebody is needed",
        _error("Unauthorized", "the credential is not valid", "INVALID_CREDENTIAL"), (),
    ),
    403: (
        "Forbidden", "The credential may not do this",
        _error("Forbidden", "this credential lacks the scope admin", "SCOPE_MISSING"), (),
    ),
    404: (
        "NotFound", "No such object, or none of this tenant", _error("Not found", "no email 4711", "NOT_FOUND"), (),
    ),
    405: (
        "MethodNotAllowed",
        "The path does not take this method: its last part is no id, but a word that stands there too",
        _error("Method not allowed", "this path does not take this method", "METHOD_NOT_ALLOWED"), (),
    ),
    409: (
        "Conflict", "The object's state does not allow it; `code` says what is in the way",
        _error("Conflict", "this email is on the wire", "ON_THE_WIRE"), (),
    ),
    413: (
        "TooLarge", "The request is larger than this relay takes",
        _error("Payload too large", "the request is larger than this relay takes", "TOO_LARGE"), (),
    ),
    422: (
        "IdempotencyKeyReused", "The Idempotency-Key was used with another body",
        _error("Unprocessable", "the Idempotency-Key was used with another body", "IDEMPOTENCY_KEY_REUSED"), (),
    ),
    429: (
        "RateLimited", "Too many calls; Retry-After says when to come back",
        _error("Too many requests", "more than 50 calls a minute", "RATE_LIMITED"),
        ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    ),
    502: (
        "MailServerFailed", "The mail server does not answer, or refuses",
        _error("Bad gateway", "the mail server does not answer", "MAIL_SERVER_ERROR"), (),
    ),
    503: (
        "Unavailable", "The database is away; nothing was done. Come back after Retry-After",
        _error("Service unavailable", "the database cannot be reached", "DATABASE_UNAVAILABLE"), ("Retry-After",),
    ),
    507: (
        "StorageFull", "The disk is nearly full: nothing was stored",
        _error("Insufficient storage", "the disk is full: nothing was stored", "STORAGE_FULL"), (),
    ),
}  # fmt: skip
