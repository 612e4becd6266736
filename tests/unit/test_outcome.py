import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.outcome import Blame, Verdict, decide
from services.smtp import EnvelopeReplies, Reason, SmtpError, Stage
from services.smtp.reply import take_reply

SENT, RETRY, FAILED, UNKNOWN, AGAIN = (
    Verdict.SENT,
    Verdict.RETRY,
    Verdict.FAILED,
    Verdict.UNKNOWN,
    Verdict.AGAIN,
)
CONFIG_STAGES = (Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH)
TRANSACTION_STAGES = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY, Stage.RSET)


def reply(text):
    found = take_reply(bytearray(text.encode() + b"\r\n"))
    assert found is not None
    return found


def dialog(*rcpts, mail="250 ok", data="354 go", final=None, error=None, dot_sent=None):
    """Decide on a dialog given as reply texts; `rcpts` are the replies to RCPT."""
    envelope = EnvelopeReplies(reply(mail), tuple(map(reply, rcpts)), reply(data) if data else None)
    if dot_sent is None:
        dot_sent = final is not None
    return decide(
        len(rcpts), envelope=envelope, final=reply(final) if final else None, error=error, dot_sent=dot_sent
    )


def failure(stage, reason=Reason.TIMEOUT, text=None, detail="no answer"):
    return SmtpError(stage, reason, detail, reply(text) if text else None)


def broken(count, *args, dot_sent=False, **more):
    """Decide on an error before the envelope's replies were all in."""
    return decide(count, envelope=None, final=None, error=failure(*args, **more), dot_sent=dot_sent)


def verdicts(outcome):
    return [verdict for verdict, _ in outcome.results]


def costs(outcome):
    """What it does to the email (burns) and to the config (auth, failure, pause)."""
    return outcome.burns_retry, outcome.auth_refused, outcome.config_failure, outcome.pause is not None


FREE = (False, False, False, False)
BURNT = (True, False, False, False)
NETWORK = (False, False, True, False)
LOGIN = (False, True, True, False)
PAUSED = (False, False, False, True)


def test_a_yes_after_the_dot_is_sent():
    outcome = dialog("250 ok", final="250 2.0.0 queued as 17")
    assert verdicts(outcome) == [SENT]
    assert outcome.results[0][1].text == "queued as 17"
    assert (outcome.blame, costs(outcome), outcome.summary) == (Blame.NOBODY, FREE, "250 2.0.0 queued as 17")


def test_each_recipient_has_its_own_truth():
    outcome = dialog("250 ok", "450 4.2.0 later", "550 5.1.1 nobody", "251 forwarded", final="250 taken")
    assert verdicts(outcome) == [SENT, RETRY, FAILED, SENT]
    assert [str(found) for _, found in outcome.results] == [
        "250 taken", "450 4.2.0 later", "550 5.1.1 nobody", "250 taken",
    ]  # fmt: skip
    assert (outcome.blame, costs(outcome)) == (Blame.RECIPIENT, BURNT)
    assert outcome.summary == "450 4.2.0 later (2 of 4 recipients)"


def test_a_refused_recipient_alone_burns_no_retry():
    outcome = dialog("250 ok", "550 5.1.1 nobody", final="250 taken")
    assert (verdicts(outcome), costs(outcome)) == ([SENT, FAILED], FREE)


def test_it_fails_when_all_recipients_are_refused():
    outcome = dialog("550 5.1.1 nobody", "553 5.1.3 what", data="554 no valid recipients")
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([FAILED, FAILED], Blame.RECIPIENT, FREE)
    assert outcome.summary == "550 5.1.1 nobody (2 of 2 recipients)"


@pytest.mark.parametrize("data", [None, "503 no recipients", "354 go on", "554 no valid recipients"])
def test_refused_recipients_decide_whatever_data_got(data):
    outcome = dialog("450 4.2.0 later", "550 5.1.1 nobody", data=data)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY, FAILED], Blame.RECIPIENT, BURNT)


def test_an_error_while_the_lone_dot_is_sent_changes_nothing():
    outcome = dialog("550 5.1.1 nobody", error=failure(Stage.RSET, Reason.CLOSED))
    assert (verdicts(outcome), costs(outcome), outcome.summary) == ([FAILED], FREE, "550 5.1.1 nobody")


def test_a_refused_mail_outranks_a_later_error():
    outcome = dialog("503 first MAIL", mail="550 5.7.60 send as denied", error=failure(Stage.RSET))
    assert (verdicts(outcome), outcome.summary) == ([FAILED], "550 5.7.60 send as denied")


@pytest.mark.parametrize(
    ("final", "verdict", "blame", "burns"),
    [
        ("452 4.3.1 no space", RETRY, Blame.CONFIG, True),
        ("452 no space", RETRY, Blame.CONFIG, True),
        ("451 4.3.0 local error", RETRY, Blame.CONFIG, True),
        ("451 4.4.1 no answer from host", RETRY, Blame.CONFIG, True),
        ("451 4.7.1 greylisted", RETRY, Blame.EMAIL, True),
        ("450 4.2.0 mailbox busy", RETRY, Blame.RECIPIENT, True),
        ("421 4.7.0 suspicious", RETRY, Blame.CONFIG, True),
        ("550 5.7.1 spam", FAILED, Blame.EMAIL, False),
        ("552 5.3.4 too large", FAILED, Blame.EMAIL, False),
        ("554 5.6.0 bad content", FAILED, Blame.EMAIL, False),
        ("550 5.7.60 Client does not have permissions to send as this sender", FAILED, Blame.EMAIL, False),
        ("550 5.1.1 nobody", FAILED, Blame.RECIPIENT, False),
        ("552 5.2.2 mailbox full", FAILED, Blame.RECIPIENT, False),
        ("550 5.1.8 bad sender domain", FAILED, Blame.EMAIL, False),
        ("552 5.2.3 message too long for it", FAILED, Blame.EMAIL, False),
    ],
)
def test_a_no_after_the_dot_judges_the_email(final, verdict, blame, burns):
    outcome = dialog("250 ok", final=final)
    assert (verdicts(outcome), outcome.blame) == ([verdict], blame)
    assert costs(outcome) == (burns, False, False, False)


def test_a_mailbox_status_for_many_recipients_blames_the_email():
    assert dialog("250 ok", "250 ok", final="550 5.1.1 nobody").blame is Blame.EMAIL
    assert dialog("250 ok", "550 5.1.1 no", final="550 5.1.1 nobody").results[0][0] is FAILED


def test_a_no_after_the_dot_leaves_refused_recipients_as_they_are():
    outcome = dialog("250 ok", "550 5.1.1 nobody", final="451 4.3.0 later")
    assert (verdicts(outcome), costs(outcome)) == ([RETRY, FAILED], BURNT)


def test_a_third_kind_of_reply_after_the_dot_is_unknown():
    outcome = dialog("250 ok", "550 5.1.1 nobody", final="354 go on")
    assert (verdicts(outcome), outcome.blame) == ([UNKNOWN, FAILED], Blame.CONFIG)
    assert costs(outcome) == (True, False, True, False)


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.CLOSED, Reason.PROTOCOL, Reason.TLS])
def test_an_error_after_the_dot_is_unknown_for_the_accepted(reason):
    error = failure(Stage.DOT, reason)
    outcome = dialog("250 ok", "550 5.1.1 no", "450 4.2.0 wait", error=error, dot_sent=True)
    assert verdicts(outcome) == [UNKNOWN, FAILED, RETRY]
    assert (outcome.blame, costs(outcome)) == (Blame.CONFIG, (True, False, True, False))
    assert outcome.summary == "dot: no answer"


def test_an_error_after_the_dot_without_its_envelope_is_unknown_for_all():
    assert verdicts(broken(2, Stage.DOT, Reason.CLOSED, dot_sent=True)) == [UNKNOWN, UNKNOWN]


def test_a_dot_that_may_be_out_is_unknown_whatever_the_stage_was_called():
    assert verdicts(dialog("250 ok", error=failure(Stage.MAIL), dot_sent=True)) == [UNKNOWN]


def test_a_body_that_broke_off_proves_that_the_dot_is_not_out():
    outcome = dialog("250 ok", "550 5.1.1 no", error=failure(Stage.BODY, Reason.CLOSED), dot_sent=True)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY, FAILED], Blame.CONFIG, NETWORK)


@pytest.mark.parametrize(
    ("text", "verdict", "blame", "cost"),
    [
        ("552 5.3.4 too large", FAILED, Blame.EMAIL, FREE),
        ("451 4.7.1 not now", RETRY, Blame.EMAIL, BURNT),
        ("421 4.3.2 shutting down", RETRY, Blame.CONFIG, NETWORK),
    ],
)
def test_a_refusal_amid_the_body_is_about_the_body(text, verdict, blame, cost):
    outcome = dialog("250 ok", error=failure(Stage.BODY, Reason.CLOSED, text), dot_sent=True)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([verdict], blame, cost)


@pytest.mark.parametrize("stage", CONFIG_STAGES + TRANSACTION_STAGES)
@pytest.mark.parametrize(
    "reason",
    [
        Reason.DNS,
        Reason.REFUSED,
        Reason.TIMEOUT,
        Reason.CLOSED,
        Reason.TLS,
        Reason.PROTOCOL,
        Reason.PRIVATE_ADDRESS,
    ],
)
def test_the_network_before_the_dot_burns_nothing(stage, reason):
    outcome = broken(2, stage, reason)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY, RETRY], Blame.CONFIG, NETWORK)
    assert outcome.summary == f"{stage}: no answer"
    assert outcome.results[0][1] is None


@pytest.mark.parametrize("stage", CONFIG_STAGES + TRANSACTION_STAGES)
def test_a_421_before_the_dot_burns_nothing(stage):
    outcome = broken(1, stage, Reason.REJECTED, "421 4.3.2 shutting down")
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, NETWORK)
    assert outcome.results[0][1].code == 421


@pytest.mark.parametrize("where", ["mail", "rcpt", "data"])
def test_a_421_among_the_replies_burns_nothing(where):
    text = "421 4.3.2 shutting down"
    outcome = {
        "mail": lambda: dialog("503 no", mail=text, data=None),
        "rcpt": lambda: dialog(text, data=None),
        "data": lambda: dialog("250 ok", data=text),
    }[where]()
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, NETWORK)


def test_a_421_that_names_a_time_pauses_the_config():
    outcome = broken(1, Stage.BANNER, Reason.REJECTED, "421 4.3.2 down, try again in 10 minutes")
    assert (outcome.pause.seconds, outcome.config_failure, outcome.burns_retry) == (600, True, False)
    assert broken(1, Stage.BANNER, Reason.REJECTED, "421 try again in 90 hours").pause.seconds == 86400


@pytest.mark.parametrize("text", ["554 no service here", "450 4.3.2 busy", "454 4.7.0 TLS not available"])
def test_a_refusal_to_talk_is_the_configs(text):
    for stage in (Stage.BANNER, Stage.EHLO, Stage.STARTTLS):
        outcome = broken(1, stage, Reason.REJECTED, text)
        assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, NETWORK)


@pytest.mark.parametrize(
    "text",
    [
        "535 5.7.8 bad credentials",
        "534 5.7.9 application-specific password required",
        "550 5.7.1 disabled",
        "504 5.5.4 unknown",
    ],
)
def test_a_refused_login_burns_nothing_and_says_so(text):
    outcome = broken(1, Stage.AUTH, Reason.AUTH, text)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, LOGIN)


def test_a_login_that_cannot_even_be_sent_is_a_refused_one():
    assert costs(broken(1, Stage.AUTH, Reason.AUTH)) == LOGIN


def test_a_login_that_fails_for_now_is_no_refusal():
    assert costs(broken(1, Stage.AUTH, Reason.REJECTED, "454 4.7.0 temporary failure")) == NETWORK


def test_a_server_without_our_login_or_starttls_is_the_configs():
    for stage in (Stage.AUTH, Stage.STARTTLS):
        outcome = broken(1, stage, Reason.UNSUPPORTED)
        assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, NETWORK)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("454 4.7.0 Too many login attempts, please try again later", 900),
        ("451 Authentication failed: Maximum credits exceeded", 3600),
        ("535 5.7.0 too many login attempts", 900),
    ],
)
def test_a_login_refused_for_its_number_pauses(text, seconds):
    outcome = broken(1, Stage.AUTH, Reason.AUTH, text)
    assert (verdicts(outcome), costs(outcome), outcome.pause.seconds) == ([RETRY], PAUSED, seconds)


@pytest.mark.parametrize("code", [530, 534, 535, 538])
@pytest.mark.parametrize("where", ["mail", "rcpt", "data", "final"])
def test_a_login_demanded_later_is_a_refused_login(code, where):
    text = f"{code} 5.7.0 authentication required"
    outcome = {
        "mail": lambda: dialog("503 no", mail=text, data="503 no"),
        "rcpt": lambda: dialog(text, data="503 no"),
        "data": lambda: dialog("250 ok", data=text),
        "final": lambda: dialog("250 ok", final=text),
    }[where]()
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, LOGIN)


@pytest.mark.parametrize("where", ["mail", "rcpt", "data", "final"])
@pytest.mark.parametrize(
    "text", ["550 5.4.5 Daily user sending limit exceeded", "452 4.7.1 hourly limit exceeded"]
)
def test_a_spent_quota_pauses_the_config_and_burns_nothing(where, text):
    outcome = {
        "mail": lambda: dialog("503 no", mail=text, data="503 no"),
        "rcpt": lambda: dialog(text, data="503 no"),
        "data": lambda: dialog("250 ok", data=text),
        "final": lambda: dialog("250 ok", final=text),
    }[where]()
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, PAUSED)
    assert outcome.pause.seconds == 3600
    assert text in outcome.pause.reason


def test_a_quota_spent_halfway_through_the_recipients_keeps_the_accepted():
    outcome = dialog("250 ok", "550 5.4.5 Daily user sending limit exceeded", final="250 taken")
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([SENT, RETRY], Blame.CONFIG, PAUSED)


def test_a_full_mailbox_is_the_recipients_and_pauses_nothing():
    outcome = dialog("452 4.2.2 mailbox full", "552 5.2.2 over quota", data=None)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY, FAILED], Blame.RECIPIENT, BURNT)


def test_too_many_connections_counts_against_the_config():
    outcome = broken(1, Stage.BANNER, Reason.REJECTED, "421 4.7.0 Too many connections")
    assert (outcome.config_failure, outcome.pause.crowded, outcome.burns_retry) == (True, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "452 4.5.3 too many",
        "452 too many recipients",
        "552 too many recipients",
        "550 5.5.3 no more",
        "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.",
    ],
)
def test_recipients_that_do_not_fit_go_again_at_once(text):
    outcome = dialog("250 ok", text, "550 5.1.1 no", final="250 taken")
    assert (verdicts(outcome), costs(outcome), outcome.blame) == (
        [SENT, AGAIN, FAILED],
        FREE,
        Blame.RECIPIENT,
    )
    assert verdicts(dialog("250 ok", text, final="554 5.7.1 spam")) == [FAILED, AGAIN]


def test_recipients_that_do_not_fit_wait_when_the_transaction_got_nowhere():
    full = "452 4.5.3 too many"
    assert verdicts(dialog("250 ok", full, final="451 4.3.0 later")) == [RETRY, RETRY]
    assert verdicts(dialog("250 ok", full, error=failure(Stage.DOT), dot_sent=True)) == [UNKNOWN, RETRY]
    alone = dialog(full, full, data=None)
    assert (verdicts(alone), costs(alone)) == ([RETRY, RETRY], BURNT)


def test_a_bare_452_is_about_room_and_waits():
    assert verdicts(dialog("250 ok", "452 insufficient storage", final="250 ok")) == [SENT, RETRY]


@pytest.mark.parametrize("text", ["554 5.7.1 <a@b.test>: Relay access denied", "454 4.7.1 relaying denied"])
def test_relay_denied_blames_the_config_but_counts(text):
    outcome = dialog(text, data=None)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([RETRY], Blame.CONFIG, BURNT)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("553 5.7.1 <a@b.test>: Sender address rejected: not owned by user x", FAILED),
        ("450 4.1.8 <a@b.test>: Sender address rejected: Domain not found", RETRY),
        ("553 Relaying disallowed as a@b.test", FAILED),
    ],
)
def test_a_sender_refused_at_rcpt_blames_the_email(text, verdict):
    outcome = dialog(text, data=None)
    assert (verdicts(outcome), outcome.blame) == ([verdict], Blame.EMAIL)


@pytest.mark.parametrize(
    ("text", "verdict", "blame", "cost"),
    [
        ("550 5.7.60 send as denied", FAILED, Blame.EMAIL, FREE),
        ("553 sender not allowed", FAILED, Blame.EMAIL, FREE),
        ("552 5.3.4 message size exceeds limit", FAILED, Blame.EMAIL, FREE),
        ("555 5.5.4 unsupported option", FAILED, Blame.EMAIL, FREE),
        ("451 4.7.1 later", RETRY, Blame.EMAIL, BURNT),
        ("452 4.3.1 insufficient system storage", RETRY, Blame.CONFIG, BURNT),
        ("503 5.5.1 nested MAIL", RETRY, Blame.CONFIG, (True, False, True, False)),
        ("500 what", RETRY, Blame.CONFIG, (True, False, True, False)),
        ("354 eh", RETRY, Blame.CONFIG, (True, False, True, False)),
    ],
)
def test_mail_and_data_refused_judge_the_email(text, verdict, blame, cost):
    at_mail = dialog("503 no", "503 no", mail=text, data="503 no")
    at_data = dialog("250 ok", "250 ok", data=text if text[0] != "3" else "250 eh")
    for outcome in (at_mail, at_data):
        assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([verdict] * 2, blame, cost)


def test_mail_refused_without_pipelining_has_a_result_for_each_recipient():
    envelope = EnvelopeReplies(reply("550 5.1.8 no"), (), None)
    outcome = decide(3, envelope=envelope, final=None, error=None, dot_sent=False)
    assert verdicts(outcome) == [FAILED] * 3


@pytest.mark.parametrize("text", ["503 5.5.1 need MAIL", "500 what", "354 eh"])
def test_a_server_out_of_step_at_rcpt_fails_nobody(text):
    outcome = dialog(text, data=None)
    assert (verdicts(outcome), outcome.blame) == ([RETRY], Blame.CONFIG)
    assert costs(outcome) == (True, False, True, False)


def test_data_refused_leaves_refused_recipients_as_they_are():
    assert verdicts(dialog("250 ok", "550 5.1.1 no", data="451 4.3.0 later")) == [RETRY, FAILED]


@pytest.mark.parametrize("reason", [Reason.TOO_LARGE, Reason.UNSUPPORTED])
def test_an_email_that_the_server_can_never_take_fails(reason):
    outcome = broken(2, Stage.MAIL, reason)
    assert (verdicts(outcome), outcome.blame, costs(outcome)) == ([FAILED, FAILED], Blame.EMAIL, FREE)


def test_the_longest_delay_that_a_temporary_reply_names_is_kept():
    outcome = dialog("450 wait 5 minutes", "450 wait 300 seconds", "451 wait 2 hours", data=None)
    assert outcome.retry_after == 7200
    assert dialog("450 4.2.0 later", data=None).retry_after is None
    assert dialog("550 wait 5 minutes", data=None).retry_after is None


def test_an_unfinished_transaction_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="not over"):
        dialog("250 ok")
    with pytest.raises(ValueError, match="not over"):
        decide(1, envelope=None, final=None, error=None, dot_sent=False)


codes = st.sampled_from(["250", "251", "354", "421", "450", "452", "500", "503", "530", "550", "552", "554"])
words = st.sampled_from(
    ["", "4.2.2 full", "5.4.5 quota", "4.5.3 many", "5.1.1 no", "wait 2 hours", "relaying denied"]
)
replies = st.builds("{} {}".format, codes, words)
errors = st.none() | st.builds(failure, st.sampled_from(Stage), st.sampled_from(Reason), st.none() | replies)


@given(
    st.lists(replies, min_size=1, max_size=4),
    replies,
    st.none() | replies,
    st.none() | replies,
    errors,
    st.booleans(),
)
def test_any_dialog_ends_in_a_fair_decision(rcpts, mail, data, final, error, dot_sent):
    assume(final is not None or error is not None)
    outcome = dialog(*rcpts, mail=mail, data=data, final=final, error=error, dot_sent=dot_sent)
    found = verdicts(outcome)
    assert len(found) == len(rcpts)
    assert "\n" not in outcome.summary and outcome.summary
    if SENT in found:
        assert final[0] == "2" and mail[0] == "2"
    if UNKNOWN in found:
        assert dot_sent or final is not None
    if set(found) <= {SENT, FAILED}:
        assert outcome.retry_after is None
    if outcome.pause is not None or outcome.auth_refused:
        assert outcome.blame is Blame.CONFIG and RETRY in found
    if dot_sent and error is not None and final is None and error.stage is not Stage.BODY and mail[0] == "2":
        for text, verdict in zip(rcpts, found, strict=True):
            assert (verdict is UNKNOWN) == (text[0] == "2")
