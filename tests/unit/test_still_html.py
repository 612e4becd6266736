from __future__ import annotations

import pytest

from utils.still_html import still


@pytest.mark.parametrize(
    "tag",
    ["<link rel=preconnect>", "<LINK\nrel=x>", "<Meta/http-equiv=refresh>", "<base\f>", "<iframe src=x>"],
)
def test_what_reaches_out_is_another_tag(tag: str) -> None:
    shown = still(f"<h1>Hello</h1>{tag}<p>Ann</p>")
    assert shown.startswith("<h1>Hello</h1><basefont")
    assert shown.endswith(">" + "<p>Ann</p>")


def test_all_else_stays() -> None:
    html = "<style>p{color:red}</style><p class='link'>1 < 2, <linked> <metal> &lt;link&gt; </link></p>"
    assert still(html) == html


def test_a_huge_mail_costs_little() -> None:
    assert still("<link" * 400_000 + "<" * 400_000) != ""
