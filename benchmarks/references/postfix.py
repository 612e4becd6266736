"""Postfix: smtp-source posts over 20 kept sessions, Postfix stores with its default fsync and passes on to the sink.

An instance of its own: configuration, queue, data and port are not those of the system's Postfix, which stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.bench import Bench
from benchmarks.processes import wait_for_port, wait_until
from benchmarks.references.senders import message, smtp_source
from benchmarks.sink import sink
from tests.support.daemon import free_port

SYSTEM = Path("/etc/postfix")
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
relayhost = [127.0.0.1]:{sink_port}
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = 50000000
"""


@contextmanager
def postfix(folder: Path, sink_port: int) -> Iterator[int]:
    """The port it listens on."""
    if os.geteuid() != 0:
        raise PermissionError("only root can start Postfix")
    home, port = Path(mkdtemp(dir=folder)), free_port()
    home.chmod(0o755)
    config = home / "config"
    config.mkdir()
    (config / "main.cf").write_text(SETTINGS.format(home=home, sink_port=sink_port))
    (config / "master.cf").write_text(_services(port))
    for name in ("queue", "data"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    _control(config, "start")
    try:
        wait_for_port(port)
        yield port
    finally:
        pid = (home / "queue" / "pid" / "master.pid").read_text().strip()
        _control(config, "stop")
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "Postfix to stop", 30)
        shutil.rmtree(home)


def _services(port: int) -> str:
    """The master.cf of the package, without chroot, listening on a port of our own."""
    lines = []
    for line in (SYSTEM / "master.cf.proto").read_text().splitlines():
        fields = line.split()
        if line[:1] in ("#", " ", "\t", "") or len(fields) < 8:
            continue
        if fields[:2] == ["smtp", "inet"]:
            fields[0] = f"127.0.0.1:{port}"
        if fields[1] == "inet" and not fields[0].startswith("127."):
            continue
        fields[4] = "n"
        lines.append(" ".join(fields))
    if not any(line.startswith("postlog ") for line in lines):
        lines.append("postlog unix-dgram n - n - 1 postlogd")
    return "\n".join(lines) + "\n"


def _control(config: Path, command: str) -> None:
    done = subprocess.run(["postfix", "-c", str(config), command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"postfix {command}: {done.stdout}{done.stderr}")


def relayed(bench: Bench, key: str, data: Path, count: int, recipients: int = 1) -> None:
    with sink(bench.folder) as target, postfix(bench.folder, target.port) as port:
        began = time.time()
        smtp_source(port, data, count, recipients)
        stored = time.time()
        ended = target.wait_for(count)
    bench.record(key, count / (ended - began))
    bench.record(f"{key}.accepting", count / (stored - began))


def singles(bench: Bench) -> None:
    relayed(bench, "postfix", message(bench), bench.sizes.messages)


def many_recipients(bench: Bench) -> None:
    relayed(bench, "postfix.20", message(bench), bench.sizes.messages // 4, recipients=20)


def large(bench: Bench) -> None:
    relayed(bench, "postfix.1mb", message(bench, "large", attachment=1_000_000), bench.sizes.messages // 20)
