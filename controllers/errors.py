"""One envelope for all errors of the API."""

from __future__ import annotations

import json
import logging
from typing import Any, cast

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from services import health_checks, outage
from services.errors import BusyError, FieldError, RateLimitedError, ServiceError, StorageFullError
from utils.clock import SECOND, now_ms

log = logging.getLogger(__name__)

_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}
_MESSAGES = {
    404: "there is nothing at this path",
    405: "this path does not take this method",
    413: "the request is larger than this relay takes",
}


def register(app: Flask) -> None:
    app.register_error_handler(ServiceError, of_service)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, of_accident)


def envelope(
    status: int, title: str, message: str, code: str, details: list[FieldError] | None = None
) -> Response:
    body: dict[str, Any] = {"error": title, "message": message, "code": code, "timestamp": now_ms()}
    if details:
        body["details"] = [{"field": one.field, "message": one.message, "code": one.code} for one in details]
    return Response(json.dumps(body), status, mimetype="application/json")


def of_service(error: ServiceError) -> Response:
    response = envelope(error.status, error.title, error.message, error.code, error.details)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="mailferry"'
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(error.retry_after)
        rate_headers(response, error.limit, 0, error.reset)
    if isinstance(error, BusyError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def rate_headers(response: Response, limit: int, remaining: int, reset: int) -> None:
    """`reset` in ms; the header is in seconds since the epoch, as is usual."""
    response.headers.add("X-RateLimit-Limit", limit)
    response.headers.add("X-RateLimit-Remaining", remaining)
    response.headers.add("X-RateLimit-Reset", -(-reset // SECOND))


def of_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect to the right spelling of a path
        return cast(Response, error.get_response())
    message = _MESSAGES.get(status) or str(error.description or error.name)
    response = envelope(status, error.name.capitalize(), message, _CODES.get(status, "BAD_REQUEST"))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def of_accident(error: Exception) -> Response:
    """Ours to mend: the log has it, under the request's id; the caller learns nothing of the inside.

    But a disk that fills up between the check and the commit, or a database that is away, is no accident.
    """
    unavailable = outage.told(error)
    if unavailable is not None:
        log.error("action=database_unavailable error=%s", " ".join(str(error).split()))
        response = of_service(unavailable)
        response.headers["Retry-After"] = "5"
        return response
    log.error("action=request_failed kind=%s", type(error).__name__, exc_info=error)
    health_checks.note(error)
    if "disk is full" in str(error):
        return of_service(StorageFullError("the disk is full: nothing was stored"))
    return envelope(500, "Internal server error", "something went wrong here; the log has it", "INTERNAL")
