"""The base subject of RFC 5256, 2.1."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.subjects import base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Lunch", "lunch"),
        ("Re: Lunch", "lunch"),
        ("RE:Re: re : Lunch", "lunch"),
        ("Fwd: Fw: Lunch", "lunch"),
        ("Re[2]: Lunch", "lunch"),
        ("Re [list]: Lunch", "lunch"),
        ("[team] Re: [team] Lunch", "lunch"),
        ("[team] Lunch", "lunch"),
        ("[team]", "[team]"),  # nothing else would be left
        ("[a] [b]", "[b]"),
        ("Lunch (fwd)", "lunch"),
        ("Lunch (FWD) (fwd)  ", "lunch"),
        ("[Fwd: Lunch]", "lunch"),
        ("[fwd: Re: [x] Lunch (fwd)]", "lunch"),
        ("Fwd: [Fwd: [Fwd: Lunch]]", "lunch"),
        ("  Lunch\t\r\n at  noon ", "lunch at noon"),
        ("Reply: Lunch", "reply: lunch"),
        ("Re", "re"),
        ("Re:", ""),
        ("", ""),
        ("Regarding: x", "regarding: x"),
        ("[unclosed Re: x", "[unclosed re: x"),
        ("Straße", "strasse"),
    ],
)
def test_it_strips_what_replies_and_lists_add(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@given(st.text(st.sampled_from("reRE:[] fwd()\tab"), max_size=60))
def test_a_reply_and_a_forward_have_the_base_of_their_origin(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(f"Re: {subject}") == base_subject(f"Fwd: [x] Re: {subject}") == base
    assert base_subject(base) == base
    if not {"[", "]"} & set(subject):  # by the RFC, `[Fwd: :]]` begins with a list's name
        assert base_subject(f"[Fwd: {subject}]") == base


@pytest.mark.parametrize("piece", ["Re: ", "[x] ", "[", "(fwd) ", "[fwd:", " ", "[a] [", "re[a]", "]"])
def test_long_ones_take_no_longer(piece: str) -> None:
    started = time.perf_counter()
    base_subject(piece * 50_000)
    base_subject(piece * 300 + "x" + "]" * 300)
    assert time.perf_counter() - started < 0.5
