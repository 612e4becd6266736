"""What goes wrong in an IMAP dialog, and of what kind."""

from __future__ import annotations

from services.smtp import Reason

__all__ = ["ImapError", "Reason"]


class ImapError(Exception):
    """`detail` is for people; it never holds a password or token. `code` is the server's (RFC 5530), if it gave one.

    `rejected` and `auth` are the server's answers, after which the connection goes on; after any other it is closed.
    """

    def __init__(self, reason: Reason, detail: str, code: str = "") -> None:
        super().__init__(reason, detail, code)
        self.reason = reason
        self.detail = detail
        self.code = code

    @property
    def is_answer(self) -> bool:
        return self.reason in (Reason.REJECTED, Reason.AUTH, Reason.UNSUPPORTED)

    def __str__(self) -> str:
        return self.detail
