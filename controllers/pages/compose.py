"""Writing an email by hand, to try things out or just to send one."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import FileStorage

from controllers.bodies import fingerprint
from controllers.pages.email import moment
from controllers.pages.forms import whole_number, wrong_fields
from controllers.pages.frame import Done, Visit, action, page, render
from services import configs
from services.accept import IdempotencyKey, NewEmail, submit
from services.errors import FieldError, InvalidInputError, ServiceError
from services.roles import Role
from utils.addresses import split_list
from utils.mime import Attachment

# The API's names of fields → the form's, so that what is wrong is told beside the field.
FIELDS = {"recipients": "to", "html_content": "html", "text_content": "text", "smtp_config_id": "config"}

_LONGEST_ONCE = 64  # characters


@page("/compose", Role.OPERATOR)
def compose(visit: Visit) -> Response:
    return _form(visit, {"priority": "3"} | request.args.to_dict())


@action("/compose", Role.OPERATOR, audited=False)
def send_email(visit: Visit) -> Any:
    try:
        answer = submit(visit.relay, visit.who, _email(), visit.now, _once())
    except ServiceError as error:
        return _form(visit, request.form.to_dict(), error)
    email_id = int(answer.body["email_id"])
    return Done("Accepted. This page shows what becomes of it.", url_for("pages.email", email_id=email_id))


def _once() -> IdempotencyKey | None:
    """The same form sent twice, as by a double click, is one email. Changed, it is another."""
    once = request.form.get("once", "")
    if not (0 < len(once) <= _LONGEST_ONCE and once.isascii() and once.isprintable()):
        return None
    said = [
        [name, request.form.getlist(name)] for name in sorted(request.form) if name not in ("csrf", "back")
    ]
    files = [[one.filename, sha256(one.read()).hexdigest()] for one in request.files.getlist("files")]
    for one in request.files.getlist("files"):
        one.seek(0)
    mark = fingerprint([said, files])
    return IdempotencyKey(f"{once} {mark.hex()}", "page compose", mark)


def _email() -> NewEmail:
    form = request.form
    return NewEmail(
        subject=form.get("subject", ""),
        to=split_list(form.get("to", "")),
        cc=split_list(form.get("cc", "")),
        bcc=split_list(form.get("bcc", "")),
        text=form.get("text") or None,
        html=form.get("html") or None,
        sender=form.get("sender", "").strip() or None,
        attachments=list(files_of(request.files.getlist("files"))),
        priority=_priority(form.get("priority", "3")),
        smtp_config_id=whole_number(form.get("config", "")),
        send_at=moment("send_at", form["send_at"]) if form.get("send_at") else None,
        tags=split_list(form.get("tags", "")),
    )


def files_of(files: list[FileStorage]) -> Iterator[Attachment]:
    for one in files:
        if one.filename:
            yield Attachment(one.filename, one.mimetype or "application/octet-stream", one.read())


def _priority(text: str) -> int:
    if text not in ("1", "2", "3", "4", "5"):
        raise InvalidInputError.of([FieldError("priority", "must be from 1 to 5")])
    return int(text)


def _form(visit: Visit, values: dict[str, str], error: ServiceError | None = None) -> Response:
    values = {"once": token_urlsafe(16)} | values
    wrong = {FIELDS.get(name, name): message for name, message in wrong_fields(error).items()}
    return render(
        "compose.html", error.status if error else 200, values=values, wrong=wrong, told=error.message if error else "",
        configs=configs.listed(visit.who, 500, 0)[0],
    )  # fmt: skip
