"""What is read of a header, and that the quick ways say the same as Python's own."""

from __future__ import annotations

import email
from email.utils import getaddresses

from hypothesis import given
from hypothesis import strategies as st

from services.sync.headers import _plain_people, read_headers
from tests.support.corpora import of_python

WORD = st.text("abzÄé09.!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
ADDRESS = st.from_regex(r"\A[\w.+-]{1,6}@[\w-]{1,5}(\.[\w-]{1,3}){0,2}\Z", fullmatch=True)
PERSON = st.builds(
    lambda words, address: f"{' '.join(words)} <{address}>".strip(), st.lists(WORD, max_size=3), ADDRESS
)


@given(st.lists(PERSON | ADDRESS, min_size=1, max_size=4).map(", ".join))
def test_plain_people_are_those_of_the_standard_library(text: str) -> None:
    found = _plain_people(text)
    assert found is None or found == getaddresses([text])


@given(st.text('ab <>@,."()\\[]:;', max_size=20))
def test_what_is_not_plain_is_left_to_the_standard_library(text: str) -> None:
    found = _plain_people(" ".join(text.split()))
    assert found is None or found == getaddresses([" ".join(text.split())])


def test_most_people_are_plain() -> None:
    text = "Ann <ann@example.com>, J. R. Doe <j.doe+x@mail.example.com>, bob@example.com, =?utf-8?q?J=C3=BC?= <j@x.org>"
    assert _plain_people(text) == getaddresses([text])


def test_fields_of_real_mail_are_those_of_the_standard_library() -> None:
    for name, raw in of_python():
        told, parsed = read_headers(raw), email.message_from_bytes(raw)
        for ours, field in ((told.message_id, "message-id"), (told.in_reply_to, "in-reply-to")):
            values = [str(value) for key, value in parsed.raw_items() if key.lower() == field]
            assert ours == (" ".join(values[0].split()) if values else ""), name
        if parsed.get("From"):
            assert told.sender == list(getaddresses([str(parsed["From"])])[0]), name


def test_a_field_that_comes_twice_counts_once_and_the_body_never() -> None:
    told = read_headers(
        b"Subject: one\r\n  more\r\nsubject: two\r\nBroken line\r\nMessage-ID : <a@b>\r\n\r\nTo: x@y\r\n"
    )
    assert (told.subject, told.message_id, told.recipients) == ("one more", "<a@b>", {})
    assert read_headers(b"\r\nSubject: none\r\n").subject == ""
