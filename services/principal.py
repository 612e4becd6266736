"""Who is asking, and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from services.errors import FieldError, ForbiddenError, InvalidInputError, NotAuthenticatedError

NAME_PATTERN = "^[A-Za-z0-9._@:-]{1,100}$"
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


class Scope(StrEnum):
    SEND = "send"
    READ = "read"
    ADMIN = "admin"  # implies the others


@dataclass(frozen=True, slots=True)
class Principal:
    """An API key or token at work. `tenant` '' is the service itself, or a service key that named nobody."""

    key_id: int | None  # None: the master key, or a token
    name: str
    service: bool
    tenant: str
    user: str
    scopes: frozenset[Scope]
    rate_limit: int | None = None  # requests a minute

    @property
    def label(self) -> str:
        """As the audit log names it."""
        return self.name if self.key_id is None else f"key {self.key_id} {self.name}"

    @property
    def visible_tenant(self) -> str | None:
        """What to filter by; None sees everything."""
        return None if self.service and not self.tenant else self.tenant

    def require(self, scope: Scope) -> None:
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise ForbiddenError(f"this credential lacks the scope {scope}", code="SCOPE_MISSING")

    def require_service(self) -> None:
        if not self.service:
            raise ForbiddenError("only a service key may do this", code="SERVICE_KEY_NEEDED")

    def require_user(self) -> None:
        """For what belongs to one user: mail accounts and all that is in them."""
        missing = [
            name for name, value in (("X-Tenant-ID", self.tenant), ("X-User-ID", self.user)) if not value
        ]
        if missing:
            message = f"{' and '.join(missing)}: this credential speaks for no user by itself, so name one"
            raise NotAuthenticatedError(message, code="NO_USER", field=missing[0])


def check_name(field: str, name: str) -> str:
    """A tenant's or user's id: 1 to 100 letters, digits and `. _ @ : -`."""
    if not _NAME.match(name):
        message = "must be 1 to 100 letters, digits or any of . _ @ : -"
        raise InvalidInputError.of([FieldError(field, message, "INVALID_NAME")])
    return name
