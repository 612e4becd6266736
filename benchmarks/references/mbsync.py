"""mbsync (isync): the same mailbox, pulled into a Maildir. It parses and indexes nothing.

Without fsync: as it comes it waits for the disk at each message, which would measure the disk alone.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.support.dovecot import HOST, PASSWORD, Dovecot

SETTINGS = """
FSync no

IMAPAccount bench
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs PLAIN

IMAPStore far
Account bench

MaildirStore near
Path {home}/
Inbox {home}/INBOX

Channel pull
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
"""


def pull(folder: Path, server: Dovecot, user: str, count: int) -> float:
    """Seconds. RuntimeError unless all came."""
    home = Path(mkdtemp(dir=folder))
    config = home / "mbsyncrc"
    config.write_text(SETTINGS.format(host=HOST, port=server.imap, user=user, password=PASSWORD, home=home))
    began = time.monotonic()
    done = subprocess.run(
        ["mbsync", "-c", str(config), "pull"],
        capture_output=True,
        text=True,
        env={"HOME": str(home)},
        check=False,
    )
    took = time.monotonic() - began
    came = sum(1 for part in ("new", "cur") for _ in (home / "INBOX" / part).glob("*"))
    if done.returncode or came != count:
        raise RuntimeError(f"mbsync brought {came} of {count}: {done.stderr[-1000:]}")
    return took
