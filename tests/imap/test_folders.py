"""Folders as the server lists them: names in any alphabet, what each is for, and their counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.inbox import Role
from services.imap import Client, ImapError, Listed
from services.imap.names import decode, encode
from services.imap.roles import role_of
from tests.imap.test_opening import endpoint, scripted
from tests.support.dovecot import FULL, PROFILES, shared
from tests.support.tcp import served

LETTER = b"From: ann@example.com\r\nSubject: Hello\r\n\r\nHello\r\n"
EVERY = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "/~*%")


def by_name(folders: list[Listed]) -> dict[str, Listed]:
    return {one.name: one for one in folders}


@pytest.mark.parametrize("profile", PROFILES)
def test_folders_have_the_roles_that_the_server_says(profile: str) -> None:
    with Client.open(endpoint(shared(profile))) as client:
        found = by_name(client.folders())
    roles = {name: one.role for name, one in found.items()}
    assert roles == {
        "INBOX": Role.INBOX, "Sent": Role.SENT, "Drafts": Role.DRAFTS, "Junk": Role.SPAM, "Trash": Role.TRASH,
        "Archive": Role.ARCHIVE,
    }  # fmt: skip
    assert {one.separator for one in found.values()} == {"/"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "name", ["Entwürfe & Co", "日本語/子", EVERY, 'a\\b"c', "  two", "&-&", "NIL", "123", "😀"]
)
def test_a_name_goes_there_and_back(profile: str, name: str) -> None:
    with Client.open(endpoint(shared(profile))) as client:
        client.create_folder(encode(name))
        listed = by_name(client.folders())[name]
        assert listed.raw_name == encode(name)
        assert client.status(listed.raw_name).uidvalidity
        client.rename_folder(listed.raw_name, encode(f"{name}2"))
        client.delete_folder(encode(f"{name}2"))
        assert f"{name}2" not in by_name(client.folders())


def test_counters_come_with_the_list_where_that_is_offered() -> None:
    server = shared(FULL)
    where = endpoint(server)
    server.deliver(where.username, LETTER)
    with Client.open(where) as client:
        status = by_name(client.folders())["INBOX"].status
        assert status is not None
        assert status == client.status(b"INBOX")
        assert (status.messages, status.uidnext, status.unseen) == (1, 2, 1)
        assert status.modseq


def test_no_folder_at_all_is_an_error() -> None:
    def talk(sock) -> None:  # type: ignore[no-untyped-def]
        sock.sendall(b"* PREAUTH hi\r\n")
        while line := sock.recv(1000):
            sock.sendall(b"* CAPABILITY IMAP4rev1\r\n" + line.split(b" ")[0] + b" OK done\r\n")

    with served(talk) as port, Client.open(scripted(port)) as client, pytest.raises(ImapError):
        client.folders()


def test_a_folder_s_name_cannot_end_the_command() -> None:
    with Client.open(endpoint(shared())) as client:
        for name in (b"a\r\nA1 DELETE INBOX", b"a\0", b"a\n"):
            with pytest.raises(ImapError):
                client.create_folder(name)
        assert client.is_open


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_modified_utf7_goes_there_and_back(name: str) -> None:
    raw = encode(name)
    assert raw.isascii()
    assert decode(raw) == name


@given(st.binary())
def test_any_bytes_can_be_shown(raw: bytes) -> None:
    decode(raw).encode()


@pytest.mark.parametrize(
    ("name", "attributes", "role"),
    [
        ("Gesendete Elemente", [], Role.SENT),
        ("INBOX.Entwürfe", [], Role.DRAFTS),
        ("[Gmail]/All Mail", ["\\All"], Role.ARCHIVE),
        ("[Gmail]/Корзина", [], Role.TRASH),
        ("Whatever", ["\\Junk"], Role.SPAM),
        ("Work/Sent", [], Role.CUSTOM),
        ("inbox", [], Role.INBOX),
        ("Sent of 2019", [], Role.CUSTOM),
        ("ゴミ箱", [], Role.TRASH),
    ],
)
def test_roles(name: str, attributes: list[str], role: Role) -> None:
    assert role_of(name, "." if "." in name else "/", attributes) is role
