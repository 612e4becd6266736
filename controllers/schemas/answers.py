"""What the relay answers, as JSON schemas for /openapi.json. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import get_args

from controllers.schemas.basics import (
    ANY,
    BINARY,
    COUNT,
    ID,
    TEXT,
    TIME,
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
from controllers.schemas.emails import Status
from controllers.schemas.smtp_configs import LimitUnit
from services.judgement import Blame
from services.principal import Scope

__all__ = ["ANY", "BINARY", "COUNT", "ID", "TEXT", "TIME", "YES_NO", "array", "named", "obj", "or_null"]

STATUS = one_of(*get_args(Status))
RECIPIENT_STATES = ("pending", "sent", "retry", "failed", "unknown", "bounced", "complained", "suppressed")
OUTCOMES = ("sent", "retry", "failed", "unknown", "returned")
HOLDS = ("inactive", "paused", "provider_pause", "breaker", "probing", "quota_hour", "quota_day")
WAITS = (
    "position", "schedule", "retry", "quota_hour", "quota_day", "breaker", "provider_pause", "config_paused",
    "config_inactive", "relay_paused", "no_config", "connections",
)  # fmt: skip
EVENTS = (
    "accepted", "claimed", "handed_over", "sent", "deferred", "failed", "unknown", "expired", "cancelled", "requeued",
    "changed", "bounced",
)  # fmt: skip
REASONS = ("hard_bounce", "complaint", "manual")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{one}`" for one in words)


MESSAGE = named("Message", "It was done.", message=TEXT)
_FIELD = named(
    "FieldError", "A field that is wrong.",
    field=told(TEXT, "its path, as in `attachments.0.content`; or the name of a header or query parameter"),
    message=TEXT, code=TEXT,
)  # fmt: skip
ERROR = Named("Error", with_more(
    obj(
        error=told(TEXT, "the status in words"), message=told(TEXT, "for people; names the field, where one is wrong"),
        code=told(TEXT, "for programs; more may come"), timestamp=told(COUNT, "ms since the epoch"),
    ),
    details=array(_FIELD),
), "What every request that fails is answered with.")  # fmt: skip

_CHECK = obj(ok=YES_NO, detail=TEXT)
SERVICE = named("Service", service=TEXT, description=TEXT, docs=TEXT, openapi=TEXT, health=TEXT)
HEALTH = named("Health", status=one_of("healthy"), service=TEXT, timestamp=TIME)
READINESS = named(
    "Readiness", status=one_of("ready", "not ready"), timestamp=TIME,
    checks={"type": "object", "additionalProperties": Named("Check", _CHECK)},
)  # fmt: skip

_SCOPES = array(one_of(*(str(scope) for scope in Scope)))
KEY = named(
    "Key", "An API key, without its secret.",
    id=ID, name=TEXT, prefix=told(TEXT, "how the secret begins"), tenant_id=or_null(TEXT), user_id=or_null(TEXT),
    scopes=_SCOPES, rate_limit=told(or_null(COUNT), "requests a minute"), created_at=TIME, last_used_at=or_null(TIME),
    revoked_at=or_null(TIME),
)  # fmt: skip
NEW_KEY = named(
    "CreatedKey", message=TEXT, key=told(TEXT, "the secret, shown this once"), **KEY["properties"]
)
TOKEN = named("Token", token=TEXT, token_type=TEXT, expires_at=TIME, tenant_id=TEXT, user_id=or_null(TEXT))

_WINDOW = named("QuotaWindow", used=COUNT, limit=or_null(COUNT))
_UNIT = one_of(*get_args(LimitUnit))
_STEP = named("TestStep", step=TEXT, ok=YES_NO, ms=told(COUNT, "how long it took"), detail=TEXT)
STEPS = array(_STEP)
CONFIG = named(
    "SmtpConfig", "An SMTP account, the use of its limits, and what holds it. Its password is never shown.",
    id=ID, name=TEXT, email_address=TEXT, display_name=TEXT, smtp_host=TEXT, smtp_port=COUNT, username=or_null(TEXT),
    has_password=YES_NO, uses_token=told(YES_NO, "it logs in by the token of its account"),
    account_id=told(or_null(TEXT), "the mail account that it was made for"),
    use_tls=YES_NO, use_ssl=YES_NO, verify_tls=YES_NO, active=YES_NO,
    daily_limit=told(COUNT, "0: none"), hourly_limit=told(COUNT, "0: none"), limit_unit=_UNIT, max_connections=COUNT,
    max_messages_per_connection=COUNT, weight=COUNT, from_domains=array(TEXT), allow_any_sender=YES_NO, shared=YES_NO,
    verp=YES_NO, sandbox=told(YES_NO, "it leads to the sandbox"), tenant_id=told(or_null(TEXT), "null: the service's"),
    sent_count_hour=COUNT, sent_count_today=COUNT,
    windows=named("SmtpConfigWindows", unit=_UNIT, hour=_WINDOW, day=_WINDOW, next_free_at=or_null(TIME)),
    breaker=named(
        "Breaker", state=one_of("closed", "open", "half_open"), until=or_null(TIME), reason=or_null(TEXT)
    ),
    pause=or_null(named("Pause", by=one_of("person", "provider"), until=or_null(TIME), reason=or_null(TEXT))),
    hold=or_null(named(
        "Hold", "What holds mail back here.", until=or_null(TIME), detail=TEXT,
        kind=told(TEXT, f"{_listed(HOLDS)}; more may come"),
    )),
    next_available_at=told(or_null(TIME), "null: when a person lifts what holds it"),
    last_sent=or_null(TIME), last_error=or_null(TEXT), last_error_at=or_null(TIME), created_at=TIME, updated_at=TIME,
)  # fmt: skip
CONFIG_CREATED = named("SmtpConfigCreated", message=TEXT, config_id=ID)
_CERTIFICATE = named(
    "Certificate", subject=TEXT, issuer=TEXT, expires_at=TIME, days_left={"type": "integer"}, tls=TEXT
)
CONFIG_TEST = named(
    "SmtpConfigTest", ok=YES_NO, steps=STEPS, certificate=or_null(_CERTIFICATE),
    capabilities=told({"type": "object", "additionalProperties": TEXT}, "what the server offers, with its parameters"),
)  # fmt: skip

SUPPRESSED = array(named("SuppressedRecipient", address=TEXT, reason=one_of(*REASONS), since=TIME))
EMAIL_CREATED = Named("EmailCreated", with_more(
    obj(message=TEXT, email_id=ID), suppressed=told(SUPPRESSED, "recipients that get no mail, where there are any")
))  # fmt: skip
EMAIL_SUMMARY = named(
    "EmailSummary", id=ID, subject=TEXT, status=STATUS, priority=COUNT, retry_count=COUNT, created_at=TIME,
    updated_at=TIME, error_message=or_null(TEXT),
)  # fmt: skip
_FOUND = named(
    "FoundEmail", **EMAIL_SUMMARY["properties"], recipients=array(TEXT), smtp_config_id=or_null(ID),
    tenant_id=or_null(TEXT), sent_at=or_null(TIME),
)  # fmt: skip
_RECIPIENT = named(
    "RecipientState", "A recipient, and what became of the email there.",
    address=TEXT, name=TEXT, kind=one_of("to", "cc", "bcc"), state=one_of(*RECIPIENT_STATES),
    code=told(or_null(COUNT), "of the server's last reply"), reply=or_null(TEXT),
)  # fmt: skip
_ATTEMPT = named(
    "Attempt", "One try to deliver it through one SMTP config.",
    smtp_config=or_null(TEXT), smtp_config_id=ID, claimed_at=TIME,
    handed_over_at=told(or_null(TIME), "when the final dot went out"), finished_at=TIME,
    stage=told(TEXT, "how far the dialog came: `connect`, `banner`, … `dot`"), outcome=one_of(*OUTCOMES),
    blame=one_of(*(str(one) for one in Blame)), code=or_null(COUNT), reply=or_null(TEXT),
    replies=told(
        array(named("RecipientReply", address=TEXT, verdict=TEXT, reply=or_null(TEXT))),
        "by recipient, where they differ",
    ),
)  # fmt: skip
EMAIL = named(
    "Email", "All about an email.",
    **EMAIL_SUMMARY["properties"], max_retries=told(or_null(COUNT), "null: as the relay is set"),
    recipients=array(TEXT), cc=array(TEXT), bcc=array(TEXT), reply_to=array(TEXT),
    sender=told(or_null(TEXT), "null while it is not settled which SMTP config carries it"), sender_name=or_null(TEXT),
    smtp_config=told(or_null(TEXT), "the name of the one that carries it"),
    smtp_config_id=told(or_null(ID), "the one that it is pinned to"), tenant_id=or_null(TEXT), user_id=or_null(TEXT),
    message_id=TEXT, size=told(COUNT, "bytes"), tags=array(TEXT), metadata=or_null(Named("Metadata", ANY)),
    template=or_null(named(
        "EmailTemplate", "The stored template that it was made of.",
        id=ID, name=told(or_null(TEXT), "null: it was deleted"), version=ID,
    )),
    on_unknown=one_of("resend", "hold"), has_content=told(YES_NO, "false once it was erased"),
    send_at=told(or_null(TIME), "while it is scheduled"),
    next_attempt_at=told(or_null(TIME), "while it waits for a retry"),
    expires_at=or_null(TIME), sent_at=or_null(TIME), finished_at=or_null(TIME),
    recipient_states=array(_RECIPIENT), attempts=array(_ATTEMPT),
    attachments=array(named(
        "EmailAttachment", filename=TEXT, content_type=TEXT, content_id=or_null(TEXT), size=COUNT
    )),
)  # fmt: skip
EMAILS = named("EmailPage", emails=array(_FOUND), next_cursor=or_null(TEXT))
EVENT = named(
    "EmailEvent", "A line of an email's timeline.",
    at=TIME, detail=TEXT,
    type=told(TEXT, f"{_listed(EVENTS)} and others"),
    smtp_config=or_null(TEXT), code=or_null(COUNT), reply=or_null(TEXT),
)  # fmt: skip
WHY = named(
    "EmailReason", "The one reason that holds an email now.",
    email_id=ID, status=STATUS, message=told(TEXT, "for people"),
    reason=told(TEXT, f"for programs: {_listed(WAITS)}, or, of mail that waits no more, its status; more may come"),
    config=or_null(TEXT), position=told(or_null(COUNT), "how many emails are ahead"),
    until=told(or_null(TIME), "when what holds it ends"), expected_at=told(or_null(TIME), "when it should go"),
)  # fmt: skip
_RESULT = Named("BatchResult", with_more(
    obj(index=COUNT), email_id=ID, suppressed=SUPPRESSED,
    error=named("BatchError", code=TEXT, message=TEXT, field=or_null(TEXT)),
), "`email_id` of what was taken, `error` of what was not.")  # fmt: skip
BATCH = named("BatchResults", results=array(_RESULT), accepted=COUNT, rejected=COUNT)

_PRIORITIES = named("CountsByPriority", **{str(priority): COUNT for priority in range(1, 6)})
_RATES = named("Rates", "Emails a minute, over the last 1, 5 and 60 minutes.", **{
    span: {"type": "number", "minimum": 0} for span in ("1m", "5m", "60m")
})  # fmt: skip
_USE = named(
    "SmtpConfigUse", id=ID, name=TEXT, tenant_id=or_null(TEXT), active=YES_NO, unit=_UNIT, hour=_WINDOW, day=_WINDOW,
    hold=or_null(TEXT), held_until=or_null(TIME), breaker_open=YES_NO, connections=COUNT,
)  # fmt: skip
_AGES = named(
    "AgeTable", "Where mail piles up: a column an age, a row an SMTP config; the row of null is unpinned mail.",
    columns=array(TEXT),
    rows=array(named(
        "AgeRow", smtp_config_id=or_null(ID), smtp_config=or_null(TEXT), total=COUNT, counts=array(COUNT)
    )),
)  # fmt: skip
QUEUE = named(
    "Queue", paused=YES_NO, counts=named("CountsByStatus", **dict.fromkeys(get_args(Status), COUNT)),
    waiting=named("Waiting", queued=_PRIORITIES, retry=_PRIORITIES, scheduled=_PRIORITIES),
    oldest_waiting_seconds=or_null(COUNT), configs=array(_USE), ages=_AGES,
    rates_per_minute=named("RatesPerMinute", accepted=_RATES, sent=_RATES, failed=_RATES),
)  # fmt: skip

_ENVELOPE = named("Envelope", mail_from=TEXT, rcpt_tos=array(TEXT))
CAUGHT = named(
    "SandboxSummary", id=ID, received_at=TIME, envelope=_ENVELOPE, subject=TEXT, message_id=TEXT, size=COUNT
)
CAUGHT_WHOLE = Named("SandboxMessage", obj(
    **CAUGHT["properties"], **{"from": TEXT}, to=TEXT, cc=TEXT, date=TEXT,
    headers=told(array(array(TEXT)), "[name, value], in their order"), html=or_null(TEXT), text=or_null(TEXT),
    attachments=array(named(
        "SandboxAttachment", filename=TEXT, content_type=TEXT, content_id=or_null(TEXT), size=COUNT
    )),
))  # fmt: skip
CLEARED = named("SandboxCleared", message=TEXT, deleted=COUNT)

SUPPRESSION = named(
    "Suppression", address=TEXT, reason=one_of(*REASONS), detail=TEXT,
    email_id=told(or_null(ID), "the email that it came of"), created_at=TIME,
)  # fmt: skip
SUPPRESSIONS = named("SuppressionPage", suppressions=array(SUPPRESSION), next_cursor=or_null(TEXT))
IMPORTED = named(
    "SuppressionImport", added=COUNT, present=told(COUNT, "were there already"), failed=COUNT,
    rejected=array(named("RejectedLine", line=COUNT, message=TEXT)),
)  # fmt: skip

TEMPLATE_SUMMARY = named(
    "TemplateSummary", id=ID, name=TEXT, description=TEXT, version=told(ID, "the one in force"),
    tenant_id=or_null(TEXT), created_at=TIME, updated_at=TIME,
)  # fmt: skip
TEMPLATE = named(
    "Template", "A stored template, in one of its versions.",
    **TEMPLATE_SUMMARY["properties"], current_version=ID, subject=TEXT, html=or_null(TEXT), text=or_null(TEXT),
    css_inlined=or_null(one_of("at save", "at render")), variables=told(array(TEXT), "what must be given"),
    optional=told(array(TEXT), "what may be left out"), saved_at=TIME,
)  # fmt: skip
TEMPLATE_SAVED = named("TemplateSaved", message=TEXT, template_id=ID, version=ID)
TEMPLATE_VERSION = named("TemplateVersion", version=ID, in_force=YES_NO, subject=TEXT, saved_at=TIME)
PREVIEW = named(
    "TemplatePreview", "A template, filled.",
    subject=TEXT, html=or_null(TEXT), text=or_null(TEXT), text_derived=told(YES_NO, "from the html"),
    version=or_null(ID), variables=array(TEXT), optional=array(TEXT), missing=array(TEXT),
)  # fmt: skip
