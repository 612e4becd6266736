"""One stream for all pages: it tells what has changed, and the page fetches itself again.

A stream holds a thread for as long as somebody watches, so a process gives a quarter of its threads at most. Whoever
comes later is told so, and asks every few seconds instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from threading import BoundedSemaphore
from typing import Any

from flask import Flask, Response, current_app, request

from controllers import sessions
from controllers.pages.frame import Visit, page
from services.pulse import pulse
from services.relay import Relay
from utils.clock import now_ms

TICK = 1.0  # seconds
BEAT = 15  # ticks after which a silent stream says that it lives; proxies cut what says nothing
LOOK = 5  # ticks from one look at the session to the next
LONGEST = 3_600  # ticks; then the browser connects anew


def register(app: Flask, streams: int) -> None:
    """`streams`: how many may be open in this process."""
    app.extensions["mailferry.streams"] = BoundedSemaphore(streams)


@page("/live")
def live(visit: Visit) -> Response:
    """Server-sent events `pulse`, and `over` when the session is; with `?once` one answer in JSON. 204 when all streams
    are taken."""
    if "once" in request.args:
        return Response(json.dumps(pulse(visit.now)), mimetype="application/json")
    places: BoundedSemaphore = current_app.extensions["mailferry.streams"]
    if not places.acquire(blocking=False):
        return Response(status=204)
    response = Response(_told(visit.relay, sessions.watched()), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
    response.call_on_close(places.release)
    return response


def _told(relay: Relay, signed_in: Callable[[], bool]) -> Iterator[str]:
    before: dict[str, Any] = {}
    for tick in range(LONGEST):
        if tick % LOOK == LOOK - 1 and not signed_in():
            yield "event: over\ndata: signed out\n\n"
            return
        marks = pulse(now_ms())
        if marks != before:
            before = marks
            yield f"event: pulse\ndata: {json.dumps(marks)}\n\n"
        elif tick % BEAT == 0:
            yield ": still here\n\n"
        for _ in range(10):
            if relay.stopping():
                return
            time.sleep(TICK / 10)
