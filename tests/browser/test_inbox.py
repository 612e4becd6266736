"""Mail in a real browser: a daemon between a real IMAP server and a real SMTP server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import opened, sign_in
from tests.support.daemon import Daemon
from tests.support.dovecot import FULL, HOST, PASSWORD, Dovecot, shared
from tests.support.looks import look_at
from tests.support.relay import wait_for
from tests.support.sink import Sink
from tests.support.syncing import letter

HOSTILE = """\
<html><body onload="top.document.title='hacked'"><h1>Hello Ann</h1>
<script>top.document.title = 'hacked'</script><img src="https://tracker.example/x.png" onerror="top.location='/'">
<a href="javascript:alert(1)">a link</a><form action="https://evil.example/"><button>Log in</button></form>
<img src="cid:logo@example.com" alt="Logo"><iframe src="https://evil.example/"></iframe></body></html>"""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def dovecot() -> Dovecot:
    return shared(FULL)


@pytest.fixture(scope="module")
def ann(dovecot: Dovecot) -> str:
    """The one whom the SMTP server knows."""
    return dovecot.user()


@pytest.fixture(scope="module")
def sink(ann: str) -> Iterator[Sink]:
    with Sink(auth=(ann, PASSWORD)) as found:
        yield found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("inbox")
    with Daemon(folder, allow_private_hosts="on", web_threads=8, rate_limits="login=1000/minute") as running:
        yield running


@pytest.fixture
def page(browser: Browser, daemon: Daemon) -> Iterator[Page]:
    with opened(browser, daemon) as found:
        yield found


def with_parts(*parts: str, subject: str, **headers: str) -> bytes:
    """A letter of several parts, each with its own header."""
    mark = "=_part"
    body = "".join(f"--{mark}\r\n{one}\r\n" for one in parts) + f"--{mark}--\r\n"
    return letter(
        1, subject, body, **{"MIME-Version": "1.0", "Content-Type": f'multipart/mixed; boundary="{mark}"'} | headers
    )  # fmt: skip


def add_account(
    daemon: Daemon,
    user: str,
    dovecot: Dovecot,
    sink: Sink,
    *,
    tenant: str = "dashboard",
    owner: str = "master-key",
) -> str:
    """The id of one that is synced."""
    headers = {"X-Tenant-ID": tenant, "X-User-ID": owner}
    made = daemon.post("/api/accounts", {
        "accountName": "Work", "emailAddress": user, "hostname": HOST, "port": dovecot.imap, "encryption": "none",
        "username": user, "password": PASSWORD,
        "smtp": {"hostname": HOST, "port": sink.port, "encryption": "none", "displayName": "Ann"},
    }, headers=headers)["id"]  # fmt: skip
    path = f"/api/accounts/{made}"
    wait_for(lambda: daemon.get(path, headers=headers)["lastSyncAt"], 30)
    return str(made)


def new_person(page: Page, daemon: Daemon, *scopes: str) -> str:
    """Signed in as somebody who has no accounts yet; the name that the own ones are under."""
    made = daemon.post("/api/keys", {"name": "somebody", "scopes": list(scopes or ("admin",))})
    sign_in(page, made["key"])
    return f"key-{made['id']}"


def test_an_account_is_added_tried_synced_and_read(
    page: Page, daemon: Daemon, dovecot: Dovecot, sink: Sink, ann: str
) -> None:
    dovecot.deliver(ann, letter(1, "Lunch?", "Shall we meet at noon?"))
    new_person(page, daemon)
    page.goto("/inbox")
    expect(page.get_by_text("No account here yet")).to_be_visible()
    look_at(page, ["/inbox", "/inbox/accounts/new?provider=gmail"])
    page.goto("/inbox/accounts/new?provider=fastmail")
    expect(page.get_by_label("Server", exact=True)).to_have_value("imap.fastmail.com")
    expect(page.get_by_label("SMTP server")).to_have_value("smtp.fastmail.com")
    page.get_by_role("link", name="Any server").click()
    for label, value in (("Name", "Work"), ("Email address", ann), ("Password", "wrong"), ("Server", HOST)):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Port", exact=True).fill(str(dovecot.imap))
    page.get_by_label("Encryption", exact=True).select_option("none")
    page.get_by_label("SMTP server").fill(HOST)
    page.get_by_label("SMTP port").fill(str(sink.port))
    page.get_by_label("SMTP encryption").select_option("none")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text("Added")
    expect(page.locator(".verdict")).to_contain_text("login refused", timeout=30_000)
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_role("alert")).to_contain_text("Check the username and the password")
    expect(page.locator(".mark-failed").first).to_contain_text("auth")
    page.get_by_role("link", name="← Work").click()
    page.get_by_role("link", name="give the password again").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".verdict")).to_contain_text("In step with its server", timeout=30_000)
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_text("mail can be sent from it")).to_be_visible()
    assert PASSWORD not in page.content()
    page.get_by_role("link", name="← Work").click()
    page.get_by_role("button", name="Compare everything").click()
    expect(page.locator("#task .state")).to_have_text("success", timeout=30_000)
    expect(page.locator("#task")).to_contain_text("0 added")
    page.get_by_role("link", name="Open").click()
    page.get_by_role("link", name="Lunch?").click()
    expect(page.get_by_text("Shall we meet at noon?")).to_be_visible()


@pytest.fixture
def account(page: Page, daemon: Daemon, dovecot: Dovecot, sink: Sink, ann: str) -> str:
    """Of somebody who has just signed in."""
    return add_account(daemon, ann, dovecot, sink, owner=new_person(page, daemon))


def arrived(page: Page, dovecot: Dovecot, user: str, account: str, *letters: bytes) -> None:
    """The list of the inbox, where the last of them is to be seen."""
    for one in letters:
        dovecot.deliver(user, one)
    page.goto(f"/inbox/accounts/{account}")
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_role("status").filter(has_text="It syncs now")).to_be_visible()
    subject = str(message_from_bytes(letters[-1], policy=policy.default)["Subject"])
    page.goto(f"/inbox/{account}")
    expect(page.get_by_role("link", name=subject).first).to_be_visible(timeout=30_000)


def test_a_message_is_read_answered_and_the_answer_is_threaded(
    page: Page, dovecot: Dovecot, sink: Sink, ann: str, account: str
) -> None:
    first = letter(
        1,
        "Dinner",
        "What about Friday?",
        **{"Message-ID": "<dinner-1@example.com>", "Cc": "Cy <cy@example.com>"},
    )
    again = letter(
        2, "Re: Dinner", "Or Saturday?", **{
            "Message-ID": "<dinner-2@example.com>", "In-Reply-To": "<dinner-1@example.com>",
            "References": "<dinner-1@example.com>",
        },
    )  # fmt: skip
    arrived(page, dovecot, ann, account, first, again)
    row = page.locator("[data-row]", has=page.get_by_text("Re: Dinner"))
    expect(row).to_have_class(re.compile("is-unread"))
    row.get_by_role("link").click()
    expect(page.locator("[data-part=text]")).to_have_text("Or Saturday?")
    expect(
        page.get_by_role("button", name="Mark unread")
    ).to_be_visible()  # it has become read, on the server too
    client = dovecot.client(ann)
    client.select("INBOX", readonly=True)
    seen = client.uid("SEARCH", "SEEN", "HEADER", "Message-ID", "<dinner-2@example.com>")[1][0]  # type: ignore[arg-type]
    client.logout()
    assert seen
    page.get_by_text("What about Friday?").click()
    frame = page.frame_locator(".thread iframe").first
    expect(frame.get_by_text("What about Friday?")).to_be_visible()
    page.get_by_role("link", name="Open this message").click()
    page.get_by_role("link", name="Reply all").click()
    expect(page.get_by_label("Cc", exact=True)).to_have_value("Ann <ann@example.test>, Cy <cy@example.com>")
    page.go_back()
    page.get_by_role("link", name="Reply", exact=True).click()
    expect(page.get_by_label("To", exact=True)).to_have_value("Bob <bob1@example.com>")
    expect(page.get_by_label("Subject")).to_have_value("Re: Dinner")
    text = page.get_by_label("Text", exact=True)
    text.fill("Friday it is.\n" + text.input_value())
    before = len(sink.messages)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("On its way")
    sink.wait_for(before + 1)
    sent = message_from_bytes(sink.messages[-1].data, policy=policy.default)
    assert (sent["In-Reply-To"], sent["Subject"]) == ("<dinner-1@example.com>", "Re: Dinner")
    assert sent["From"].addresses[0].addr_spec == ann
    assert "> What about Friday?" in sent.get_content()
    expect(page.get_by_role("heading", name="Later in this conversation")).to_be_visible()
    page.get_by_role("status").get_by_role("link").click()
    expect(page.locator(".verdict .state")).to_have_text("sent")


def test_messages_are_marked_moved_labelled_and_deleted(
    page: Page, dovecot: Dovecot, ann: str, account: str
) -> None:
    names = ("Mark", "Move", "Bin", "Label")
    arrived(page, dovecot, ann, account, *(letter(10 + n, f"{name} me") for n, name in enumerate(names)))
    page.get_by_role("button", name="Star Mark me").click()
    expect(page.get_by_role("status")).to_have_text("Starred.")
    page.get_by_role("link", name="starred").click()
    expect(page.get_by_role("link", name="Mark me")).to_be_visible()
    expect(page.get_by_role("link", name="Move me")).to_have_count(0)
    page.get_by_role("link", name="all", exact=True).click()
    page.get_by_role("checkbox", name="Choose Move me").check()
    page.get_by_label("Folder to move to").select_option("Archive")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Moved.")
    page.get_by_role("checkbox", name="Choose Bin me").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="Bin me")).to_have_count(0)
    page.locator(".folders").get_by_role("link", name="Trash").click()
    expect(page.get_by_role("link", name="Bin me")).to_be_visible()
    page.locator(".folders").get_by_role("link", name="Archive").click()
    expect(page.get_by_role("link", name="Move me")).to_be_visible()
    page.locator(".folders").get_by_role("link", name="Inbox").click()
    page.get_by_role("link", name="Label me").click()
    page.get_by_label("Labels, parted by commas").fill("friends, late")
    page.get_by_role("button", name="Set labels").click()
    expect(page.get_by_role("heading", name="Label me friends late")).to_be_visible()
    page.get_by_label("Labels, parted by commas").fill("two words")
    page.get_by_role("button", name="Set labels").click()
    expect(page.get_by_role("alert")).to_contain_text("no spaces")
    page.get_by_role("button", name="Mark unread").click()
    expect(page.locator("[data-row].is-unread", has_text="Label me")).to_be_visible()


def test_words_are_found_and_marked(page: Page, dovecot: Dovecot, ann: str, account: str) -> None:
    odd = letter(20, "Invoice <b>17</b>", "The kettle <i>costs</i> 20 euros & more")
    arrived(page, dovecot, ann, account, odd, letter(21, "Other"))
    page.get_by_label("Search this account").fill("kettle costs")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".messages mark")).to_have_text(["kettle", "costs"])
    expect(page.locator(".messages .snippet")).to_contain_text("The kettle <i>costs</i> 20 euros & more")
    expect(page.locator(".messages .subject")).to_have_text("Invoice <b>17</b>")
    page.get_by_label("Search this account").fill("nothing-like-that")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No message has these words")).to_be_visible()


def test_hostile_html_runs_nothing_and_loads_nothing(
    page: Page, dovecot: Dovecot, ann: str, account: str
) -> None:
    image = (
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <logo@example.com>\r\n\r\n"
        + PIXEL
    )
    html = f"Content-Type: text/html\r\n\r\n{HOSTILE}"
    evil = with_parts(html, image, subject="You <script>alert(1)</script> won")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    arrived(page, dovecot, ann, account, evil)
    page.get_by_role("link", name="You <script>").click()
    frame = page.frame_locator("#mail-html")
    expect(frame.get_by_role("heading", name="Hello Ann")).to_be_visible()
    assert (
        frame.get_by_alt_text("Logo").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    )
    assert frame.locator("script, form, iframe, [onerror]").count() == 0
    assert frame.get_by_text("a link").get_attribute("href") is None
    assert page.title() != "hacked"
    ours = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|about:)")
    assert [one for one in asked if not ours.match(one)] == []
    expect(page.locator(".blocked")).to_contain_text("1 image of other servers is not loaded")
    page.route("https://tracker.example/**", lambda route: route.fulfill(status=200, body=""))
    page.get_by_role("link", name="Show images").click()
    expect(page.frame_locator("#mail-html").get_by_role("heading", name="Hello Ann")).to_be_visible()
    wait_for(lambda: any(one.startswith("https://tracker.example") for one in asked))


def test_a_message_is_sent_on_with_its_file_by_way_of_a_draft(
    page: Page, dovecot: Dovecot, sink: Sink, ann: str, account: str
) -> None:
    text = "Content-Type: text/plain\r\n\r\nThe minutes."
    file = "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=minutes.txt\r\n\r\nWe met."
    arrived(page, dovecot, ann, account, with_parts(text, file, subject="Minutes"))
    page.get_by_role("link", name="Minutes").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="minutes.txt").click()
    assert download.value.path().read_bytes().strip() == b"We met."
    page.get_by_role("link", name="Forward").click()
    expect(page.get_by_text("Goes along: minutes.txt")).to_be_visible()
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_role("checkbox", name="minutes.txt")).to_be_checked()
    page.get_by_role("link", name="Unsent drafts").click()
    look_at(page, [f"/inbox/{account}/drafts"])
    page.get_by_role("link", name="Fwd: Minutes").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_be_visible()  # nobody is named yet
    page.get_by_label("To", exact=True).fill("cy@example.com")
    before = len(sink.messages)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("On its way")
    sink.wait_for(before + 1)
    sent = message_from_bytes(sink.messages[-1].data, policy=policy.default)
    assert [part.get_filename() for part in sent.iter_attachments()] == ["minutes.txt"]  # type: ignore[attr-defined]
    page.goto(f"/inbox/{account}/drafts")
    expect(page.get_by_text("No draft is waiting")).to_be_visible()


def test_a_draft_is_deleted(page: Page, account: str) -> None:
    page.goto(f"/inbox/{account}/write?to=cy@example.com")
    page.get_by_label("Subject").fill("Never mind")
    page.get_by_role("button", name="Keep as a draft").click()
    page.get_by_role("button", name="Delete the draft").click()
    expect(page.get_by_role("status")).to_have_text("The draft is deleted.")


def test_the_keyboard_leads_through_it(page: Page, dovecot: Dovecot, ann: str, account: str) -> None:
    arrived(page, dovecot, ann, account, letter(31, "Key one"), letter(32, "Key two"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    for key in ("j", "j", "k", "s"):
        page.keyboard.press(key)
    expect(page.get_by_role("status")).to_have_text("Starred.")
    page.wait_for_load_state()  # the keys are listened to by then
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Key two")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Key one")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("u")
    page.get_by_label("Search this account").press("u")
    expect(page.get_by_label("Search this account")).to_have_value("u")
    page.get_by_role("link", name="Key one").click()
    expect(page.get_by_role("button", name="Mark unread")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("r")
    expect(page.get_by_label("Subject")).to_have_value("Re: Key one")


def test_without_javascript_mail_is_read_starred_and_answered(
    page: Page, browser: Browser, daemon: Daemon, dovecot: Dovecot, sink: Sink, ann: str
) -> None:
    with opened(browser, daemon, java_script_enabled=False) as plain:
        account = add_account(daemon, ann, dovecot, sink, owner=new_person(plain, daemon))
        dovecot.deliver(ann, letter(41, "Plain"))
        daemon.post(f"/api/sync/{account}", headers=owner_of(daemon, account))
        wait_for(
            lambda: plain.goto(f"/inbox/{account}") and plain.get_by_role("link", name="Plain").count(), 30
        )
        plain.get_by_role("button", name="Star Plain").click()
        expect(plain.get_by_role("status")).to_have_text("Starred.")
        plain.get_by_role("link", name="Plain").click()
        plain.get_by_role("button", name="Mark read").click()
        expect(plain.get_by_role("button", name="Mark unread")).to_be_visible()
        plain.get_by_role("link", name="Reply", exact=True).click()
        before = len(sink.messages)
        plain.get_by_role("button", name="Send").click()
        expect(plain.get_by_role("status")).to_contain_text("On its way")
        sink.wait_for(before + 1)


def owner_of(daemon: Daemon, account: str) -> dict[str, str]:
    ((tenant, user),) = daemon.query(f"SELECT tenant, \"user\" FROM accounts WHERE id = '{account}'")
    return {"X-Tenant-ID": tenant, "X-User-ID": user}


def test_others_mail_is_found_by_its_owner_and_that_it_was_opened_is_written_down(
    page: Page, daemon: Daemon, dovecot: Dovecot, sink: Sink
) -> None:
    user = dovecot.user()
    theirs = add_account(daemon, user, dovecot, sink, tenant="acme", owner="zed")
    mine = new_person(page, daemon, "read")
    page.goto("/inbox")
    expect(page.get_by_text("An admin can add one")).to_be_visible()
    page.get_by_role("link", name="acme / zed").click()
    page.get_by_role("link", name="Work", exact=True).click()
    expect(page.get_by_text("New mail appears by itself")).to_be_visible()
    expect(page.get_by_role("link", name="Write")).to_have_count(0)
    page.reload()
    noted = daemon.query("SELECT actor, target FROM audit_entries WHERE action = 'open_inbox'")
    assert noted.count((f"key {mine.removeprefix('key-')} somebody", "mail of acme/zed")) == 1
    for path in (
        f"/inbox/accounts/{theirs}/edit",
        f"/inbox/{theirs}/write",
        "/inbox/accounts/new",
        "/templates/new",
    ):
        answer = page.request.get(path)
        assert answer.status == 403, path
    for path in (
        "/inbox/no-such-account",
        "/inbox/accounts/no-such-account",
        f"/inbox/{theirs}/folders/999999",
    ):
        assert page.request.get(path).status == 404, path


def test_an_account_is_changed_paused_and_deleted(page: Page, account: str) -> None:
    page.goto(f"/inbox/accounts/{account}/edit")
    page.get_by_label("Name", exact=True).fill("Office")
    page.get_by_label("Sync every … seconds").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".invalid-feedback")).to_be_visible()
    page.get_by_label("Sync every … seconds").fill("600")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Office")).to_be_visible()
    expect(page.get_by_text("every 10 minutes")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".verdict .state")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".verdict .state")).to_have_text(re.compile("active|syncing"))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("Office is deleted here")


def test_pages_of_mail_are_accessible_and_fit(page: Page, dovecot: Dovecot, ann: str, account: str) -> None:
    html = "Content-Type: text/html\r\n\r\n<h1>Your order</h1><p>It is on its way. <img src='https://t.example/x'></p>"
    file = f"Content-Type: text/plain\r\nContent-Disposition: attachment; filename={'long-' * 12}.txt\r\n\r\nWe met."
    subject = "A rather long subject that says very much about very little, and then some more of it"
    long = with_parts(
        html, file, subject=subject, To="a-rather-long-address@a-rather-long-domain-of-somebody.example.com"
    )
    arrived(page, dovecot, ann, account, letter(51, f"Re: {subject}"), long)
    page.get_by_role("link", name=subject).first.click()
    message, list_ = page.url, f"/inbox/{account}"
    page.get_by_role("link", name="Reply", exact=True).click()
    look_at(page, [
        list_, f"{list_}/search?q=order", message, page.url, f"/inbox/accounts/{account}",
        f"/inbox/accounts/{account}/edit",
    ])  # fmt: skip
