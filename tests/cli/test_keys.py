from __future__ import annotations

from models.account import Credential
from models.database import row
from models.smtp_config import SmtpConfig
from services import keys
from tests.cli.conftest import CommandLine
from utils.clock import now_ms
from utils.crypto import Vault, new_fernet_key


def test_a_key_is_printed_once_and_works(run: CommandLine) -> None:
    made = run("keys", "create", "--name", "shop", "--tenant", "acme", "--scopes", "send", "--json")
    assert made.status == 0
    who = keys.authenticate(made.json["key"], now_ms())
    assert who is not None and (who.tenant, sorted(who.scopes)) == ("acme", ["send"])
    listed = run("keys", "list")
    assert "shop" in listed.out and made.json["key"] not in listed.out


def test_for_people_the_secret_stands_on_a_line_of_its_own(run: CommandLine) -> None:
    secret = run("keys", "create", "--name", "shop").out.splitlines()[-1]
    assert keys.authenticate(secret, now_ms()) is not None


def test_a_revoked_key_stops(run: CommandLine) -> None:
    made = run("keys", "create", "--name", "shop", "--json").json
    assert run("keys", "revoke", str(made["id"])).status == 0
    assert keys.authenticate(made["key"], now_ms()) is None
    again = run("keys", "revoke", str(made["id"]))
    assert again.status == 1 and "no API key" in again.err


def test_listing_for_a_tenant_leaves_others_out(run: CommandLine) -> None:
    for tenant in ("acme", "other"):
        run("keys", "create", "--name", f"of-{tenant}", "--tenant", tenant)
    assert [one["name"] for one in run("keys", "list", "--tenant", "acme", "--json").json] == ["of-acme"]
    assert len(run("keys", "list", "--json").json) == 2


def test_an_unknown_scope_is_wrong_usage(run: CommandLine) -> None:
    assert run("keys", "create", "--name", "x", "--scopes", "send,fly").status == 2


def stored(config_id: int) -> str:
    found = row("SELECT password FROM smtp_configs WHERE id = ?", config_id)
    assert found is not None
    return str(found[0])


def with_password(run: CommandLine) -> int:
    run("keys", "list")  # makes the database
    vault = Vault(run.env["CREDENTIALS_KEY"].split(","))
    config = SmtpConfig.create(
        tenant="", name=f"c{SmtpConfig.select().count()}", email_address="a@b.example", smtp_host="mx", smtp_port=25,
        username="u", password=vault.encrypt("planted-password"), created_at=1, updated_at=1,
    )  # fmt: skip
    return int(config.id)


def test_rotating_lets_the_old_key_go(run: CommandLine) -> None:
    config_id = with_password(run)
    new = run("keys", "rotate", "--new", "--json").json["key"]
    run.env["CREDENTIALS_KEY"] = f"{new},{run.env['CREDENTIALS_KEY']}"
    before = stored(config_id)
    result = run("keys", "rotate", "--json")
    assert result.json == {"rotated": 1, "unreadable": [], "unreadable_credentials": []}
    assert result.status == 0
    assert stored(config_id) != before
    assert Vault([new]).decrypt(stored(config_id)) == "planted-password"


def test_a_password_that_no_key_opens_is_reported_and_left(run: CommandLine) -> None:
    lost = with_password(run)
    before = stored(lost)
    run.env["CREDENTIALS_KEY"] = new_fernet_key()
    kept = with_password(run)
    result = run("keys", "rotate", "--json")
    assert result.status == 1
    assert result.json == {"rotated": 1, "unreadable": [lost], "unreadable_credentials": []}
    assert stored(lost) == before != stored(kept)


def with_credential(run: CommandLine, name: str) -> None:
    """What logs in to a mail account, encrypted under the first of the present keys."""
    run("keys", "list")
    vault = Vault([run.env["CREDENTIALS_KEY"].split(",")[0]])
    Credential.create(
        id=name,
        tenant="acme",
        user="ann",
        secret=vault.encrypt("planted-password"),
        created_at=1,
        updated_at=1,
    )


def secrets() -> dict[str, str]:
    return {one.id: one.secret for one in Credential.select()}


def test_rotating_takes_the_credentials_of_mail_accounts_along(run: CommandLine) -> None:
    with_credential(run, "cred-789")
    new = run("keys", "rotate", "--new", "--json").json["key"]
    run.env["CREDENTIALS_KEY"] = f"{new},{run.env['CREDENTIALS_KEY']}"
    assert run("keys", "rotate", "--json").json["rotated"] == 1
    assert Vault([new]).decrypt(secrets()["cred-789"]) == "planted-password"


def test_a_credential_that_no_key_opens_is_reported_and_left(run: CommandLine) -> None:
    with_credential(run, "lost")
    before = secrets()
    run.env["CREDENTIALS_KEY"] = new_fernet_key()
    with_credential(run, "kept")
    result = run("keys", "rotate")
    assert result.status == 1
    assert "acme/ann/lost" in result.out and "kept" not in result.out
    assert "No key opens" in result.err
    assert secrets()["lost"] == before["lost"]
    told = {one["name"]: one for one in run("doctor", "--json").json["checks"]}
    assert told["passwords"]["state"] == "fail"
    assert "acme/ann/lost" in told["passwords"]["detail"] and "kept" not in told["passwords"]["detail"]
