"""POST /api/accounts/{id}/test against real servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.account import Account, AccountState
from tests.accounts.conftest import user
from tests.accounts.making import change, make, show
from tests.support.app import Caller, running_app
from tests.support.dovecot import HOST, PASSWORD, PROFILES, Dovecot, shared
from tests.support.sink import Sink
from tests.support.tcp import served


def account_on(ann: Caller, server: Dovecot, **changes: Any) -> dict[str, Any]:
    """In the clear unless told otherwise; of a user of its own."""
    name = server.user()
    port = server.pop3 if changes.get("protocol") == "pop3" else server.imap
    given = {"hostname": HOST, "port": port, "encryption": "none", "username": name, "emailAddress": name}
    return make(ann, **given | {"password": PASSWORD} | changes)


def tried(caller: Caller, account: dict[str, Any], status: int, **body: Any) -> dict[str, Any]:
    response = caller.post(f"/api/accounts/{account['id']}/test", body or None)
    assert response.status_code == status, response.json
    assert "planted" not in response.get_data(as_text=True)
    told: dict[str, Any] = response.json
    assert told["timestamp"] > 1_706_033_200_000
    return told


def failure(caller: Caller, account: dict[str, Any], **body: Any) -> dict[str, Any]:
    """In the shape of the document, whatever failed."""
    told = tried(caller, account, 400, **body)
    assert (told["success"], told["error"]) == (False, "Connection failed")
    assert told["protocol"] == account["protocol"]
    assert told["server"] == f"{account['hostname']}:{account['port']}"
    assert told["message"]
    steps = told["steps"] + told.get("smtp", {}).get("steps", [])
    assert steps[-1]["ok"] is False
    return told


@pytest.mark.parametrize("profile", PROFILES)
def test_it_tells_the_folders_and_what_they_are_for(ann: Caller, profile: str) -> None:
    server = shared(profile)
    account = account_on(ann, server)
    client = server.client(account["username"])
    for name in ("Work", "Work/2026", "Kunden", *(f"Other/{number}" for number in range(5))):
        client.create(name)
    told = tried(ann, account, 200)
    assert told.items() >= {
        "success": True, "protocol": "imap", "server": f"{HOST}:{server.imap}", "message": "Connection successful",
    }.items()  # fmt: skip
    shown = told["folderDetails"]
    assert (told["folders"], len(shown)) == (15, 10)
    assert shown[0] == {
        "name": "INBOX", "displayName": "Inbox", "type": "inbox", "isSelectable": True, "parent": None,
    }  # fmt: skip
    assert [one["type"] for one in shown] == [
        "inbox",
        "sent",
        "drafts",
        "spam",
        "trash",
        "archive",
        *["custom"] * 4,
    ]
    assert "IDLE" in told["capabilities"]
    assert told["certificate"] is None
    assert [one["step"] for one in told["steps"]] == ["dns", "connect", "banner", "auth", "folders"]


def test_a_folder_in_another_says_so(ann: Caller) -> None:
    server = shared()
    account = account_on(ann, server)
    server.client(account["username"]).create("Ablage/Jahr")
    shown = {one["name"]: one for one in tried(ann, account, 200)["folderDetails"]}
    assert (shown["Ablage/Jahr"]["displayName"], shown["Ablage/Jahr"]["parent"]) == ("Jahr", "Ablage")
    assert shown["Ablage"]["parent"] is None


@pytest.mark.parametrize("letters", [0, 2])
def test_a_pop3_account_is_one_folder(ann: Caller, letters: int) -> None:
    server = shared()
    account = account_on(ann, server, protocol="pop3")
    for number in range(letters):
        server.deliver(account["username"], f"Subject: {number}\r\n\r\n{number}\r\n".encode())
    told = tried(ann, account, 200)
    assert (told["success"], told["protocol"], told["folders"], told["messages"]) == (
        True,
        "pop3",
        1,
        letters,
    )
    assert [one["type"] for one in told["folderDetails"]] == ["inbox"]
    assert "UIDL" in told["capabilities"]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_tls_is_verified_unless_told_otherwise(ann: Caller, protocol: str, encryption: str) -> None:
    server = shared()
    port = getattr(server, protocol + ("s" if encryption == "tls" else ""))
    account = account_on(ann, server, protocol=protocol, port=port, encryption=encryption)
    told = failure(ann, account)
    assert (told["code"], told["steps"][-1]["step"]) == ("TLS", "tls")
    assert "certificate" in told["message"]
    change(ann, account, verifyTls=False)
    told = tried(ann, account, 200)
    assert told["certificate"]["tls"].startswith("TLS")
    assert told["certificate"]["daysLeft"] >= 0


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
class TestFailures:
    def test_a_wrong_password(self, ann: Caller, protocol: str) -> None:
        account = account_on(ann, shared(), protocol=protocol)
        told = failure(ann, account, password="planted-wrong-word")
        assert (told["code"], told["steps"][-1]["step"]) == ("AUTH", "auth")
        assert told["message"].startswith("Invalid credentials")
        assert tried(ann, account, 200)["success"] is True  # the stored one is still the right one

    def test_a_password_that_would_be_two_commands(self, ann: Caller, protocol: str) -> None:
        account = account_on(ann, shared(), protocol=protocol)
        told = tried(ann, account, 400, password="a\r\nDELE 1")
        assert told["code"] == "INVALID_CHARACTER"

    def test_a_host_without_an_address(self, ann: Caller, protocol: str) -> None:
        told = failure(ann, make(ann, protocol=protocol, hostname="nowhere.invalid"))
        assert (told["code"], [one["step"] for one in told["steps"]]) == ("DNS", ["dns"])
        assert "nowhere.invalid" in told["message"]

    def test_a_port_where_nobody_listens(self, ann: Caller, protocol: str) -> None:
        with socket.create_server((HOST, 0)) as listener:
            port = listener.getsockname()[1]
        told = failure(ann, make(ann, protocol=protocol, hostname=HOST, port=port))
        assert (told["code"], told["steps"][-1]["step"]) == ("REFUSED", "connect")

    def test_tls_where_there_is_none(self, ann: Caller, protocol: str) -> None:
        port = getattr(shared(), protocol)
        told = failure(ann, make(ann, protocol=protocol, hostname=HOST, port=port, encryption="tls"))
        assert told["code"] == "TLS"
        assert "starttls" in told["message"]

    def test_starttls_that_is_not_offered(self, ann: Caller, protocol: str) -> None:
        heard: list[bytes] = []

        def talk(sock: socket.socket) -> None:
            sock.sendall(b"+OK hi\r\n" if protocol == "pop3" else b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
            while line := sock.recv(1000):
                heard.append(line)
                told = b"* CAPABILITY IMAP4rev1\r\n" + line.split(b" ")[0] + b" OK done\r\n"
                sock.sendall(b"-ERR no\r\n" if protocol == "pop3" else told)

        with served(talk) as port:
            told = failure(ann, make(ann, protocol=protocol, hostname=HOST, port=port, encryption="starttls"))
        assert told["code"] == "TLS"
        assert heard and not any(b"planted" in line or b"user@company" in line for line in heard)

    def test_a_server_that_never_comes_to_the_point(self, ann: Caller, protocol: str) -> None:
        """Each line comes in time; the last one never does."""

        def talk(sock: socket.socket) -> None:
            sock.sendall(b"* OK hi\r\n" if protocol == "imap" else b"+OK hi\r\n")
            sock.recv(1000)
            while True:
                sock.sendall(b"* OK wait\r\n" if protocol == "imap" else b"+OK\r\nwait\r\n")
                time.sleep(0.1)

        with served(talk) as port:
            account = make(ann, protocol=protocol, hostname=HOST, port=port, encryption="none")
            began = time.monotonic()
            assert failure(ann, account, timeout=1)["code"] == "TIMEOUT"
            assert time.monotonic() - began < 4

    def test_a_server_that_is_slow_at_every_step(self, ann: Caller, protocol: str) -> None:
        """Each answer comes in time, all of them together do not."""

        def talk(sock: socket.socket) -> None:
            sock.sendall(b"* OK hi\r\n" if protocol == "imap" else b"+OK hi\r\n")
            while line := sock.recv(1000):
                time.sleep(0.7)
                told = b"* CAPABILITY IMAP4rev1\r\n" + line.split(b" ")[0] + b" OK done\r\n"
                sock.sendall(
                    told if protocol == "imap" else b"-ERR\r\n" if line[:4] == b"CAPA" else b"+OK\r\n"
                )

        with served(talk) as port:
            account = make(ann, protocol=protocol, hostname=HOST, port=port, encryption="none")
            began = time.monotonic()
            assert failure(ann, account, timeout=1)["code"] == "TIMEOUT"
            assert time.monotonic() - began < 3

    def test_a_server_of_another_protocol(self, ann: Caller, protocol: str) -> None:
        def talk(sock: socket.socket) -> None:
            sock.sendall(b"220 mail.example ESMTP\r\n")
            sock.recv(1000)

        with served(talk) as port:
            account = make(ann, protocol=protocol, hostname=HOST, port=port, encryption="none")
            assert failure(ann, account)["code"] in ("PROTOCOL", "CLOSED")

    def test_private_addresses_are_dialled_by_nobody(self, tmp_path: Path, protocol: str) -> None:
        """Neither by number nor by a name that leads there."""
        with running_app(tmp_path / "public") as app:
            ann = user(app, "acme", "ann")
            account = make(ann, protocol=protocol, hostname="localhost", port=getattr(shared(), protocol))
            assert failure(ann, account)["code"] == "PRIVATE_ADDRESS"
            for hostname in (HOST, "10.0.0.1", "::1"):
                assert change(ann, account, hostname=hostname).json["code"] == "PRIVATE_ADDRESS"


def test_a_password_is_needed_while_none_is_stored(ann: Caller) -> None:
    account = account_on(ann, shared(), password=None, credentialId="cred-789")
    told = tried(ann, account, 400)
    assert (told["code"], told["details"][0]["field"]) == ("MISSING", "password")
    assert tried(ann, account, 200, password=PASSWORD, timeout=30)["success"] is True
    assert show(ann, account)["state"] == "needs_credentials"  # it was tried, not kept


@pytest.mark.parametrize("body", [
    {"timeout": 0}, {"timeout": 61}, {"timeout": "30"}, {"password": ""}, {"nonsense": 1},
])  # fmt: skip
def test_wrong_options_are_named(ann: Caller, body: dict[str, Any]) -> None:
    told = ann.post(f"/api/accounts/{make(ann)['id']}/test", body)
    assert told.status_code == 400
    assert told.json["details"][0]["field"] == next(iter(body))


def test_a_good_login_ends_the_wait_for_one(ann: Caller) -> None:
    account = account_on(ann, shared())
    Account.update(state=AccountState.NEEDS_REAUTH, last_error="refused", failures=3).execute()
    tried(ann, account, 200, password=PASSWORD)
    assert show(ann, account)["state"] == "needs_reauth"  # what is stored may still be wrong
    tried(ann, account, 200)
    assert show(ann, account).items() >= {"state": "active", "lastError": None}.items()


class TestChangesMeanwhile:
    """Someone changes the account while its server is being asked."""

    def tried(self, ann: Caller, change_it: Callable[[dict[str, Any]], Any], **fields: Any) -> dict[str, Any]:
        """An account on a server that answers well, and after its greeting the change."""
        made: list[dict[str, Any]] = []

        def talk(sock: socket.socket) -> None:
            sock.sendall(b"* OK hi\r\n")
            change_it(made[0])
            for line in sock.makefile("rb"):
                tag, word = line.split()[:2]
                told = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LIST": b'* LIST () "/" INBOX\r\n'}
                sock.sendall(told.get(word, b"") + tag + b" OK done\r\n")

        with served(talk) as port:
            made.append(make(ann, hostname=HOST, port=port, encryption="none", **fields))
            Account.update(state=AccountState.NEEDS_REAUTH).execute()
            tried(ann, made[0], 200)
        return made[0]

    def test_its_smtp_settings_are_taken_away(self, ann: Caller) -> None:
        smtp = {"hostname": HOST, "port": 9, "encryption": "none"}
        account = self.tried(ann, lambda one: change(ann, one, smtp=None), smtp=smtp)
        assert show(ann, account)["state"] == "active"

    def test_its_credential_is_deleted(self, ann: Caller) -> None:
        account = self.tried(ann, lambda one: ann.delete(f"/api/credentials/{one['credentialId']}"))
        assert show(ann, account)["state"] == "needs_credentials"

    def test_it_is_deleted(self, ann: Caller) -> None:
        account = self.tried(ann, lambda one: ann.delete(f"/api/accounts/{one['id']}"))
        assert show(ann, account)["code"] == "NOT_FOUND"


def test_its_smtp_server_is_tried_too(ann: Caller) -> None:
    with Sink(auth=("ann", "another word")) as sink:
        smtp = {"hostname": HOST, "port": sink.port, "encryption": "none"}
        account = account_on(ann, shared(), smtp=smtp)
        told = failure(ann, account)
        assert told["code"] == "SMTP_AUTH"
        assert told["message"].startswith("SMTP: ")
        assert (told["smtp"]["success"], told["folders"]) == (False, 6)
    with Sink(auth=(account["username"], PASSWORD)) as sink:
        change(ann, account, smtp={"port": sink.port, "password": PASSWORD})
        told = tried(ann, account, 200)
        assert told["smtp"].items() >= {"success": True, "server": f"{HOST}:{sink.port}"}.items()
        assert [one["step"] for one in told["smtp"]["steps"]] == ["dns", "connect", "banner", "ehlo", "auth"]
        assert sink.messages == []


def test_a_given_password_is_tried_on_both_servers_that_share_it(ann: Caller) -> None:
    with Sink(auth=("ann", PASSWORD)) as sink:
        account = account_on(
            ann, shared(), username="ann", password=None, credentialId="later",
            smtp={"hostname": HOST, "port": sink.port, "encryption": "none"},
        )  # fmt: skip
        assert tried(ann, account, 200, password=PASSWORD)["smtp"]["success"] is True
        assert ann.put("/api/credentials/later", {"password": PASSWORD}).status_code == 201
        assert tried(ann, account, 200)["smtp"]["success"] is True


def test_no_login_is_tried_where_no_password_is_stored(ann: Caller) -> None:
    """An empty one would count as wrong, and bring a lock-out nearer."""
    with Sink(auth=("ann", PASSWORD)) as sink:
        smtp = {"hostname": HOST, "port": sink.port, "encryption": "none", "username": "ann"}
        assert "no password is stored" in failure(ann, account_on(ann, shared(), smtp=smtp))["message"]


def test_strangers_cannot_try_it(ann: Caller, bob: Caller, app: APIFlask) -> None:
    account = account_on(ann, shared())
    for stranger in (bob, user(app, "other", "ann")):
        path = f"/api/accounts/{account['id']}/test"
        assert stranger.post(path, {"password": PASSWORD}).status_code == 404
