import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp.capabilities import parse_ehlo
from services.smtp.reply import take_reply


def parse(text):
    return take_reply(bytearray(text if isinstance(text, bytes) else text.encode()))


def test_it_takes_one_reply_and_leaves_the_rest():
    buffer = bytearray(b"250-one\r\n250 two\r\n354 go\r\n250 ha")
    assert take_reply(buffer).lines == ("one", "two")
    assert take_reply(buffer).code == 354
    assert take_reply(buffer) is None
    assert buffer == b"250 ha"


def test_the_enhanced_code_leaves_every_line():
    reply = parse("550-5.7.1 no\r\n550-5.7.1 way\r\n550 5.1.1 other\r\n")
    assert (reply.enhanced, reply.text) == ("5.7.1", "no way 5.1.1 other")
    assert str(reply) == "550 5.7.1 no way 5.1.1 other"


@pytest.mark.parametrize(
    "text", ["550 4.1.1 mixed up\r\n", "250 5.1 short\r\n", "250 2.1.1000 long\r\n", "250 2.0.0a\r\n"]
)
def test_what_is_no_enhanced_code_for_this_reply_stays_text(text):
    reply = parse(text)
    assert reply.enhanced is None
    assert str(reply) == text.strip()


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (200, (True, False, False)),
        (299, (True, False, False)),
        (300, (False, False, False)),
        (399, (False, False, False)),
        (400, (False, True, False)),
        (499, (False, True, False)),
        (500, (False, False, True)),
        (599, (False, False, True)),
    ],
)
def test_the_first_digit_tells_the_kind(code, kinds):
    reply = parse(f"{code} x\r\n")
    assert (reply.ok, reply.temporary, reply.permanent) == kinds


def test_a_reply_may_have_no_text():
    assert parse("250\r\n") == (250, None, ("",))
    assert str(parse("250-\r\n250\n")) == "250"


def test_the_text_for_people_is_bounded_and_printable():
    reply = parse(b"550 " + b"x" * 3000 + b"\x1b[2J\r\n")
    assert len(reply.text) == 1000
    assert parse(b"550 a\x00b\xff\r\n").text == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "raw",
    [
        b"25 ok\r\n", b"2500 ok\r\n", b"abc\r\n", b"\r\n", b" 250 ok\r\n", b"250_ok\r\n", b"150 ok\r\n",
        b"650 ok\r\n", b"250-a\r\n550 b\r\n", b"250-a\r\nb\r\n", "٢٥٠ ok\r\n".encode(), b"+50 ok\r\n",
    ],
)  # fmt: skip
def test_it_refuses_what_is_no_reply(raw):
    with pytest.raises(ValueError, match="not an SMTP reply"):
        parse(raw)


def test_lines_and_their_number_are_bounded():
    assert parse(b"250 " + b"x" * 4000 + b"\r\n").code == 250
    with pytest.raises(ValueError, match="too long"):
        parse(b"250 " + b"x" * 4100 + b"\r\n")
    with pytest.raises(ValueError, match="too long"):
        parse(b"250 " + b"x" * 4100)
    assert len(parse(b"250-x\r\n" * 199 + b"250 x\r\n").lines) == 200
    with pytest.raises(ValueError, match="too many"):
        parse(b"250-x\r\n" * 200)


def test_secrets_are_blotted_out():
    reply = parse("535 5.7.8 bad sesame for user\r\n").without(("sesame", "", "c2VzYW1l"))
    assert (reply.text, reply.code) == ("bad *** for user", 535)


@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_bytes_in_any_pieces_give_replies_or_a_refusal(data, step):
    def read(pieces):
        buffer, found = bytearray(), []
        for piece in pieces:
            buffer += piece
            try:
                while (reply := take_reply(buffer)) is not None:
                    found.append(reply)
                    assert reply.text.isprintable()
                    assert 200 <= reply.code <= 599
            except ValueError:
                return [*found, "refused"]
        return found

    assert read([data]) == read([data[at : at + step] for at in range(0, len(data), step)])


texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)


@given(st.integers(200, 599), st.lists(texts, min_size=1, max_size=5))
def test_what_a_server_writes_is_what_we_read(code, lines):
    raw = "".join(f"{code}-{line}\r\n" for line in lines[:-1]) + f"{code} {lines[-1]}\r\n"
    buffer = bytearray(raw.encode() + b"250 next\r\n")
    reply = take_reply(buffer)
    assert reply.code == code
    if reply.enhanced is None:
        assert reply.lines == tuple(lines)
    assert buffer == b"250 next\r\n"


def test_capabilities_are_read_in_any_case_and_form():
    can = parse_ehlo(
        parse("250-mx PIPELINING\r\n250-Auth=LOGIN\r\n250-AUTH plain\r\n250-size\r\n250 8bitmime\r\n")
    )
    assert not can.pipelining  # that was the greeting's line
    assert can.max_size is None
    assert can.eightbit
    assert not can.smtputf8


@pytest.mark.parametrize(
    ("size", "limit"),
    [("SIZE", None), ("SIZE 0", None), ("SIZE 10", 10), ("SIZE ten", None), ("SIZE -1", None)],
)
def test_the_size_limit_is_a_number_or_none(size, limit):
    assert parse_ehlo(parse(f"250-mx\r\n250 {size}\r\n")).max_size == limit


def test_logins_of_both_forms_add_up():
    can = parse_ehlo(parse("250-mx\r\n250-AUTH=LOGIN\r\n250 AUTH PLAIN login\r\n"))
    assert set(can.auth) == {"PLAIN", "LOGIN"}
