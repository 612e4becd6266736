"""Writing an email by hand, to try things out or just to send one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import FileStorage

from controllers.pages.email import moment
from controllers.pages.forms import wrong_fields
from controllers.pages.frame import Done, Visit, action, page, render
from services import configs
from services.accept import NewEmail, submit
from services.errors import FieldError, InvalidInputError, ServiceError
from services.roles import Role
from utils.addresses import split_list
from utils.mime import Attachment

# The API's names of fields → the form's, so that what is wrong is told beside the field.
FIELDS = {"recipients": "to", "html_content": "html", "text_content": "text", "smtp_config_id": "config"}


@page("/compose", Role.OPERATOR)
def compose(visit: Visit) -> Response:
    return _form(visit, {"priority": "3"} | request.args.to_dict())


@action("/compose", Role.OPERATOR, audited=False)
def send_email(visit: Visit) -> Any:
    try:
        answer = submit(visit.relay, visit.who, _email(), visit.now)
    except ServiceError as error:
        return _form(visit, request.form.to_dict(), error)
    email_id = int(answer.body["email_id"])
    return Done("Accepted. This page shows what becomes of it.", url_for("pages.email", email_id=email_id))


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
        smtp_config_id=int(form["config"]) if form.get("config", "").isdecimal() else None,
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
    wrong = {FIELDS.get(name, name): message for name, message in wrong_fields(error).items()}
    return render(
        "compose.html", error.status if error else 200, values=values, wrong=wrong, told=error.message if error else "",
        configs=configs.listed(visit.who, 500, 0)[0],
    )  # fmt: skip
