"""What a user was granted by his provider, and handed on to us."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from utils.crypto import Vault


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token, or what brings one, or both. `expires_at` (ms) is when the access token ends, if that is known:
    it is no secret, and is kept beside the others. `token_url` has passed `checked_url`."""

    access_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    client_id: str = ""
    client_secret: str | None = field(default=None, repr=False)
    token_url: str = ""
    scope: str | None = None

    @property
    def is_renewable(self) -> bool:
        return self.refresh_token is not None

    def sealed(self, vault: Vault) -> str:
        values = asdict(self)
        del values["expires_at"]
        return vault.encrypt(json.dumps({name: value for name, value in values.items() if value}))

    @classmethod
    def unsealed(cls, vault: Vault, secret: str, expires_at: int | None) -> Grant:
        """DecryptionError when no key opens it."""
        return cls(expires_at=expires_at, **json.loads(vault.decrypt(secret)))
