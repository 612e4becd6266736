"""Attachments of messages: their bytes."""

from __future__ import annotations

from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response, current_app

from controllers.operation import Call, Operation, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.messages import DownloadQuery
from services import accounts
from services.inbox.download import download
from services.inbox.links import check_link
from services.principal import Scope
from services.rate_limits import RateLimits

bp = APIBlueprint("attachments", __name__)

# Shown within a page; all else is saved, so that no stranger's file runs as a page of ours.
_SHOWN = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"))


@operation(bp, "GET", "/api/<key:account_id>/attachments/<id:part_id>/download", Operation(
    "download_attachment", "The bytes of an attachment, by a credential or by its downloadUrl", "Attachments",
    Scope.READ,
    {200: ("Its bytes", says.BINARY)}, query=DownloadQuery, content_type="application/octet-stream",
    errors=(409, 502, 503), group="downloads", of_user=True, by_link=True, outward=True,
))  # fmt: skip
def get(call: Call, account_id: str, part_id: int) -> Response:
    """The bytes come from the account's server, as they are asked for. A `downloadUrl` needs no credential, and is
    good for an hour. Only images are shown within a page; all else is saved.
    """
    query: DownloadQuery = call.query
    if query.signature is not None and query.expires is not None:  # nobody was asked for a credential
        check_link(call.relay, account_id, part_id, query.expires, query.signature, call.now)
        limits: RateLimits = current_app.extensions["mailferry.limits"]
        limits.check_link(account_id, "downloads", call.now)
    else:
        accounts.find(call.who, account_id)
    found = download(call.relay, account_id, part_id, call.now)
    shown = found.mime_type.lower() in _SHOWN
    response = Response(found.chunks, mimetype=found.mime_type if shown else "application/octet-stream")
    if found.size is not None:
        response.content_length = found.size
    name = quote(found.filename, safe="")
    response.headers["Content-Disposition"] = (
        f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
