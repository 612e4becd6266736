"""Thousands of bodies that are wrong in some way, ten thousand with --long: each is refused, none is an accident."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import LONG
from tests.support.app import CONFIG, EMAIL, MASTER_KEY, Caller, caller, running_app

OFTEN = settings(
    max_examples=2_500 if LONG in os.environ else 600, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: Any) -> Iterator[Caller]:
    folder: Path = tmp_path_factory.mktemp("bad-bodies")
    with running_app(folder, LOG_LEVEL="ERROR") as app:
        yield caller(app, MASTER_KEY)


def refused(service: Caller, path: str, data: bytes) -> None:
    response = service.call("POST", path, data=data, content_type="application/json")
    assert 400 <= response.status_code < 500, (response.status_code, data)
    body = response.get_json()
    assert {"error", "message", "code", "timestamp"} <= body.keys()


@OFTEN
@given(st.binary(max_size=200))
def test_noise_is_refused(service: Caller, data: bytes) -> None:
    refused(service, "/api/emails", data)


@OFTEN
@given(VALUES)
def test_any_value_that_is_no_email_is_refused(service: Caller, value: Any) -> None:
    refused(service, "/api/emails", json.dumps(value).encode())


WRONG_FOR_AN_EMAIL = st.sampled_from(
    ["subject", "recipients", "to", "cc", "bcc", "reply_to", "headers", "attachments", "priority", "smtp_config_id",
     "send_at", "expires_at", "tags", "metadata", "on_unknown", "max_retries", "sender", "nonsense"]
)  # fmt: skip


@OFTEN
@given(WRONG_FOR_AN_EMAIL, VALUES)
def test_one_wrong_field_spoils_an_email(service: Caller, field: str, value: Any) -> None:
    refused(service, "/api/emails", json.dumps(EMAIL | {field: [{"x": value}]}).encode())


@OFTEN
@given(st.sampled_from([*sorted(CONFIG), "nonsense", "weight", "from_domains", "limit_unit"]), VALUES)
def test_one_wrong_field_spoils_a_config(service: Caller, field: str, value: Any) -> None:
    refused(service, "/api/smtp-configs", json.dumps(CONFIG | {field: [{"x": value}]}).encode())
