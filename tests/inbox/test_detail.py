"""One message, whole, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from services.inbox.detail import headers_of
from tests.inbox.conftest import Box, unplug, user_of
from tests.support.app import Caller
from tests.support.dovecot import FULL, shared
from tests.support.letters import TENANT, add_account, add_letter

HTML = '<p onclick=x>Hi</p><img src="https://t.test/p.png"><img src="cid:logo@x"><script>alert(1)</script>'


@pytest.fixture
def box(ann: Caller, poller: Any) -> Iterator[Box]:
    box = Box(ann, shared(FULL))
    yield box
    box.client.logout()


def read(ann: Caller, account: str, message: int, query: str = "") -> dict[str, Any]:
    answer = ann.get(f"/api/{account}/messages/{message}?{query}")
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def test_all_of_a_message(ann: Caller, account: str, inbox: int) -> None:
    message = add_letter(
        account, inbox, "Hi", "Hi there", html=HTML, message_id="<1@x>", in_reply_to="<0@x>",
        recipients={"to": [["Ann", "ann@x.test"]], "reply_to": [["", "list@x.test"]]},
        headers="Subject: =?utf-8?q?H=C3=AF?=\r\nReceived: from a\r\n by b\r\nReceived: from c\r\nX-Odd:\r\n",
        parts=[
            {"filename": "Ä.pdf", "mime_type": "application/pdf", "encoding": "base64", "size": 7_800},
            {"section": "3", "mime_type": "image/png", "content_id": "logo@x", "is_inline": True, "size": 90},
        ],
    )  # fmt: skip
    one = read(ann, account, message)
    pdf, logo = one["attachments"]
    assert one["body"] == "Hi there"
    assert one["bodyHtml"].startswith("<p>Hi</p><img") and "script" not in one["bodyHtml"]
    assert "t.test" not in one["bodyHtml"] and one["blockedImages"] == 1
    assert logo["downloadUrl"].replace("&", "&amp;") in one["bodyHtml"]
    assert one["headers"] == {"Subject": "Hï", "Received": "from a by b\nfrom c", "X-Odd": ""}
    assert (one["messageId"], one["inReplyTo"], one["replyTo"]) == ("<1@x>", "<0@x>", ["list@x.test"])
    assert one["people"]["to"] == [{"name": "Ann", "email": "ann@x.test"}]
    assert one["conversationId"] and one["hasBody"] and not one["isHtmlRefused"]
    assert pdf | {"downloadUrl": "", "id": ""} == {
        "id": "", "messageId": str(message), "filename": "Ä.pdf", "mimeType": "application/pdf", "size": 5_700,
        "contentId": None, "isInline": False, "downloadUrl": "",
    }  # fmt: skip
    assert (logo["filename"], logo["isInline"]) == ("attachment-3.png", True)


def test_remote_images_are_shown_when_asked_for(ann: Caller, account: str, inbox: int) -> None:
    message = add_letter(account, inbox, html=HTML)
    one = read(ann, account, message, "remoteImages=true")
    assert 'src="https://t.test/p.png"' in one["bodyHtml"] and one["blockedImages"] == 0
    assert ann.get(f"/api/{account}/messages/{message}?remoteImages=yes").status_code == 400


def test_html_that_would_keep_us_busy_is_shown_as_text(ann: Caller, account: str, inbox: int) -> None:
    message = add_letter(account, inbox, text="<plain> text", html="<div>" * 20_000)
    one = read(ann, account, message)
    assert one["bodyHtml"].endswith(">&lt;plain&gt; text</pre>") and one["isHtmlRefused"]


def test_a_message_whose_text_has_not_come_says_so(ann: Caller, account: str, inbox: int) -> None:
    message = add_letter(account, inbox)
    write(lambda: run("UPDATE letters SET text = NULL, has_body = (1 = 0)"))
    one = read(ann, account, message)
    assert (one["hasBody"], one["body"], one["bodyHtml"]) == (False, None, None)
    assert one["bodyError"] == "no credential is stored for this account"
    assert (one["subject"], len(one["headers"])) == ("Hello", 0)  # all else is here


def forget_text() -> None:
    write(lambda: run("UPDATE letters SET text = NULL, html = NULL, has_body = (1 = 0)"))


def arrived(box: Box, subject: str) -> int:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        box.sync()
        found = [int(one["id"]) for one in box.listed("inbox") if one["subject"] == subject]
        if found:
            return found[0]
    raise AssertionError("it has not come")


def test_text_that_has_not_come_is_asked_of_the_server(box: Box) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Two ways", "Bob <bob@example.com>"
    mail.set_content("Plain ü\n")
    mail.add_alternative("<p>Html <script>x</script>ü</p>", subtype="html")
    box.server.deliver(box.user, mail.as_bytes(policy=SMTP))
    message = arrived(box, "Two ways")
    before = read(box.ann, box.account, message)
    forget_text()
    after = read(box.ann, box.account, message)
    assert after == before and after["hasBody"] and after["body"].startswith("Plain ü")
    assert read(box.ann, box.account, int(box.id))["body"].startswith("Text of letter 1")
    assert box.on_server("INBOX") == [set(), set()]  # not read by this
    assert rows("SELECT count(*) FROM letters WHERE has_body") == [(0,)]  # to store it is sync's
    write(lambda: run("UPDATE messages SET uid = uid + 100"))
    assert read(box.ann, box.account, message)["bodyError"] == "the message is not there any more"
    write(lambda: run("UPDATE messages SET uidvalidity = uidvalidity + 1"))
    assert "made anew" in read(box.ann, box.account, message)["bodyError"]
    unplug(box.account)
    one = read(box.ann, box.account, message)
    assert (one["hasBody"], one["body"]) == (False, None) and "refused" in one["bodyError"]


def test_what_is_not_there_or_not_yours_is_404(ann: Caller, app: APIFlask, account: str, inbox: int) -> None:
    message = add_letter(account, inbox)
    other = add_account(account_id="another", email_address="other@x.test")
    bob = user_of(app, TENANT, "bob")
    mine = f"{account}/messages/{message}"
    for caller, path in ((ann, f"{account}/messages/999"), (ann, f"{other}/messages/{message}"), (bob, mine)):
        assert caller.get(f"/api/{path}").status_code == 404
    write(lambda: run("UPDATE messages SET gone_at = 1"))
    assert ann.get(f"/api/{account}/messages/{message}").status_code == 404


def test_headers_that_are_none_do_no_harm() -> None:
    assert headers_of("") == {}
    assert headers_of("no colon\r\n: no name\r\nA: 1\r\n\tfolded\r\na: 2") == {"A": "1 folded\n2"}
    assert headers_of("Subject: =?x?q?=E4?=\n" * 3)["Subject"].count("\n") == 2
    assert len(headers_of("".join(f"X-{number}: x\n" for number in range(10_000)))) == 500
