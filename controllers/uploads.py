"""Files for mail that is being written: as JSON, or as a form of a browser."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Request, Response

from controllers.bodies import checked, read_json
from controllers.composing import TAG
from controllers.operation import Call, Operation, answered, operation
from controllers.schemas import composing_answers as says
from controllers.schemas.composing import FileBody
from services.composing import uploads
from services.errors import FieldError, InvalidInputError
from services.principal import Scope
from utils.mime import Attachment

bp = APIBlueprint("uploads", __name__)
EXAMPLE = {"filename": "file.pdf", "contentType": "application/pdf", "data": "JVBERi0xLjcK"}
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        "contentId": {"type": "string", "description": "makes it an inline part, shown by cid: in the html"},
    },
    "required": ["file"],
    "additionalProperties": False,
}


@operation(bp, "POST", "/api/compose/attachments", Operation(
    "upload_attachment", "Upload a file, to be named in attachmentIds", TAG, Scope.SEND,
    {201: ("Kept for a day, or as long as the draft that holds it", says.UPLOAD)}, group="accounts", of_user=True,
    body=FileBody, example=EXAMPLE, errors=(507,), large=True, raw_body=True, form=FORM,
))  # fmt: skip
def create(call: Call) -> Response:
    """As JSON (base64), or as a form with one file. What no mail or draft makes use of is forgotten after a day."""
    is_form = call.request.mimetype == "multipart/form-data"
    file = _of_form(call.request) if is_form else checked(read_json(call.request), FileBody).file()
    upload = uploads.add(call.relay, call.who, file, call.now)
    return answered((uploads.view(upload) | {"expiresAt": upload.created_at + uploads.KEPT}, 201))


def _of_form(request: Request) -> Attachment:
    """One file, named `file`; whatever a browser says of its type and name is held to the rules of the JSON form."""
    names = [*request.form.keys(), *request.files.keys()]
    wrong = [FieldError(name[:100] or "form", "unknown field", "UNKNOWN_FIELD") for name in names
             if name not in FORM["properties"]]  # fmt: skip
    files, ids = request.files.getlist("file"), request.form.getlist("contentId")
    if len(files) != 1 or "file" in request.form or "contentId" in request.files or len(ids) > 1:
        wrong.append(FieldError("file", "exactly one file is needed, and at most one contentId", "MISSING"))
    if wrong:
        raise InvalidInputError.of(wrong)
    given = {"filename": (files[0].filename or "").rpartition("/")[2], "data": ""} | dict(
        zip(["contentId"], ids, strict=False)
    )
    if "/" in (files[0].mimetype or ""):
        given["contentType"] = files[0].mimetype
    body = checked(given, FileBody)
    return Attachment(body.filename, body.content_type, files[0].stream.read(), body.content_id)
