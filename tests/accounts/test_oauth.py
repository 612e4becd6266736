"""Accounts that log in by OAuth 2: a real Dovecot, and a provider of tokens over https."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.account import Account, Credential
from models.database import run, write
from services.account_login import endpoint_of
from services.imap import ImapError, Reason
from services.imap_endpoints import logged_in, open_account
from services.oauth import TokenError, tokens
from services.oauth.post import post
from services.oauth.server import TokenServer
from services.pop3 import Client as Pop3Client
from services.relay import Relay
from services.rotation import rotate_passwords
from services.sync import leases
from services.sync.perform import Performance
from tests.accounts.conftest import user
from tests.accounts.making import delete, make, show
from tests.support.app import Caller, running_app
from tests.support.dovecot import HOST, Dovecot
from tests.support.oauth import CLIENT, Provider, Said, said, trusting
from tests.support.tcp import served
from utils.clock import HOUR, MINUTE, SECOND, now_ms
from utils.crypto import Vault, new_fernet_key

GMAIL = {"refreshToken": "planted-refresh", "provider": "gmail", "clientId": "c"}
GOOD: list[dict[str, Any]] = [
    GMAIL, GMAIL | {"provider": "outlook", "clientSecret": "planted", "scope": "a b"},
    GMAIL | {"accessToken": "planted", "expiresIn": 3_600}, {"accessToken": "planted"},
    {"refreshToken": "planted", "clientId": "c", "tokenEndpoint": "https://login.example.com/a/token?b=c"},
    {"refreshToken": "planted", "clientId": "c", "tokenEndpoint": "https://EXAMPLE.com"},
]  # fmt: skip
WRONG: list[dict[str, Any]] = [
    {"refreshToken": "planted"}, {"refreshToken": "planted", "clientId": "c"},
    GMAIL | {"tokenEndpoint": "https://a.example"},
    GMAIL | {"clientId": ""}, GMAIL | {"provider": "evil"}, GMAIL | {"password": "planted"},
    {"accessToken": "planted", "clientId": "c"}, GMAIL | {"expiresIn": 60},
    {"password": "planted", "provider": "gmail"},
    {"accessToken": "planted", "expiresIn": 0}, {"accessToken": "planted", "expiresIn": "60"},
    {"accessToken": "plan ted"}, {"accessToken": "planted\x01"}, GMAIL | {"refreshToken": "planted\n"},
    *({"refreshToken": "planted", "clientId": "c", "tokenEndpoint": url} for url in (
        "http://login.example.com/", "https://", "https:///token", "ftp://a.example", "https://a:b@c.example/",
        "https://a.example/#x", "https://a.example:0x/", "https://a.example:99999/", "https://a b.example/",
        "https://a.example/\n", "https://a.example/ä", "https://-a.example/", "file:///etc/passwd", "//a.example",
    )),
]  # fmt: skip
PASSING: list[tuple[Said, str]] = [
    (said(500, error="server_error"), "server_error"), (said(429), "status 429"),
    (said(401, error="invalid_client"), "invalid_client"), (said(500, error="invalid_grant"), "invalid_grant"),
    ((200, b"<html>", {}), "status 200"), ((200, b"[" * 60_000, {}), "status 200"),
    ((200, b"x" * 70_000, {}), "larger than"), (said(200, access_token=""), "cannot be used"),
    (said(200, access_token="a\r\nb"), "cannot be used"), (said(200, access_token=7), "cannot be used"),
    (said(200, access_token="planted", refresh_token="a b"), "cannot be used"),
    ((200, b"", {"Content-Length": "99"}), "status 200"), ((200, b"", {"X": "x" * 99_000}), "HTTP"),
]  # fmt: skip
# What `expires_in` may be, and what it means.
LIFETIMES: list[tuple[object, int | None]] = [
    (60, 60), ("1800", 1_800), (99.9, 99), (10**11, 3_650 * 86_400), (None, None), ("soon", None), (-5, None),
    ([], None),
]  # fmt: skip


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder))
        yield provider
        provider.close()


@pytest.fixture(scope="module")
def dovecot(issuer: Provider) -> Iterator[Dovecot]:
    server = Dovecot(tokeninfo_url=issuer.tokeninfo_url)
    yield server
    server.destroy()


@pytest.fixture
def provider(issuer: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    issuer.forget()
    with trusting(issuer, monkeypatch):
        yield issuer


@pytest.fixture
def relay(app: APIFlask) -> Relay:
    found: Relay = app.extensions["mailferry"]
    return found


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG", "mailferry")
    yield
    assert "planted" not in caplog.text


def account_by(ann: Caller, server: Dovecot, credential: dict[str, Any], **changes: Any) -> dict[str, Any]:
    name = changes.pop("username", None) or server.user()
    stored = ann.post("/api/credentials", credential)
    assert stored.status_code == 201, stored.json
    assert "planted" not in stored.get_data(as_text=True)
    port = server.pop3 if changes.get("protocol") == "pop3" else server.imap
    given = {"hostname": HOST, "port": port, "encryption": "none", "username": name, "emailAddress": name}
    return make(ann, **given | {"password": None, "credentialId": stored.json["id"]} | changes)


def granted(ann: Caller, server: Dovecot, provider: Provider, **changes: Any) -> dict[str, Any]:
    """An account with a refresh token alone."""
    name = server.user()
    return account_by(ann, server, provider.grants(name), username=name, **changes)


def tried(ann: Caller, account: dict[str, Any]) -> dict[str, Any]:
    response = ann.post(f"/api/accounts/{account['id']}/test")
    assert "planted" not in response.get_data(as_text=True)
    told: dict[str, Any] = response.json
    return told


def synced(relay: Relay, account: dict[str, Any]) -> None:
    """One pass, as a poller makes it."""
    write(lambda: run("UPDATE accounts SET next_sync_at = 0 WHERE id = ?", account["id"]))
    claim = leases.take(account["id"], 1, now_ms())
    assert claim is not None
    client = Performance(relay, claim, now_ms).perform()
    if client is not None:
        client.close()


def credential_of(account: dict[str, Any]) -> Credential:
    return Credential.get(Credential.id == account["credentialId"])


def ends_in(account: dict[str, Any], ms: int) -> None:
    """Of a token that was for an hour."""
    end = now_ms() + ms
    sql = "UPDATE credentials SET expires_at = ?, renewed_at = ? WHERE id = ?"
    write(lambda: run(sql, end, end - HOUR, account["credentialId"]))


class TestLogin:
    @pytest.mark.parametrize("protocol", ["imap", "pop3"])
    def test_a_refresh_token_alone_will_do(
        self, ann: Caller, dovecot: Dovecot, provider: Provider, protocol: str
    ) -> None:
        account = granted(ann, dovecot, provider, protocol=protocol)
        assert (account["state"], account["login"]) == (
            "active",
            {"kind": "oauth2", "expiresAt": None, "isRenewable": True},
        )
        told = tried(ann, account)
        assert told["success"] is True, told
        assert [one["detail"] for one in told["steps"] if one["step"] == "auth"] == ["XOAUTH2"]
        assert 0 < show(ann, account)["login"]["expiresAt"] - now_ms() - 59 * MINUTE < MINUTE
        assert tried(ann, account)["success"] is True
        assert len(provider.asked) == 1  # the token is good for an hour
        assert provider.asked[0].items() >= {"grant_type": "refresh_token"}.items()

    def test_where_only_oauthbearer_is_offered(self, ann: Caller, provider: Provider) -> None:
        server = Dovecot(tokeninfo_url=provider.tokeninfo_url, more="auth_mechanisms = oauthbearer")
        try:
            for protocol in ("imap", "pop3"):
                account = granted(ann, server, provider, protocol=protocol)
                told = tried(ann, account)
                assert [one["detail"] for one in told["steps"] if one["step"] == "auth"] == ["OAUTHBEARER"]
                provider.revoke()
                provider.refresh.clear()
                assert tried(ann, account)["code"] == "AUTH"
        finally:
            server.destroy()

    def test_a_token_may_be_as_long_as_providers_make_them(
        self, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        provider.padding = "x" * 4_000
        for protocol in ("imap", "pop3"):
            assert tried(ann, granted(ann, dovecot, provider, protocol=protocol))["success"] is True

    @pytest.mark.parametrize("protocol", ["imap", "pop3"])
    def test_a_pass_of_sync_logs_in_by_it(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider, protocol: str
    ) -> None:
        account = granted(ann, dovecot, provider, protocol=protocol)
        dovecot.deliver(account["username"], b"Subject: hi\r\n\r\nhello\r\n")
        synced(relay, account)
        shown = show(ann, account)
        assert (shown["state"], shown["lastError"], shown["lastSyncAt"] is None) == ("active", None, False)
        assert [one["messageCount"] for one in ann.get(f"/api/{account['id']}/folders").json["folders"]][
            :1
        ] == [1]

    def test_an_access_token_alone_is_used_until_it_ends(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        name = dovecot.user()
        token = provider.issue(name)
        account = account_by(ann, dovecot, {"accessToken": token, "expiresIn": 60}, username=name)
        assert account["login"]["isRenewable"] is False
        assert 0 < account["login"]["expiresAt"] - now_ms() <= MINUTE
        assert tried(ann, account)["success"] is True
        ends_in(account, 0)
        synced(relay, account)
        shown = show(ann, account)
        assert shown["state"] == "needs_reauth"
        assert "store a new one" in shown["lastError"]
        ann.put(f"/api/credentials/{account['credentialId']}", {"accessToken": provider.issue(name)})
        assert show(ann, account)["state"] == "active"
        assert tried(ann, account)["success"] is True
        assert provider.asked == []


class TestRenewal:
    def test_it_comes_before_the_end(self, ann: Caller, dovecot: Dovecot, provider: Provider) -> None:
        account = granted(ann, dovecot, provider)
        tried(ann, account)
        ends_in(account, 6 * MINUTE)
        tried(ann, account)
        assert len(provider.asked) == 1
        ends_in(account, 4 * MINUTE)
        assert tried(ann, account)["success"] is True
        assert len(provider.asked) == 2

    def test_whatever_the_provider_says_of_its_end(
        self, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        for lifetime, seconds in LIFETIMES:
            provider.lifetime = lifetime
            account = granted(ann, dovecot, provider)
            provider.asked.clear()
            for _ in range(2):
                assert tried(ann, account)["success"] is True
            assert len(provider.asked) == 1  # one of a minute, too, is used for most of it
            end = show(ann, account)["login"]["expiresAt"]
            if seconds is None:
                assert end is None
            else:
                assert 0 <= now_ms() + seconds * SECOND - end < 20 * SECOND

    def test_the_new_refresh_token_is_kept(self, ann: Caller, dovecot: Dovecot, provider: Provider) -> None:
        account = granted(ann, dovecot, provider)
        for _ in range(3):
            ends_in(account, 0)
            assert tried(ann, account)["success"] is True
        used = [form["refresh_token"] for form in provider.asked]
        assert len(set(used)) == 3  # each was good once

    def test_a_provider_that_keeps_to_its_refresh_token(
        self, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        provider.rotates = False
        account = granted(ann, dovecot, provider)
        for _ in range(3):
            ends_in(account, 0)
            assert tried(ann, account)["success"] is True
        assert len({form["refresh_token"] for form in provider.asked}) == 1

    def test_many_at_once_ask_once(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        provider.instead = lambda form: time.sleep(0.3)
        found: list[str] = []

        def ask() -> None:
            found.append(tokens.access_token(relay, credential_of(account)))

        together(ask, 8)
        assert len(provider.asked) == 1
        assert (len(found), set(found)) == (8, set(provider.good))

    def test_nobody_waits_for_a_renewal_while_the_old_token_is_good(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        old = tokens.access_token(relay, credential_of(account))
        ends_in(account, 4 * MINUTE)
        lease_it(account, until=now_ms() + MINUTE)
        began = time.monotonic()
        assert tokens.access_token(relay, credential_of(account)) == old
        assert time.monotonic() - began < 1
        assert len(provider.asked) == 1

    def test_a_process_that_died_over_it_holds_nobody_up(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        lease_it(account, until=now_ms() - 1)
        assert tokens.access_token(relay, credential_of(account)) in provider.good
        lease_it(account, until=now_ms() + HOUR)  # the clock was set back
        ends_in(account, 0)
        assert tokens.access_token(relay, credential_of(account)) in provider.good

    def test_a_credential_that_is_stored_meanwhile_stays(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        newer = provider.issue(account["username"])

        def while_asked(form: dict[str, str]) -> Said | None:
            path = f"/api/credentials/{account['credentialId']}"
            assert ann.put(path, {"accessToken": newer, "expiresIn": 3_600}).status_code == 200
            return None

        provider.instead = while_asked
        assert tokens.access_token(relay, credential_of(account)) == newer
        assert tokens.access_token(relay, credential_of(account)) == newer
        assert len(provider.asked) == 1

    def test_nobody_logs_in_by_a_token_that_could_not_be_stored(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        """Its credential was deleted while the provider answered."""
        account = granted(ann, dovecot, provider)

        def while_asked(form: dict[str, str]) -> Said | None:
            assert ann.delete(f"/api/credentials/{account['credentialId']}").status_code == 204
            return None

        provider.instead = while_asked
        with pytest.raises(ImapError) as caught:
            open_account(relay, Account.get_by_id(account["id"]))
        assert (caught.value.reason, "deleted" in caught.value.detail) == (Reason.AUTH, True)
        assert len(provider.good) == 1

    def test_a_token_that_is_revoked_before_its_time_is_renewed(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        for protocol in ("imap", "pop3"):
            Account.update(protocol=protocol, port=getattr(dovecot, protocol)).where(
                Account.id == account["id"]
            ).execute()
            write(lambda: run("UPDATE credentials SET endpoint = NULL"))
            one = Account.get_by_id(account["id"])
            write(lambda one=one: run("UPDATE credentials SET endpoint = ?", endpoint_of(one)))
            tokens.access_token(relay, credential_of(account))
            renewed_long_ago(account)
            provider.revoke()
            asked = len(provider.asked)
            opened = (
                open_account(relay, one) if protocol == "imap" else logged_in(relay, one, Pop3Client.open)
            )
            opened.close()
            assert len(provider.asked) == asked + 1

    def test_one_that_is_refused_when_new_is_not_renewed_for_ever(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        """The login is good, but not for this mailbox."""
        account = account_by(ann, dovecot, provider.grants("somebody@else.test"))
        synced(relay, account)
        shown = show(ann, account)
        assert shown["state"] == "needs_reauth"
        assert len(provider.asked) == 1
        with pytest.raises(ImapError) as caught:
            open_account(relay, Account.get_by_id(account["id"]))
        assert caught.value.reason is Reason.AUTH


class TestRefusals:
    def test_a_login_that_is_over_waits_for_a_new_one(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        provider.refresh.clear()
        synced(relay, account)
        shown = show(ann, account)
        assert shown["state"] == "needs_reauth"
        assert "invalid_grant" in shown["lastError"]
        assert "planted" not in str(shown)
        with pytest.raises(ImapError) as caught:
            open_account(relay, Account.get_by_id(account["id"]))
        assert caught.value.reason is Reason.AUTH
        assert len(provider.asked) == 1  # nobody asks in vain
        told = tried(ann, account)  # but a person may
        assert (told["code"], told["steps"][-1]["step"]) == ("AUTH", "token")
        assert len(provider.asked) == 2
        path = f"/api/credentials/{account['credentialId']}"
        assert ann.put(path, provider.grants(account["username"])).status_code == 200
        assert show(ann, account)["state"] == "active"
        synced(relay, account)
        assert show(ann, account)["lastError"] is None

    def test_a_person_who_tries_again_with_success_ends_it(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        provider.instead = lambda form: said(400, error="invalid_grant")
        synced(relay, account)
        provider.instead = lambda form: None
        assert tried(ann, account)["success"] is True
        assert show(ann, account).items() >= {"state": "active", "lastError": None}.items()
        ends_in(account, 0)
        synced(relay, account)
        assert show(ann, account)["state"] == "active"

    def test_anything_else_may_pass(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        for answer, told in PASSING:
            provider.instead = lambda form, answer=answer: answer  # type: ignore[misc]
            synced(relay, account)
            shown = show(ann, account)
            assert shown["state"] == "active"
            assert told in shown["lastError"], answer
        provider.instead = lambda form: None
        synced(relay, account)
        assert show(ann, account)["lastError"] is None

    def test_a_redirect_is_not_followed(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        heard: list[bytes] = []
        account = granted(ann, dovecot, provider)
        with served(lambda sock: heard.append(sock.recv(1000))) as port:
            provider.instead = lambda form: (307, b"", {"Location": f"http://{HOST}:{port}/"})
            synced(relay, account)
        assert heard == []
        assert "status 307" in show(ann, account)["lastError"]

    def test_a_provider_that_is_away_is_no_trouble_while_the_token_is_good(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        tried(ann, account)
        ends_in(account, 4 * MINUTE)
        provider.instead = lambda form: said(503)
        synced(relay, account)
        assert show(ann, account).items() >= {"state": "active", "lastError": None}.items()
        assert len(provider.asked) == 2

    def test_a_refused_token_and_a_provider_that_is_away_ask_for_patience(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        account = granted(ann, dovecot, provider)
        tried(ann, account)
        renewed_long_ago(account)
        provider.revoke()
        provider.instead = lambda form: said(503)
        synced(relay, account)
        assert show(ann, account)["state"] == "active"
        assert len(provider.asked) == 2

    @pytest.mark.parametrize("talk", ["silence", "trickle", "headers"])
    def test_a_server_that_never_ends_its_answer(self, provider: Provider, talk: str) -> None:
        context = provider.ca.server("localhost", HOST, name="slow")

        def slowly(sock: Any) -> None:
            with context.wrap_socket(sock, server_side=True) as secure:
                secure.recv(1000)
                secure.sendall(b"HTTP/1.1 200 OK\r\n" if talk != "silence" else b"")
                if talk == "trickle":
                    secure.sendall(b"Content-Length: 1000\r\n\r\n")
                for _ in range(100):
                    time.sleep(0.05)
                    if talk != "silence":
                        secure.sendall(b"x" if talk == "trickle" else b"X-More: yes\r\n")

        with served(slowly) as port:
            began = time.monotonic()
            with pytest.raises(TokenError) as caught:
                post(TokenServer("localhost", port, "/token", True), {"a": "b"}, 0.5)
            assert caught.value.reason is Reason.TIMEOUT
            assert time.monotonic() - began < 2

    def test_a_certificate_of_an_unknown_authority(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, issuer: Provider
    ) -> None:
        issuer.forget()
        account = granted(ann, dovecot, issuer)
        synced(relay, account)
        assert "certificate" in show(ann, account)["lastError"]
        assert issuer.asked == []

    def test_private_addresses_are_dialled_by_nobody(self, tmp_path: Path, provider: Provider) -> None:
        with running_app(tmp_path / "public") as app:
            ann = user(app, "acme", "ann")
            for url in (f"https://{HOST}:{provider.port}/token", "https://[::1]/token", "https://10.0.0.1/"):
                refused = ann.post("/api/credentials", provider.grants("x") | {"tokenEndpoint": url})
                assert (refused.status_code, refused.json["code"]) == (400, "PRIVATE_ADDRESS")
            stored = ann.post("/api/credentials", provider.grants("x")).json
            told = tried(ann, make(ann, password=None, credentialId=stored["id"]))
            assert (told["code"], told["steps"][-1]["step"]) == ("PRIVATE_ADDRESS", "token")
            assert provider.asked == []


class TestStoring:
    def test_it_is_written_only(self, relay: Relay, ann: Caller) -> None:
        for body in GOOD:
            stored = ann.post("/api/credentials", body)
            assert (stored.status_code, stored.json["kind"]) == (201, "oauth2")
            assert stored.json["isRenewable"] is ("refreshToken" in body)
            assert "planted" not in stored.get_data(as_text=True)
            row = Credential.get(Credential.id == stored.json["id"])
            assert "planted" not in str(row.__data__)
            plain = relay.vault.decrypt(row.secret)
            assert all(body[name] in plain for name in ("refreshToken", "accessToken") if name in body)

    def test_what_is_wrong_is_told(self, ann: Caller) -> None:
        for body, path in itertools.product(WRONG, ("", "/x")):
            response = (ann.put if path else ann.post)(f"/api/credentials{path}", body)
            assert response.status_code == 400, body
            assert response.json["details"][0]["field"] in ("body", *body)
            assert "planted" not in response.get_data(as_text=True)

    def test_rotation_of_our_keys_takes_it_along(
        self, relay: Relay, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        old, new = new_fernet_key(), new_fernet_key()
        relay.vault = Vault([old])
        account = granted(ann, dovecot, provider)
        relay.vault = Vault([new, old])
        assert rotate_passwords(relay).complete
        relay.vault = Vault([new])
        assert tried(ann, account)["success"] is True

    def test_it_goes_with_its_account(self, ann: Caller, dovecot: Dovecot, provider: Provider) -> None:
        delete(ann, granted(ann, dovecot, provider))
        assert Credential.select().count() == 0

    def test_the_client_is_told_to_its_provider_alone(
        self, ann: Caller, dovecot: Dovecot, provider: Provider
    ) -> None:
        body = provider.grants("ann@example.test") | {"scope": "mail offline"}
        tried(ann, account_by(ann, dovecot, body, username="ann@example.test"))
        assert provider.asked == [{
            "grant_type": "refresh_token", "refresh_token": body["refreshToken"], "client_id": CLIENT["clientId"],
            "client_secret": CLIENT["clientSecret"], "scope": "mail offline",
        }]  # fmt: skip


def lease_it(account: dict[str, Any], until: int) -> None:
    """As another process would hold it."""
    sql = "UPDATE credentials SET lease = 7, leased_until = ? WHERE id = ?"
    write(lambda: run(sql, until, account["credentialId"]))


def renewed_long_ago(account: dict[str, Any]) -> None:
    sql = "UPDATE credentials SET renewed_at = renewed_at - ? WHERE id = ?"
    write(lambda: run(sql, 10 * MINUTE, account["credentialId"]))


def together(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
