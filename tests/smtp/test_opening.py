"""From the name to a session that takes mail: dialling, EHLO, TLS, login."""

import socket
import time
from dataclasses import replace

import pytest

from services.outcome import Blame, Verdict
from services.smtp import Connection, Endpoint, Reason, SmtpError, Stage, dial
from tests.support.playhouse import BODY, HASTY
from tests.support.sink import Sink
from utils.net import Address

PASSWORD = "süß word"
LOGIN = {"username": "user", "password": PASSWORD}


def refused(smtp, **options):
    with pytest.raises(SmtpError) as caught:
        smtp.open(**options)
    return caught.value


def kind(error):
    return error.stage, error.reason


# Dialling


def endpoint(port, **changes):
    facts = Endpoint("127.0.0.1", port, "none", True, None, None, True, "relay.test")
    return replace(facts, **changes)


def open_fails(target, deadlines=HASTY):
    with pytest.raises(SmtpError) as caught:
        Connection.open(target, deadlines).close()
    return caught.value


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def full_port():
    """A listener whose queue is full: the handshake of a further connection never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_a_closed_port_is_refused(closed_port):
    error = open_fails(endpoint(closed_port))
    assert kind(error) == (Stage.CONNECT, Reason.REFUSED)
    assert f"127.0.0.1 port {closed_port}" in error.detail and "refused" in error.detail


def test_a_port_that_does_not_answer_meets_the_deadline(full_port):
    started = time.monotonic()
    assert kind(open_fails(endpoint(full_port))) == (Stage.CONNECT, Reason.TIMEOUT)
    assert 0.28 < time.monotonic() - started < 1.5


@pytest.mark.parametrize("host", ["no.such.host.invalid", "", "a" * 80 + ".test"])
def test_a_host_without_address_is_a_dns_failure(host):
    assert kind(open_fails(endpoint(25, host=host))) == (Stage.CONNECT, Reason.DNS)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0"]
)
def test_a_private_address_is_refused_before_dialling(host):
    error = open_fails(endpoint(25, host=host, allow_private=False))
    assert kind(error) == (Stage.CONNECT, Reason.PRIVATE_ADDRESS)


def test_one_private_address_among_public_ones_refuses_the_host(monkeypatch):
    addresses = [Address(socket.AF_INET, (ip, 25)) for ip in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(dial, "resolve", lambda host, port: addresses)
    error = open_fails(endpoint(25, host="rebind.test", allow_private=False))
    assert kind(error) == (Stage.CONNECT, Reason.PRIVATE_ADDRESS)
    assert "127.0.0.1" in error.detail


def test_the_next_address_is_tried_when_one_refuses_or_hangs(monkeypatch, closed_port, full_port):
    with Sink() as sink:
        addresses = [
            Address(socket.AF_INET, ("127.0.0.1", port)) for port in (closed_port, full_port, sink.port)
        ]
        monkeypatch.setattr(dial, "resolve", lambda host, port: addresses)
        started = time.monotonic()
        connection = Connection.open(endpoint(sink.port, host="several.test"), replace(HASTY, connect=1.0))
        assert time.monotonic() - started < 0.9  # the one that hangs has not used up all the time
        assert connection.peer == ("127.0.0.1", sink.port)
        connection.close()


def test_it_dials_ipv6():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    steps = []
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SmtpError):  # nobody answers it
            Connection.open(endpoint(port, host="::1"), HASTY, lambda *step: steps.append(step))
    assert ("connect", f"::1 port {port}") in steps


# EHLO


def test_ehlo_and_helo_refused_is_a_refusal(smtp):
    smtp.play("helo-refused")
    error = refused(smtp)
    assert (kind(error), error.reply.code) == ((Stage.EHLO, Reason.REJECTED), 550)


def test_a_temporary_no_to_ehlo_does_not_lead_to_helo(smtp):
    smtp.play("ehlo-later")
    assert refused(smtp).reply.code == 450


@pytest.mark.parametrize("helo", ["relay.test\r\nRSET", "two words", ""])
def test_a_helo_name_cannot_smuggle_commands(smtp, helo):
    smtp.play_text("S: 220 mx\nC: <eof>")
    with pytest.raises(ValueError, match="not an address for an SMTP command"):
        smtp.open(helo=helo)


# TLS


def test_starttls_forgets_what_was_said_before(smtp, ca):
    steps = []
    server = smtp.play("starttls", tls=ca.server("127.0.0.1"))
    connection = smtp.open(
        tls="starttls", ca_file=ca.file, on_step=lambda *step: steps.append(step), username="u", password="p"
    )
    assert dict(connection.capabilities) == {"PIPELINING": "", "AUTH": "PLAIN"}
    assert connection.max_size is None
    assert connection.is_alive()  # though the server sent its session tickets
    outcome = smtp.deliver(connection)
    assert [verdict for verdict, _ in outcome.results] == [Verdict.SENT]
    assert connection.is_alive()
    assert server.bodies == [BODY]
    assert [name for name, _ in steps] == ["dns", "connect", "banner", "ehlo", "tls", "ehlo", "auth"]
    assert "TLSv1.3" in steps[4][1]


def test_implicit_tls_comes_before_the_banner(smtp, ca):
    steps = []
    smtp.play("implicit-tls", tls=ca.server("localhost", days=10), implicit_tls=True)
    connection = smtp.open(
        host="localhost", tls="implicit", ca_file=ca.file, on_step=lambda name, _: steps.append(name)
    )
    info = connection.tls_info
    assert (info.version, info.subject, info.issuer) == ("TLSv1.3", "CN=localhost", "CN=Test CA")
    assert abs(info.not_after / 1000 - time.time() - 10 * 86400) < 60
    assert info.cipher
    assert steps == ["dns", "connect", "tls", "banner", "ehlo"]
    smtp.deliver(connection)
    connection.quit()


def test_without_tls_there_is_no_tls_info(smtp):
    smtp.play("no-extensions")
    assert smtp.open().tls_info is None


BAD = {
    "self_signed": ({"self_signed": True}, ("127.0.0.1",), "self-signed"),
    "expired": ({"days": -1}, ("127.0.0.1",), "expired"),
    "wrong_host": ({}, ("other.test",), "not valid for '127.0.0.1'"),
}


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", BAD)
def test_a_bad_certificate_is_refused(smtp, ca, fault, mode):
    options, hosts, words = BAD[fault]
    context = ca.server(*hosts, **options)
    if mode == "starttls":
        smtp.play("starttls-bad-certificate", tls=context)
    else:
        smtp.play("implicit-tls-bad-certificate", tls=context, implicit_tls=True)
    error = refused(smtp, tls=mode, ca_file=ca.file, **LOGIN)
    assert kind(error) == (Stage.STARTTLS if mode == "starttls" else Stage.CONNECT, Reason.TLS)
    assert "bad certificate" in error.detail and words in error.detail.lower() + error.detail
    outcome_config = smtp.server.received
    assert not any(line.startswith("AUTH") for line in outcome_config)


def test_a_certificate_of_an_unknown_authority_is_refused(smtp, ca):
    smtp.play("implicit-tls-bad-certificate", tls=ca.server("127.0.0.1"), implicit_tls=True)
    error = refused(smtp, tls="implicit")  # the system's authorities do not know ours
    assert kind(error) == (Stage.CONNECT, Reason.TLS)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_certificate_passes_when_it_is_not_to_be_verified(smtp, ca, fault):
    options, hosts, _ = BAD[fault]
    smtp.play("implicit-tls", tls=ca.server(*hosts, **options), implicit_tls=True)
    connection = smtp.open(tls="implicit", verify_tls=False)
    assert connection.tls_info.subject == f"CN={hosts[0]}"
    smtp.deliver(connection)
    connection.quit()


def test_a_missing_starttls_is_an_error_before_any_login(smtp):
    server = smtp.play("starttls-missing")
    error = refused(smtp, tls="starttls", **LOGIN)
    assert kind(error) == (Stage.STARTTLS, Reason.UNSUPPORTED)
    assert server.received == ["EHLO relay.test"]


def test_a_refused_starttls_is_an_error(smtp):
    smtp.play("starttls-refused")
    error = refused(smtp, tls="starttls")
    assert (kind(error), error.reply.code) == ((Stage.STARTTLS, Reason.REJECTED), 454)


def test_plaintext_behind_the_starttls_reply_is_refused(smtp, ca):
    smtp.play("starttls-injected", tls=ca.server("127.0.0.1"))
    error = refused(smtp, tls="starttls", ca_file=ca.file)
    assert kind(error) == (Stage.STARTTLS, Reason.TLS)
    assert "before the TLS handshake" in error.detail


def test_a_server_that_talks_on_in_the_clear_is_refused(smtp):
    smtp.play("starttls-no-tls")
    error = refused(smtp, tls="starttls")
    assert kind(error) == (Stage.STARTTLS, Reason.TLS)
    assert "starttls or none" in error.detail


def test_a_handshake_that_never_comes_meets_the_deadline(smtp):
    smtp.play("starttls-silent")
    assert kind(refused(smtp, tls="starttls", deadlines=HASTY)) == (Stage.STARTTLS, Reason.TIMEOUT)


def test_a_missing_ca_file_is_a_tls_error(smtp):
    smtp.play_text("C: <eof>")
    assert kind(refused(smtp, tls="implicit", ca_file="/no/such/file.pem")) == (Stage.CONNECT, Reason.TLS)


# Login


@pytest.mark.parametrize(
    ("dialog", "mechanism"),
    [
        ("login-plain", "PLAIN"),
        ("login-plain-in-two-steps", "PLAIN"),
        ("login-login", "LOGIN"),
        ("login-plain-unknown", "LOGIN"),
    ],
)
def test_it_logs_in(smtp, dialog, mechanism):
    steps = {}
    smtp.play(dialog)
    smtp.open(on_step=steps.__setitem__, **LOGIN)
    assert mechanism in steps["auth"]
    assert PASSWORD not in str(steps)


def test_a_refused_login_is_told_without_the_password(smtp):
    smtp.play("login-refused")
    error = refused(smtp, **LOGIN)
    assert (kind(error), error.reply.code, error.reply.enhanced) == ((Stage.AUTH, Reason.AUTH), 535, "5.7.8")
    told = f"{error} {error!r} {error.detail} {error.reply}"
    assert "not accepted: ***" in told
    assert PASSWORD not in told and "AHVzZXI" not in told


def test_garbage_at_login_is_told_without_the_password(smtp):
    smtp.play("login-garbage")
    error = refused(smtp, **LOGIN)
    assert kind(error) == (Stage.AUTH, Reason.PROTOCOL)
    assert "huh?" in error.detail
    assert PASSWORD not in f"{error!r}" and "AHVzZXI" not in f"{error!r}"
    assert error.__cause__ is None  # a traceback would show what it hides


def test_a_login_that_fails_for_now_is_no_refusal(smtp):
    smtp.play("login-later")
    error = refused(smtp, **LOGIN)
    assert (kind(error), error.reply.code) == ((Stage.AUTH, Reason.REJECTED), 454)


def test_a_refused_login_blames_the_config(smtp):
    smtp.play("login-refused")
    outcome = smtp.attempt(**LOGIN)
    assert (outcome.auth_refused, outcome.blame, outcome.burns_retry) == (True, Blame.CONFIG, False)


def test_a_server_without_our_mechanisms_is_unsupported(smtp):
    smtp.play("login-not-offered")
    error = refused(smtp, **LOGIN)
    assert kind(error) == (Stage.AUTH, Reason.UNSUPPORTED)
    assert "XOAUTH2" in error.detail


def test_a_password_with_nul_is_refused_here(smtp):
    server = smtp.play_text("S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 AUTH PLAIN\nC: <eof>")
    assert kind(refused(smtp, username="u", password="a\0b")) == (Stage.AUTH, Reason.AUTH)
    assert server.received == ["EHLO relay.test"]


def test_the_endpoint_does_not_show_its_password():
    assert "sesame" not in repr(endpoint(25, username="u", password="sesame"))
