"""Mail accounts: whose there are, how each is, adding, trying out, syncing, pausing, deleting."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from controllers.bodies import checked
from controllers.pages import mail_account_form as form
from controllers.pages.frame import Done, Visit, action, page, render, streamed
from controllers.pages.mail_frame import Box, account_box, acting, own
from controllers.pages.stepwise import steps_of
from controllers.schemas.accounts import TEST_TIMEOUT, AccountChangesBody, NewAccountBody
from services import account_test, accounts
from services.account_presets import PROVIDERS
from services.account_view import views
from services.errors import NotFoundError, ServiceError
from services.inbox.owners import Owner, owners
from services.roles import Role
from services.sync import quarantine, tasks
from services.sync.run import Wish
from services.sync.task_view import view as task_view
from utils.clock import iso_or_none

MOST, MOST_QUARANTINED = 500, 50


@page("/inbox")
def inbox(visit: Visit) -> Response:
    """Of one owner, chosen by a link: one's own, unless the address names another."""
    mine, owner = own(visit), _owner(visit)
    found, _ = accounts.listed(acting(visit, owner), MOST, 0)
    listed = [one for one in owners() if one[:2] != mine[:2]]
    return render(
        "inbox.html", owner=owner, mine=mine, owners=[mine, *listed], accounts=views(found), iso=iso_or_none
    )


@page("/inbox/accounts/new", Role.ADMIN)
def new_mail_account(visit: Visit) -> Response:
    values = form.preset(request.args.get("provider", ""))
    return _form(visit, _owner(visit), values)


@action("/inbox/accounts/new", Role.ADMIN)
def create_mail_account(visit: Visit) -> Any:
    owner = Owner(request.form.get("tenant", ""), request.form.get("user", ""))
    try:
        who = acting(visit, owner)
        body = form.new_body()
        account = accounts.create(visit.relay, who, checked(body, NewAccountBody).values(), visit.now)
    except ServiceError as error:
        return _form(visit, owner, form.sent(), error)
    told = "Added. Its first sync begins at once; test it if nothing comes."
    to = url_for("pages.mail_account", account_id=account.id)
    return Done(told, to, f"mail account {account.id}", {"tenant": owner.tenant, "user": owner.user} | body)


@page("/inbox/accounts/<key:account_id>")
def mail_account(visit: Visit, account_id: str) -> Response:
    box = account_box(visit, account_id)
    try:
        task = task_view(tasks.of_account(box.who, account_id, None))
    except NotFoundError:
        task = None
    aside, total = quarantine.listed(box.who, account_id, MOST_QUARANTINED, 0)
    return render(
        "mail_account.html", box=box, account=box.account, task=task, quarantined=aside, total=total, iso=iso_or_none
    )  # fmt: skip


@page("/inbox/accounts/<key:account_id>/edit", Role.ADMIN)
def edit_mail_account(visit: Visit, account_id: str) -> Response:
    box = account_box(visit, account_id)
    return _form(visit, box.owner, form.shown(box.account), box=box)


@action("/inbox/accounts/<key:account_id>/edit", Role.ADMIN)
def update_mail_account(visit: Visit, account_id: str) -> Any:
    box = account_box(visit, account_id)
    try:
        body = form.changed_body(box.account)
        if body:
            values = checked(body, AccountChangesBody).values()
            accounts.update(visit.relay, box.who, account_id, values, visit.now)
    except ServiceError as error:
        return _form(visit, box.owner, form.shown(box.account) | form.sent(), error, box)
    return _done(box, "Saved.", body)


@action("/inbox/accounts/<key:account_id>/pause", Role.OPERATOR)
def pause_mail_account(visit: Visit, account_id: str) -> Done:
    box = account_box(visit, account_id)
    accounts.update(visit.relay, box.who, account_id, {"is_enabled": False}, visit.now)
    return _done(box, "Paused: it neither syncs nor sends until it is resumed.")


@action("/inbox/accounts/<key:account_id>/resume", Role.OPERATOR)
def resume_mail_account(visit: Visit, account_id: str) -> Done:
    box = account_box(visit, account_id)
    accounts.update(visit.relay, box.who, account_id, {"is_enabled": True}, visit.now)
    return _done(box, "Resumed.")


@action("/inbox/accounts/<key:account_id>/delete", Role.ADMIN)
def delete_mail_account(visit: Visit, account_id: str) -> Done:
    box = account_box(visit, account_id)
    accounts.delete(box.who, account_id, visit.now)
    told = f"{box.account['accountName']} is deleted here; nothing is deleted on its server."
    to = url_for("pages.inbox", tenant=box.who.tenant, user=box.who.user)
    return Done(told, to, f"mail account {account_id}", {"address": box.account["emailAddress"]})


@action("/inbox/accounts/<key:account_id>/sync", Role.OPERATOR, audited=False)
def sync_mail_account(visit: Visit, account_id: str) -> Done:
    """`full`: compare everything, and try again what is set aside."""
    box = account_box(visit, account_id)
    tasks.ask(box.who, account_id, Wish(full=request.form.get("full") == "1"), visit.now)
    return _done(box, "It syncs now.")


@action("/inbox/accounts/<key:account_id>/sync/cancel", Role.OPERATOR, audited=False)
def cancel_mail_sync(visit: Visit, account_id: str) -> Done:
    box = account_box(visit, account_id)
    tasks.cancel(box.who, account_id, None, visit.now)
    return _done(box, "Called off; what has come stays.")


@action("/inbox/accounts/<key:account_id>/test", Role.OPERATOR, outward=True)
def test_mail_account(visit: Visit, account_id: str) -> Response:
    """The page grows by each step as it is done."""
    box = account_box(visit, account_id)
    account = accounts.find(box.who, account_id)
    steps = steps_of(
        f"test of account {account_id}",
        lambda heard: account_test.run_test(visit.relay, account, None, TEST_TIMEOUT, visit.now, heard)[1],
    )
    return streamed("mail_account_test.html", box=box, account=box.account, steps=steps)


def _owner(visit: Visit) -> Owner:
    tenant, user = request.args.get("tenant", ""), request.args.get("user", "")
    return Owner(tenant, user) if tenant and user else own(visit)


def _done(box: Box, message: str, details: dict[str, Any] | None = None) -> Done:
    to = url_for("pages.mail_account", account_id=box.id)
    return Done(message, to, f"mail account {box.id}", details)


def _form(
    visit: Visit, owner: Owner, values: dict[str, Any], error: ServiceError | None = None, box: Box | None = None
) -> Response:  # fmt: skip
    return render(
        "mail_account_form.html", error.status if error else 200, owner=owner, mine=own(visit), values=values,
        wrong=form.wrong_fields(error), told=error.message if error else "", providers=["", *PROVIDERS], box=box,
    )  # fmt: skip
