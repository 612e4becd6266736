"""Mail that is sent from an account: an email of the relay's, pinned to the account's own SMTP config.

So it has all the relay's guarantees. What goes with it is stored in its own transaction: the end of the draft that it
was, and the note that the account's Sent folder is to hold a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.composition import Draft
from services import accept
from services.accept import Answer, IdempotencyKey
from services.composing import copies, drafts, received, replies, senders, uploads
from services.composing.uploads import Files
from services.errors import FieldError, InvalidInputError
from services.principal import Principal
from services.relay import Relay
from services.submission import NewEmail, Placed

_GONE = ("UNKNOWN_SMTP_CONFIG", "NO_SMTP_CONFIG")  # the account's config was deleted, or is no longer its own


@dataclass(frozen=True, slots=True)
class Composition:
    """What is to be sent. Addresses as text, `send_at` in ms."""

    account_id: str
    to: Sequence[str]
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str = ""
    subject: str = ""
    text: str | None = None
    html: str | None = None
    in_reply_to: str | None = None
    send_at: int | None = None


def send(
    relay: Relay, who: Principal, written: Composition, files: Files, now: int, key: IdempotencyKey | None
) -> Answer:  # fmt: skip
    """202, with the ids of the task, the message and the email. InvalidInputError in the words of submission.py."""
    before = accept.replay(who, key, now)
    return before or _submit(relay, who, written, files, None, now, key)


def send_draft(
    relay: Relay, who: Principal, draft_id: str, changes: dict[str, Any], now: int, key: IdempotencyKey | None
) -> Answer:
    """The same for a draft, which then is no more. `changes`: a `send_at` that goes before its own."""
    before = accept.replay(who, key, now)  # its draft is gone
    if before is not None:
        return before
    draft = drafts.find(who, draft_id)
    written = Composition(
        account_id=draft.account_id, to=draft.to, cc=draft.cc, bcc=draft.bcc, reply_to=draft.reply_to,
        subject=draft.subject, text=draft.text, html=draft.html, in_reply_to=draft.in_reply_to,
        send_at=changes.get("send_at", draft.send_at),
    )  # fmt: skip
    if not draft.subject.strip():
        raise InvalidInputError.of([FieldError("subject", "is needed", "MISSING")])
    files = Files([one.id for one in uploads.of_draft(draft_id)])
    return _submit(relay, who, written, files, draft, now, key)


def _submit(
    relay: Relay, who: Principal, written: Composition, files: Files, draft: Draft | None, now: int,
    key: IdempotencyKey | None,
) -> Answer:  # fmt: skip
    account, config = senders.ready(who, written.account_id)
    is_draft = draft is not None  # what it answers may be gone since it was written: it goes all the same
    email = NewEmail(
        subject=written.subject, to=list(written.to), cc=list(written.cc), bcc=list(written.bcc),
        reply_to=[written.reply_to] if written.reply_to else [], text=written.text, html=written.html,
        headers=replies.threading_headers(who, written.in_reply_to, may_be_gone=is_draft),
        attachments=received.read(relay, who, files, now),
        smtp_config_id=config.id, send_at=written.send_at,
    )  # fmt: skip

    def also(email_id: int, placed: Placed) -> Answer:
        if copies.are_wanted(account, config):
            copies.expect(email_id, account.id, placed.checked.available_at, now)
        if draft is not None:
            drafts.use_up(draft)
        return _answer(email_id, placed)

    try:
        return accept.submit(relay, who, email, now, key, also)
    except InvalidInputError as exc:
        raise senders.without_smtp(account.id) if exc.code in _GONE else exc from None


def _answer(email_id: int, placed: Placed) -> Answer:
    """`suppressed` names recipients that get no mail; it stands there only where somebody is."""
    checked = placed.checked
    body: dict[str, Any] = {
        "taskId": f"email-{email_id}",
        "status": "scheduled" if checked.available_at > placed.now else "pending",
        "messageId": checked.message_id,
        "email_id": email_id,
    }
    if placed.suppressed:
        body["suppressed"] = [
            {"address": checked.recipients[at][1].email, "reason": entry.reason, "since": entry.created_at}
            for at, entry in placed.suppressed.items()
        ]
    return Answer(202, body)
