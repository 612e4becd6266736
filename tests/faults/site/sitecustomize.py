"""Loaded at start by a daemon that is to fail at one exact place. The product knows nothing of it.

It wraps the lowest seams that any version of the daemon must pass: sockets' connect, send and recv, and the execute()
of an SQLite cursor. What a commit means is read from the tables, before and after, not from its SQL.

FAULT_AT=dot:2          the place, and at which of its passings (the first, unless said)
FAULT_DO=kill           SIGKILL to the process group (the default); `kill-one`, to the process alone; or the path of a
                        switch that says `full` (disk.c)
FAULT_MARK=/path        made when it happens, so it happens once in the life of the folder
FAULT_SYNC=OFF          in place of synchronous=FULL: a saboteur, to see that the tests would notice
FAULT_MIGRATION=/path   one migration more, as a new version brings it
FAULT_HOSTS=/path       names that do not resolve, one a line, read anew at each look-up
"""

import os
import re
import signal
import socket
import threading
import weakref
from pathlib import Path

PLACE, _, _count = os.environ.get("FAULT_AT", "").partition(":")
NTH = int(_count or 1)
DO = os.environ.get("FAULT_DO", "kill")
MARK = os.environ.get("FAULT_MARK", "")
SYNC = os.environ.get("FAULT_SYNC", "")
FULL = re.compile(r"(PRAGMA synchronous *= *)(FULL|2|EXTRA|3)", re.IGNORECASE)

_lock = threading.Lock()
_passed = 0


def reach(place):
    """Fail, when this is the place and its turn."""
    global _passed
    if place != PLACE:
        return
    with _lock:
        _passed += 1
        if _passed != NTH or not _first():
            return
    if DO == "kill":
        os.killpg(0, signal.SIGKILL)
    elif DO == "kill-one":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        Path(DO).write_text("full")


def _first():
    try:
        os.close(os.open(MARK, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


# SMTP and HTTP, by their bytes.

_connect, _send, _sendall = socket.socket.connect, socket.socket.send, socket.socket.sendall
_recv, _look_up = socket.socket.recv, socket.getaddrinfo
_to_servers = weakref.WeakSet()
_await_final = weakref.WeakSet()
_posted = threading.Event()  # a POST of emails was read: mail is being accepted


def connect(sock, address):
    if sock.family == socket.AF_UNIX:
        _connect(sock, address)
    else:
        reach("before-connect")
        _to_servers.add(sock)
        _connect(sock, address)
        reach("after-connect")


def places_in(data):
    """(place, how many bytes have gone out by then) of a block that goes to an SMTP server, in order."""
    for verb, place in ((b"MAIL FROM:", "mail"), (b"RCPT TO:", "rcpt"), (b"DATA\r\n", "data")):
        at = 0 if data.startswith(verb) else data.find(b"\r\n" + verb) + 2
        if at > 1 or data.startswith(verb):
            yield place, data.find(b"\r\n", at) + 2
    if b"\r\nMessage-ID:" in data:
        end = data.find(b"\r\n.\r\n") + 2
        yield "half-body", end // 2
        yield "body", end
        yield "dot", end + 3


def send(sock, data, *flags):
    if sock not in _to_servers:
        return _send(sock, data, *flags)
    block = bytes(data)
    for place, count in places_in(block):
        if place == PLACE:
            _sendall(sock, block[:count])
            reach(place)
            _sendall(sock, block[count:])
            return len(block)
    if b"\r\nMessage-ID:" in block:
        _await_final.add(sock)
    return _send(sock, data, *flags)


def sendall(sock, data, *flags):
    answers = (
        sock not in _to_servers
        and bytes(data[:12]) in (b"HTTP/1.1 201", b"HTTP/1.1 200")
        and _posted.is_set()
    )
    if answers:
        reach("before-answer")
    _sendall(sock, data, *flags)
    if answers:
        reach("after-answer")


def recv(sock, *args):
    data = _recv(sock, *args)
    if sock in _to_servers:
        if data.startswith(b"220"):
            reach("banner")
        if sock in _await_final and data.startswith(b"250"):
            _await_final.discard(sock)
            reach("final")
    elif data.startswith(b"POST /api/emails"):
        _posted.set()
        reach("request")
    return data


def look_up(host, *args, **options):
    if host in Path(os.environ["FAULT_HOSTS"]).read_text().split():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if isinstance(host, str) and host.endswith(".test"):
        host = "127.0.0.1"
    return _look_up(host, *args, **options)


# Transactions, by what they change.

FACTS = {
    "emails": "SELECT coalesce(max(id), 0) FROM emails",
    "sending": "SELECT id FROM emails WHERE state = 'sending'",
    "dots": "SELECT id, lease FROM emails WHERE state = 'sending' AND dot_at IS NOT NULL",
    "attempts": "SELECT count(*) FROM attempts",
    "instances": "SELECT id FROM instances",
    "migrations": "SELECT count(*) FROM schema_migrations",
}


def facts_of(connection, plain):
    """Table by table, what can be read of it now."""
    facts = {}
    for name, sql in FACTS.items():
        try:
            facts[name] = frozenset(plain(connection).execute(sql).fetchall())
        except Exception:  # not made yet
            facts[name] = frozenset()
    return facts


def grown(name, before, after):
    return sum(n for (n,) in after[name]) - sum(n for (n,) in before[name])


def kinds(before, after):
    """What a transaction does, in words; several at once in a group commit."""
    attempts = grown("attempts", before, after)
    released = len(before["sending"] - after["sending"])
    found = {
        "accept": grown("emails", before, after) > 0,
        "claim": bool(after["sending"] - before["sending"]),
        "fence": bool(after["dots"] - before["dots"]),
        "record": attempts > 0,
        "give-back": released > attempts,
        "join": bool(after["instances"] - before["instances"]),
        "leave": bool(before["instances"] - after["instances"]),
        "migrate": grown("migrations", before, after) > 0,
    }
    return [kind for kind, is_so in found.items() if is_so]


def watch_database():
    from pysqlite3 import dbapi2 as sqlite

    plain_connect, plain = sqlite.connect, sqlite.Cursor
    begun = weakref.WeakKeyDictionary()

    class Cursor(plain):
        def execute(self, sql, *params):
            if SYNC:
                sql = FULL.sub(r"\g<1>" + SYNC, sql)
            word = sql.split(None, 1)[0].upper()
            if word == "BEGIN":
                return self._begin(sql)
            if word == "COMMIT":
                return self._commit(sql)
            if word == "CREATE":
                reach("create")
            return super().execute(sql, *params)

        def _begin(self, sql):
            if _posted.is_set():
                reach("before-begin")
            result = super().execute(sql)
            begun[self.connection] = facts_of(self.connection, plain)
            if _posted.is_set():
                reach("after-begin")
            return result

        def _commit(self, sql):
            before = begun.pop(self.connection, None)
            done = kinds(before, facts_of(self.connection, plain)) if before is not None else []
            for kind in done:
                reach(f"before-{kind}")
            result = super().execute(sql)
            for kind in done:
                reach(f"after-{kind}")
            return result

    class Connection(sqlite.Connection):
        def cursor(self, factory=Cursor):
            return super().cursor(factory)

    def connect_watched(*args, **options):
        options.setdefault("factory", Connection)
        return plain_connect(*args, **options)

    sqlite.connect = connect_watched


def add_migration(path):
    from playhouse.migrations import Migration

    plain = Migration.load_directory
    more = Migration(9999, "9999_more", path, None)
    Migration.load_directory = classmethod(lambda cls, directory: [*plain(directory), more])


if "FAULT_MIGRATION" in os.environ:
    add_migration(os.environ["FAULT_MIGRATION"])
if PLACE or SYNC:
    socket.socket.connect, socket.socket.send = connect, send
    socket.socket.sendall, socket.socket.recv = sendall, recv
    watch_database()
if "FAULT_HOSTS" in os.environ:
    socket.getaddrinfo = look_up
