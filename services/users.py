"""People who sign in with a name and a password.

After some wrong passwords in a row the name is locked for a while, which grows. Whoever has the master key, or a shell
on the machine, gets in meanwhile, so that nobody can be locked out for good.
"""

from __future__ import annotations

from typing import Any

from models.database import row, rows, run, write
from models.people import User
from services import browser_sessions
from services.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from services.principal import check_name
from services.roles import Role
from utils.clock import HOUR, MINUTE, iso, iso_or_none
from utils.passwords import hash_password, verify_password

SHORTEST, LONGEST = 10, 200  # characters of a password
PATIENCE = 5  # wrong passwords in a row
_LOCKS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR)
_SEEN_EVERY = 5 * MINUTE


def create(name: str, password: str, role: str, now: int) -> int:
    """Its id. ConflictError when the name is taken, in any case of its letters."""
    name = check_name("name", name.strip().lower())
    hashed, known = hash_password(_checked(password)), _role(role)

    def job() -> int:
        if row("SELECT 1 FROM users WHERE name = ?", name):
            raise ConflictError(f"there is a user named {name} already", code="NAME_TAKEN", field="name")
        return int(User.create(name=name, role=known, password_hash=hashed, created_at=now).id)

    return write(job, durable=True)


def listed() -> list[dict[str, Any]]:
    return [described(one) for one in User.select().order_by(User.name)]


def described(user: User) -> dict[str, Any]:
    return {
        "id": user.id, "name": user.name, "role": user.role, "created_at": iso(user.created_at),
        "last_seen_at": iso_or_none(user.last_seen_at), "locked_until": iso_or_none(user.locked_until),
    }  # fmt: skip


def find(user_id: int) -> User:
    found: User | None = User.get_or_none(User.id == user_id)
    if found is None:
        raise NotFoundError(f"no user {user_id}")
    return found


def by_name(name: str) -> User:
    found: User | None = User.get_or_none(User.name == name.strip().lower())
    if found is None:
        raise NotFoundError(f"no user {name}")
    return found


def set_role(user_id: int, role: str) -> None:
    _change(user_id, "role = ?", _role(role))


def set_password(user_id: int, password: str) -> None:
    """Whoever is signed in by the old one is signed out."""
    _change(
        user_id,
        "password_hash = ?, failures = 0, locked_until = NULL",
        hash_password(_checked(password)),
        ends_sessions=True,
    )


def unlock(user_id: int) -> None:
    _change(user_id, "failures = ?, locked_until = NULL", 0)


def remove(user_id: int) -> None:
    def job() -> None:
        if not run("DELETE FROM users WHERE id = ?", user_id):
            raise NotFoundError(f"no user {user_id}")
        browser_sessions.end_all(subject_of(user_id))

    write(job, durable=True)


def authenticate(name: str, password: str, now: int) -> int | None:
    """The user's id; None when the password is wrong, or the name is locked, or there is no such name."""
    found = row(
        "SELECT id, password_hash, failures, locked_until FROM users WHERE name = ?", name.strip().lower()
    )
    user_id, hashed, failures, locked_until = found or (None, None, 0, None)
    good = verify_password(hashed, password[:LONGEST])
    if user_id is None or (locked_until is not None and now < locked_until):
        return None
    if good:
        write(lambda: run(
            "UPDATE users SET failures = 0, locked_until = NULL, last_seen_at = ? WHERE id = ?", now, user_id
        ))  # fmt: skip
        return int(user_id)
    lock = _lock(failures + 1)
    until = None if lock is None else now + lock
    write(lambda: run(
        "UPDATE users SET failures = failures + 1, locked_until = ? WHERE id = ?", until, user_id
    ))  # fmt: skip
    return None


def seen(user: User, now: int) -> None:
    if user.last_seen_at is None or now - user.last_seen_at > _SEEN_EVERY:
        write(lambda: run("UPDATE users SET last_seen_at = ? WHERE id = ?", now, user.id))


def subject_of(user_id: int) -> str:
    return f"user:{user_id}"


def any_exist() -> bool:
    return bool(rows("SELECT 1 FROM users LIMIT 1"))


def _lock(failures: int) -> int | None:
    if failures < PATIENCE:
        return None
    return _LOCKS[min(failures - PATIENCE, len(_LOCKS) - 1)]


def _change(user_id: int, assignment: str, value: Any, *, ends_sessions: bool = False) -> None:
    def job() -> None:
        if not run(f"UPDATE users SET {assignment} WHERE id = ?", value, user_id):
            raise NotFoundError(f"no user {user_id}")
        if ends_sessions:
            browser_sessions.end_all(subject_of(user_id))

    write(job, durable=True)


def _checked(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        message = f"must have {SHORTEST} to {LONGEST} characters"
        raise InvalidInputError.of([FieldError("password", message, "WEAK_PASSWORD")])
    return password


def _role(role: str) -> str:
    if role not in tuple(Role):
        raise InvalidInputError.of([FieldError("role", f"must be one of {', '.join(Role)}", "UNKNOWN_ROLE")])
    return role
