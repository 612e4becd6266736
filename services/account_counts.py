"""How many mail accounts there are, by what becomes of their sync."""

from __future__ import annotations

from models.account import AccountState
from models.database import rows

DISABLED, FAILING = "disabled", "failing"
WORDS = (*AccountState, FAILING, DISABLED)


def counts() -> dict[str, int]:
    """Each account once, under the first that holds: disabled, waiting for a login, failing, active."""
    found = dict(
        rows(
            f"SELECT CASE WHEN NOT is_enabled THEN '{DISABLED}' WHEN state = '{AccountState.ACTIVE}' AND failures > 0"
            f" THEN '{FAILING}' ELSE state END, count(*) FROM accounts WHERE deleted_at IS NULL GROUP BY 1"
        )
    )
    return {str(word): int(found.get(word, 0)) for word in WORDS}
