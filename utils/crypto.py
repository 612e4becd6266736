"""Encryption of stored passwords, keyed marks, and the making and hashing of API keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class DecryptionError(Exception):
    """None of the keys opens the value."""


class Vault:
    """Encrypts with the first of its Fernet keys, decrypts with any."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, plain: str) -> str:
        return self._fernet.encrypt(plain.encode()).decode()

    def decrypt(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise DecryptionError(
                "a stored password cannot be read with the present CREDENTIALS_KEY"
            ) from None

    def rotate(self, token: str) -> str:
        """The same value under the first key."""
        try:
            return self._fernet.rotate(token.encode()).decode()
        except InvalidToken:
            raise DecryptionError(
                "a stored password cannot be read with the present CREDENTIALS_KEY"
            ) from None


class Signer:
    """Short keyed marks (HMAC-SHA256, truncated) for one purpose."""

    def __init__(self, secret: str, purpose: str) -> None:
        self._key = hashlib.sha256(f"{purpose}\0{secret}".encode()).digest()

    def derived(self, purpose: str) -> Signer:
        """One for another purpose, whose marks are none of this one's."""
        return Signer(self._key.hex(), purpose)

    def mark(self, value: str) -> str:
        """80 bits in hexadecimal: safe in a Message-ID."""
        return hmac.digest(self._key, value.encode(), "sha256")[:10].hex()

    def owns(self, value: str, mark: str) -> bool:
        return hmac.compare_digest(self.mark(value).encode(), mark.encode())


def new_fernet_key() -> str:
    return Fernet.generate_key().decode()


def new_api_key() -> str:
    """`mf_` and 256 random bits."""
    return "mf_" + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> bytes:
    """SHA-256: enough for a key with 256 random bits, which cannot be guessed as a password can."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def same(left: str, right: str) -> bool:
    """Equal, in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))
