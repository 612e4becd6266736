"""Passwords of people: hashed by argon2id, with the parameters that OWASP names for it (19 MiB, two passes)."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def verify_password(hashed: str | None, password: str) -> bool:
    """Without a hash it takes as long as with one, so that nobody learns by the clock which names exist."""
    try:
        return _HASHER.verify(hashed or _nobodys(), password) and hashed is not None
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _HASHER.hash("nobody has this password")
