"""Drafts: kept as their writer left them, half an address and all. They are checked when they are sent."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from models.composition import Draft, Upload
from models.database import FOR_UPDATE, row, rows, run, write
from services.accept import check_disk
from services.composing import received, replies, senders, uploads
from services.composing.uploads import Files
from services.errors import ConflictError, NotFoundError
from services.principal import Principal
from services.relay import Relay
from utils.html_text import html_to_text

PREVIEW = 200  # characters
_PREVIEWED = 5_000  # of html, for them

# In the words of the table; `account_id` goes apart.
FIELDS = ("to", "cc", "bcc", "reply_to", "subject", "text", "html", "in_reply_to", "send_at")


@dataclass(frozen=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    total: int


def create(
    relay: Relay, who: Principal, account_id: str, fields: dict[str, Any], files: Files, now: int
) -> dict[str, Any]:
    """The new draft. `fields`: some of FIELDS."""
    files = received.kept(relay, who, files, now)
    _check(relay, who, account_id, fields, files)
    draft_id = uuid.uuid4().hex

    def job() -> None:
        Draft.create(
            id=draft_id, tenant=who.tenant, user=who.user, account_id=account_id, created_at=now, updated_at=now,
            **fields,
        )  # fmt: skip
        uploads.attach(who, draft_id, files, now)

    write(job, durable=True)
    return detail(who, draft_id)


def update(
    relay: Relay, who: Principal, draft_id: str, fields: dict[str, Any], files: Files | None, now: int
) -> dict[str, Any]:
    """Change some of FIELDS, or `account_id`. `files` None leaves the attachments as they are."""
    find(who, draft_id)
    files = received.kept(relay, who, files, now) if files is not None else None
    _check(relay, who, fields.get("account_id"), fields, files or Files())

    def job() -> None:
        draft = _held(who, draft_id)
        # never twice the same, so that a send can tell whether it has seen this version
        Draft.update(updated_at=max(now, draft.updated_at + 1), **fields).where(
            Draft.id == draft_id
        ).execute()
        if files is not None:
            uploads.attach(who, draft_id, files, now)

    write(job, durable=True)
    return detail(who, draft_id)


def delete(who: Principal, draft_id: str) -> None:
    def job() -> None:
        _held(who, draft_id)
        _drop(draft_id)

    write(job, durable=True)


def use_up(draft: Draft) -> None:
    """Inside the write job that stores the email which the draft becomes. ConflictError when somebody was faster."""
    same = row(
        f"SELECT 1 FROM drafts WHERE id = ? AND updated_at = ? {FOR_UPDATE}", draft.id, draft.updated_at
    )
    if same is None:
        raise ConflictError("the draft was sent or changed meanwhile: look again", code="DRAFT_CHANGED")
    _drop(draft.id)


def find(who: Principal, draft_id: str) -> Draft:
    """A draft of an account that the user has; NotFoundError otherwise."""
    found = row(f"SELECT 1 FROM drafts d WHERE {_OWNED} AND d.id = ?", who.tenant, who.user, draft_id)
    draft: Draft | None = Draft.get_or_none(Draft.id == draft_id) if found else None
    if draft is None:
        raise NotFoundError(f"no draft {draft_id}", code="DRAFT_NOT_FOUND")
    return draft


def detail(who: Principal, draft_id: str) -> dict[str, Any]:
    draft = find(who, draft_id)
    texts = {
        "body": draft.text if draft.html is None else draft.html,
        "isHtml": draft.html is not None,
        "textBody": draft.text,
        "htmlBody": draft.html,
    }
    return (
        _summary(draft) | texts | {"attachments": [uploads.view(one) for one in uploads.of_draft(draft_id)]}
    )


def listed(who: Principal, account_id: str | None, limit: int, offset: int) -> Page:
    """Drafts, the last changed first, with a preview in place of their text."""
    where, values = f"{_OWNED}", [who.tenant, who.user]
    if account_id is not None:
        senders.own(who, account_id)
        where, values = f"{_OWNED} AND d.account_id = ?", [*values, account_id]
    total = row(f"SELECT count(*) FROM drafts d WHERE {where}", *values)
    found = rows(
        f"SELECT id, substr(text, 1, ?), substr(html, 1, ?) FROM drafts d WHERE {where}"
        " ORDER BY updated_at DESC, id LIMIT ? OFFSET ?",
        PREVIEW, _PREVIEWED, *values, limit, offset,
    )  # fmt: skip
    columns = [getattr(Draft, name) for name in ("id", "account_id", *_SHOWN, "created_at", "updated_at")]
    drafts = {one.id: one for one in Draft.select(*columns).where(Draft.id.in_([one for one, *_ in found]))}
    files = _files_of(list(drafts))
    items = [
        _summary(drafts[one]) | {"preview": _preview(text, html), "attachments": files.get(one, [])}
        for one, text, html in found
        if one in drafts
    ]
    return Page(items, total[0] if total else 0)


def prune() -> int:
    """Forget drafts of accounts that are gone for good; how many."""

    def job() -> int:
        orphans = [
            one for (one,) in rows("SELECT id FROM drafts WHERE account_id NOT IN (SELECT id FROM accounts) LIMIT 500")
        ]  # fmt: skip
        for draft_id in orphans:
            _drop(draft_id)
        return len(orphans)

    done = 0
    while count := write(job):
        done += count
    return done


_OWNED = (
    'd.tenant = ? AND d."user" = ? AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = d.account_id'
    ' AND a.tenant = d.tenant AND a."user" = d."user" AND a.deleted_at IS NULL)'
)
_SHOWN = ("to", "cc", "bcc", "reply_to", "subject", "in_reply_to", "send_at")


def _check(
    relay: Relay, who: Principal, account_id: str | None, fields: dict[str, Any], files: Files
) -> None:
    check_disk(relay)
    if account_id is not None:
        senders.own(who, account_id)
    if fields.get("in_reply_to"):
        replies.threading_headers(who, fields["in_reply_to"])
    uploads.check_files(files.new, relay.policy.max_message_bytes)
    uploads.find(who, files.ids)


def _held(who: Principal, draft_id: str) -> Draft:
    """The draft, which nobody else changes or sends until this write job is done."""
    row(f"SELECT 1 FROM drafts WHERE id = ? {FOR_UPDATE}", draft_id)
    return find(who, draft_id)


def _drop(draft_id: str) -> None:
    uploads.drop_of_drafts([draft_id])
    run("DELETE FROM drafts WHERE id = ?", draft_id)


def _summary(draft: Draft) -> dict[str, Any]:
    return {
        "draftId": draft.id,
        "accountId": draft.account_id,
        "to": draft.to,
        "cc": draft.cc,
        "bcc": draft.bcc,
        "replyTo": draft.reply_to or None,
        "subject": draft.subject,
        "inReplyTo": draft.in_reply_to,
        "sendAt": draft.send_at,
        "createdAt": draft.created_at,
        "updatedAt": draft.updated_at,
    }


def _preview(text: str | None, html: str | None) -> str:
    return " ".join((text if text is not None else html_to_text(html or "")).split())[:PREVIEW]


def _files_of(draft_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    files: dict[str, list[dict[str, Any]]] = {}
    for one in Upload.select().where(Upload.draft_id.in_(draft_ids)).order_by(Upload.position):
        files.setdefault(str(one.draft_id), []).append(uploads.view(one))
    return files
