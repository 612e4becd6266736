"""Settings that are allowed, and yet weak or risky."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.doctor.check import Check, ok, warn
from services.relay import Policy

_LOOPBACK = ("127.", "::1", "localhost")
_EXAMPLES = ("your-", "change", "example", "secret", "password")
_MIN_DIFFERENT = 10  # characters; 32 random bytes have far more


def check(settings: dict[str, Any], policy: Policy, env_file: Path) -> Iterator[Check]:
    risks = list(_risks(settings, policy))
    yield from risks
    if not risks:
        yield ok("settings", f"{len(settings)} read, none weak or risky")
    yield _env_file(env_file)


def _risks(settings: dict[str, Any], policy: Policy) -> Iterator[Check]:
    for name, value in (("API_KEY", policy.master_key), ("JWT_SECRET", policy.jwt_secret)):
        if _is_weak(value):
            advice = f"remove {name} from .env: the next start makes a random one"
            yield warn("settings", f"{name} looks like an example or is easy to guess", advice)
    if not str(settings["HOST"]).startswith(_LOOPBACK):
        advice = "let it listen on 127.0.0.1 behind a reverse proxy with TLS, and set TRUSTED_PROXIES"
        yield warn(
            "settings", f"HOST={settings['HOST']} takes keys and mail unencrypted from the network", advice
        )
    if settings["FLASK_ENV"] == "development":
        yield warn(
            "settings", "FLASK_ENV=development logs more than an operator needs", "set FLASK_ENV=production"
        )
    if "*" in settings["CORS_ORIGINS"]:
        yield warn(
            "settings", "CORS_ORIGINS=* lets every web page call the API", "name the origins that need it"
        )
    if settings["ALLOW_PRIVATE_HOSTS"]:
        detail = "ALLOW_PRIVATE_HOSTS=on lets tenants reach your internal network through their SMTP hosts"
        yield warn("settings", detail, "leave it off unless every tenant is trusted")
    if not policy.min_free_bytes:
        detail = "MIN_FREE_MB=0: mail is accepted until the disk is full"
        yield warn("settings", detail, "set MIN_FREE_MB to at least 100")
    if policy.message_id_domain.endswith((".local", ".localdomain", ".internal")):
        detail = f"MESSAGE_ID_DOMAIN is {policy.message_id_domain}, which spam filters distrust"
        yield warn("settings", detail, "set it to a domain of yours before you send to the Internet")


def _is_weak(secret: str) -> bool:
    guessable = any(word in secret.lower() for word in _EXAMPLES)
    return bool(secret) and (guessable or len(set(secret)) < _MIN_DIFFERENT)


def _env_file(path: Path) -> Check:
    if not path.exists():
        return ok("env file", f"{path} is not there; the settings come from the environment")
    if path.stat().st_mode & 0o077:
        return warn("env file", f"{path} can be read by other users", f"chmod 600 {path}")
    return ok("env file", f"{path}, readable by its owner only")
