"""What is left of deleted accounts goes when retention says so: their mail first, in small steps, then they."""

from __future__ import annotations

from functools import partial

from models.database import row, rows, run, write
from services.relay import Policy
from services.sync.erase import PER_JOB, erase_content, erase_folder


def purge_accounts(policy: Policy, now: int) -> int:
    """How many accounts were deleted longer ago than the policy keeps emails, and are no more."""
    found = rows(
        "SELECT id FROM accounts WHERE deleted_at IS NOT NULL AND deleted_at < ?", now - policy.retention
    )
    for (account_id,) in found:
        _purge(account_id)
    return len(found)


def _purge(account_id: str) -> None:
    for (folder_id,) in rows("SELECT id FROM folders WHERE account_id = ?", account_id):
        while write(partial(erase_content, account_id, folder_id)) >= PER_JOB:
            pass
        write(partial(erase_folder, folder_id))
    write(lambda: _drop(account_id))


def _drop(account_id: str) -> None:
    """A pass that was still under way has stored nothing since: its lease went with the account. While accepted mail
    waits for its SMTP config, that config needs the account to log in by its token."""
    used = row("SELECT 1 FROM smtp_configs WHERE account_id = ?", account_id)
    if used is None and row("SELECT 1 FROM folders WHERE account_id = ?", account_id) is None:
        run("DELETE FROM sync_tasks WHERE account_id = ?", account_id)
        run("DELETE FROM drafts WHERE account_id = ?", account_id)
        run("DELETE FROM accounts WHERE id = ? AND deleted_at IS NOT NULL", account_id)
