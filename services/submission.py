"""A submitted email: what is asked for, what it is once checked, and its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from models.database import new_ids, run, run_values
from models.email import RecipientState, State
from services import blobs
from services.errors import FieldError, InvalidInputError, TooLargeError
from services.message_ids import new_message_id
from services.message_size import message_size
from services.principal import Principal
from services.relay import Relay
from services.suppressions import Entry
from utils.addresses import Address, AddressError, parse_address
from utils.clock import DAY
from utils.mime import Attachment, HeaderError, check_content_id, check_header

MAX_RECIPIENTS = 1_000
LATEST_SEND = 366 * DAY

_MADE_OF_NONE = (None, None)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewEmail:
    """What an app asks for. Addresses as text, possibly with names; times in ms."""

    subject: str
    to: list[str]
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    reply_to: list[str] = field(default_factory=list)
    html: str | None = None
    text: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    priority: int = 3
    smtp_config_id: int | None = None
    send_at: int | None = None
    expires_at: int | None = None
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    on_unknown: str = "resend"
    max_retries: int | None = None
    template: TemplateUse | None = None  # what it is still to be made of
    made_of: tuple[int, int] | None = None  # the template and version that it was made of


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """`given`: which of subject, html and text the email brings itself; they stay as they are."""

    reference: str | int  # name or id
    version: int | None = None  # None: the one in force
    variables: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Checked:
    """An email that may be stored. `recipients`: (kind, address), each address once."""

    email: NewEmail
    recipients: list[tuple[str, Address]]
    reply_to: list[Address]
    sender: Address  # either part may be empty
    message_id: str
    size: int
    available_at: int
    sort_at: int


def check(relay: Relay, email: NewEmail, now: int) -> Checked:
    """InvalidInputError with every wrong field, TooLargeError over the size limit."""
    wrong: list[FieldError] = []
    recipients = _recipients(email, wrong)
    reply_to = list(_addresses("reply_to", email.reply_to, wrong))
    sender = _sender(email, wrong)
    _check_headers(email, wrong)
    _check_characters(email, wrong)
    _check_times(email, now, wrong)
    if not email.html and not email.text:
        wrong.append(FieldError("html_content", "html_content or text_content is needed", "MISSING_CONTENT"))
    if wrong:
        raise InvalidInputError.of(wrong)
    size = _size(email, [sender, *reply_to, *(one for kind, one in recipients if kind != "bcc")])
    if size > relay.policy.max_message_bytes:
        raise TooLargeError(
            f"the email would have {size} bytes; the limit is {relay.policy.max_message_bytes}"
        )
    available_at = max(email.send_at or now, now)
    sort_at = available_at + (email.priority - 1) * relay.policy.priority_step
    return Checked(
        email, recipients, reply_to, sender, new_message_id(relay, now), size, available_at, sort_at
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """A checked email and the lane it waits in."""

    who: Principal
    checked: Checked
    lane: int
    now: int
    suppressed: dict[int, Entry] | None = None  # by position: recipients that get no mail


def insert(emails: Sequence[Placed]) -> list[int]:
    """Write the rows of many emails, a statement a table; their ids, in order. Inside a write job."""
    ids = new_ids("emails", len(emails))
    run_values(
        'INSERT INTO emails (id, tenant, "user", state, priority, available_at, sort_at, lane_id, smtp_config_id,'
        " subject, sender, sender_name, message_id, size, recipient_count, tags, metadata, on_unknown, max_retries,"
        " expires_at, retry_count, lost_count, due_at, created_at, updated_at, has_content, template_id,"
        " template_version) VALUES {}",
        [_email_row(email_id, one) for email_id, one in zip(ids, emails, strict=True)],
    )
    contents, recipients, tags, events = [], [], [], []
    for email_id, one in zip(ids, emails, strict=True):
        checked, email = one.checked, one.checked.email
        contents.append((email_id, email.html, email.text, _json(checked.reply_to), _json(email.headers)))
        for position, (kind, address) in enumerate(checked.recipients):
            state = (
                RecipientState.SUPPRESSED
                if one.suppressed and position in one.suppressed
                else RecipientState.PENDING
            )
            recipients.append((email_id, position, kind, address.name, address.email, state))
        if one.suppressed:
            events += [(email_id, one.now, "suppressed", entry.told) for entry in one.suppressed.values()]
        tags += [(one.who.tenant, tag, email_id) for tag in email.tags]
        for position, attachment in enumerate(email.attachments):
            _attach(one.who.tenant, email_id, position, attachment)
    run_values("INSERT INTO contents (email_id, html, text, reply_to, headers) VALUES {}", contents)
    run_values(
        "INSERT INTO recipients (email_id, position, kind, name, address, state) VALUES {}", recipients
    )
    run_values("INSERT INTO tags (tenant, tag, email_id) VALUES {} ON CONFLICT DO NOTHING", tags)
    run_values("INSERT INTO events (email_id, at, type, detail) VALUES {}", events)
    return ids


def _email_row(email_id: int, placed: Placed) -> tuple[Any, ...]:
    who, checked, email, now = placed.who, placed.checked, placed.checked.email, placed.now
    state = State.SCHEDULED if checked.available_at > now else State.QUEUED
    return (
        email_id, who.tenant, who.user, state, email.priority, checked.available_at, checked.sort_at, placed.lane,
        email.smtp_config_id, email.subject, checked.sender.email, checked.sender.name, checked.message_id,
        checked.size, len(checked.recipients) - len(placed.suppressed or ()), _json(email.tags),
        _json(email.metadata), email.on_unknown,
        email.max_retries, email.expires_at, 0, 0, checked.available_at, now, now, True,
        *(email.made_of or _MADE_OF_NONE),
    )  # fmt: skip


def _attach(tenant: str, email_id: int, position: int, attachment: Attachment) -> None:
    run(
        "INSERT INTO attachments (email_id, position, filename, content_type, content_id, blob_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        email_id, position, attachment.filename, attachment.content_type, attachment.content_id,
        blobs.keep(tenant, attachment.content),
    )  # fmt: skip


def _recipients(email: NewEmail, wrong: list[FieldError]) -> list[tuple[str, Address]]:
    """Each address once, where it stands first: twice in the envelope would be mail sent twice."""
    total = len(email.to) + len(email.cc) + len(email.bcc)
    if not email.to:
        wrong.append(FieldError("recipients", "at least one recipient is needed", "MISSING_RECIPIENTS"))
    if total > MAX_RECIPIENTS:
        wrong.append(
            FieldError("recipients", f"{total} recipients; the limit is {MAX_RECIPIENTS}", "TOO_MANY")
        )
        return []
    kinds = (("to", "recipients", email.to), ("cc", "cc", email.cc), ("bcc", "bcc", email.bcc))
    seen: dict[str, tuple[str, Address]] = {}
    for kind, name, texts in kinds:
        for address in _addresses(name, texts, wrong):
            seen.setdefault(address.email, (kind, address))
    return list(seen.values())


def _addresses(name: str, texts: list[str], wrong: list[FieldError]) -> Iterable[Address]:
    for index, text in enumerate(texts):
        address = _try(wrong, f"{name}.{index}", lambda text=text: parse_address(text))  # type: ignore[misc]
        if address is not None:
            yield address


def _sender(email: NewEmail, wrong: list[FieldError]) -> Address:
    """The name of its own field goes before one that stands with the address."""
    parsed = _try(wrong, "sender", lambda: parse_address(email.sender or "")) if email.sender else None
    name, address = parsed or ("", "")
    return Address(email.sender_name or name, address)


def _try(wrong: list[FieldError], name: str, parse: Callable[[], T]) -> T | None:
    try:
        return parse()
    except AddressError as exc:
        wrong.append(FieldError(name, str(exc), "INVALID_EMAIL_FORMAT"))
        return None


def _check_headers(email: NewEmail, wrong: list[FieldError]) -> None:
    _check_header(wrong, "subject", "X-Check", email.subject)
    if email.sender_name:
        _check_header(wrong, "sender_name", "X-Check", email.sender_name)
    for name, value in email.headers:
        _check_header(wrong, f"headers.{_shown(name)}", name, value)
    for number, one in enumerate(email.attachments):
        _check_header(wrong, f"attachments.{number}.filename", "X-Check", one.filename)
        if one.content_id is not None:
            _check_content_id(wrong, f"attachments.{number}.content_id", one.content_id)


def _check_header(wrong: list[FieldError], place: str, name: str, value: str) -> None:
    try:
        check_header(name, value)
    except HeaderError as exc:
        wrong.append(FieldError(place, str(exc), "INVALID_HEADER"))


def _check_content_id(wrong: list[FieldError], place: str, value: str) -> None:
    try:
        check_content_id(value)
    except HeaderError as exc:
        wrong.append(FieldError(place, str(exc), "INVALID_HEADER"))


def _check_characters(email: NewEmail, wrong: list[FieldError]) -> None:
    """Text that is not in a header. A lone surrogate can neither be stored nor sent."""
    texts = [("html_content", email.html), ("text_content", email.text)]
    if email.metadata:
        texts.append(("metadata", _json(email.metadata)))
    texts += [(f"tags.{n}", tag) for n, tag in enumerate(email.tags)]
    texts += [(f"attachments.{n}.content_type", one.content_type) for n, one in enumerate(email.attachments)]
    for place, text in texts:
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            wrong.append(FieldError(place, "holds a broken character", "INVALID_CHARACTER"))


def _check_times(email: NewEmail, now: int, wrong: list[FieldError]) -> None:
    if email.send_at is not None and email.send_at > now + LATEST_SEND:
        wrong.append(FieldError("send_at", "more than a year ahead", "TOO_LATE"))
    if email.expires_at is not None and email.expires_at <= max(now, email.send_at or 0):
        wrong.append(FieldError("expires_at", "must be after now and after send_at", "TOO_EARLY"))


def _size(email: NewEmail, people: list[Address]) -> int:
    return message_size(
        [part for part in (email.html, email.text) if part],
        [("Subject", email.subject), *email.headers],
        people,
        [(one.filename, len(one.content)) for one in email.attachments],
    )


def _json(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


def _shown(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()
