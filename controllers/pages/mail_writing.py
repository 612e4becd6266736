"""Mail that a person writes from an account: new, as a reply or a forward; sent, or kept as a draft."""

from __future__ import annotations

import secrets
from contextlib import suppress
from hashlib import sha256
from typing import Any

from flask import Response, request, url_for
from markupsafe import Markup

from controllers.bodies import checked, fingerprint
from controllers.composing import spoken
from controllers.pages.compose import files_of
from controllers.pages.email import moment
from controllers.pages.forms import whole_number
from controllers.pages.frame import Done, Visit, action, page
from controllers.pages.mail_frame import Box, mail_box, note, show
from controllers.schemas.composing import DraftBody, DraftChangesBody, SendBody
from services.accept import Answer, IdempotencyKey
from services.composing import drafts, outgoing, quoting
from services.composing.uploads import Files
from services.errors import NotFoundError, ServiceError
from services.inbox import detail
from services.roles import Role
from utils.addresses import split_list
from utils.clock import iso

MOST_DRAFTS = 200
_PEOPLE = ("to", "cc", "bcc")


@page("/inbox/<key:account_id>/write", Role.OPERATOR, outward=True)
def write_mail(visit: Visit, account_id: str) -> Response:
    """`reply`, `all` or `forward`: the id of a message."""
    box = mail_box(visit, account_id)
    for kind in ("reply", "all", "forward"):
        message_id = whole_number(request.args.get(kind, ""))
        if message_id is not None:
            return _form(visit, box, _begun(visit, box, kind, message_id))
    return _form(visit, box, {"to": request.args.get("to", "")})


@action("/inbox/<key:account_id>/write", Role.OPERATOR, audited=False, outward=True, large=True)
def send_mail(visit: Visit, account_id: str) -> Any:
    box = mail_box(visit, account_id)
    try:
        if request.form.get("do") == "draft":
            body = checked(_written(account_id), DraftBody)
            draft = drafts.create(visit.relay, box.who, account_id, body.fields(), _files(), visit.now)
            return _kept(account_id, draft["draftId"])
        sending = checked(_written(account_id), SendBody)
        files = _files()
        with spoken(uploaded=0):
            answer = outgoing.send(
                visit.relay, box.who, sending.composition(), files, visit.now, _once(box, files)
            )
    except ServiceError as error:
        return _form(visit, box, request.form.to_dict(), error)
    return _sent(visit, box, answer)


@page("/inbox/<key:account_id>/drafts")
def mail_drafts(visit: Visit, account_id: str) -> Response:
    box = mail_box(visit, account_id)
    found = drafts.listed(box.who, account_id, MOST_DRAFTS, 0)
    return show("mail_drafts.html", box, drafts=found.items, total=found.total)


@page("/inbox/<key:account_id>/drafts/<key:draft_id>", Role.OPERATOR)
def mail_draft(visit: Visit, account_id: str, draft_id: str) -> Response:
    box = mail_box(visit, account_id)
    return _form(visit, box, _shown(_draft(box, draft_id)), draft_id=draft_id)


@action(
    "/inbox/<key:account_id>/drafts/<key:draft_id>", Role.OPERATOR, audited=False, outward=True, large=True
)
def update_draft(visit: Visit, account_id: str, draft_id: str) -> Any:
    """Saved in any case, then sent if that is wanted."""
    box = mail_box(visit, account_id)
    _draft(box, draft_id)
    try:
        body = checked(_written(account_id), DraftChangesBody)
        draft = drafts.update(visit.relay, box.who, draft_id, body.fields(), _files(), visit.now)
        if request.form.get("do") != "send":
            return _kept(account_id, draft_id)
        with spoken(uploaded=len(draft["attachments"])):
            answer = outgoing.send_draft(visit.relay, box.who, draft_id, {}, visit.now, None)
    except ServiceError as error:
        return _form(visit, box, request.form.to_dict(), error, draft_id)
    return _sent(visit, box, answer)


@action("/inbox/<key:account_id>/drafts/<key:draft_id>/delete", Role.OPERATOR, audited=False)
def delete_draft(visit: Visit, account_id: str, draft_id: str) -> Done:
    box = mail_box(visit, account_id)
    _draft(box, draft_id)
    drafts.delete(box.who, draft_id)
    note(visit, box, "delete_draft", f"draft {draft_id}", {"account": account_id})
    return Done("The draft is deleted.", url_for("pages.mail_drafts", account_id=account_id))


def _begun(visit: Visit, box: Box, kind: str, message_id: int) -> dict[str, str]:
    found = detail.detail(visit.relay, box.id, message_id, visit.now)
    if kind == "forward":
        return quoting.forward(found) | {"forwardOf": str(message_id)}
    begun = quoting.reply(found, box.account["emailAddress"], to_all=kind == "all")
    return begun | {"inReplyTo": str(message_id)}


def _written(account_id: str) -> dict[str, Any]:
    """The form as a body of the API."""
    form = request.form
    body: dict[str, Any] = {name: split_list(form.get(name, "")) for name in _PEOPLE}
    body |= {"accountId": account_id, "subject": form.get("subject", "").strip()}
    body |= {"textBody": form.get("text") or None, "htmlBody": form.get("html") or None}
    body |= {"inReplyTo": form.get("inReplyTo") or None}
    body["sendAt"] = moment("sendAt", form["sendAt"]) if form.get("sendAt") else None
    return body


def _files() -> Files:
    """Those that a draft keeps, those that come now, and those of the message that is forwarded."""
    ids = request.form.getlist("attachmentIds")[:100]
    return Files(ids, list(files_of(request.files.getlist("files"))), request.form.get("forwardOf") or None)


def _once(box: Box, files: Files) -> IdempotencyKey:
    """So that a form which is sent twice sends one email."""
    marks = [[one.filename, sha256(one.content).hexdigest()] for one in files.new]
    mark = fingerprint([_written(box.id), files.forward_of, marks])
    once = "".join(char for char in request.form.get("once", "") if char.isalnum())[:40]
    return IdempotencyKey(f"{once}-{mark.hex()}", f"page compose of {box.who.user}", mark)


def _sent(visit: Visit, box: Box, answer: Answer) -> Done:
    email_id = int(answer.body["email_id"])
    note(visit, box, "send_mail", f"email {email_id}", {"account": box.id})
    told = Markup(
        'On its way: <a class="alert-link" href="{}">email {}</a> tells what becomes of it.'
    ).format(url_for("pages.email", email_id=email_id), email_id)
    answered = whole_number(request.form.get("inReplyTo") or request.form.get("forwardOf") or "")
    if answered is not None:
        with suppress(NotFoundError):
            detail.find(box.id, answered)
            return Done(told, url_for("pages.message", account_id=box.id, message_id=answered))
    return Done(told, url_for("pages.mailbox", account_id=box.id))


def _kept(account_id: str, draft_id: str) -> Done:
    to = url_for("pages.mail_draft", account_id=account_id, draft_id=draft_id)
    return Done("Kept as a draft.", to)


def _draft(box: Box, draft_id: str) -> dict[str, Any]:
    draft = drafts.detail(box.who, draft_id)
    if draft["accountId"] != box.id:
        raise NotFoundError(f"no draft {draft_id}")
    return draft


def _shown(draft: dict[str, Any]) -> dict[str, Any]:
    """A draft as the form's fields."""
    return {name: ", ".join(draft[name]) for name in _PEOPLE} | {
        "subject": draft["subject"], "text": draft["textBody"] or "", "html": draft["htmlBody"] or "",
        "inReplyTo": draft["inReplyTo"] or "", "sendAt": draft["sendAt"] and iso(draft["sendAt"]),
    }  # fmt: skip


FIELDS = {
    "textBody": "text",
    "htmlBody": "html",
    "body": "text",
    "attachmentIds": "files",
    "attachments": "files",
}


def _form(
    visit: Visit, box: Box, values: dict[str, Any], error: ServiceError | None = None, draft_id: str = ""
) -> Response:
    wrong: dict[str, str] = {}
    for one in error.details if error else ():
        head = one.field.partition(".")[0]
        wrong.setdefault(FIELDS.get(head, head), one.message)
    forwarded = whole_number(values.get("forwardOf") or "")
    files = _draft(box, draft_id)["attachments"] if draft_id else []
    return show(
        "mail_write.html", box, error.status if error else 200, values=values, wrong=wrong, draft_id=draft_id,
        told=error.message if error else "", files=files, once=request.form.get("once") or secrets.token_hex(16),
        forwarded=[] if forwarded is None else _attachments(visit, box, forwarded),
    )  # fmt: skip


def _attachments(visit: Visit, box: Box, message_id: int) -> list[dict[str, Any]]:
    """Of the message that is forwarded; nothing where that is gone meanwhile."""
    try:
        found = detail.detail(visit.relay, box.id, message_id, visit.now)
    except NotFoundError:
        return []
    return list(found["attachments"])
