"""Mail servers that say nothing to those who ask them on behalf of a client: nobody else waits for them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tests.support.daemon import KEY, Daemon
from tests.support.relay import wait_for
from tests.support.tcp import served

ANN = {"X-Tenant-ID": "acme", "X-User-ID": "ann"}


def request(path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: relay\r\nX-API-Key: {KEY}\r\nContent-Length: 0\r\n"
    return "\r\n".join([head.rstrip(), *(f"{name}: {value}" for name, value in ANN.items()), "", ""]).encode()


def test_servers_that_say_nothing_hold_up_those_alone_who_ask_them(tmp_path: Path) -> None:
    asked: list[socket.socket] = []

    def say_nothing(sock: socket.socket) -> None:
        asked.append(sock)
        sock.recv(100)

    with served(say_nothing) as port, Daemon(tmp_path, web_threads=2, allow_private_hosts="on") as daemon:
        account = daemon.post("/api/accounts", {
            "accountName": "Work", "emailAddress": "ann@acme.test", "hostname": "127.0.0.1", "port": port,
            "encryption": "none", "username": "ann", "password": "planted", "isSyncEnabled": False,
        }, headers=ANN)["id"]  # fmt: skip
        paths = [f"/api/accounts/{account}/{end}" for end in ("test", "t%65st", "test?", "test#")]
        clients = [socket.create_connection(("127.0.0.1", daemon.port), timeout=10) for _ in range(6)]
        try:
            for number, client in enumerate(clients):
                client.sendall(request(paths[number % len(paths)]))
            wait_for(lambda: len(asked) == 2)
            began = time.monotonic()
            for _ in range(5):
                daemon.get("/api/accounts", headers=ANN)
            assert time.monotonic() - began < 3
        finally:
            for client in clients:
                client.close()
