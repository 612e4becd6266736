"""SMTP configs of accounts that log in by OAuth 2: a real SMTP server that takes mail by XOAUTH2, the relay's own
workers, and a provider of tokens over https."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.account import Credential
from models.database import run, write
from models.smtp_config import Health, SmtpConfig
from services import account_smtp
from services.relay import Relay
from services.smtp import Connection, Endpoint, Reason, SmtpError, Stage
from services.sync.purge import purge_accounts
from tests.accounts.making import change, delete, make, show
from tests.support.app import Caller
from tests.support.oauth import HOST, Provider, TokenSmtp, said, trusting
from tests.support.relay import attempts, delivering, policy, wait_for
from tests.support.relay import state as state_of
from tests.support.tcp import served
from utils.clock import DAY, HOUR, MINUTE, now_ms

ANN = "ann@company.com"
MAIL = {"subject": "Hello", "recipients": ["bo@example.com"], "text_content": "Hello Bo"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    provider = Provider(tmp_path_factory.mktemp("provider"))
    yield provider
    provider.close()


@pytest.fixture
def provider(issuer: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    issuer.forget()
    with trusting(issuer, monkeypatch):
        yield issuer


@pytest.fixture
def server(provider: Provider) -> Iterator[TokenSmtp]:
    with TokenSmtp(provider) as smtp:
        yield smtp


@pytest.fixture
def relay(app: APIFlask) -> Relay:
    found: Relay = app.extensions["mailferry"]
    return found


@pytest.fixture
def account(ann: Caller, provider: Provider, server: TokenSmtp) -> dict[str, Any]:
    """It sends through the server, by the account's own login; of its mailbox nothing is wanted here."""
    stored = ann.post("/api/credentials", provider.grants(ANN)).json["id"]
    smtp = {"hostname": HOST, "port": server.port, "encryption": "none"}
    made = make(
        ann,
        hostname=HOST,
        port=9,
        username=ANN,
        emailAddress=ANN,
        password=None,
        credentialId=stored,
        smtp=smtp,
    )
    assert (made["smtp"]["usesToken"], made["smtp"]["hasPassword"]) == (True, False)
    return made


def submit(ann: Caller, account: dict[str, Any]) -> int:
    response = ann.post("/api/emails", MAIL | {"smtp_config_id": account["smtp"]["smtpConfigId"]})
    assert response.status_code == 201, response.json
    return int(response.json["email_id"])


def health(account: dict[str, Any]) -> Health:
    return Health.get_by_id(account["smtp"]["smtpConfigId"])


def ends(account: dict[str, Any], ms: int) -> None:
    end = now_ms() + ms
    sql = "UPDATE credentials SET expires_at = ?, renewed_at = ? WHERE id = ?"
    write(lambda: run(sql, end, end - HOUR, account["credentialId"]))


def test_mail_goes_by_a_fresh_token(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    provider.padding = "x" * 4_000
    email_id = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(email_id) == "sent")
    assert server.logins == [(next(iter(provider.good)), True)]
    assert [one.mail_from for one in server.taken] == [ANN]
    assert len(provider.asked) == 1
    assert "planted" not in str(ann.get(f"/api/emails/{email_id}").json)
    assert "planted" not in str(SmtpConfig.get_by_id(account["smtp"]["smtpConfigId"]).__data__)


def test_a_token_that_is_about_to_end_is_renewed_first(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    first, second = submit(ann, account), 0
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(first) == "sent")
    ends(account, 4 * MINUTE)
    second = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(second) == "sent")
    assert [good for _, good in server.logins] == [True, True]
    assert len({token for token, _ in server.logins}) == len(provider.asked) == 2


def test_one_that_is_refused_before_its_time_is_renewed_and_counts_as_no_refused_login(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    first = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(first) == "sent")
    ends(account, 30 * MINUTE)
    provider.revoke()
    second = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(second) == "sent")
    assert [good for _, good in server.logins] == [True, False, True]
    assert len(attempts(second)) == 1
    assert (health(account).failures, health(account).last_error) == (0, None)


def test_a_token_that_ends_in_mid_session_costs_the_session_alone(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    first = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: state_of(first) == "sent")
        ends(account, 30 * MINUTE)
        old = server.logins[0][0]
        server.refuses = lambda token: "530 5.7.0 the token has expired" if token == old else None
        second = submit(ann, account)
        wait_for(lambda: state_of(second) == "sent", 30)
    assert [good for _, good in server.logins] == [True, True]
    assert [one["outcome"] for one in attempts(second)] == ["retry", "sent"]
    assert health(account).failures == 0
    assert len(provider.asked) == 2


def test_a_server_that_refuses_right_after_the_login_is_one_that_refuses(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    server.refuses = lambda token: "530 5.7.0 you may not send"
    email_id = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: health(account).open_until)
    assert "login refused" in str(health(account).open_reason)
    assert len(provider.asked) == 1
    assert state_of(email_id) in ("queued", "retry")


def test_a_token_that_is_refused_when_new_opens_the_breaker_once(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    """Good, but of somebody else."""
    path = f"/api/credentials/{account['credentialId']}"
    assert ann.put(path, provider.grants("eve@else.test")).status_code == 200
    email_id = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: health(account).open_until)
    assert [good for _, good in server.logins] == [False]
    assert health(account).failures == 1
    assert "login refused" in str(health(account).open_reason)
    assert state_of(email_id) == "queued"


def test_a_login_that_is_over_opens_the_breaker_and_asks_nobody_again(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    provider.refresh.clear()
    email_id = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: health(account).open_until)
        shown = show(ann, account)
        assert (shown["state"], "invalid_grant" in shown["lastError"]) == ("needs_reauth", True)
        write(lambda: run("UPDATE health SET open_until = 1"))
        relay.wake()
        wait_for(lambda: health(account).failures == 2)
        assert (len(provider.asked), server.logins, state_of(email_id)) == (1, [], "queued")
        assert ann.get(f"/api/emails/{email_id}").json["retry_count"] == 0
        ann.put(f"/api/credentials/{account['credentialId']}", provider.grants(ANN))
        relay.wake()
        wait_for(lambda: state_of(email_id) == "sent")
    assert health(account).failures == 0


def test_a_provider_that_is_away_is_no_refused_login(
    relay: Relay, ann: Caller, account: dict[str, Any], provider: Provider, server: TokenSmtp
) -> None:
    provider.instead = lambda form: said(503)
    email_id = submit(ann, account)
    with delivering(relay, workers=1):
        wait_for(lambda: health(account).open_until)
        assert "no access token" in str(health(account).open_reason)
        assert "login refused" not in str(health(account).open_reason)
        provider.instead = lambda form: None
        wait_for(lambda: state_of(email_id) == "sent", 30)
    assert show(ann, account)["state"] == "active"


class TestWhoMay:
    """The token goes to the SMTP server that came with it, and to no other."""

    def test_a_new_smtp_server_gets_none(self, ann: Caller, account: dict[str, Any]) -> None:
        changed = change(ann, account, smtp={"hostname": "evil.example"}).json
        assert changed["smtp"].items() >= {"usesToken": False, "hasPassword": False}.items()
        path = f"/api/credentials/{account['credentialId']}"
        ann.put(path, {"accessToken": "planted"})
        assert show(ann, account)["smtp"]["usesToken"] is True  # brought for both
        ann.put(path, {"password": "planted"})
        assert show(ann, account)["smtp"].items() >= {"usesToken": False, "hasPassword": True}.items()

    def test_nor_one_that_comes_later(self, ann: Caller, account: dict[str, Any]) -> None:
        smtp = change(ann, account, smtp=None).json["smtp"]
        assert smtp is None
        again = change(ann, account, smtp={"hostname": "evil.example"}).json["smtp"]
        assert again["usesToken"] is False

    def test_a_password_of_its_own_takes_its_place(self, ann: Caller, account: dict[str, Any]) -> None:
        smtp = change(ann, account, smtp={"password": "planted"}).json["smtp"]
        assert (smtp["usesToken"], smtp["hasPassword"]) == (False, True)
        config = ann.get(f"/api/smtp-configs/{smtp['smtpConfigId']}").json
        assert (config["uses_token"], config["account_id"]) == (False, account["id"])

    def test_a_credential_that_is_deleted_is_missed(
        self, relay: Relay, ann: Caller, account: dict[str, Any], server: TokenSmtp
    ) -> None:
        assert ann.delete(f"/api/credentials/{account['credentialId']}").status_code == 204
        assert show(ann, account)["smtp"]["usesToken"] is False
        submit(ann, account)
        with delivering(relay, workers=1):
            wait_for(lambda: health(account).open_until)
        assert server.logins == []

    def test_accepted_mail_leaves_after_its_account_and_takes_the_token_along(
        self, relay: Relay, ann: Caller, account: dict[str, Any], server: TokenSmtp
    ) -> None:
        email_id = submit(ann, account)
        assert delete(ann, account).status_code == 204
        assert Credential.select().count() == 1
        assert account_smtp.prune() == 0
        purge_accounts(policy(Path(), retention=0), now_ms() + DAY)
        with delivering(relay, workers=1):
            wait_for(lambda: state_of(email_id) == "sent")
        assert account_smtp.prune() == 1
        assert Credential.select().count() == 0


def test_the_test_of_an_account_tries_both(ann: Caller, account: dict[str, Any], server: TokenSmtp) -> None:
    told = ann.post(f"/api/accounts/{account['id']}/test").json
    assert told["smtp"]["success"] is True
    assert told["smtp"]["steps"][-1]["detail"] == "logged in by XOAUTH2"
    assert told["code"] == "REFUSED"  # there is no mailbox
    report = ann.post(f"/api/smtp-configs/{account['smtp']['smtpConfigId']}/test").json
    assert report["ok"] is True
    assert [good for _, good in server.logins] == [True, True]


@pytest.mark.parametrize(("offered", "said_by_client"), [
    ("PLAIN XOAUTH2 OAUTHBEARER", b"AUTH XOAUTH2 dXNlcj1hLGIBYXV0aD1CZWFyZXIgdG9rAQE="),
    # n,a=a=2Cb,\1host=127.0.0.1\1port=P\1auth=Bearer tok\1\1
    ("OAUTHBEARER", b"AUTH OAUTHBEARER bixhPWE9MkNiLA"), ("PLAIN LOGIN", b""),
])  # fmt: skip
def test_the_words_of_each_mechanism(offered: str, said_by_client: bytes) -> None:
    """A refusal is a challenge; the answer to it brings the reply."""
    heard: list[bytes] = []

    def talk(sock: Any) -> None:
        lines = sock.makefile("rb")
        sock.sendall(b"220 hi\r\n")
        lines.readline()
        sock.sendall(f"250-hi\r\n250 AUTH {offered}\r\n".encode())
        for reply in (b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n", b"535 5.7.8 no\r\n"):
            if line := lines.readline():
                heard.append(line.rstrip())
                sock.sendall(reply)

    with served(talk) as port, pytest.raises(SmtpError) as caught:
        Connection.open(Endpoint(HOST, port, "none", True, "a,b", None, True, "relay.test", token="tok"))
    if not said_by_client:
        assert (caught.value.stage, caught.value.reason, heard) == (Stage.AUTH, Reason.UNSUPPORTED, [])
        return
    assert (caught.value.stage, caught.value.reason) == (Stage.AUTH, Reason.AUTH)
    assert heard[0].startswith(said_by_client)
    assert heard[1:] == ([b"AQ=="] if offered == "OAUTHBEARER" else [b""])
    assert "tok" not in caught.value.detail.replace("token", "")
