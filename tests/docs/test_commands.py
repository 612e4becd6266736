"""Every command of every page, as its reader would run it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import NOTES, PAGES, ROOT, Block, blocks, name_of
from tests.docs.player import Player
from tests.support import dovecot
from tests.support.ca import TestCA
from tests.support.daemon import Daemon, free_port
from tests.support.sink import Sink
from tests.support.tools import need

NOT_RUN = 10  # blocks that nobody can run here: one more is a decision
PROXIES = ("nginx", "caddy")  # run by test_proxies.py
RUN = [
    one
    for one in PAGES
    if any(block.is_run and block.language not in ("", *PROXIES) for block in blocks(one))
]
FIRST = [ROOT / "README.md", ROOT / "docs/tutorial.md"]
EVERY = [block for page in PAGES for block in blocks(page)]


class AnyLogin(tuple[str, str]):
    """Of any user, with the password of the pages."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and other[1] == "an-app-password"

    __hash__ = tuple.__hash__


@pytest.fixture(scope="module")
def mail_server() -> dovecot.Dovecot:
    """With a message for whoever adds the account of the page."""
    server = dovecot.shared(dovecot.FULL)
    server.deliver("support@example.com", b"Subject: Your invoice\r\n\r\nIt is attached.\r\n")
    return server


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory, mail_server: dovecot.Dovecot) -> Iterator[Player]:
    """One for all pages that may come in any order."""
    with reading(tmp_path_factory.mktemp("reader"), mail_server) as found:
        yield found


@contextmanager
def reading(folder: Path, mail_server: dovecot.Dovecot) -> Iterator[Player]:
    need("curl")
    ca = TestCA(folder)
    login = AnyLogin(("", ""))
    with (
        Sink(tls=ca.server("127.0.0.1"), auth=login) as sink,
        Daemon(
            folder,
            sandbox="on",
            sandbox_smtp_port=free_port(),
            ssl_cert_file=ca.file,
            allow_private_hosts="on",
        ) as daemon,
    ):
        yield Player(daemon, folder, sink.port, mail_server.imap)


def test_the_first_steps_work_on_a_new_relay(tmp_path: Path, mail_server: dovecot.Dovecot) -> None:
    """In their order: once there is a real SMTP config, the sandbox gets nothing more."""
    with reading(tmp_path, mail_server) as player:
        for page in FIRST:
            follow(player, page)


@pytest.mark.parametrize("page", [one for one in RUN if one not in FIRST], ids=name_of)
def test_its_commands_work(player: Player, page: Path) -> None:
    follow(player, page)


def follow(player: Player, page: Path) -> None:
    player.begin()
    for block in blocks(page):
        if block.is_run and block.language not in PROXIES:
            player.play(block)


@pytest.mark.parametrize("block", EVERY, ids=str)
def test_it_is_written_as_its_language_has_it(block: Block) -> None:
    assert not block.note or block.note.startswith(NOTES), block.note
    if block.language == "sh":
        done = subprocess.run(["bash", "-n", "-c", block.code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif block.language == "python":
        ast.parse(block.code)
    elif block.language == "json":
        json.loads(block.code)


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    left_out = [block for block in EVERY if block.note.startswith("not run")]
    assert len(left_out) == NOT_RUN, [str(one) for one in left_out]
    assert all(len(block.note) > len("not run: ") + 20 for block in left_out)
    for block in EVERY:
        if block.note.startswith("run by: "):
            runner = ROOT / block.note.removeprefix("run by: ")
            assert block.page.name in runner.read_text(), block


def test_no_block_hides_from_the_walk() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page
    assert len(EVERY) > 60
