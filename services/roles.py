"""What a person may do. Each role holds all that the one below it does."""

from __future__ import annotations

from enum import StrEnum

from services.principal import Principal, Scope


class Role(StrEnum):
    VIEWER = "viewer"  # sees
    OPERATOR = "operator"  # acts on mail: sends, cancels, retries, pauses
    ADMIN = "admin"  # changes how the relay works, and who may

    def includes(self, other: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.SEND}),
    Role.ADMIN: frozenset(Scope),
}


def role_of(who: Principal) -> Role | None:
    """The role that a key's scopes amount to; None: it may not even look."""
    if Scope.ADMIN in who.scopes:
        return Role.ADMIN
    if Scope.READ not in who.scopes:
        return None
    return Role.OPERATOR if Scope.SEND in who.scopes else Role.VIEWER
