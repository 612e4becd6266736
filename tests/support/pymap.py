"""A second mail server, by other people: pymap. It has OBJECTID, and neither CONDSTORE, ESEARCH nor LIST-STATUS."""

from __future__ import annotations

import imaplib
import subprocess
import sys
import time
from contextlib import suppress

from tests.support.daemon import free_port
from tests.support.dovecot import HOST, PASSWORD

USER = "ann@example.test"


class Pymap:
    """All in memory, for one user. The same names as `Dovecot`, those that are needed of them."""

    def __init__(self) -> None:
        self.imap = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from pymap.main import main; main()",
             "--host", HOST, "--port", str(self.imap), "--no-tls", "--no-service", "admin",
             "--no-service", "managesieve", "dict", "--demo-user", USER, "--demo-password", PASSWORD],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError):
                imaplib.IMAP4(HOST, self.imap).logout()
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError("pymap did not start")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def user(self) -> str:
        return USER

    def client(self, user: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4(HOST, self.imap)
        client.login(user, PASSWORD)
        return client
