"""What logs in goes to the server that it was stored for, and to no other."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from apiflask import APIFlask

from models.account import Account, Credential
from models.database import run, write
from models.smtp_config import SmtpConfig
from services import account_smtp, credentials
from services.principal import Principal, Scope
from services.rotation import rotate_passwords
from tests.accounts.making import SMTP, WORK, change, delete, make, show
from tests.support.app import Caller

PASSWORD = WORK["password"]
MOVES: list[dict[str, Any]] = [
    {"hostname": "imap.example.com"}, {"port": 143}, {"encryption": "starttls"}, {"username": "other"},
]  # fmt: skip
ELSEWHERE = {
    name: value
    for name, value in (WORK | {"emailAddress": "x@evil.example", "hostname": "evil.example"}).items()
    if name != "password"
}
_numbers = itertools.count()


def another(caller: Caller, **changes: Any) -> dict[str, Any]:
    return make(caller, emailAddress=f"other{next(_numbers)}@company.com", **changes)


def password_of(app: APIFlask, account: dict[str, Any]) -> str | None:
    """What a sync would log in with."""
    secret = credentials.secret_of(app.extensions["mailferry"], Account.get_by_id(account["id"]))
    return secret.value if secret else None


def smtp_password_of(app: APIFlask, caller: Caller, account: dict[str, Any]) -> str | None:
    config = SmtpConfig.get_by_id(show(caller, account)["smtp"]["smtpConfigId"])
    return app.extensions["mailferry"].vault.decrypt(config.password) if config.password else None


def stored() -> list[str]:
    return [one.id for one in Credential.select()]


def test_a_password_is_kept_encrypted_and_shown_to_nobody(app: APIFlask, ann: Caller) -> None:
    account = make(ann)
    assert password_of(app, account) == PASSWORD
    assert PASSWORD not in "".join(str(one.__data__) for one in Credential.select())
    for response in (ann.get("/api/accounts"), ann.get(f"/api/accounts/{account['id']}")):
        assert PASSWORD not in response.get_data(as_text=True)
    assert ann.get(f"/api/credentials/{account['credentialId']}").status_code == 405


@pytest.mark.parametrize("move", MOVES)
def test_an_account_that_is_aimed_elsewhere_has_no_password_there(
    app: APIFlask, ann: Caller, move: dict[str, Any]
) -> None:
    account = make(ann)
    assert change(ann, account, **move).json["state"] == "needs_credentials"
    assert password_of(app, account) is None
    assert stored() == []
    back = {name: account[name] for name in move}
    assert change(ann, account, **back).json["state"] == "needs_credentials"  # it does not come back, either


@pytest.mark.parametrize("move", MOVES)
def test_a_new_password_comes_along(app: APIFlask, ann: Caller, move: dict[str, Any]) -> None:
    account = make(ann)
    assert change(ann, account, password="new", **move).json["state"] == "active"
    assert password_of(app, account) == "new"


def test_a_new_credential_comes_along(app: APIFlask, ann: Caller) -> None:
    account = make(ann)
    ann.put("/api/credentials/new", {"password": "new"})
    moved = change(ann, account, hostname="imap.example.com", credentialId="new").json
    assert (moved["state"], moved["credentialId"], password_of(app, account)) == ("active", "new", "new")
    assert stored() == ["new"]


def test_the_same_credential_is_not_a_new_one(app: APIFlask, ann: Caller) -> None:
    account = make(ann)
    moved = change(ann, account, hostname="imap.example.com", credentialId=account["credentialId"])
    assert moved.json["state"] == "needs_credentials"
    assert password_of(app, account) is None


HARMLESS: list[dict[str, Any]] = [
    {"accountName": "x"}, {"syncInterval": 60}, {"isEnabled": False}, {"verifyTls": False},
    {"hostname": "IMAP.company.com"},
    {"hostname": WORK["hostname"], "port": WORK["port"], "username": WORK["username"]}, {"encryption": "TLS"},
]  # fmt: skip


def test_other_changes_keep_the_password(app: APIFlask, ann: Caller) -> None:
    account = make(ann)
    for changes in HARMLESS:
        assert change(ann, account, **changes).json["state"] == "active"
        assert password_of(app, account) == PASSWORD


def test_a_stored_credential_serves_no_second_server(app: APIFlask, ann: Caller) -> None:
    """Else whoever may add accounts could have it sent to a host of his own."""
    account = make(ann)
    body = WORK | {
        "emailAddress": "x@evil.example",
        "hostname": "evil.example",
        "credentialId": account["credentialId"],
    }
    del body["password"]
    refused = ann.post("/api/accounts", body)
    assert (refused.status_code, refused.json["code"]) == (409, "CREDENTIAL_IN_USE")
    other = another(ann, hostname="imap.example.com")
    refused = change(ann, other, credentialId=account["credentialId"])
    assert (refused.status_code, refused.json["code"]) == (409, "CREDENTIAL_IN_USE")
    assert password_of(app, other) == PASSWORD == password_of(app, account)


def test_nor_does_one_that_is_still_to_be_stored(ann: Caller) -> None:
    make(ann, password=None, credentialId="later")
    assert (
        ann.post("/api/accounts", ELSEWHERE | {"credentialId": "later"}).json["code"] == "CREDENTIAL_IN_USE"
    )


def test_nor_one_whose_account_is_gone(app: APIFlask, ann: Caller) -> None:
    account = make(ann)
    delete(ann, account)
    assert stored() == []
    waiting = another(ann, hostname="evil.example", password=None, credentialId=account["credentialId"])
    assert (waiting["state"], password_of(app, waiting)) == ("needs_credentials", None)


def test_two_addresses_with_one_login_share_a_credential(app: APIFlask, ann: Caller) -> None:
    ann.put("/api/credentials/shared", {"password": "first"})
    one, two = (another(ann, password=None, credentialId="shared") for _ in range(2))
    assert ann.put("/api/credentials/shared", {"password": "second"}).status_code == 200
    assert [password_of(app, account) for account in (one, two)] == ["second", "second"]
    moved = change(ann, one, hostname="imap.example.com").json
    assert moved["credentialId"] != "shared"
    assert [password_of(app, account) for account in (one, two)] == [None, "second"]
    delete(ann, one)
    assert password_of(app, two) == "second"
    delete(ann, two)
    assert stored() == []


def test_a_deleted_credential_leaves_its_accounts_waiting(app: APIFlask, ann: Caller) -> None:
    account = make(ann, smtp=SMTP)
    path = f"/api/credentials/{account['credentialId']}"
    assert ann.delete(path).status_code == 204
    assert ann.delete(path).status_code == 404
    shown = show(ann, account)
    assert (shown["state"], shown["smtp"]["hasPassword"]) == ("needs_credentials", False)
    ann.put(path, {"password": "again"})
    assert (show(ann, account)["state"], password_of(app, account)) == ("active", "again")
    assert smtp_password_of(app, ann, account) == "again"


def test_an_access_token_is_a_credential_of_its_own_kind(app: APIFlask, ann: Caller) -> None:
    made = ann.post("/api/credentials", {"accessToken": "planted-token"})
    assert (made.status_code, made.json["kind"]) == (201, "oauth2")
    assert "planted" not in made.get_data(as_text=True)
    account = make(ann, password=None, credentialId=made.json["id"])
    secret = credentials.secret_of(app.extensions["mailferry"], Account.get_by_id(account["id"]))
    assert secret is not None
    assert (secret.kind, secret.value) == ("oauth2", "planted-token")
    assert "planted" not in repr(secret)


WRONG: list[dict[str, Any]] = [
    {}, {"password": "a", "accessToken": "b"}, {"password": ""}, {"password": "a\r\nb"}, {"accessToken": "a\nb"},
    {"password": 7}, {"secret": "x"}, {"id": "x", "password": "p"}, {"password": "a\ud800"},
]  # fmt: skip


def test_a_wrong_credential_is_refused_unrepeated(ann: Caller) -> None:
    for body in WRONG:
        for response in (ann.post("/api/credentials", body), ann.put("/api/credentials/x", body)):
            assert response.status_code == 400
            assert response.json["details"][0]["field"] in ("body", *body)


def test_a_password_and_a_credential_exclude_each_other(ann: Caller) -> None:
    assert ann.post("/api/accounts", WORK | {"credentialId": "x"}).status_code == 400
    assert change(ann, make(ann), credentialId="x", password="y").status_code == 400


def test_rotation_of_our_keys_does_not_bring_back_what_is_replaced_meanwhile(
    app: APIFlask, ann: Caller
) -> None:
    relay = app.extensions["mailferry"]
    account = make(ann, smtp=SMTP)
    sealed = relay.vault.encrypt("newer")
    rotating = threading.Thread(target=lambda: rotate_passwords(relay))

    def replacing() -> None:
        run("UPDATE credentials SET secret = ?", sealed)
        run("UPDATE smtp_configs SET password = ? WHERE account_id IS NOT NULL", sealed)
        rotating.start()
        time.sleep(0.5)  # it reads, and waits for us at the latest when it writes

    write(replacing)
    rotating.join(10)
    assert (password_of(app, account), smtp_password_of(app, ann, account)) == ("newer", "newer")


class TestSmtp:
    """The account's own SMTP config."""

    def test_it_logs_in_as_the_account_does(self, app: APIFlask, ann: Caller) -> None:
        account = make(ann, smtp=SMTP)
        assert account["smtp"].items() >= {
            "hostname": "smtp.company.com", "port": 587, "encryption": "starttls", "username": WORK["username"],
            "hasPassword": True,
        }.items()  # fmt: skip
        assert smtp_password_of(app, ann, account) == PASSWORD
        change(ann, account, password="new")
        assert smtp_password_of(app, ann, account) == "new"

    def test_a_login_of_its_own_is_its_own(self, app: APIFlask, ann: Caller) -> None:
        account = make(ann, smtp=SMTP | {"username": "sender", "password": "planted-smtp"})
        change(ann, account, password="new")
        assert (show(ann, account)["smtp"]["username"], smtp_password_of(app, ann, account)) == (
            "sender",
            "planted-smtp",
        )

    def test_the_accounts_password_goes_to_no_smtp_server_that_comes_later(
        self, app: APIFlask, ann: Caller
    ) -> None:
        account = make(ann)
        change(ann, account, smtp={"hostname": "evil.example"})
        assert smtp_password_of(app, ann, account) is None
        other = another(ann, smtp=SMTP)
        change(ann, other, smtp={"hostname": "evil.example"})
        assert smtp_password_of(app, ann, other) is None
        change(ann, other, password="brought for both")
        assert smtp_password_of(app, ann, other) == "brought for both"

    def test_a_new_username_is_its_own_too(self, app: APIFlask, ann: Caller) -> None:
        account = make(ann, smtp=SMTP)
        change(ann, account, username="ann")
        shown = show(ann, account)["smtp"]
        assert (shown["username"], shown["hasPassword"]) == ("ann", False)
        change(ann, account, username="eve", password="new")
        assert (show(ann, account)["smtp"]["username"], smtp_password_of(app, ann, account)) == ("eve", "new")

    @pytest.mark.parametrize(("smtp", "field"), [
        ({}, "smtp.hostname"), ({"hostname": "no host"}, "smtp.hostname"), (SMTP | {"port": 0}, "smtp.port"),
        (SMTP | {"encryption": "ssl"}, "smtp.encryption"), (SMTP | {"nonsense": 1}, "smtp.nonsense"),
        (SMTP | {"displayName": "a\r\nBcc: x"}, "smtp.displayName"),
    ])  # fmt: skip
    def test_wrong_settings_are_named(self, ann: Caller, smtp: dict[str, Any], field: str) -> None:
        response = ann.post("/api/accounts", WORK | {"smtp": smtp})
        assert response.status_code == 400
        assert [one["field"] for one in response.json["details"]] == [field]
        assert ann.get("/api/accounts").json["count"] == 0

    def test_it_goes_with_its_settings_and_with_the_account(self, ann: Caller) -> None:
        account, other = make(ann, smtp=SMTP), another(ann, smtp=SMTP)
        assert change(ann, account, smtp=None).json["smtp"] is None
        assert SmtpConfig.select().where(SmtpConfig.account_id == account["id"]).count() == 0
        delete(ann, other)
        assert SmtpConfig.select().where(SmtpConfig.account_id.is_null(False)).count() == 0

    def test_accepted_mail_outlives_its_account(self, ann: Caller) -> None:
        account = make(ann, smtp=SMTP)
        config = account["smtp"]["smtpConfigId"]
        assert change(ann, account, smtp=None).json["smtp"] is None
        account = change(ann, account, smtp=SMTP | {"password": "p"}).json
        config = account["smtp"]["smtpConfigId"]
        email = {
            "subject": "x",
            "recipients": ["ann@example.com"],
            "text_content": "x",
            "smtp_config_id": config,
        }
        waiting = ann.post("/api/emails", email).json["email_id"]
        assert change(ann, account, smtp=None).status_code == 409
        assert delete(ann, account).status_code == 204
        assert SmtpConfig.get_or_none(SmtpConfig.id == config) is not None
        assert ann.post("/api/emails", email).status_code == 400  # but no more comes
        assert account_smtp.prune() == 0
        assert ann.post(f"/api/emails/{waiting}/cancel").status_code == 200
        assert account_smtp.prune() == 1
        assert SmtpConfig.get_or_none(SmtpConfig.id == config) is None
        assert account_smtp.prune() == 0

    def test_nobody_else_sends_through_it(self, ann: Caller, bob: Caller, admin: Caller) -> None:
        config = make(ann, smtp=SMTP)["smtp"]["smtpConfigId"]
        email = {"subject": "x", "recipients": ["ann@example.com"], "text_content": "x"}
        refused = bob.post("/api/emails", email | {"smtp_config_id": config})
        assert (refused.status_code, refused.json["code"]) == (400, "UNKNOWN_SMTP_CONFIG")
        mine = bob.post("/api/emails", email).json["email_id"]
        assert bob.patch(f"/api/emails/{mine}", {"smtp_config_id": config}).status_code == 400
        assert bob.get(f"/api/smtp-configs/{config}").status_code == 404
        assert config not in [one["id"] for one in bob.get("/api/smtp-configs").json]
        assert ann.post("/api/emails", email | {"smtp_config_id": config}).status_code == 201
        assert admin.get(f"/api/smtp-configs/{config}").status_code == 200

    def test_it_is_ruled_by_its_account(self, ann: Caller, admin: Caller) -> None:
        config = make(ann, smtp=SMTP)["smtp"]["smtpConfigId"]
        path = f"/api/smtp-configs/{config}"
        for changes in (
            {"smtp_host": "evil.example"},
            {"weight": 1},
            {"allow_any_sender": True},
            {"password": "x"},
        ):
            refused = admin.put(path, changes)
            assert (refused.status_code, refused.json["code"]) == (409, "OF_AN_ACCOUNT")
        assert admin.delete(path).json["code"] == "OF_AN_ACCOUNT"
        assert admin.put(path, {"hourly_limit": 10}).status_code == 200

    def test_mail_that_names_no_config_never_takes_it(self, ann: Caller, admin: Caller) -> None:
        """Nor does it end the sandbox's share: it is one user's own."""
        config = make(ann, smtp=SMTP)["smtp"]["smtpConfigId"]
        email = {"subject": "x", "recipients": ["ann@example.com"], "text_content": "x"}
        accepted = admin.post("/api/emails", email)
        assert accepted.status_code == 201
        shown = admin.get(f"/api/emails/{accepted.json['email_id']}").json
        assert shown["smtp_config_id"] != config
        assert shown["smtp_config"] in (None, "Sandbox")


def test_a_service_wide_lookup_needs_no_user(ann: Caller) -> None:
    """The command line sees all accounts, of a tenant or of everyone."""
    from services import accounts

    make(ann)
    everyone = Principal(None, "command line", True, "", "", frozenset({Scope.ADMIN}))
    assert accounts.listed(everyone, 10, 0)[1] == 1
