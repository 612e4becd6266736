"""Pages of mail without a browser: who may do what, whose mail it is, and what strange requests get."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from controllers.operation import outward
from models.account import SyncTask
from models.database import rows, write
from services.inbox.listing import Wanted, folder_page, neighbours
from services.principal import Scope
from tests.http.test_pages import csrf_of, log_in
from tests.support.app import new_key, running_app
from tests.support.letters import NOW, add_account, add_folder, add_letter
from utils.clock import HOUR

ACCOUNT = "account-of-acme-zed"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def folder(app: APIFlask) -> int:
    add_account("acme", "zed")
    return add_folder(ACCOUNT)


@pytest.fixture
def admin(app: APIFlask) -> FlaskClient:
    return signed_in(app, Scope.ADMIN)


def signed_in(app: APIFlask, *scopes: Scope) -> FlaskClient:
    client = app.test_client()
    log_in(client, new_key("", *scopes))
    return client


def post(client: FlaskClient, path: str, **form: str) -> tuple[int, str]:
    """The status, and what the page that follows tells."""
    answer = client.post(path, data={"csrf": csrf_of(client.get("/inbox")), "back": "/inbox", **form})
    told = re.findall(r'class="alert[^>]*>([^<]*)', client.get("/inbox").get_data(as_text=True))
    return answer.status_code, " ".join(told).strip()


def test_starred_messages_and_the_ones_beside_a_message_are_found(folder: int) -> None:
    ids = [
        add_letter(
            ACCOUNT, folder, f"Letter {n}", received_at=NOW + n * HOUR, flags=["\\Flagged"] if n == 1 else []
        )
        for n in range(3)
    ]
    assert folder_page(folder, Wanted(filter="starred")).ids == [ids[1]]
    assert neighbours(folder, ids[1]) == (ids[2], ids[0])
    assert neighbours(folder, ids[2]) == (None, ids[1])
    assert neighbours(folder, 10**9) == (None, None)


def test_a_sync_shows_how_far_each_folder_is(admin: FlaskClient, folder: int) -> None:
    write(lambda: SyncTask.create(
        id="t", account_id=ACCOUNT, state="started", progress=40, message="INBOX: 4,000 of 10,000 messages",
        by_folder={"INBOX": [4_000, 10_000], "<b>": [0, 7]}, created_at=NOW, started_at=NOW,
    ))  # fmt: skip
    text = admin.get(f"/inbox/accounts/{ACCOUNT}").get_data(as_text=True)
    assert '<progress class="w-100" max="100" value="40"' in text
    assert "4,000 of 10,000</td>" in text
    assert "&lt;b&gt;" in text
    assert post(admin, f"/inbox/accounts/{ACCOUNT}/sync/cancel")[0] == 303
    assert rows("SELECT cancel FROM sync_tasks") == [(True,)]


def test_a_viewer_reads_and_changes_nothing(app: APIFlask, folder: int) -> None:
    message = add_letter(ACCOUNT, folder)
    viewer = signed_in(app, Scope.READ)
    page = viewer.get(f"/inbox/{ACCOUNT}/messages/{message}")
    assert page.status_code == 200
    assert "Mark unread" not in page.get_data(as_text=True)
    mailbox = f"/inbox/{ACCOUNT}"
    for path in (
        f"{mailbox}/messages/{message}", f"{mailbox}/change", f"{mailbox}/write", "/inbox/accounts/new",
        f"/inbox/accounts/{ACCOUNT}/sync", f"/inbox/accounts/{ACCOUNT}/test", f"/inbox/accounts/{ACCOUNT}/pause",
        f"/inbox/accounts/{ACCOUNT}/edit", f"/inbox/accounts/{ACCOUNT}/delete", "/templates/new", "/templates/preview",
    ):  # fmt: skip
        assert post(viewer, path)[0] == 403, path


def test_what_an_operator_may_not(app: APIFlask, folder: int) -> None:
    operator = signed_in(app, Scope.READ, Scope.SEND)
    for path in (
        "/inbox/accounts/new",
        f"/inbox/accounts/{ACCOUNT}/edit",
        f"/inbox/accounts/{ACCOUNT}/delete",
    ):
        assert post(operator, path)[0] == 403, path
    assert post(operator, f"/inbox/accounts/{ACCOUNT}/pause")[0] == 303
    assert rows("SELECT is_enabled FROM accounts") == [(False,)]


def test_mail_of_another_account_is_not_there(admin: FlaskClient, folder: int) -> None:
    """Though one person may see both, an address names one of them."""
    message = add_letter(ACCOUNT, folder, parts=[{"filename": "a.txt"}])
    ((part,),) = rows("SELECT id FROM parts")
    other = f"/inbox/{add_account('acme', 'bea')}"
    for path in (
        f"{other}/messages/{message}", f"{other}/messages/{message}/html", f"{other}/folders/{folder}",
        f"{other}/attachments/{part}", f"{other}/write?reply={message}", f"{other}/write?forward={message}",
        f"{other}/search?q=x&folder={folder}", f"{other}/drafts/nothing", "/inbox/nobody", "/inbox/accounts/nobody",
    ):  # fmt: skip
        assert admin.get(path).status_code == 404, path
    for do in ("read", "delete"):
        assert "no message" in post(admin, f"{other}/messages/{message}", do=do)[1].lower()


def test_strange_forms_are_refused_in_words(admin: FlaskClient, folder: int) -> None:
    message = add_letter(ACCOUNT, folder)
    one, many = f"/inbox/{ACCOUNT}/messages/{message}", f"/inbox/{ACCOUNT}/change"
    assert "could be done" in post(admin, one, do="explode")[1]
    assert "Choose a folder" in post(admin, one, do="move", folder="x")[1]
    assert "Choose a folder" in post(admin, many, do="move", folder="", id=str(message))[1]
    assert "Choose some messages" in post(admin, many, do="read")[1]
    assert "Choose some messages" in post(admin, many, do="read:x")[1]
    assert admin.get(f"/inbox/{ACCOUNT}/folders/{folder}?cursor=x").status_code == 400
    assert admin.get(f"/inbox/{ACCOUNT}/search?q=%00").status_code == 400


def test_a_mail_server_that_is_not_there_is_told_with_what_to_do(app: APIFlask, admin: FlaskClient) -> None:
    """Nothing listens where the account points to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    speaking = {"X-API-Key": new_key(), "X-Tenant-ID": "t", "X-User-ID": "u"}
    made = app.test_client().post("/api/accounts", headers=speaking, json={
        "accountName": "Gone", "emailAddress": "u@x.test", "hostname": "127.0.0.1", "port": port, "encryption": "none",
        "username": "u", "password": "planted-password",
    }).json["id"]  # fmt: skip
    message = add_letter(made, add_folder(made))
    status, told = post(admin, f"/inbox/{made}/messages/{message}", do="star")
    assert (status, "The mail server did not do it" in told, "test the account" in told) == (303, True, True)
    assert "planted-password" not in told


def test_a_draft_keeps_all_and_goes(admin: FlaskClient, folder: int) -> None:
    path = f"/inbox/{ACCOUNT}/write"
    post(
        admin,
        path,
        do="draft",
        to="Cy <cy@x.test>, half an addr",
        subject="Plan",
        text="Long\r\ntext",
        sendAt="2030-01-02T09:00",
    )
    ((draft,),) = rows("SELECT id FROM drafts")
    text = admin.get(f"/inbox/{ACCOUNT}/drafts/{draft}").get_data(as_text=True)
    assert 'value="Cy &lt;cy@x.test&gt;, half an addr"' in text
    assert 'data-at="2030-01-02T09:00:00' in text
    assert "Plan" in admin.get(f"/inbox/{ACCOUNT}/drafts").get_data(as_text=True)
    other = add_account("acme", "bea")
    assert admin.get(f"/inbox/{other}/drafts/{draft}").status_code == 404
    post(admin, f"/inbox/{ACCOUNT}/drafts/{draft}/delete")
    assert rows("SELECT count(*) FROM drafts") == [(0,)]


def test_what_is_written_stays_when_it_cannot_be_sent(admin: FlaskClient, folder: int) -> None:
    data = {
        "csrf": csrf_of(admin.get("/inbox")),
        "do": "send",
        "to": "cy@x.test",
        "subject": "Hi",
        "text": "A" * 200_000,
    }
    answer = admin.post(f"/inbox/{ACCOUNT}/write", data=data)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "no SMTP settings" in text
    assert "A" * 200_000 in text


def test_pages_that_wait_for_other_servers_are_known_to_the_server(app: APIFlask) -> None:
    """So that a silent one keeps no thread from the others: gunicorn.conf.py."""
    pattern = outward(app)
    for line in (
        f"GET /inbox/{ACCOUNT}/messages/7", f"POST /inbox/{ACCOUNT}/messages/7", f"GET /inbox/{ACCOUNT}/attachments/3",
        f"POST /inbox/accounts/{ACCOUNT}/test", f"POST /inbox/{ACCOUNT}/write", "POST /smtp-configs/3/test",
    ):  # fmt: skip
        assert pattern.fullmatch(line), line
    for line in ("GET /inbox", f"GET /inbox/{ACCOUNT}/folders/1", "GET /emails/1"):
        assert not pattern.fullmatch(line), line
