"""The queue as a whole."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from controllers.operation import Call, Operation, operation
from controllers.schemas import answers as says
from services import stats, switches
from services.principal import Scope

bp = APIBlueprint("queue", __name__)
TAG = "Queue"


@operation(bp, "GET", "/api/queue", Operation(
    "get_queue", "Counts, rates, and where mail piles up", TAG, Scope.READ, {200: ("The queue", says.QUEUE)},
))  # fmt: skip
def overview(call: Call) -> dict[str, Any]:
    """A tenant sees its own emails and SMTP configs. With a very full queue the answer may be some seconds old."""
    return stats.queue_stats(call.relay, call.who.visible_tenant, call.now)


@operation(bp, "POST", "/api/queue/pause", Operation(
    "pause_queue", "Deliver nothing more; accepting goes on", TAG, Scope.ADMIN, {200: ("Paused", says.MESSAGE)},
    group="admin", service_only=True,
))  # fmt: skip
def pause(call: Call) -> dict[str, str]:
    """For the whole relay, until it is resumed; a restart does not end it."""
    switches.pause_relay(call.now)
    return {"message": "Relay paused: mail is accepted, none is delivered"}


@operation(bp, "POST", "/api/queue/resume", Operation(
    "resume_queue", "Deliver again", TAG, Scope.ADMIN, {200: ("Resumed", says.MESSAGE)}, group="admin",
    service_only=True,
))  # fmt: skip
def resume(call: Call) -> dict[str, str]:
    switches.resume_relay(call.now)
    call.relay.wake()
    return {"message": "Relay resumed"}
