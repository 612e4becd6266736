"""Re-encryption of stored passwords, so that an old CREDENTIALS_KEY can be retired."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.database import FOR_UPDATE, rows, run, write
from services.relay import Relay
from utils.crypto import DecryptionError


@dataclass(frozen=True, slots=True)
class Rotation:
    """What none of the keys opens is left as it is: `unreadable` are ids of configs, `credentials` of mail accounts'
    credentials, each with its tenant and user."""

    rotated: int
    unreadable: list[int]
    credentials: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not (self.unreadable or self.credentials)


def rotate_passwords(relay: Relay) -> Rotation:
    """Every stored password under the first key, in one commit."""

    def job() -> Rotation:
        rotated, unreadable = 0, []
        stored = f"SELECT id, password FROM smtp_configs WHERE password IS NOT NULL {FOR_UPDATE}"
        for config_id, password in rows(stored):
            try:
                token = relay.vault.rotate(password)
            except DecryptionError:
                unreadable.append(int(config_id))
                continue
            # updated_at stays: the password is the same, and kept connections may go on
            rotated += run("UPDATE smtp_configs SET password = ? WHERE id = ?", token, config_id)
        of_accounts, lost = _rotate_credentials(relay)
        return Rotation(rotated + of_accounts, unreadable, lost)

    return write(job, durable=True)


def _rotate_credentials(relay: Relay) -> tuple[int, list[str]]:
    """Held until it is done: a token that a daemon renews meanwhile would be put back to the one before."""
    rotated, unreadable = 0, []
    for secret, *key in rows(f'SELECT secret, tenant, "user", id FROM credentials {FOR_UPDATE}'):
        try:
            token = relay.vault.rotate(secret)
        except DecryptionError:
            unreadable.append("/".join(key))
            continue
        rotated += run(
            'UPDATE credentials SET secret = ? WHERE tenant = ? AND "user" = ? AND id = ?', token, *key
        )
    return rotated, unreadable
