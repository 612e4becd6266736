"""Whose mail accounts there are: for people of the service, who look after all of them."""

from __future__ import annotations

from typing import NamedTuple

from models.database import rows

MOST = 500


class Owner(NamedTuple):
    tenant: str
    user: str
    accounts: int = 0


def owners() -> list[Owner]:
    """In the order of their names, at most MOST."""
    found = rows(
        'SELECT tenant, "user", count(*) FROM accounts WHERE deleted_at IS NULL GROUP BY tenant, "user"'
        ' ORDER BY tenant, "user" LIMIT ?',
        MOST,
    )
    return [Owner(tenant, user, count) for tenant, user, count in found]
