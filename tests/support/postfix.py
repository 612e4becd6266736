"""A real Postfix of the tests' own: its configuration, queue and port are not the system's. Only root can start one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.daemon import free_port
from tests.support.tools import need

SYSTEM = Path("/etc/postfix")
# Looked through every 3 s: a queue file that is still held by a delivery (of 1 s) then is passed over for a minute.
SETTINGS = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
transport_maps = inline:{{ {transports} }}
default_transport = error:5.4.4 Host or domain name not found
queue_run_delay = 3s
minimal_backoff_time = 2s
maximal_backoff_time = 2s
maximal_queue_lifetime = 4s
bounce_queue_lifetime = 60s
delay_warning_time = 1s
smtp_connect_timeout = 2s
smtp_helo_timeout = 1s
"""
RENAMED = "<0102-given-by-the-provider@provider.test>"


class Ports(NamedTuple):
    """Where it listens. `renaming`: as providers do, it gives each mail its own Message-ID."""

    plain: int
    renaming: int


@contextmanager
def postfix(port: int, **transports: str) -> Iterator[Ports]:
    """It listens on `port`, and on another. `transports`: by domain, with `_` for `.`, where its mail goes."""
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    need("postfix")
    home, ports = Path(tempfile.mkdtemp(prefix="mailferry-postfix-")), Ports(port, free_port())
    home.chmod(0o755)
    config = home / "config"
    config.mkdir()
    table = ", ".join(f"{{ {name.replace('_', '.')} = {value} }}" for name, value in transports.items())
    (config / "main.cf").write_text(SETTINGS.format(home=home, transports=table))
    (config / "master.cf").write_text(_services(ports, config))
    (config / "renaming").write_text(f"/^Message-ID:/ REPLACE Message-ID: {RENAMED}\n")
    for name in ("queue", "data"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    try:
        _control(config, "start")
        _wait_for(port, home)
        yield ports
    finally:
        with suppress(FileNotFoundError, RuntimeError):
            pid = (home / "queue" / "pid" / "master.pid").read_text().strip()
            _control(config, "stop")
            end = time.monotonic() + 20
            while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
                time.sleep(0.05)
        shutil.rmtree(home, ignore_errors=True)


def _services(ports: Ports, config: Path) -> str:
    """The master.cf of the package, without chroot, listening on ports of our own."""
    lines = [
        "postlog unix-dgram n - n - 1 postlogd",
        f"127.0.0.1:{ports.renaming} inet n - n - - smtpd -o cleanup_service_name=renaming",
        f"renaming unix n - n - 0 cleanup -o header_checks=regexp:{config}/renaming",
    ]
    for line in (SYSTEM / "master.cf.proto").read_text().splitlines():
        fields = line.split()
        if line[:1] in ("#", " ", "\t", "") or len(fields) < 8 or fields[0] == "postlog":
            continue
        if fields[:2] == ["smtp", "inet"]:
            fields[0] = f"127.0.0.1:{ports.plain}"
        if fields[1] == "inet" and not fields[0].startswith("127."):
            continue
        fields[4] = "n"
        lines.append(" ".join(fields))
    return "\n".join(lines) + "\n"


def _control(config: Path, command: str) -> None:
    done = subprocess.run(
        ["postfix", "-c", str(config), command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"postfix {command}: {done.stdout}{done.stderr}")


def _wait_for(port: int, home: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            if sock.recv(10).startswith(b"220"):
                return
        time.sleep(0.05)
    log = home / "mail.log"
    raise AssertionError(f"Postfix did not start: {log.read_text() if log.exists() else 'no log'}")
