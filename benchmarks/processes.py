"""Programs that a measurement starts, and ends by their own id."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def running(
    command: list[str], log: Path, *, env: Mapping[str, str] | None = None, patience: float = 20.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A program while it is needed; what it prints goes to `log`. SIGTERM ends it, SIGKILL when that is in vain."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_until(answers, f"a server on port {port}", seconds)


def wait_until(condition: Callable[[], bool], what: str, seconds: float, every: float = 0.02) -> None:
    """TimeoutError that says what never came."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)
