"""What can go wrong for a caller. Each error carries the decision: which HTTP status, which code, which field."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """A bad field. `message` never repeats a secret, and no more than a little of any value."""

    field: str
    message: str
    code: str = "INVALID_VALUE"


class ServiceError(Exception):
    """Base of all errors that a caller is answered with."""

    status = 400
    title = "Bad request"
    code = "BAD_REQUEST"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        details: list[FieldError] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field
        self.details = details or []


class InvalidInputError(ServiceError):
    """One or more fields are wrong; `details` lists them all."""

    code = "INVALID_INPUT"

    @classmethod
    def of(cls, details: list[FieldError]) -> InvalidInputError:
        first = details[0]
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        return cls(
            f"{first.field}: {first.message}{more}", code=first.code, field=first.field, details=details
        )


class NotAuthenticatedError(ServiceError):
    status, title, code = 401, "Unauthorized", "UNAUTHORIZED"


class ForbiddenError(ServiceError):
    status, title, code = 403, "Forbidden", "FORBIDDEN"


class NotFoundError(ServiceError):
    status, title, code = 404, "Not found", "NOT_FOUND"


class ConflictError(ServiceError):
    status, title, code = 409, "Conflict", "CONFLICT"


class TooLargeError(ServiceError):
    status, title, code = 413, "Payload too large", "TOO_LARGE"


class IdempotencyMismatchError(ServiceError):
    status, title, code = 422, "Unprocessable", "IDEMPOTENCY_KEY_REUSED"


class RateLimitedError(ServiceError):
    """`limit` requests a window; the window frees at `reset` (ms since the epoch)."""

    status, title, code = 429, "Rate limit exceeded", "RATE_LIMITED"

    def __init__(self, message: str, *, limit: int, reset: int, retry_after: int) -> None:
        super().__init__(message)
        self.limit, self.reset, self.retry_after = limit, reset, retry_after


class MailServerError(ServiceError):
    """A server that we asked on a caller's behalf."""

    status, title, code = 502, "Bad gateway", "MAIL_SERVER_ERROR"


class BusyError(ServiceError):
    """All that may be in use at a time is: try again in `retry_after` seconds."""

    status, title, code = 503, "Service unavailable", "BUSY"
    retry_after = 2


class UnavailableError(ServiceError):
    status, title, code = 503, "Service unavailable", "DATABASE_UNAVAILABLE"


class StorageFullError(ServiceError):
    status, title, code = 507, "Insufficient storage", "STORAGE_FULL"
