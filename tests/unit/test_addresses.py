"""Addresses: what is taken, what is refused and why, and what goes out on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.addresses import (
    Address,
    AddressError,
    domain_of,
    envelope,
    needs_smtputf8,
    parse_address,
    split_list,
)

UNHURRIED = settings(deadline=None)  # a busy machine may stall any example
ATOM = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=12)
LOCAL = st.lists(ATOM, min_size=1, max_size=4).map(".".join)
DOMAIN = st.sampled_from(
    ["example.com", "a.b.c.example", "bücher.example", "例え.jp", "x.local", "localhost", "y.test"]
)
NAME = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60).map(str.strip)


@pytest.mark.parametrize(
    ("text", "name", "email"),
    [
        ("ann@example.com", "", "ann@example.com"),
        ("  ann@example.com ", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann <ann@example.com>", "Ann", "ann@example.com"),
        ("Ann<ann@example.com>", "Ann", "ann@example.com"),
        ("Ann < ann@example.com >", "Ann", "ann@example.com"),
        ('"Ann, B" <ann@example.com>', "Ann, B", "ann@example.com"),
        (r'"Ann \"the\\Man\"" <ann@example.com>', r'Ann "the\Man"', "ann@example.com"),
        ('" Ann " <ann@example.com>', "Ann", "ann@example.com"),
        ('"" <ann@example.com>', "", "ann@example.com"),
        ("Dr. O'Hara <ann@example.com>", "Dr. O'Hara", "ann@example.com"),
        ("Ännchen 🎉 <ann@example.com>", "Ännchen 🎉", "ann@example.com"),
        ("أحمد <ann@example.com>", "أحمد", "ann@example.com"),
        ("Ann.Lee+tag@EXAMPLE.Com", "", "Ann.Lee+tag@example.com"),
        ("Postmaster@example.com", "", "Postmaster@example.com"),
        ("ann@Bücher.example", "", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "", "ann@xn--bcher-kva.example"),
        ("u\u0308nn@example.com", "", "\u00fcnn@example.com"),
        ("用户@例え.jp", "", "用户@xn--r8jz45g.jp"),
        ('"john.doe"@example.com', "", "john.doe@example.com"),
        ('"john doe"@example.com', "", '"john doe"@example.com'),
        ("root@localhost", "", "root@localhost"),
        ("a@x.test", "", "a@x.test"),
        ("a@printer.local", "", "a@printer.local"),
        ("a@x.invalid", "", "a@x.invalid"),
        ("x" * 64 + "@example.com", "", "x" * 64 + "@example.com"),
        ("n" * 255 + " <a@b.c>", "n" * 255, "a@b.c"),
    ],
)
def test_it_takes(text: str, name: str, email: str) -> None:
    assert parse_address(text) == Address(name, email)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("ann", "no @"),
        ("ann@", "after the @"),
        ("@example.com", "before the @"),
        ("a@b@example.com", "'@'"),
        ("a..b@example.com", "two periods"),
        (".a@example.com", "start with a period"),
        ("a b@example.com", "invalid characters"),
        ("a@b_c.example", "invalid characters"),
        ("a@-b.example", "hyphen"),
        ("a@example.com.", "period"),
        ("a@127.0.0.1", "IP address"),
        ("a@[127.0.0.1]", "bracketed IP address"),
        ("a@xn--zzzzzz.example", "IDNA"),
        ("a@" + "b" * 64 + ".example", "so many characters"),
        ("a" * 64 + "@" + ".".join(["b" * 48] * 4), "254 octets"),
        ("x" * 65 + "@example.com", "64 octets"),
        ("ü" * 33 + "@example.com", "64 octets"),
        ("n" * 256 + " <a@b.c>", "255 characters"),
        ("n" * 2_000 + " <a@b.c>", "1000 characters"),
        ('"a@b"@example.com', "quoted part"),
        ('"a>b"@example.com', "quoted part"),
        (r'"a\"b"@example.com', "quoted part"),
        ('""@example.com', "quoted part"),
        ("<@relay.example:ann@example.com>", "before the @"),
        ("<@relay.example,@b.example:ann@example.com>", "before the @"),
        ("ann@example.com (Ann)", "invalid characters"),
        ("Ann (Sales) <ann@example.com>", "double quotes"),
        ("Smith, Ann <ann@example.com>", "double quotes"),
        ("team: ann@example.com, bob@example.com;", "invalid characters"),
        ("team: Ann <ann@example.com>;", "invalid characters"),
        ("ann@example.com, bob@example.com", "invalid characters"),
        ("ann@example.com <bob@example.com>", "one address"),
        ("Ann <ann@example.com>, Bob <bob@example.com>", "one address"),
        ("Ann <ann@example.com", "at"),
        ('"Ann" B <ann@example.com>', "one address"),
        ("ann\uff20example.com", "no @"),
    ],
)
def test_it_refuses(text: str, reason: str) -> None:
    with pytest.raises(AddressError) as error:
        parse_address(text)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "bad", ["\r", "\n", "\r\n", "\x00", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize(
    "text", ["{}ann@example.com", "a{}b@example.com", "ann@exa{}mple.com", "A{}n <a@b.c>", "a@b.c{}"]
)
def test_it_refuses_control_characters_anywhere(text: str, bad: str) -> None:
    with pytest.raises(AddressError, match="control character"):
        parse_address(text.format(bad))


def test_a_refusal_shows_no_more_than_80_characters_of_the_input() -> None:
    with pytest.raises(AddressError) as error:
        parse_address("s" * 80 + "ecret" * 20 + "@x")
    assert "s" * 80 in str(error.value)
    assert "ecret" not in str(error.value)


@UNHURRIED
@given(st.text())
def test_it_parses_or_refuses_any_text(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError as error:
        error_text = str(error)
        error_text.encode()  # printable as it is
        assert not set(error_text) & set("\r\n\x00")
    else:
        assert parse_address(address.email).email == address.email


@UNHURRIED
@given(NAME, LOCAL, DOMAIN)
def test_a_quoted_name_and_an_address_come_back(name: str, local: str, domain: str) -> None:
    quoted = name.replace("\\", r"\\").replace('"', r"\"")
    address = parse_address(f'"{quoted}" <{local}@{domain}>')
    assert address.name == name
    assert address.email.startswith(f"{local}@")
    assert address.email.isascii()
    assert parse_address(address.email) == Address("", address.email)


def test_the_envelope_is_ascii_when_the_local_part_is() -> None:
    assert envelope("ann@bücher.example", utf8=False) == "ann@xn--bcher-kva.example"
    assert envelope("ann@xn--bcher-kva.example", utf8=True) == "ann@xn--bcher-kva.example"
    assert not needs_smtputf8("ann@bücher.example")


def test_the_envelope_is_utf8_when_the_local_part_needs_it() -> None:
    assert needs_smtputf8("änn@xn--bcher-kva.example")
    assert envelope("änn@xn--bcher-kva.example", utf8=True) == "änn@bücher.example"
    with pytest.raises(AddressError, match="SMTPUTF8"):
        envelope("änn@xn--bcher-kva.example", utf8=False)


def test_the_domain_is_in_lower_case_a_labels() -> None:
    assert domain_of("ann@Bücher.Example") == "xn--bcher-kva.example"
    assert domain_of('"a b"@EXAMPLE.com') == "example.com"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            '"Doe, Jo" <jo@x.example>, b@y.example; c@z.example\nd@e.example,,',
            ['"Doe, Jo" <jo@x.example>', "b@y.example", "c@z.example", "d@e.example"],
        ),
        ('"a \\" b, c" <q@x.example>, r@x.example', ['"a \\" b, c" <q@x.example>', "r@x.example"]),
        ("  ", []),
    ],
)
def test_several_in_one_field_are_parted_but_not_within_quotes(text: str, parts: list[str]) -> None:
    assert split_list(text) == parts
