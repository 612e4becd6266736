"""Examines an installation: its settings, disk, clock, database, SMTP configs and mail accounts. Changes nothing, but
for access tokens that have to be renewed for a login."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.doctor import accounts, configs, disk, setup, store
from services.doctor.check import Check
from services.relay import Relay

__all__ = ["Check", "Premises", "examine"]


@dataclass(frozen=True, slots=True)
class Premises:
    """What is to be examined. `settings` as described, secrets masked; `relay` bound to `database`, which need not
    exist yet and is not migrated; a Path is SQLite's file."""

    settings: dict[str, Any]
    env_file: Path
    database: Path | str
    relay: Relay


def examine(premises: Premises, now: int, *, deep: bool = False) -> Generator[Check, None, None]:
    """Check by check, as each is done. `deep` reads the whole database with its indexes."""
    policy = premises.relay.policy
    yield from setup.check(premises.settings, policy, premises.env_file)
    if isinstance(premises.database, Path):
        yield from disk.check(policy, premises.database.parent, now)
        if not premises.database.exists():
            yield store.missing(premises.database)
            return
    else:
        yield from disk.check_data_folder(policy.data_dir)
    readable = yield from store.check(premises.relay, premises.database, now, deep=deep)
    if readable:
        yield from configs.check(premises.relay, now)
        yield from accounts.check()
