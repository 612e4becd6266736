"""The server's settings, and the hooks that start, drain and stop delivery.

One lock beside SQLite's file, or in the data folder, keeps a second daemon away. It is taken before the workers are
forked and inherited by them, so that it is held until the last process of the daemon has gone.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from config import SettingError, env_file, load
from models import trouble
from services import sandbox
from services.presence import daemon_lock
from services.relay import Policy, Relay
from utils import logs
from utils.clock import monotonic, now_ms
from utils.filelock import FileLock, holder_of
from utils.machine import host_name, pid_alive
from utils.shares import Shares
from workers.engine import Engine
from workers.sandbox_server import PortTakenError, SandboxServer
from workers.sent_copies import SentCopies

try:
    settings = load()
except SettingError as exc:
    sys.exit(f"mailferry: {exc}")
logs.configure(settings.log_level, settings.log_format)

MOST_FILES = 8_192


def _connections() -> int:
    """As many as the limit of open files has room for, beside those of mail and the database. The soft limit is often
    1,024 only because old programs cannot have more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(1_000, max(soft, wanted) // 2)


bind = f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
threads = settings.web_threads
worker_class = "utils.gunicorn_worker.GatheringWorker"
worker_connections = _connections()
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - its beats stay off the disk
timeout = 300  # seconds in which the event loop may stand still, such as for a disk that does
graceful_timeout = settings.drain_seconds + 10
keepalive = 15
control_socket_disable = True
proc_name = "mailferry"
accesslog = None
logger_class = "utils.gunicorn_log.GunicornLog"

QUICK = (b"POST /api/emails HTTP/1.1\r\n",)
SLOW = (b'"template"',)  # emails that are first to be made: compiling and rendering may take long
SWITCH_SECONDS = (
    0.001  # after which a request that computes has to let delivery go on; Python's default is 5 ms
)
LOCK_PATIENCE = 15.0  # seconds for the last workers of a killed daemon to notice and go
DAMAGE_SECONDS = 1.0  # enough for some 500 MB; the rest is met when it is read

_lock: FileLock | None = None
_shares = Shares(2 * workers + 2)  # while workers are replaced there are more of them


def on_starting(server: Any) -> None:
    """Once, in the master: the folder is ours, the tables are up to date, and the sandbox has its config."""
    try:
        _prepare()
    except trouble.STORAGE_ERRORS as exc:
        sys.exit(f"mailferry: {trouble.told(exc, settings.database)}")


def _prepare() -> None:
    global _lock
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = settings.database_path.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _lock = FileLock(daemon_lock(settings.database_path))
    _take(_lock)
    if isinstance(settings.database, Path):
        trouble.look_for_damage(settings.database, DAMAGE_SECONDS)
    from app import DATABASE_PATIENCE, compose
    from models.database import database

    relay = compose(settings, DATABASE_PATIENCE)
    sandbox.ensure_config(relay.policy, now_ms())
    if relay.policy.sandbox_port is not None:
        _check_sandbox_port(relay.policy)
    database.close()
    database.close_writer()  # connections must not cross a fork


def _check_sandbox_port(policy: Policy) -> None:
    try:
        SandboxServer(policy).check()
    except PortTakenError as exc:
        sys.exit(f"mailferry: {exc}")


def _take(lock: FileLock) -> None:
    deadline = monotonic() + LOCK_PATIENCE
    while not lock.try_acquire():
        holder = holder_of(lock.path)
        pid = holder.partition(" ")[0]
        if monotonic() > deadline or not (pid.isdigit() and not pid_alive(int(pid))):
            sys.exit(
                f"mailferry: {lock.path.parent} is in use by another daemon (process {holder}); stop it first"
            )
        time.sleep(0.2)
    lock.note(f"{os.getpid()} on {host_name()}")


def when_ready(server: Any) -> None:
    from controllers.cli.welcome import show

    show(settings.host, server.LISTENERS[0].getsockname()[1], env_file(), sys.stdout)


def pre_fork(server: Any, worker: Any) -> None:
    place = _shares.take()
    if place is not None:
        worker.shares, worker.place = _shares, place


def child_exit(server: Any, worker: Any) -> None:
    if worker.shares is not None:
        worker.shares.free(worker.place)  # those it was forked with: a reload makes others


def post_worker_init(worker: Any) -> None:
    """In each worker, after the fork: deliver until it is told to stop."""
    from controllers.operation import outward
    from models.database import database

    sys.setswitchinterval(SWITCH_SECONDS)
    app = worker.app.wsgi()
    relay: Relay = app.extensions["mailferry"]
    worker.outward = outward(app)
    gc.freeze()  # what is there now stays: a full collection goes through all of it, 20 ms in which nothing else runs
    if not database.shared:  # a server far away, or gone, must not make the loop wait
        worker.quick, worker.slow = QUICK, SLOW
    engine = Engine(relay, workers=settings.queue_workers, lease_seconds=settings.lease_seconds)
    relay.stopping = lambda: not worker.alive
    engine.on_lost = lambda: os.kill(os.getpid(), signal.SIGTERM)
    server = SandboxServer(relay.policy)
    if relay.policy.sandbox_port is not None:
        server.start()
    engine.start()
    sent_copies = SentCopies(relay, engine.instance_id)
    sent_copies.start()
    worker.mailferry = (engine, server, sent_copies)
    threading.Thread(target=_drain_when_told, args=(worker,), name="drain", daemon=True).start()


def _drain_when_told(worker: Any) -> None:
    # An open event stream keeps gunicorn from calling worker_exit, so the flag itself is watched.
    while worker.alive:
        time.sleep(0.1)
    _stop(worker)


def worker_exit(server: Any, worker: Any) -> None:
    _stop(worker)


def _stop(worker: Any) -> None:
    if hasattr(worker, "mailferry"):
        engine, sandbox_server, sent_copies = worker.mailferry
        sent_copies.stop()
        engine.drain(settings.drain_seconds)
        sandbox_server.stop()
