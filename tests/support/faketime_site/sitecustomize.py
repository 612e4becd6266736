"""Loaded at start by a Python that runs under libfaketime.

Its clock_nanosleep(), which time.sleep() uses, now and then computes an invalid moment and fails with EINVAL; select()
waits as it should.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
