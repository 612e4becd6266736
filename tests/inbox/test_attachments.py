"""From a mail on a real server to a page, a list, a search, and the bytes of what is attached."""

from __future__ import annotations

import random
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import run, write
from services.inbox import download as downloading
from services.inbox.download import decoded
from services.rate_limits import Rate
from tests.inbox.conftest import unplug, user_of
from tests.support.app import Caller
from tests.support.dovecot import FULL, PASSWORD, shared
from tests.sync.test_http import add_account, ended, start
from utils.clock import now_ms

BYTES = random.Random(1).randbytes(700_001)  # more than two chunks
TEXT = "Ünïcode = " * 20 + "\n"
HOUR = 3_600_000


def with_attachments() -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "Bob <bob@example.com>", "ann@example.test", "The plans"
    mail.set_content("See attached.")
    mail.add_alternative(
        '<p>See <b>attached</b><img src="cid:logo@x"><script>alert(1)</script></p>', subtype="html"
    )
    mail.get_payload()[1].add_related(b"\x89PNG" + BYTES[:99], "image", "png", cid="<logo@x>")  # type: ignore[union-attr]
    mail.add_attachment(BYTES, "application", "pdf", filename="plän.pdf")
    mail.add_attachment(TEXT, subtype="html", filename="page.html", cte="quoted-printable")
    return mail.as_bytes()


@pytest.fixture
def account(ann: Caller, poller: Any) -> str:
    """Synced, with one mail."""
    server = shared(FULL)
    name = server.user()
    account = add_account(ann, server, name)
    client = server.client(name)
    client.append("INBOX", "", "", with_attachments())  # type: ignore[arg-type]
    client.logout()
    assert ended(ann, start(ann, account))["status"] == "success"
    return account


@pytest.fixture
def message(ann: Caller, account: str) -> dict[str, Any]:
    folders = ann.get(f"/api/{account}/folders").json["folders"]
    (inbox,) = [one["id"] for one in folders if one["type"] == "inbox"]
    (listed,) = ann.get(f"/api/{account}/folders/{inbox}/messages").json["messages"]
    (found,) = ann.get(f"/api/{account}/messages?q=plans attached").json["messages"]
    assert listed["id"] == found["id"]
    detail: dict[str, Any] = ann.get(f"/api/{account}/messages/{listed['id']}").json
    return detail


def attachment(message: dict[str, Any], filename: str) -> dict[str, Any]:
    (found,) = [one for one in message["attachments"] if one["filename"] == filename]
    return dict(found)


def test_a_file_comes_byte_for_byte(
    app: APIFlask, ann: Caller, account: str, message: dict[str, Any]
) -> None:
    plan = attachment(message, "plän.pdf")
    answer = ann.get(f"/api/{account}/attachments/{plan['id']}/download")
    assert (answer.status_code, answer.data) == (200, BYTES)
    assert answer.headers["Content-Length"] == str(len(BYTES))
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''pl%C3%A4n.pdf"
    by_link = app.test_client().get(plan["downloadUrl"])  # without a credential
    assert by_link.data == BYTES
    assert abs(plan["size"] - len(BYTES)) < 10
    for tenant, name in (("tenant-a", "bob"), ("tenant-b", "ann")):
        stranger = user_of(app, tenant, name)
        assert stranger.get(f"/api/{account}/attachments/{plan['id']}/download").status_code == 404


def test_a_page_is_never_shown_as_ours(app: APIFlask, message: dict[str, Any]) -> None:
    answer = app.test_client().get(attachment(message, "page.html")["downloadUrl"])
    assert answer.data.decode().replace("\r\n", "\n") == TEXT
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_inline_image_is_shown_where_it_belongs(app: APIFlask, message: dict[str, Any]) -> None:
    assert "<script" not in message["bodyHtml"]
    (image,) = [one for one in message["attachments"] if one["isInline"]]
    assert image["downloadUrl"].replace("&", "&amp;") in message["bodyHtml"]
    answer = app.test_client().get(image["downloadUrl"])
    assert answer.data == b"\x89PNG" + BYTES[:99]
    assert (answer.content_type, answer.headers["Content-Disposition"][:7]) == ("image/png", "inline;")


def test_a_link_is_good_for_its_attachment_and_its_hour_alone(
    app: APIFlask,
    ann: Caller,
    account: str,
    message: dict[str, Any],
) -> None:
    one, other = (attachment(message, name)["downloadUrl"] for name in ("plän.pdf", "page.html"))
    client = app.test_client()
    query = one.partition("?")[2]
    assert client.get(f"{other.partition('?')[0]}?{query}").status_code == 403
    late = f"expires={now_ms() - 1}&signature={query[-20:]}"
    assert client.get(f"{one.partition('?')[0]}?{late}").status_code == 403
    assert client.get(one.partition("?")[0]).status_code == 401
    assert client.get(f"{one.partition('?')[0]}?signature={query[-20:]}").status_code == 400
    assert ann.get(f"/api/{account}/attachments/999999/download").status_code == 404
    ann.delete(f"/api/accounts/{account}")
    assert client.get(one).status_code == 404


def test_what_the_server_no_longer_gives_is_no_500(
    ann: Caller, account: str, message: dict[str, Any]
) -> None:
    path = f"/api/{account}/attachments/{attachment(message, 'page.html')['id']}/download"
    write(lambda: run("UPDATE messages SET uidvalidity = uidvalidity + 1"))
    assert ann.get(path).status_code == 404
    unplug(account)
    answer = ann.get(path)
    assert (answer.status_code, answer.json["code"]) == (502, "MAIL_SERVER_ERROR")
    assert PASSWORD not in answer.text


def test_one_that_is_gone_on_the_server_is_no_empty_file(
    ann: Caller, account: str, message: dict[str, Any]
) -> None:
    write(lambda: run("UPDATE messages SET uid = uid + 100"))
    for one in message["attachments"]:
        assert ann.get(f"/api/{account}/attachments/{one['id']}/download").status_code == 404


def test_any_copy_will_do(ann: Caller, account: str, message: dict[str, Any]) -> None:
    columns = (
        "account_id, folder_id, uid, letter_id, received_at, flags, is_read, is_starred, modseq, created_at"
    )

    def job() -> None:
        run(
            f"INSERT INTO messages (id, uidvalidity, updated_at, sender, {columns})"
            f" SELECT -id, uidvalidity + 1, 0, sender, {columns} FROM messages"  # the first that would be found
        )

    write(job)
    plan = attachment(message, "plän.pdf")
    assert ann.get(f"/api/{account}/attachments/{plan['id']}/download").data == BYTES


def test_links_are_limited_for_each_account(
    app: APIFlask, message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = app.extensions["mailferry.limits"]
    monkeypatch.setitem(limits._groups, "downloads", Rate(2, 60_000))
    client, url = app.test_client(), attachment(message, "page.html")["downloadUrl"]
    assert client.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403  # counts for nobody
    assert [client.get(url).status_code for _ in range(3)] == [200, 200, 429]
    answer = client.get(url)
    assert answer.headers["X-RateLimit-Limit"] == "2" and int(answer.headers["Retry-After"]) > 0


def test_so_many_large_downloads_at_a_time(
    app: APIFlask, ann: Caller, account: str, message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They last as long as whoever loads them likes; others come in between, and changes still find a connection."""
    monkeypatch.setattr(downloading, "AHEAD", 1_000)
    monkeypatch.setattr(downloading, "PATIENCE", 0.05)
    path = f"/api/{account}/attachments/{attachment(message, 'plän.pdf')['id']}/download"
    under_way = [ann.get(path, buffered=False) for _ in range(2)]
    assert all("Content-Length" not in one.headers for one in under_way)
    assert ann.get(path).json["code"] == "BUSY"
    assert ann.patch(f"/api/{account}/messages/{message['id']}", {"isRead": True}).status_code == 200
    assert under_way.pop().data == BYTES
    under_way.pop().close()
    assert ann.get(path).data == BYTES


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("encoding", "wire", "whole"),
    [
        ("base64", b"QUJD\r\nREVG\r\nRw==\r\n", b"ABCDEFG"),
        ("BASE64", b"QUJDREVGR", b"ABCDEF"),
        ("base64", b"", b""),
        ("quoted-printable", b"a=\r\nb=3D =C3=A9\r\nc=", "ab= é\r\nc".encode()),
        ("7bit", b"a=\r\nb", b"a=\r\nb"),
        ("x-unknown", b"abc", b"abc"),
    ],
)
def test_encodings_are_undone_wherever_they_are_cut(
    encoding: str, wire: bytes, whole: bytes, size: int
) -> None:
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert b"".join(decoded(encoding, chunks)) == whole
