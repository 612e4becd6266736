from __future__ import annotations

from pathlib import Path

import pytest

import config
from models.translation import for_postgres

SECRET = "planted-database-password"
ENV = {
    "SECRET_KEY": "x" * 16, "API_KEY": "x" * 16, "JWT_SECRET": "x" * 16, "CREDENTIALS_KEY": "A" * 43 + "=",
}  # fmt: skip


def settings(url: str) -> config.Settings:
    return config.from_env(ENV | {"DATABASE_URL": url})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgresql_url_is_taken_as_it_is(scheme: str) -> None:
    found = settings(f"{scheme}://me:{SECRET}@db.example:5433/mail?sslmode=require")
    assert found.database == f"postgresql://me:{SECRET}@db.example:5433/mail?sslmode=require"
    assert found.database_path.parent == found.data_dir


def test_sqlite_stays_a_file_and_the_default() -> None:
    assert settings("").database == settings("").data_dir / "mailferry.db"
    assert settings("sqlite:////var/mail.db").database == Path("/var/mail.db")
    assert settings("sqlite:////var/mail.db").database_path == Path("/var/mail.db")


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@h/d",
        f"postgresql://me:{SECRET}@h",
        f"postgresql+psycopg://me:{SECRET}@h/d",
        "sqlite:///",
    ],
)
def test_a_wrong_url_is_named_and_its_password_is_not(url: str) -> None:
    with pytest.raises(config.SettingError) as caught:
        settings(url)
    assert str(caught.value).startswith("DATABASE_URL: ") and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("sqlite:////var/mail.db", "sqlite:////var/mail.db"),
        ("postgresql://h/d", "postgresql://h/d"),
        (f"postgresql://me:{SECRET}@h:1/d", "postgresql://me:(set)@h:1/d"),
        (f"postgresql://h/d?user=me&password={SECRET}", "postgresql://h/d?(set)"),
    ],
)
def test_the_password_is_never_described(url: str, shown: str) -> None:
    assert settings(url).describe()["DATABASE_URL"] == shown
    assert SECRET not in repr(settings(url))


def test_the_password_is_found_to_be_masked_in_logs() -> None:
    assert config.password_in("postgresql://me:p%40ss-word@h/d") == "p@ss-word"
    assert config.password_in("postgresql://h/d?password=other") == "other"
    assert config.password_in("postgresql://h/d") == config.password_in("") == ""


@pytest.mark.parametrize(
    ("written", "translated"),
    [
        ("SELECT ?, '?', \"?\"", "SELECT %s, '?', \"?\""),
        ("x LIKE '50%' AND y % ? = 0", "x LIKE '50%%' AND y %% %s = 0"),
        ("'it''s 5%' || ?", "'it''s 5%%' || %s"),
        ("SELECT 1 /*pg FOR UPDATE SKIP LOCKED*/ -- 5%", "SELECT 1 FOR UPDATE SKIP LOCKED -- 5%%"),
        ("FROM emails INDEXED BY emails_due WHERE a", "FROM emails  WHERE a"),
        ("a IN () AND b NOT IN ()", "a = ANY ('{}') AND b <> ALL ('{}')"),
        ("a IN (?,?)", "a IN (%s,%s)"),
    ],
)
def test_statements_are_translated(written: str, translated: str) -> None:
    assert for_postgres(written) == translated
