from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from tests.support.app import CONFIG, Caller, running_app, tenant_caller
from tests.support.ca import TestCA
from tests.support.sink import Sink

LOGIN = ("me@gmail.com", "planted-smtp-password")


def make(service: Caller, port: int, **changes: Any) -> str:
    body = CONFIG | {"smtp_host": "127.0.0.1", "smtp_port": port, "use_tls": False} | changes
    return f"/api/smtp-configs/{service.post('/api/smtp-configs', body).json['config_id']}"


def steps(report: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(one["step"], one["ok"]) for one in report["steps"]]


def test_each_step_is_told(service: Caller) -> None:
    with Sink(auth=LOGIN) as sink:
        report = service.post(make(service, sink.port) + "/test").json
        assert report["ok"] is True
        assert steps(report) == [(one, True) for one in ("dns", "connect", "banner", "ehlo", "auth")]
        assert "PIPELINING" in report["capabilities"]
        assert report["certificate"] is None
        assert sink.messages == []


def test_it_sends_only_when_asked_to_and_that_counts(service: Caller) -> None:
    with Sink(auth=LOGIN) as sink:
        path = make(service, sink.port)
        report = service.post(f"{path}/test", {"send_to": "Ann <ann@example.com>"}).json
        assert steps(report)[-1] == ("send", True)
        (message,) = sink.wait_for(1)
        assert (message.mail_from, message.rcpt_tos) == ("me@gmail.com", ["ann@example.com"])
        assert service.get(path).json["sent_count_hour"] == 1


def test_it_never_sends_over_the_limit(service: Caller) -> None:
    with Sink(auth=LOGIN) as sink:
        path = make(service, sink.port, hourly_limit=1)
        service.post(f"{path}/test", {"send_to": "ann@example.com"})
        report = service.post(f"{path}/test", {"send_to": "ann@example.com"}).json
        assert (report["ok"], steps(report)[-1]) == (False, ("send", False))
        assert sink.accepted == 1


def test_a_refused_recipient_is_told_and_counts_for_nothing(service: Caller) -> None:
    with Sink(auth=LOGIN) as sink:
        sink.reply_to_rcpt("ann@example.com", "550 5.1.1 nobody here")
        path = make(service, sink.port)
        report = service.post(f"{path}/test", {"send_to": "ann@example.com"}).json
        assert "nobody here" in report["steps"][-1]["detail"]
        assert service.get(path).json["sent_count_hour"] == 0


def test_a_wrong_password_is_told(service: Caller) -> None:
    with Sink(auth=("me@gmail.com", "another")) as sink:
        report = service.post(make(service, sink.port) + "/test").json
        assert (report["ok"], steps(report)[-1]) == (False, ("auth", False))
        assert "planted" not in str(report)


def test_nobody_at_the_port_is_told(service: Caller) -> None:
    with Sink() as sink:
        port = sink.port
    report = service.post(make(service, port) + "/test").json
    assert steps(report) == [("dns", True), ("connect", False)]


def test_an_unverified_certificate_is_told_and_can_be_accepted(service: Caller, tmp_path: Path) -> None:
    context = TestCA(tmp_path).server("127.0.0.1")
    with Sink(auth=LOGIN, tls=context) as sink:
        path = make(service, sink.port, use_tls=True)
        report = service.post(f"{path}/test").json
        assert (report["ok"], steps(report)[-1]) == (False, ("tls", False))
        assert "certificate" in report["steps"][-1]["detail"]
        service.put(path, {"verify_tls": False})
        report = service.post(f"{path}/test").json
        assert report["ok"] is True
        assert report["certificate"]["days_left"] >= 0
        assert report["certificate"]["subject"]


def test_a_bad_recipient_is_a_400(service: Caller) -> None:
    assert service.post(make(service, 9) + "/test", {"send_to": "nobody"}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433"])
def test_names_are_held_to_the_private_rule_when_they_are_dialled(app: APIFlask, host: str) -> None:
    with Sink() as sink:
        path = make(tenant_caller(app, "tenant-a"), sink.port, smtp_host=host)
        report = tenant_caller(app, "tenant-a").post(f"{path}/test").json
        assert (report["ok"], steps(report)) == (False, [("dns", False)])
        assert sink.connections == 0


def test_a_password_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with running_app(tmp_path) as app, Sink(auth=LOGIN) as sink:
        owner = tenant_caller(app, "")
        path = make(owner, sink.port)
    with running_app(tmp_path) as app:  # with another CREDENTIALS_KEY
        report = tenant_caller(app, "").post(f"{path}/test").json
        assert (report["ok"], steps(report)) == (False, [("auth", False)])
