"""Re-encryption of stored passwords, so that an old CREDENTIALS_KEY can be retired."""

from __future__ import annotations

from dataclasses import dataclass

from models.database import run, write
from models.smtp_config import SmtpConfig
from services.relay import Relay
from utils.crypto import DecryptionError


@dataclass(frozen=True, slots=True)
class Rotation:
    """`unreadable`: ids of configs whose password none of the keys opens; those are left as they are."""

    rotated: int
    unreadable: list[int]


def rotate_passwords(relay: Relay) -> Rotation:
    """Every stored password under the first key, in one commit."""

    def job() -> Rotation:
        rotated, unreadable = 0, []
        for config in SmtpConfig.select().where(SmtpConfig.password.is_null(False)):
            try:
                token = relay.vault.rotate(config.password or "")
            except DecryptionError:
                unreadable.append(int(config.id))
                continue
            # updated_at stays: the password is the same, and kept connections may go on
            rotated += run("UPDATE smtp_configs SET password = ? WHERE id = ?", token, config.id)
        return Rotation(rotated, unreadable)

    return write(job, durable=True)
