"""Real servers that refuse, delay and lose mail: a Postfix, and the Dovecots and sockets that it delivers to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.daemon import free_port
from tests.support.dovecot import FULL, Dovecot, shared
from tests.support.postfix import Ports, postfix
from tests.support.sink import Sink
from tests.support.tcp import served
from tests.support.tools import need

QUOTA = """
protocol lmtp {
  mail_plugins = quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=10
}
"""
SIEVE = """
submission_host = 127.0.0.1:{port}
postmaster_address = postmaster@example.test
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = {script}
}}
"""
SCRIPT = """\
require ["envelope", "reject", "vacation"];
if envelope :localpart "to" "rejects" { reject "I take no mail from you."; stop; }
if envelope :localpart "to" "away" { vacation :days 1 :addresses ["away@sieve.test"] "I am away until Monday."; }
"""


@dataclass(frozen=True)
class World:
    """Domains of Postfix's: example.test is the world of mailboxes, the others are what their names say."""

    ports: Ports
    sink: Sink


@cache
def full_server() -> Dovecot:
    """No mailbox of it has room for anything."""
    return Dovecot(more=QUOTA)


@contextmanager
def sieving(port: int) -> Iterator[Dovecot]:
    """Its mailboxes do as SCRIPT says; what they send goes out through the server at `port`."""
    need("sievec", "dovecot-sieve")
    with tempfile.TemporaryDirectory(prefix="mailferry-sieve-") as name:
        Path(name).chmod(0o777)  # the compiled script is put beside it
        script = Path(name) / "script.sieve"
        script.write_text(SCRIPT)
        server = Dovecot(more=SIEVE.format(port=port, script=script))
        try:
            yield server
        finally:
            server.destroy()


@contextmanager
def world() -> Iterator[World]:
    port = free_port()
    with Sink() as sink, sieving(port) as sieve, served(lambda sock: sock.recv(1) and None) as silent:
        sink.reply_to_rcpt("ann@gone.test", "550 5.1.1 <ann@gone.test>: User unknown")
        sink.reply_to_rcpt("ann@busy.test", "450 4.2.0 <ann@busy.test>: Greylisted, try again later")
        smtp = f"smtp:[127.0.0.1]:{sink.port}"
        with postfix(
            port, example_test=_lmtp(shared(FULL)), full_test=_lmtp(full_server()), sieve_test=_lmtp(sieve),
            gone_test=smtp, busy_test=smtp, silent_test=f"smtp:[127.0.0.1]:{silent}",
            down_test=f"smtp:[127.0.0.1]:{free_port()}",
        ) as ports:  # fmt: skip
            yield World(ports, sink)


def _lmtp(server: Dovecot) -> str:
    return f"lmtp:inet:127.0.0.1:{server.lmtp}"
