"""A server that speaks Gmail's extension of IMAP (X-GM-EXT-1), in front of a Dovecot that keeps the mail.

As at Gmail, a message lies once, in All Mail, Spam or Trash; all other folders are labels. A label is a keyword on
Dovecot, so that its changes have their MODSEQ; X-GM-MSGID is made from the GUID, which a message keeps when it moves.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

from tests.support.dovecot import FULL, HOST, Dovecot, shared
from tests.support.tcp import served

ALL, SPAM, TRASH = "[Gmail]/All Mail", "[Gmail]/Spam", "[Gmail]/Trash"
_CAPABILITIES = (
    b"IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE CONDSTORE ESEARCH"
    b" LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE AUTH=PLAIN"
)
_FIXED = {
    "INBOX": "", "[Gmail]": "\\Noselect", ALL: "\\All", "[Gmail]/Drafts": "\\Drafts", "[Gmail]/Sent Mail": "\\Sent",
    SPAM: "\\Junk", "[Gmail]/Starred": "\\Flagged", TRASH: "\\Trash", "[Gmail]/Important": "\\Important",
}  # fmt: skip
_LABELS = {
    "INBOX": "\\Inbox", "[Gmail]/Drafts": "\\Draft", "[Gmail]/Sent Mail": "\\Sent", "[Gmail]/Starred": "\\Starred",
    "[Gmail]/Important": "\\Important",
}  # fmt: skip
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s()"]+)')


def keyword(label: str) -> str:
    return f"gml-{label.encode().hex()}"


class Gmail:
    """One user's. `labels`: those that it lists, as modified UTF-7; `commands`: what it was asked."""

    def __init__(self, server: Dovecot | None = None) -> None:
        self.server = server or shared(FULL)
        self.user = self.server.user()
        self.labels: list[str] = []
        self.threads: dict[str, int] = {}  # X-GM-THRID by GUID; else a message is a thread of its own
        self.commands: list[str] = []
        self.hides_all = False
        self.before_answering: Callable[[bytes], None] = lambda line: None
        self.guids: dict[int, str] = {}
        self.port = 0
        client = self.server.client(self.user)
        for name in (ALL, SPAM, TRASH):
            client.create(f'"{name}"')
        client.logout()

    @contextmanager
    def running(self) -> Iterator[Gmail]:
        with served(self._talk) as self.port:
            yield self

    def put(self, message: bytes, *labels: str, folder: str = ALL, flags: str = "") -> None:
        """As the user or the world would."""
        client = self.server.client(self.user)
        told = " ".join([*(keyword(one) for one in labels), flags])
        assert client.append(f'"{folder}"', f"({told.strip()})", "", message)[0] == "OK"
        client.logout()

    def relabel(self, uid: int, *, add: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> None:
        """By another device."""
        client = self.server.client(self.user)
        client.select(f'"{ALL}"')
        for sign, labels in (("+", add), ("-", drop)):
            if labels:
                client.uid("STORE", str(uid), f"{sign}FLAGS", f"({' '.join(keyword(one) for one in labels)})")
        client.logout()

    def move(self, uid: int, source: str, target: str) -> None:
        client = self.server.client(self.user)
        client.select(f'"{source}"')
        assert client._simple_command("UID", "MOVE", str(uid), f'"{target}"')[0] == "OK"  # type: ignore[attr-defined]
        client.logout()

    def join(self, thread: int, *uids: int) -> None:
        """Letters of All Mail become a thread."""
        client = self.server.client(self.user)
        client.select(f'"{ALL}"', readonly=True)
        for uid in uids:
            found = re.search(rb'X-GUID "?([^\s")]+)"?', client.uid("FETCH", str(uid), "(X-GUID)")[1][0])
            assert found
            self.threads[found[1].decode()] = thread
        client.logout()

    def held(self, folder: str = ALL) -> dict[int, set[str]]:
        """Labels and flags by UID."""
        client = self.server.client(self.user)
        client.select(f'"{folder}"', readonly=True)
        found = [one for one in client.uid("FETCH", "1:*", "(UID FLAGS)")[1] if isinstance(one, bytes)]
        client.logout()
        return {
            int(re.search(rb"UID (\d+)", one)[1]): _plain_flags(one)  # type: ignore[index]
            for one in found
        }

    def _talk(self, client: socket.socket) -> None:
        with socket.create_connection((HOST, self.server.imap)) as server:
            _Dialog(self, client, server).run()


def _plain_flags(line: bytes) -> set[str]:
    told = re.search(rb"FLAGS \(([^)]*)\)", line)
    assert told
    return {_label_of(one) or one for one in told[1].decode().split()} - {"\\Recent"}


def _label_of(flag: str) -> str | None:
    return bytes.fromhex(flag[4:]).decode() if flag.startswith("gml-") else None


class _Dialog:
    """One connection. The lines of either side are rewritten, literals pass as they are."""

    def __init__(self, gmail: Gmail, client: socket.socket, server: socket.socket) -> None:
        self.gmail = gmail
        self.client, self.server = client, server
        self.asks_labels = False
        self.hides_places = False  # the UIDs of a move to a label are those of a folder that we do not have
        self.selected = ""
        self.swallowed: set[bytes] = set()

    def run(self) -> None:
        answers = threading.Thread(target=self._answers, daemon=True)
        answers.start()
        with suppress(OSError):
            for data, is_literal in _pieces(self.client):
                self.server.sendall(data if is_literal else self._command(data))
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        answers.join(5)

    def _answers(self) -> None:
        with suppress(OSError):
            for data, is_literal in _pieces(self.server):
                told = data if is_literal else self._answer(data)
                self.gmail.before_answering(told)
                self.client.sendall(told)
            self.client.shutdown(socket.SHUT_RDWR)

    # What the client says.

    def _command(self, line: bytes) -> bytes:
        tag, _, rest = line.partition(b" ")
        name = rest.upper().strip()
        self.gmail.commands.append(rest.decode("latin-1").strip())
        if name.startswith(b"LIST"):
            for one in self._listed():
                self.client.sendall(one)
            return tag + b" NOOP\r\n"
        if name.startswith((b"SELECT", b"EXAMINE")):
            self.selected = _strings(rest)[1]
        if name.startswith(b"UID FETCH"):
            self.asks_labels = b"X-GM-LABELS" in name
            return self._fetch(line)
        if name.startswith(b"UID STORE") and b"X-GM-LABELS" in name:
            self.asks_labels = True
            return self._store(line)
        if name.startswith(b"UID MOVE"):
            return self._move(tag, rest)
        if name.startswith(b"UID SEARCH X-GM-MSGID"):
            guid = self.gmail.guids.get(int(rest.split()[-1]), "none")
            return tag + b" UID SEARCH X-GUID " + guid.encode() + b"\r\n"
        return line

    def _listed(self) -> Iterator[bytes]:
        names = _FIXED | dict.fromkeys(self.gmail.labels, "")
        for name, attribute in names.items():
            if not (self.gmail.hides_all and name == ALL):
                quoted = name.replace("\\", "\\\\").replace('"', '\\"')
                yield f'* LIST ({attribute}) "/" "{quoted}"\r\n'.encode()

    def _fetch(self, line: bytes) -> bytes:
        if re.search(rb"X-GM-(MSGID|THRID)", line):
            line = (
                line.replace(b"X-GM-MSGID", b"X-GUID")
                .replace(b"X-GM-THRID ", b"")
                .replace(b" X-GM-THRID", b"")
            )
        if b"X-GM-LABELS" in line:
            line = line.replace(b" X-GM-LABELS", b"" if re.search(rb"\bFLAGS\b", line) else b" FLAGS")
        return line

    def _store(self, line: bytes) -> bytes:
        head, _, labels = line.rstrip().partition(b"X-GM-LABELS")
        told = labels.partition(b"(")[2].removesuffix(b")")
        flags = {"\\Starred": "\\Flagged"}
        named = [flags.get(one, keyword(one)) for one in _strings(told)]
        return head + b"FLAGS (" + " ".join(named).encode() + b")\r\n"

    def _move(self, tag: bytes, rest: bytes) -> bytes:
        uids, target = rest.split()[2], _strings(rest)[-1]
        self.hides_places = target not in (ALL, SPAM, TRASH)
        if not self.hides_places:
            if target != ALL and self.selected == ALL:
                self._quietly(b"UID STORE " + uids + b" -FLAGS.SILENT (" + keyword("\\Inbox").encode() + b")")
            return tag + b" " + rest
        label = _LABELS.get(target, target)
        self._quietly(b"UID STORE " + uids + b" +FLAGS.SILENT (" + keyword(label).encode() + b")")
        return tag + b" UID MOVE " + uids + b' "' + ALL.encode() + b'"\r\n'

    def _quietly(self, command: bytes) -> None:
        tag = b"quiet%d" % len(self.swallowed)
        self.swallowed.add(tag)
        self.server.sendall(tag + b" " + command + b"\r\n")

    # What the server says.

    def _answer(self, line: bytes) -> bytes:
        if line.partition(b" ")[0] in self.swallowed:
            return b""
        line = re.sub(rb"CAPABILITY IMAP4[^\]\r]*", b"CAPABILITY " + _CAPABILITIES, line)
        if self.hides_places:
            line = re.sub(rb"\[COPYUID \d+ ", b"[COPYUID 7 ", line)
        line = re.sub(rb'X-GUID "?([^\s")]+)"?', self._ids, line)
        if not re.search(rb"FETCH|^ ", line):
            return re.sub(rb" gml-[0-9a-f]+|gml-[0-9a-f]+ ?", b"", line)
        return re.sub(rb"(?<![A-Z])FLAGS \(([^)]*)\)", self._flags, line)

    def _ids(self, found: re.Match[bytes]) -> bytes:
        number = int.from_bytes(blake2b(found[1], digest_size=8).digest(), "big") >> 1
        self.gmail.guids[number] = found[1].decode()
        thread = self.gmail.threads.get(found[1].decode(), number)
        return b"X-GM-MSGID %d X-GM-THRID %d" % (number, thread)

    def _flags(self, found: re.Match[bytes]) -> bytes:
        flags = found[1].decode().split()
        labels = [label for one in flags if (label := _label_of(one))]
        labels += ["\\Starred"] * ("\\Flagged" in flags)
        told = b"FLAGS (" + " ".join(one for one in flags if not _label_of(one)).encode() + b")"
        if not self.asks_labels:
            return told
        quoted = " ".join('"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in labels)
        return told + b" X-GM-LABELS (" + quoted.encode() + b")"


def _strings(text: bytes) -> list[str]:
    return [
        re.sub(rb"\\(.)", rb"\1", one[1]).decode() if one[1] is not None else one[2].decode()
        for one in _STRING.finditer(text)
    ]


def _pieces(sock: socket.socket) -> Iterator[tuple[bytes, bool]]:
    """Lines, and the literals that they announce: then True."""
    with sock.makefile("rb") as file:
        while line := file.readline():
            yield line, False
            announced = re.search(rb"\{(\d+)\+?\}\r\n$", line)
            if announced:
                yield file.read(int(announced[1])), True
