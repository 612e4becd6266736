"""Access tokens of OAuth 2 (RFC 6749): what was granted, where it is renewed, and when."""

from .errors import TokenError
from .grant import Grant
from .server import PROVIDERS, checked_url

__all__ = ["PROVIDERS", "Grant", "TokenError", "checked_url"]
