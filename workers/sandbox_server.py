"""The sandbox's SMTP server: catches mail on the loopback address, never relays it.

aiosmtpd speaks SMTP. Not its Controller: that one greets itself to see whether it is up, which with SO_REUSEPORT
may be answered by a sibling process.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import threading
from contextlib import suppress
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

from services import sandbox
from services.relay import Policy
from utils.clock import now_ms

log = logging.getLogger(__name__)


class PortTakenError(Exception):
    """Another program has the port. The message names the setting to change."""


class SandboxServer:
    """`port` 0 takes a free one; after `start` it is the real one."""

    def __init__(self, policy: Policy, port: int | None = None) -> None:
        self.port = port if port is not None else policy.sandbox_port or 0
        self._max_bytes = policy.max_message_bytes
        # Processes of one daemon share the port; another daemon's mail must not be shared with them.
        self._mark = "Mailferry sandbox " + hashlib.sha256(str(policy.data_dir).encode()).hexdigest()[:12]
        self._loop: asyncio.AbstractEventLoop
        self._stopping = asyncio.Event()
        self._protocols: WeakSet[SMTP] = WeakSet()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """PortTakenError, in the caller's thread, when the port is not to be had."""
        listener = self._listen()
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="sandbox", daemon=True)
        self._thread.start()
        log.info("action=sandbox_started port=%d", self.port)

    def check(self) -> None:
        """PortTakenError now, in the master, instead of in each of its workers."""
        self._listen().close()

    def stop(self) -> None:
        """Closes the port and all connections."""
        thread, self._thread = self._thread, None  # a stop may come from two sides at once
        if thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            thread.join()

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((sandbox.HOST, self.port))
            self._refuse_strangers()
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise self._taken(str(error.strerror or error)) from error
        except PortTakenError:
            listener.close()
            raise
        return listener

    def _refuse_strangers(self) -> None:
        """SO_REUSEPORT lets in any program of the same user that sets it too, such as a second daemon."""
        with suppress(OSError), socket.create_connection((sandbox.HOST, self.port), timeout=2) as peer:
            banner = peer.recv(512).decode("ascii", "replace").strip()
            if self._mark not in banner:
                raise self._taken(f"there answers {banner[:100]!r}")

    def _taken(self, why: str) -> PortTakenError:
        return PortTakenError(
            f"SANDBOX_SMTP_PORT: port {self.port} of {sandbox.HOST} is taken by another program ({why});"
            " choose another port, or SANDBOX=off"
        )

    async def _serve(self, listener: socket.socket) -> None:
        server = await self._loop.create_server(self._protocol, sock=listener)
        await self._stopping.wait()
        server.close()
        for protocol in list(self._protocols):
            if isinstance(protocol.transport, asyncio.Transport):
                protocol.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, listener: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(listener))
        self._loop.close()

    def _protocol(self) -> SMTP:
        protocol = SMTP(
            _Catcher(), data_size_limit=self._max_bytes, enable_SMTPUTF8=True, loop=self._loop,
            hostname="localhost", ident=self._mark,  # without a name it would ask the DNS at every connection
        )  # fmt: skip
        self._protocols.add(protocol)
        return protocol


class _Catcher:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Writes from the event loop: it has nothing else to do, and a thread would cost more than the write."""
        data = envelope.original_content or b""
        try:
            number = sandbox.store(
                envelope.mail_from or "", [str(one) for one in envelope.rcpt_tos], data, now_ms()
            )
        except Exception:
            log.exception("action=sandbox_failed")
            return "451 4.3.0 The sandbox could not store it"
        return f"250 2.0.0 Caught as {number}"
