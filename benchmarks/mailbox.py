"""A mailbox full of mail on a Dovecot: half of it plain, half html, every third message an answer to the one before."""

from __future__ import annotations

import os
import shutil
from functools import cache

from benchmarks import mail
from tests.support.dovecot import Dovecot

WORDS = ("coffee", "station+road", "harbour", "A-100042")  # to be searched for
DIFFERENT = 500  # bodies
AT_ONCE = 5_000  # messages that the server is asked for
BEGIN = 1_700_000_000  # seconds since the epoch: when the first came
MINUTE = 60


def filled(server: Dovecot, count: int) -> str:
    """The user whose inbox it is. As files, since delivering so many would take longer than all that is measured."""
    user = server.user()
    client = server.client(user)
    client.select("INBOX")  # which makes it
    client.logout()
    folder = server.mail_folder(user) / "cur"
    for number in range(count):
        raw = message(number, count)
        path = folder / f"{BEGIN + number * MINUTE}.M{number}P1.bench,S={len(raw)},W={len(raw)}:2,"
        path.write_bytes(raw)
        if os.geteuid() == 0:
            shutil.chown(path, folder.stat().st_uid, folder.stat().st_gid)
    _read_once(server, user, count)
    return user


def newest_subject(count: int) -> str:
    return f"Your order A-{100_000 + count - 1}"


def message(number: int, count: int) -> bytes:
    kind, body = _body(number % DIFFERENT)
    answers = f"In-Reply-To: <{number - 1}@shop.example>\r\nReferences: <{number - 1}@shop.example>\r\n"
    subject = newest_subject(number + 1)
    minutes = (BEGIN // MINUTE + number) % (24 * 60)
    return (
        f"Return-Path: <shop@shop.example>\r\nFrom: Example Shop <shop@shop.example>\r\n"
        f"To: Customer {number % 97} <customer{number % 97}@example.com>\r\nSubject: {subject}\r\n"
        f"Date: Wed, 25 Nov 2026 {minutes // 60:02}:{minutes % 60:02}:00 +0000\r\n"
        f"Message-ID: <{number}@shop.example>\r\n"
        f"{answers if number % 3 == 2 else ''}MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{body}"
    ).encode()


@cache
def _body(number: int) -> tuple[str, str]:
    page = mail.html(number).replace("\n", "\r\n")
    if number % 2:
        return "html", page
    words = f"{mail.NAMES[number % 8]} {mail.STREETS[number % 4]} {mail.GOODS[number % 5]}. "
    return "plain", "\r\n".join(f"{words}Line {line} of order {number}." for line in range(18)) + "\r\n"


def _read_once(server: Dovecot, user: str, count: int) -> None:
    """So that the server has an index and a cache of all of it."""
    client = server.client(user)
    client.select("INBOX", readonly=True)
    for first in range(1, count + 1, AT_ONCE):
        uids = f"{first}:{first + AT_ONCE - 1}"
        client.uid("FETCH", uids, "(RFC822.SIZE BODYSTRUCTURE BODY.PEEK[HEADER])")
    client.logout()
