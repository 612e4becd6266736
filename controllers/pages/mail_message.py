"""One message: read, with the others of its conversation, and changed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, request, url_for

from controllers.pages.frame import Done, Visit, action, page
from controllers.pages.mail_frame import Box, mail_box, note, show
from controllers.pages.mailbox import change_one, name_of
from services.inbox import detail, listing, search
from services.inbox.download import download
from services.inbox.view import Item, items
from services.roles import Role
from utils.safe_html import html_of_text

MOST_OF_CONVERSATION = 100
# A stranger's html, made safe before: whatever was overlooked there cannot run, load or submit here. Links open in a
# page of their own, which is free of this cage and knows nothing of where it was opened.
CAGE = "sandbox allow-popups allow-popups-to-escape-sandbox"
_POLICY = CAGE + (
    "; default-src 'none'; style-src 'unsafe-inline'; img-src {images}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'"
)


@page("/inbox/<key:account_id>/messages/<id:message_id>", outward=True)
def message(visit: Visit, account_id: str, message_id: int) -> Response:
    """What sync has not fetched yet is asked of the mail server."""
    box = mail_box(visit, account_id)
    found = detail.detail(visit.relay, account_id, message_id, visit.now)
    newer, older = listing.neighbours(int(found["folderId"]), message_id)
    thread = items(search.of_conversation(account_id, int(found["conversationId"]), MOST_OF_CONVERSATION).ids)
    return show(
        "mail_message.html", box, message=found, images=request.args.get("images") == "1", newer=newer, older=older,
        folder_id=int(found["folderId"]), earlier=_around(thread, found, -1), later=_around(thread, found, 1),
    )  # fmt: skip


@page("/inbox/<key:account_id>/messages/<id:message_id>/html", outward=True)
def message_html(visit: Visit, account_id: str, message_id: int) -> Response:
    return _html(visit, mail_box(visit, account_id), message_id, images=False)


@page("/inbox/<key:account_id>/messages/<id:message_id>/images/html", outward=True)
def message_images_html(visit: Visit, account_id: str, message_id: int) -> Response:
    """With the images that are loaded from elsewhere, whose owners then learn that it was read."""
    return _html(visit, mail_box(visit, account_id), message_id, images=True)


@page("/inbox/<key:account_id>/attachments/<id:part_id>", outward=True)
def message_attachment(visit: Visit, account_id: str, part_id: int) -> Response:
    """Always saved, never shown: it must not run as a page of ours."""
    box = mail_box(visit, account_id)
    found = download(visit.relay, box.id, part_id, visit.now)
    response = Response(found.chunks, mimetype="application/octet-stream")
    if found.size is not None:
        response.content_length = found.size
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.filename, safe='')}"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@action("/inbox/<key:account_id>/messages/<id:message_id>", Role.OPERATOR, audited=False, outward=True)
def change_message(visit: Visit, account_id: str, message_id: int) -> Any:
    """`quiet`: nobody asked for it in words, so nobody is told: a message that is opened becomes read."""
    box, do = mail_box(visit, account_id), request.form.get("do", "")
    here = url_for("pages.message", account_id=account_id, message_id=message_id)
    folder_id = detail.find(account_id, message_id).folder_id
    change_one(visit, box, do, message_id)
    if request.form.get("quiet"):
        return Response(status=204)
    note(visit, box, f"{do}_message", f"message {message_id}", {"account": account_id})
    leaves = do in ("delete", "move", "spam", "ham", "unread")
    to = url_for("pages.mail_folder", account_id=account_id, folder_id=folder_id) if leaves else here
    return Done(f"{name_of(do).capitalize()}.", to)


def _html(visit: Visit, box: Box, message_id: int, *, images: bool) -> Response:
    found = detail.detail(visit.relay, box.id, message_id, visit.now, images=images)
    html = found["bodyHtml"] or html_of_text(found["body"] or "")
    ours = "data: 'self'"  # inline images, by links that are signed
    headers = {
        "Content-Security-Policy": _POLICY.format(images=f"{ours} https: http:" if images else ours),
        "X-Frame-Options": "SAMEORIGIN",
    }
    return Response(_PAGE.format(html), mimetype="text/html", headers=headers)


_PAGE = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>body {{ margin:'
    " 1rem; font: 15px/1.5 system-ui, sans-serif; color: #212529; background: #fff; overflow-wrap: break-word }}"
    " img {{ max-width: 100%; height: auto }} blockquote {{ margin: 0 0 0 .8rem; padding-left: .8rem; border-left:"
    " 2px solid #ccc }}</style>{}"
)


def _around(thread: list[Item], found: Item, side: int) -> list[Item]:
    """Of the conversation, what came before it (-1) or after (1)."""
    place = (found["receivedAt"], int(found["id"]))
    others = [one for one in thread if one["id"] != found["id"]]
    return [one for one in others if ((one["receivedAt"], int(one["id"])) > place) == (side > 0)]
