"""The service itself: what it is, whether it lives, whether it can work, its metrics."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, redirect

from controllers.operation import Call, Operation, operation
from controllers.pages.login import HOME
from controllers.schemas import answers as says
from services import health_checks, metrics
from services.principal import Scope
from utils.clock import iso

bp = APIBlueprint("service", __name__)
TAG = "Service"
NAME = "mailferry"


@operation(bp, "GET", "/", Operation(
    "get_service", "What this is", TAG, None,
    {200: ("The service", says.SERVICE)},
))  # fmt: skip
def about(call: Call) -> Any:
    if "text/html" in call.request.headers.get("Accept", ""):
        return redirect(HOME)  # a browser
    return {
        "service": NAME, "description": "A queue-driven outbound mail relay", "docs": "/docs",
        "openapi": "/openapi.json", "health": "/health",
    }  # fmt: skip


@operation(bp, "GET", "/health", Operation(
    "get_health", "Whether the process lives", TAG, None,
    {200: ("It does", says.HEALTH)},
))  # fmt: skip
def health(call: Call) -> dict[str, Any]:
    return {"status": "healthy", "service": NAME, "timestamp": iso(call.now)}


@operation(bp, "GET", "/ready", Operation(
    "get_readiness", "Whether it can accept and deliver", TAG, None,
    {200: ("It can", says.READINESS), 503: ("It cannot; each check tells its part", says.READINESS)},
))  # fmt: skip
def ready(call: Call) -> tuple[dict[str, Any], int]:
    """Each check tells its part. A load balancer, or a supervisor, asks this one; `/health` only tells that the
    process lives.
    """
    good, checks = health_checks.ready(call.relay, call.now)
    return {"status": "ready" if good else "not ready", "checks": checks, "timestamp": iso(call.now)}, (
        200 if good else 503
    )


@operation(bp, "GET", "/metrics", Operation(
    "get_metrics", "Metrics in the Prometheus format", TAG, Scope.ADMIN, {200: ("The metrics", says.TEXT)},
    group="admin", service_only=True, content_type="text/plain",
))  # fmt: skip
def measured(call: Call) -> Response:
    body, content_type = metrics.render(call.relay, call.now)
    return Response(body, content_type=content_type)
