"""What goes wrong in an IMAP dialog, and of what kind."""

from __future__ import annotations

from services.smtp import Reason

__all__ = ["ImapError", "Reason"]

LONGEST_DETAIL = 2_000  # characters


class ImapError(Exception):
    """`detail` is for people; it never holds a password or token. `code` is the server's (RFC 5530), if it gave one.

    Of what a server says in it, only what can be shown and stored is kept.

    `rejected` and `auth` are the server's answers, after which the connection goes on; after any other it is closed.
    """

    def __init__(self, reason: Reason, detail: str, code: str = "") -> None:
        told = "".join(one if one.isprintable() else "\ufffd" for one in detail[:LONGEST_DETAIL])
        super().__init__(reason, told, code)
        self.reason = reason
        self.detail = told
        self.code = code

    @property
    def is_answer(self) -> bool:
        return self.reason in (Reason.REJECTED, Reason.AUTH, Reason.UNSUPPORTED)

    def __str__(self) -> str:
        return self.detail
