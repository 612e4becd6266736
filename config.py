"""Settings: from the environment, then `.env`; read once, validated once, shown with secrets masked."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from dotenv import dotenv_values, set_key

ROOT = Path(__file__).resolve().parent
SECRETS = ("SECRET_KEY", "CREDENTIALS_KEY", "JWT_SECRET", "API_KEY")


class SettingError(Exception):
    """A setting is missing or wrong. The message is one line that names it."""


def setting(parse: Callable[[str], Any], default: str | None, why: str) -> Any:
    """A field read from the environment. `default` None: required. `why` is shown by `doctor` and in .env.example."""
    hidden = parse in (secret, fernet_keys, database_address)
    return dataclass_field(repr=not hidden, metadata={"parse": parse, "default": default, "why": why})


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}")
        return number

    return parse


def on_off(text: str) -> bool:
    if text.lower() in ("on", "true", "yes", "1"):
        return True
    if text.lower() in ("off", "false", "no", "0"):
        return False
    raise ValueError("must be on or off")


def one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for word in words:
            if text.lower() == word.lower():
                return word
        raise ValueError(f"must be one of {', '.join(words)}")

    return parse


def words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def secret(text: str) -> str:
    if len(text) < 16:
        raise ValueError("must have at least 16 characters")
    return text


def fernet_keys(text: str) -> tuple[str, ...]:
    from cryptography.fernet import Fernet  # it takes longer to load than all else here

    keys = words(text)
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            raise ValueError("must be Fernet keys (32 bytes, url-safe base64), separated by commas") from None
    if not keys:
        raise ValueError("needs at least one key")
    return keys


def rate_table(text: str) -> dict[str, str]:
    """`send=600/minute,read=50/second` as a dict."""
    table = {}
    for entry in words(text):
        group, _, rate = entry.partition("=")
        count, _, unit = rate.partition("/")
        if not (group and count.isdigit() and int(count) > 0 and unit in ("second", "minute", "hour", "day")):
            raise ValueError("must look like send=600/minute,read=50/second")
        table[group] = rate
    return table


def folder(text: str) -> Path:
    return (ROOT / Path(text).expanduser()).resolve()


def database_address(text: str) -> str:
    """Not echoed when it is wrong: it may hold a password."""
    if text.startswith("postgres://"):
        text = "postgresql" + text.removeprefix("postgres")
    if not text or (text.startswith("sqlite:///") and text != "sqlite:///"):
        return text
    if not text.startswith("postgresql://"):
        raise ValueError("must be sqlite:///path or postgresql://user:password@host:port/database")
    if not (urlsplit(text).path.strip("/") or "dbname=" in text):
        raise ValueError("names no database: postgresql://user:password@host:port/database")
    return text


def without_password(url: str) -> str:
    """The URL with its password, and what options it carries, masked."""
    if not url.startswith("postgresql://"):
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    masked = f"{name}:(set)" if ":" in user else name
    return urlunsplit(parts._replace(netloc=masked + at + host, query="(set)" if parts.query else ""))


def password_in(url: str) -> str:
    """Empty where there is none."""
    parts = urlsplit(url)
    return unquote(parts.password or "") or parse_qs(parts.query).get("password", [""])[0]


def host_domain(text: str) -> str:
    domain = text or socket.getfqdn()
    if not text and ("." not in domain or domain.endswith(".arpa")):
        domain = "mailferry.local"
    if not all(label.replace("-", "").isalnum() and label.isascii() for label in domain.split(".")):
        raise ValueError("must be a domain name in ASCII")
    return domain.lower()


@dataclass(frozen=True)
class Settings:
    """Every setting, by the lower-case name of its variable. How each reads is told by its metadata."""

    host: str = setting(str, "127.0.0.1", "address to listen on; put a TLS proxy in front before you open it")
    port: int = setting(whole(0, 65535), "5000", "port of the API")
    data_dir: Path = setting(folder, "./data", "database, locks and instance files")
    database_url: str = setting(
        database_address,
        "",
        "sqlite:///path or postgresql://user:password@host:port/database; empty is mailferry.db in DATA_DIR",
    )
    secret_key: str = setting(secret, None, "signs sessions and Message-IDs; made at first start")
    credentials_key: tuple[str, ...] = setting(
        fernet_keys,
        None,
        "Fernet keys of stored passwords, the first encrypts; made at first start; keep a copy",
    )
    api_key: str = setting(secret, None, "the bootstrap service key, admin scope; made at first start")
    jwt_secret: str = setting(secret, None, "signs tenants' tokens; made at first start")
    queue_workers: int = setting(
        whole(1, 64), "1", "delivery threads per process; one drives all connections, more only contend"
    )
    max_retries: int = setting(whole(0, 1000), "25", "attempts after the first before an email fails")
    max_age_hours: int = setting(whole(1, 8760), "72", "age at which a retried email fails")
    priority_step: int = setting(
        whole(0, 7 * 86_400),
        "21600",
        "seconds of head start per priority level; bounds how long mail is overtaken",
    )
    web_concurrency: int = setting(
        whole(1, 64), "2", "processes; each serves and delivers; as many as cores, up to 4"
    )
    web_threads: int = setting(
        whole(1, 512),
        "8",
        "request threads per process; as many more ask mail servers, and single posts need none",
    )
    drain_seconds: int = setting(whole(1, 600), "25", "how long a stop waits for mail that is on the wire")
    lease_seconds: int = setting(whole(2, 3600), "60", "silence after which a process counts as stuck")
    sandbox: bool = setting(on_off, "on", "run the SMTP server that catches test mail")
    sandbox_smtp_port: int = setting(whole(1, 65535), "1025", "its port, on 127.0.0.1")
    message_id_domain: str = setting(host_domain, "", "domain of Message-IDs; empty is this machine's name")
    retention_days: int = setting(whole(1, 36_500), "90", "age at which finished emails are deleted")
    body_retention_days: int = setting(
        whole(0, 36_500), "14", "age at which contents of finished emails are erased"
    )
    min_free_mb: int = setting(whole(0, 1_000_000), "200", "free disk below which mail is refused with 507")
    max_message_mb: int = setting(whole(1, 500), "25", "largest email, encoded; requests may be twice that")
    allow_private_hosts: bool = setting(on_off, "off", "let tenants' SMTP hosts be on private networks")
    cors_origins: tuple[str, ...] = setting(
        words, "", "browser origins that may call the API, comma-separated"
    )
    trusted_proxies: int = setting(whole(0, 10), "0", "how many reverse proxies in front set X-Forwarded-*")
    rate_limits: dict[str, str] = setting(rate_table, "", "per credential and group, e.g. send=600/minute")
    log_level: str = setting(one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "least severe level to log")
    log_format: str = setting(one_of("text", "json"), "text", "one line a record either way")
    flask_env: str = setting(
        one_of("production", "development"), "production", "development: debug logs; never a debugger"
    )

    @property
    def database(self) -> Path | str:
        """SQLite's file, or the URL of a PostgreSQL database."""
        return self.database_url if self.database_url.startswith("postgresql://") else self.database_path

    @property
    def database_path(self) -> Path:
        """SQLite's file; the locks are beside it, or, with PostgreSQL, beside where it would be by default."""
        if self.database_url.startswith("sqlite:///"):
            return (ROOT / self.database_url.removeprefix("sqlite:///")).resolve()
        return self.data_dir / "mailferry.db"

    def explained(self) -> list[dict[str, Any]]:
        """The same for people: name, value, why, and whether it differs from the default."""
        values, told = self.describe(), []
        for one in fields(self):
            name, default = one.name.upper(), one.metadata["default"]
            changed = default is not None and getattr(self, one.name) != one.metadata["parse"](default)
            told.append(
                {"name": name, "value": _shown(values[name]), "why": one.metadata["why"], "changed": changed}
            )
        return told

    def describe(self) -> dict[str, Any]:
        """Settings in force, secrets masked."""
        shown = {one.name.upper(): getattr(self, one.name) for one in fields(self)}
        return shown | dict.fromkeys(SECRETS, "(set)") | {"DATABASE_URL": without_password(self.database_url)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value)
    return (
        ", ".join(f"{one}={rate}" for one, rate in value.items()) if isinstance(value, dict) else str(value)
    )


def from_env(env: Mapping[str, str]) -> Settings:
    """Settings from a mapping; SettingError names the first that is wrong."""
    env = {**env}
    env.setdefault("LOG_LEVEL", env.get("EMAIL_SERVICE_LOG_LEVEL", ""))
    if env.get("FLASK_ENV", "").lower() == "development":
        env["LOG_LEVEL"] = env["LOG_LEVEL"] or "DEBUG"
    return Settings(**{one.name: _read(env, one.name.upper(), one.metadata) for one in fields(Settings)})


def _read(env: Mapping[str, str], name: str, about: Mapping[str, Any]) -> Any:
    text = env.get(name, "").strip() or about["default"]
    if text is None:
        raise SettingError(f"{name} is not set: {about['why']}")
    try:
        return about["parse"](text)
    except ValueError as exc:
        shown = "the value" if name in (*SECRETS, "DATABASE_URL") else repr(text)
        raise SettingError(f"{name}: {shown} is not usable: {exc}") from None


def env_file() -> Path:
    return Path(os.environ.get("ENV_FILE") or ROOT / ".env")


def environment() -> dict[str, str]:
    """The environment, and below it what `.env` says."""
    from_file = {name: value for name, value in dotenv_values(env_file()).items() if value}
    return from_file | {name: value for name, value in os.environ.items() if value}


def has_key() -> bool:
    return bool(environment().get("CREDENTIALS_KEY"))


def load() -> Settings:
    """Settings in force; secrets that are missing are made and written to `.env` first."""
    env = environment()
    missing = [name for name in SECRETS if not env.get(name)]
    if missing:
        _make_secrets(missing, env)
        env = environment()
    return from_env(env)


def _make_secrets(missing: list[str], env: Mapping[str, str]) -> None:
    from cryptography.fernet import Fernet

    others = dict.fromkeys(SECRETS, "x" * 16) | {"CREDENTIALS_KEY": Fernet.generate_key().decode()}
    path = from_env({**others, **env}).database
    if "CREDENTIALS_KEY" in missing and isinstance(path, Path) and path.exists():
        raise SettingError(
            f"CREDENTIALS_KEY is not set, but {path} exists: a new key could not read the passwords stored there;"
            " put the old key back, or move the database away"
        )
    target = env_file()
    target.touch(mode=0o600)
    target.chmod(0o600)
    for name in missing:
        value = Fernet.generate_key().decode() if name == "CREDENTIALS_KEY" else secrets.token_urlsafe(32)
        set_key(target, name, ("mf_" if name == "API_KEY" else "") + value, quote_mode="never")
