import pytest

from services.provider_texts import delay_named, pause_named
from services.smtp.reply import take_reply

HOUR = 3600


def reply(text):
    found = take_reply(bytearray(text.encode() + b"\r\n"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # Gmail, Workspace relay
        ("550 5.4.5 Daily user sending limit exceeded. For more information on Gmail - gsmtp", HOUR),
        ("550 5.4.5 Daily sending quota exceeded. n37sm954097wag", HOUR),
        (
            "550-5.4.5 Daily user sending quota exceeded.\r\n550 5.4.5 https://support.google.com - gsmtp",
            HOUR,
        ),
        ("550 5.7.1 Daily SMTP relay limit exceeded for customer. For more information", HOUR),
        ("550 5.4.5 Daily SMTP relay sending limit exceeded for user.", HOUR),
        ("550 5.4.5 something new from Gmail", HOUR),
        ("450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error.", 300),
        ("454 4.7.0 Too many login attempts, please try again later. - gsmtp", 900),
        ("421 Too many auth failures, try again later", 900),
        ("421 4.7.28 Gmail has detected a mail flood", HOUR),
        ("421-4.7.0 Our system has detected an unusual rate of\r\n421 4.7.0 unsolicited mail", HOUR),
        # Microsoft 365
        ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", 60),
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", 60),
        ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process", HOUR),
        ("550 5.1.90 Your message can't be sent because you've reached your daily limit", HOUR),
        ("554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.Mapi", None),
        ("550 5.2.252 Sender throttled due to continuous send as denied errors.", HOUR),
        ("550 5.7.705 Access denied, tenant has exceeded threshold.", None),
        ("550 5.1.8 Access denied, bad outbound sender AS(42003)", None),
        ("451 4.7.500 Server busy. Please try again later from [1.2.3.4]", 600),
        # Yahoo
        ("421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to unexpected volume", HOUR),
        # Amazon SES
        ("454 Throttling failure: Maximum sending rate exceeded", 5),
        ("454 Throttling failure: Daily message quota exceeded", HOUR),
        ("554 Sending paused for this account. For more information, please check your inbox", None),
        # SendGrid, Mailgun, Postmark
        ("451 Authentication failed: Maximum credits exceeded", HOUR),
        ("421 Domain mg.test is not allowed to send: hourly limit exceeded", HOUR),
        ("550 5.7.1 The domain is not allowed to send: Account disabled", HOUR),
        ("421 4.7.0 Too many concurrent SMTP connections from this IP address; try again later.", 60),
        ("452 4.4.5 Messages per second limit exceeded", 60),
        ("452 4.5.3 Daily message limit exceeded", HOUR),
        # Zoho
        ("550 5.4.6 Unusual sending activity detected. Please try after sometime.", HOUR),
        ("554 5.1.8 Sender Address Blocked", None),
        ("554 5.1.8 Email Outgoing Blocked", None),
        # Panels and others
        ("550 Domain x.test has exceeded the max emails per hour (250/200 (125%)) allowed.", HOUR),
        (
            "550 5.7.0 The limit on the number of allowed outgoing messages was exceeded. Try again later.",
            HOUR,
        ),
        ("550 Too many messages. Try again in 92 seconds.", 92),
        ("554 5.7.1 <a@b.test>: Recipient address rejected: You have exceeded your Outmail quota.", HOUR),
        ("451 4.7.1 Your account has exceeded its sending quota", HOUR),
        ("550 5.7.1 [STF] Sending too fast", 600),
        ("451 4.7.1 Error: submission rate exceeded, try again in 5 minutes", 300),
        ("450 4.7.1 rate limit, please wait 2 hours", 7200),
        ("450 too frequent connects from 198.37.147.135, please try again later.", 300),
        ("550 5.7.1 Your account has been temporarily suspended", None),
        ("452 4.7.1 hourly sending limit has been reached, retry in 90 hours", 24 * HOUR),
    ],
)
def test_it_pauses_the_account(text, seconds):
    pause = pause_named(reply(text))
    assert pause is not None
    assert pause.seconds == seconds
    assert text[:3] in pause.reason


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 The email account that you tried to reach does not exist.",
        "550 5.2.1 The email account that you tried to reach is disabled.",
        "452 4.2.2 The email account that you tried to reach is over quota.",
        "552 5.2.2 The email account that you tried to reach is over quota and inactive.",
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents more",
        "450 4.2.1 The user you are trying to contact exceeded the rate limit; try again in 5 minutes",
        "552 5.2.2 <a@b.test> Quota exceeded (mailbox for user is full)",
        "452 4.2.2 Mailbox full",
        "550 5.7.1 Mailbox full: daily limit exceeded",
        "550 user a has exceeded the storage quota, hourly limit exceeded",
        "452 4.3.1 Insufficient system storage",
        "552 5.3.4 Message size exceeds fixed limit",
        "450 4.7.1 Greylisted, please try again in 300 seconds",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "554 Message rejected: Email address is not verified.",
        "554 5.7.1 Message rejected as spam",
        "452 4.5.3 Your message has too many recipients.",
        "451 4.3.0 Temporary local problem - please try later",
        "421 4.3.0 Temporary System Problem. Try again later",
        "535 5.7.8 Username and Password not accepted",
        "550 account a@b.test is disabled",
        "250 2.0.0 daily sending quota exceeded, said the subject",
        "354 daily sending quota exceeded",
    ],
)
def test_it_leaves_the_account_alone(text):
    assert pause_named(reply(text)) is None


@pytest.mark.parametrize(
    ("text", "crowded"),
    [
        ("421 4.7.0 Too many connections", True),
        ("454 Throttling failure: Maximum sending rate exceeded", True),
        ("550 5.4.5 Daily sending quota exceeded", False),
    ],
)
def test_it_knows_when_fewer_connections_would_do(text, crowded):
    pause = pause_named(reply(text))
    assert pause is not None and pause.crowded is crowded


def test_temporary_texts_do_not_pause_on_a_permanent_code():
    assert pause_named(reply("550 Too many connections")) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, please try again in 300 seconds", 300),
        ("try again in 5 minutes", 300),
        ("Try again in 1 minute.", 60),
        ("please retry after 30 min", 1800),
        ("wait 2 hours before sending more", 7200),
        ("come back in 00:04:50", 290),
        ("come back in 01:00:00", 3600),
        ("please try later, in 90s", 90),
        ("retry in an hour", 3600),
        ("try again after one minute", 60),
        ("blocked for 10 minutes", 600),
        ("Try again in 5 mins", 300),
        ("RETRY IN 3 HRS", 10800),
    ],
)
def test_it_reads_a_named_delay(text, seconds):
    assert delay_named(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Try again later",
        "100 messages in 60 seconds exceeded",
        "Timeout: no command in 300 seconds",
        "Try again later. The limit is 50 per 1 hour",
        "try again in 5 messages",
        "try again in 0 seconds",
        "come back in 00:00:00",
        "see http://help.test/again/5",
        "",
    ],
)
def test_it_reads_no_delay_where_none_is_named(text):
    assert delay_named(text) is None
