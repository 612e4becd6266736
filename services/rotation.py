"""Re-encryption of stored passwords, so that an old CREDENTIALS_KEY can be retired."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.account import Credential
from models.database import run, write
from models.smtp_config import SmtpConfig
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
        for config in SmtpConfig.select().where(SmtpConfig.password.is_null(False)):
            try:
                token = relay.vault.rotate(config.password or "")
            except DecryptionError:
                unreadable.append(int(config.id))
                continue
            # updated_at stays: the password is the same, and kept connections may go on
            rotated += run("UPDATE smtp_configs SET password = ? WHERE id = ?", token, config.id)
        of_accounts, lost = _rotate_credentials(relay)
        return Rotation(rotated + of_accounts, unreadable, lost)

    return write(job, durable=True)


def _rotate_credentials(relay: Relay) -> tuple[int, list[str]]:
    rotated, unreadable = 0, []
    for one in Credential.select():
        try:
            token = relay.vault.rotate(one.secret)
        except DecryptionError:
            unreadable.append(f"{one.tenant}/{one.user}/{one.id}")
            continue
        rotated += run(
            'UPDATE credentials SET secret = ? WHERE tenant = ? AND "user" = ? AND id = ?',
            token, one.tenant, one.user, one.id,
        )  # fmt: skip
    return rotated, unreadable
