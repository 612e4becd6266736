"""A test that tells its steps while it goes on: it runs beside the answer, which grows by each step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any

from services.errors import ServiceError

log = logging.getLogger("mailferry.pages")

PATIENCE = 180  # seconds from one step to the next

Step = dict[str, Any]


def steps_of(name: str, test: Callable[[Callable[[Step], None]], Any]) -> Iterator[Step]:
    """What `test` tells, which begins now, and in the end {"result": what it gives} or {"refused": why}."""
    heard: SimpleQueue[Step] = SimpleQueue()

    def run() -> None:
        try:
            heard.put({"result": test(heard.put)})
        except ServiceError as error:
            heard.put({"refused": error.message})
        except Exception:  # whatever happens, or the page would wait for it
            log.exception("action=page_test_failed test=%r", name)
            heard.put({"refused": "an internal error; the log says more"})

    Thread(target=run, name=name, daemon=True).start()
    return _told(heard)


def _told(heard: SimpleQueue[Step]) -> Iterator[Step]:
    while True:
        one = heard.get(timeout=PATIENCE)
        yield one
        if "result" in one or "refused" in one:
            return
