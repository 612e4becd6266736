"""The mail of an account: its folders, the messages of one, and search."""

from __future__ import annotations

from typing import Any

from flask import Response, redirect, request, url_for
from markupsafe import Markup

from controllers.pages.forms import whole_number
from controllers.pages.frame import Done, Visit, action, came_from, page
from controllers.pages.mail_frame import Box, mail_box, note, show
from services.errors import ConflictError, InvalidInputError, MailServerError, NotFoundError
from services.inbox import changes, conversations, folders, listing, search
from services.inbox.questions import terms_of
from services.inbox.view import Item, items
from services.roles import Role

PAGE_SIZE = 50
FILTERS = ("all", "unread", "starred")
MOST_ASKED = 200  # characters


@page("/inbox/<key:account_id>")
def mailbox(visit: Visit, account_id: str) -> Any:
    """Leads to the inbox, or says why there is none yet."""
    box = mail_box(visit, account_id)
    found = [one for one in folders.listed(account_id) if one["isSelectable"]]
    if not found:
        return show("mail_nothing.html", box)
    return redirect(url_for("pages.mail_folder", account_id=account_id, folder_id=found[0]["id"]))


@page("/inbox/<key:account_id>/folders/<id:folder_id>")
def mail_folder(visit: Visit, account_id: str, folder_id: int) -> Response:
    box = mail_box(visit, account_id)
    folder = folders.find(account_id, folder_id)
    filter_ = request.args.get("filter", "all")
    wanted = listing.Wanted(
        filter=filter_ if filter_ in FILTERS else "all",
        conversations=request.args.get("conversations") == "1",
        limit=PAGE_SIZE,
        cursor=request.args.get("cursor") or None,
    )
    found = listing.folder_page(folder_id, wanted)
    messages = items(found.ids)
    if wanted.conversations:
        messages = conversations.with_counts(messages, account_id)
    asked = {
        "filter": None if wanted.filter == "all" else wanted.filter,
        "conversations": int(wanted.conversations) or None,
    }
    return _list(box, messages, found.next_cursor, folder_id=folder_id, asked=asked, filters=FILTERS,
                 synced=folder.synced_at is not None)  # fmt: skip


@page("/inbox/<key:account_id>/choice")
def mail_choice(visit: Visit, account_id: str) -> Any:
    """Where the choice of folders leads, which phones have in place of the column."""
    chosen = request.args.get("folder", "")
    if chosen == "drafts":
        return redirect(url_for("pages.mail_drafts", account_id=account_id))
    if (folder_id := whole_number(chosen)) is not None:
        return redirect(url_for("pages.mail_folder", account_id=account_id, folder_id=folder_id))
    return redirect(url_for("pages.mailbox", account_id=account_id))


@page("/inbox/<key:account_id>/search")
def mail_search(visit: Visit, account_id: str) -> Response:
    """Words of all the account, or of a folder."""
    box = mail_box(visit, account_id)
    question = request.args.get("q", "").strip()[:MOST_ASKED]
    in_folder = whole_number(request.args.get("folder", ""))
    folder_id = None if in_folder is None else folders.find(account_id, in_folder).id
    terms = terms_of(question)
    found = search.found(account_id, terms, PAGE_SIZE, request.args.get("cursor") or None, folder_id)
    asked = {"q": question, "folder": folder_id}
    return _list(
        box, search.with_snippets(items(found.ids), terms), found.next_cursor, asked=asked, found=True
    )


@action("/inbox/<key:account_id>/change", Role.OPERATOR, audited=False, outward=True)
def change_messages(visit: Visit, account_id: str) -> Done:
    """`do` to each that is chosen, or to the one that `only` names."""
    box, form = mail_box(visit, account_id), request.form
    do, _, only = form.get("do", "").partition(":")
    chosen = map(whole_number, [only] if only else form.getlist("id")[:PAGE_SIZE])
    ids = [one for one in chosen if one is not None]
    to = came_from(url_for("pages.mailbox", account_id=account_id))
    if do == "move" and whole_number(form.get("folder", "")) is None:
        return Done("Choose a folder first.", to, category="warning")
    if not ids:
        return Done("Choose some messages first.", to, category="warning")
    told = _change_each(visit, box, do, ids)
    note(visit, box, f"{do}_messages", f"account {account_id}", {"messages": ids})
    return Done(told, to)


DOING = {
    "read": ("marked as read", changes.Changes(is_read=True)),
    "unread": ("marked as unread", changes.Changes(is_read=False)),
    "star": ("starred", changes.Changes(is_starred=True)),
    "unstar": ("no longer starred", changes.Changes(is_starred=False)),
    "spam": ("moved to spam", changes.Changes(is_spam=True)),
    "ham": ("moved to the inbox", changes.Changes(is_spam=False)),
}


def _change_each(visit: Visit, box: Box, do: str, ids: list[int]) -> str:
    """Until the mail server refuses: what ails one ails the others."""
    done, gone = 0, 0
    for message_id in ids:
        try:
            change_one(visit, box, do, message_id)
            done += 1
        except NotFoundError:
            gone += 1
    told = f"{done} {name_of(do)}." if len(ids) > 1 else f"{name_of(do).capitalize()}."
    return told if not gone else f"{told} {gone} were not there any more."


def change_one(visit: Visit, box: Box, do: str, message_id: int) -> None:
    """On the mail server first; errors as of services.inbox.changes, with what to do."""
    try:
        if do == "delete":
            changes.delete(visit.relay, box.id, message_id, visit.now)
        else:
            changes.change(visit.relay, box.id, message_id, _wanted(do), visit.now)
    except MailServerError as error:
        told = f"{error.message.rstrip('.')}. Try again in a moment; if it stays so, test the account in its settings"
        raise MailServerError(told, code=error.code) from error


def name_of(do: str) -> str:
    return {"delete": "deleted", "move": "moved", "labels": "labelled"}.get(do) or DOING[do][0]


def _wanted(do: str) -> changes.Changes:
    if do == "move":
        folder_id = whole_number(request.form.get("folder", ""))
        if folder_id is None:
            raise InvalidInputError("choose a folder first")
        return changes.Changes(folder_id=str(folder_id))
    if do == "labels":
        return changes.Changes(labels=labels_in(request.form.get("labels", "")))
    if do not in DOING:
        raise InvalidInputError("nothing is known by that name that could be done")
    return DOING[do][1]


def labels_in(text: str) -> list[str]:
    found = dict.fromkeys(one.strip() for one in text.split(",") if one.strip())
    if len(found) > 50 or any(len(one) > 100 for one in found):
        raise ConflictError("labels: at most 50 of up to 100 characters each")
    return list(found)


def _list(box: Box, messages: list[Item], cursor: str | None, **values: Any) -> Response:
    for one in messages:
        for name in ("snippet", "subjectSnippet"):  # escaped html, but for its <mark>
            if name in one:
                one[name] = Markup(one[name])  # noqa: S704 - by services.inbox.snippets
    return show(
        "mail_list.html", box, messages=messages, next=cursor, first="cursor" not in request.args, **values
    )
