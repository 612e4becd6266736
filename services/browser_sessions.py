"""Signed-in browsers. The database knows them, so that signing out, a new password and a revoked key end them for sure,
whoever has a copy of the cookie."""

from __future__ import annotations

import hashlib
import secrets

from models.database import row, run, write
from utils.clock import HOUR

LIFETIME = 12 * HOUR
_LONGEST_AGENT = 200


def begin(subject: str, address: str, agent: str, now: int) -> str:
    """A new session's token, of which only the hash is stored."""
    token = secrets.token_urlsafe(32)
    write(lambda: run(
        "INSERT INTO browser_sessions (sha256, subject, address, agent, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        _hash(token), subject, address, agent[:_LONGEST_AGENT], now, now + LIFETIME,
    ))  # fmt: skip
    return token


def subject_of(token: str, now: int) -> str | None:
    """Who signed in with it; None when it is over."""
    found = row("SELECT subject FROM browser_sessions WHERE sha256 = ? AND expires_at > ?", _hash(token), now)
    return str(found[0]) if found else None


def end(token: str) -> None:
    write(lambda: run("DELETE FROM browser_sessions WHERE sha256 = ?", _hash(token)))


def end_all(subject: str) -> None:
    """Inside a write job."""
    run("DELETE FROM browser_sessions WHERE subject = ?", subject)


def prune(now: int) -> int:
    return write(lambda: run("DELETE FROM browser_sessions WHERE expires_at <= ?", now))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
