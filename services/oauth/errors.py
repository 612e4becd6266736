"""What goes wrong between us and whoever issues tokens."""

from __future__ import annotations

from services.smtp import Reason


class TokenError(Exception):
    """`auth`: nobody but the user can help it, by a new login. Anything else may pass. `detail` holds no token."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    @property
    def is_refusal(self) -> bool:
        return self.reason is Reason.AUTH

    def __str__(self) -> str:
        return self.detail
