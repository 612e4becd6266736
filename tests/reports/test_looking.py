"""Letters in, states and timelines out: whom a report concerns, and what it changes."""

from __future__ import annotations

import base64
import logging
import time

import pytest

from models.database import rows, run, write
from models.inbox import Letter
from services import message_ids, suppressions
from services.relay import Relay
from services.reports.recognise import recognise
from services.reports.report import Said
from services.timeline import timeline
from services.why import why
from tests.reports.letters import account, answer, complaint, dsn, look
from tests.support.relay import SERVICE, email, events, recipient_states, submit
from utils.clock import now_ms

ANN, BOB = "ann@example.com", "bob@example.com"
FULL = "552 5.2.2 Mailbox full"


def sent(relay: Relay, *people: str, reply: str = "2.0.0 Ok: queued as 4XyZ12abcdEF", **more: object) -> int:
    """An email that its server has taken."""
    email_id = submit(relay, to=list(people or (ANN, BOB)), **more)

    def job() -> None:
        run("UPDATE emails SET state = 'sent', sent_at = ?, finished_at = ? WHERE id = ?", 1, 1, email_id)
        run("UPDATE recipients SET state = 'sent', code = 250, reply = ? WHERE email_id = ?", reply, email_id)

    write(job)
    return email_id


def message_id(email_id: int) -> str:
    return str(email(email_id)["message_id"])


def listed(tenant: str = "") -> list[str]:
    return [one["address"] for one in suppressions.listed(tenant, suppressions.Filters(), 100)]


def details(email_id: int, kind: str) -> list[str]:
    return [one["detail"] for one in timeline(None, email_id) if one["type"] == kind]


def test_a_hard_bounce_marks_its_recipient_and_suppresses_the_address(relay: Relay) -> None:
    email_id = sent(relay)
    letter = look(relay, dsn(message_id(email_id), "BOB@Example.com"))
    assert recipient_states(email_id) == {ANN: "sent", BOB: "bounced"}
    assert email(email_id)["state"] == "sent"
    assert listed() == [BOB]
    assert events(email_id) == ["bounced", "suppression_added"]
    (detail,) = details(email_id, "bounced")
    assert detail.startswith(f"{BOB}: 5.1.1 550 5.1.1 <x>") and detail.endswith("(says mx.test)")
    assert Letter.get_by_id(letter).email_id == email_id
    assert rows("SELECT code, reason FROM recipients, suppressions WHERE recipients.address = ?", BOB) == [
        (550, "hard_bounce")
    ]
    assert f"{BOB} bounced." in why(relay, None, email_id, now_ms())["message"]


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [("5.2.2", FULL), ("5.7.1", "550 5.7.1 rejected for policy reasons"), ("4.4.1", "connection timed out"),
     ("5.0.0", "554 5.0.0 message looks like spam"), ("5.4.6", "mail loop"), ("5.1.1", "550 5.1.1 over quota")],
)  # fmt: skip
def test_what_may_pass_bounces_and_suppresses_nobody(relay: Relay, status: str, diagnostic: str) -> None:
    email_id = sent(relay)
    look(relay, dsn(message_id(email_id), BOB, status=status, diagnostic=diagnostic))
    assert recipient_states(email_id)[BOB] == "bounced"
    assert listed() == []


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [("5.1.1", "550 5.1.1 unknown"), ("5.1.10", "556 null MX"), ("5.2.1", "550 disabled"),
     ("5.0.0", "550 No such user here"), ("5.4.4", "Host or domain name not found. Name service error"),
     ("", "550 mailbox unavailable")],
)  # fmt: skip
def test_what_will_not_pass_suppresses(relay: Relay, status: str, diagnostic: str) -> None:
    email_id = sent(relay)
    look(relay, dsn(message_id(email_id), BOB, status=status, diagnostic=diagnostic))
    assert listed() == [BOB]


def test_a_delay_is_an_event_and_no_more(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, dsn(message_id(email_id), BOB, action="delayed", status="4.4.1", diagnostic="timed out"))
    assert recipient_states(email_id)[BOB] == "sent"
    assert events(email_id) == ["delayed"]
    assert listed() == []


def test_a_forged_mark_changes_nothing_and_is_logged(relay: Relay, caplog: pytest.LogCaptureFixture) -> None:
    email_id = sent(relay)
    unique, _, rest = message_id(email_id).partition(".")
    forged = f"{unique}.{'0' * 20}@{rest.partition('@')[2]}"
    with caplog.at_level(logging.INFO):
        look(relay, dsn(forged, BOB, per_message="X-Postfix-Queue-ID: 4XyZ12abcdEF"))
    assert recipient_states(email_id) == {ANN: "sent", BOB: "sent"}
    assert (events(email_id), listed()) == ([], [])
    assert "action=report_forged" in caplog.text


def test_a_report_about_somebody_else_suppresses_nobody(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, dsn(message_id(email_id), "victim@example.net"))
    assert recipient_states(email_id) == {ANN: "sent", BOB: "sent"}
    assert listed() == []


def test_mail_that_was_forwarded_bounces_for_its_recipient_and_suppresses_nobody(relay: Relay) -> None:
    email_id = sent(relay, ANN)
    look(relay, dsn(message_id(email_id), "ann.new@example.net"))
    assert recipient_states(email_id) == {ANN: "bounced"}
    other = sent(relay)
    look(relay, dsn(message_id(other), "bob.new@example.net", original=BOB, own_id="<2@mx>"))
    assert recipient_states(other) == {ANN: "sent", BOB: "bounced"}
    assert listed() == []


def test_without_its_message_id_the_queue_id_tells_the_email(relay: Relay) -> None:
    other, email_id = sent(relay, reply="2.0.0 Ok: queued as 4XyZ12abcdEFG"), sent(relay)
    look(relay, dsn("<new@provider.test>", BOB, per_message="X-Postfix-Queue-ID: 4XyZ12abcdEF"))
    assert recipient_states(email_id)[BOB] == "bounced"
    assert recipient_states(other)[BOB] == "sent"
    assert listed() == []  # a queue id can be guessed


def test_a_provider_that_names_the_email_anew_tells_so_in_its_250(relay: Relay) -> None:
    email_id = sent(relay, reply="Ok 0102019ab3-4c5d-000000")
    look(relay, dsn("<0102019ab3-4c5d-000000@eu-west-1.amazonses.com>", BOB))
    assert recipient_states(email_id)[BOB] == "bounced"


def test_the_address_that_it_came_to_tells_the_email(relay: Relay) -> None:
    email_id = sent(relay)
    to = message_ids.bounce_address("relay@sender.test", message_id(email_id))
    assert to.startswith("relay+mf=") and to.endswith("@sender.test")
    look(relay, dsn("<new@provider.test>", BOB, to=to.upper()))
    assert recipient_states(email_id)[BOB] == "bounced"
    assert listed() == [BOB]


def test_a_forged_address_tells_nothing(relay: Relay) -> None:
    email_id = sent(relay)
    token = base64.b32encode(b"\0" * 20).decode().lower()
    look(relay, dsn("<new@provider.test>", BOB, to=f"relay+mf={token}@sender.test"))
    assert recipient_states(email_id)[BOB] == "sent"


def test_an_international_address(relay: Relay) -> None:
    email_id = sent(relay, "jürgen@example.com", BOB)
    final = "Final-Recipient: utf-8; j\\x{FC}rgen@example.com"
    look(relay, dsn(message_id(email_id), final, kind="global-delivery-status"))
    assert recipient_states(email_id)["jürgen@example.com"] == "bounced"


def test_a_bounce_that_keeps_to_no_rfc(relay: Relay) -> None:
    email_id = sent(relay)
    raw = f"""\
From: MAILER-DAEMON@mx.test
To: relay@sender.test
Subject: failure notice

Hi. This is the qmail-send program at mx.test.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{BOB}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

From: relay@sender.test
Message-ID: {message_id(email_id)}
Subject: Hello

Hello
"""
    look(relay, raw.encode())
    assert recipient_states(email_id) == {ANN: "sent", BOB: "bounced"}
    assert listed() == [BOB]


def test_a_complaint_marks_and_suppresses(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, complaint(message_id(email_id), BOB))
    assert recipient_states(email_id) == {ANN: "sent", BOB: "complained"}
    assert listed() == [BOB]
    assert events(email_id) == ["complained", "suppression_added"]


def test_not_spam_is_no_complaint(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, complaint(message_id(email_id), BOB, kind="not-spam"))
    assert (recipient_states(email_id)[BOB], listed()) == ("sent", [])


def test_a_reply_stands_in_the_timeline(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, answer(message_id(email_id)))
    assert details(email_id, "replied") == [f"{ANN}: Re: Hello"]
    assert recipient_states(email_id)[ANN] == "sent"


@pytest.mark.parametrize(
    "headers", [{"Auto_Submitted": "auto-replied (vacation)"}, {"X_Autoreply": "yes"}, {"Precedence": "bulk"},
                {"Subject": "Out of Office: Hello"}, {"Subject": "Automatische Antwort: Hello"}]
)  # fmt: skip
def test_a_machines_answer_is_told_apart(relay: Relay, headers: dict[str, str]) -> None:
    email_id = sent(relay)
    look(relay, answer(message_id(email_id), **headers))
    assert events(email_id) == ["auto_replied"]


def test_a_person_says_so_with_auto_submitted_no(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, answer(message_id(email_id), Auto_Submitted="no", Precedence="bulk"))
    assert events(email_id) == ["replied"]


def test_our_own_words_are_no_reply(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, answer(message_id(email_id), sender="relay@sender.test"))
    copy = look(relay, answer("<x@y>", Message_ID=message_id(email_id)))
    assert events(email_id) == []
    assert Letter.get_by_id(copy).email_id == email_id


def test_the_same_letter_again_says_nothing_new(relay: Relay) -> None:
    email_id = sent(relay)
    for _ in range(2):
        look(relay, dsn(message_id(email_id), BOB))
        look(relay, answer(message_id(email_id)))
    assert sorted(events(email_id)) == ["bounced", "replied", "suppression_added"]
    write(lambda: suppressions.run("DELETE FROM suppressions"))
    look(relay, dsn(message_id(email_id), BOB))
    assert listed() == []  # whoever removed it meant it


def test_a_bounce_settles_what_was_unknown(relay: Relay) -> None:
    email_id = sent(relay, BOB)

    def doubt() -> None:
        run("UPDATE emails SET state = 'unknown' WHERE id = ?", email_id)
        run("UPDATE recipients SET state = 'unknown' WHERE email_id = ?", email_id)

    write(doubt)
    look(relay, dsn(message_id(email_id), BOB))
    assert (email(email_id)["state"], recipient_states(email_id)) == ("sent", {BOB: "bounced"})


def test_other_tenants_reports_do_not_concern_the_email(relay: Relay) -> None:
    email_id = sent(relay)
    account("stranger", "me@stranger.test", "account-2")
    look(relay, dsn(message_id(email_id), BOB), "account-2")
    assert recipient_states(email_id)[BOB] == "sent"
    account("ops", "Relay@sender.test", "account-3")  # the mailbox of the config itself
    letter = look(relay, dsn(message_id(email_id), BOB, own_id="<2@mx>"), "account-3")
    assert recipient_states(email_id)[BOB] == "sent"  # it is not known yet to have carried it
    write(
        lambda: run(
            "UPDATE emails SET carrier_id = (SELECT min(id) FROM smtp_configs) WHERE id = ?", email_id
        )
    )
    look(relay, dsn(message_id(email_id), BOB, own_id="<3@mx>"), "account-3")
    assert recipient_states(email_id)[BOB] == "bounced"
    assert Letter.get_by_id(letter).email_id is None


def test_an_email_is_found_by_the_second_of_its_making(relay: Relay) -> None:
    now = now_ms()
    ids = [submit(relay, now + number * 400, who=SERVICE) for number in range(20)]
    for email_id in (ids[0], ids[7], ids[19]):
        assert message_ids.made_at(message_id(email_id)[1:]) // 1000 == email(email_id)["created_at"] // 1000
        look(relay, answer(message_id(email_id), sender="other@example.com", Message_ID=f"<{email_id}@x>"))
        assert events(email_id) == ["replied"]


# What strangers may try.


@pytest.mark.parametrize(
    "word", ["accepted", "delivery", "Requested", "1764061200", "smtp-out12", "mx12.provider.test", "2.6.0.1.2.3"]
)  # fmt: skip
def test_words_that_any_server_says_are_no_queue_ids(relay: Relay, word: str) -> None:
    email_id = sent(
        relay, reply="2.6.0.1.2.3 Requested 1764061200 message accepted for delivery by smtp-out12 mx12.provider.test"
    )  # fmt: skip
    look(relay, dsn("<new@provider.test>", BOB, per_message=f"X-Postfix-Queue-ID: {word}"))
    assert recipient_states(email_id)[BOB] == "sent"


@pytest.mark.parametrize(("reply", "name"), [
    ("2.0.0 Ok: queued as 4XyZ12abcdEF", "4XyZ12abcdEF"), ("2.0.0 Ok: queued as 9E1B2C3D4F", "9E1B2C3D4F"),
    ("OK id=1rABCD-0001Xy-2Z", "1rABCD-0001Xy-2Z"), ("2.0.0 3AB1CD2E012345 Message accepted", "3AB1CD2E012345"),
    ("Ok 0102019ab3-4c5d-000000", "0102019ab3-4c5d-000000"),
    ("2.0.0 OK  1764061200 a640c23a62f3a-b0e5f1c1234si123.45 - gsmtp", "a640c23a62f3a-b0e5f1c1234si123.45"),
])  # fmt: skip
def test_queue_ids_of_real_servers_tell_the_email(relay: Relay, reply: str, name: str) -> None:
    email_id = sent(relay, reply=reply)
    look(relay, dsn("<new@provider.test>", BOB, per_message=f"X-Queue-ID: {name}"))
    assert recipient_states(email_id)[BOB] == "bounced"


@pytest.mark.parametrize("final", ["utf-8; j\\x{0}x@example.com", "rfc822; =?utf-8?q?j=00x?=@example.com"])
def test_no_character_of_an_address_holds_up_a_pass(relay: Relay, final: str) -> None:
    email_id = sent(relay)
    raw = dsn("<new@provider.test>", f"Final-Recipient: {final}", per_message="X-Queue-ID: 4XyZ12abcdEF")
    look(relay, raw)
    look(relay, dsn(message_id(email_id), f"Final-Recipient: {final}", own_id="<2@mx>"))
    assert events(email_id) == ["stray_report"]


LINES = [" " * 64_000, "<" * 64_000, "\t" * 64_000, "*" * 64_000, "a@b " * 16_000, "<a@b>:\n" * 9_000]


@pytest.mark.parametrize(
    "begins", ["failed addresses follow:", "A message that you sent could not be delivered",
               "Unable to deliver message to the following address(es).", "------ Failed Recipients ------"],
)  # fmt: skip
def test_no_text_holds_up_the_writes_of_others(begins: str) -> None:
    """It is read inside a write job."""
    for line in LINES:
        before = time.process_time()
        recognise(Said("From: MAILER-DAEMON@mx.test\nSubject: failure\n", f"{begins}\n{line}"))
        assert time.process_time() - before < 0.5


def test_a_report_of_many_strangers_is_one_line(relay: Relay) -> None:
    email_id = sent(relay)
    raw = dsn(message_id(email_id), "x0@stranger.test").decode()
    more = "".join(
        f"\n\nFinal-Recipient: rfc822; x{at}@stranger.test\nAction: failed\nStatus: 5.1.1"
        for at in range(1, 900)
    )
    look(relay, raw.replace("User unknown\n", f"User unknown{more}\n").encode())
    assert details(email_id, "stray_report") == [
        "about x0@stranger.test and 899 more, who is no recipient of it"
    ]


# Whose email, and whose fault.


def test_what_the_returned_mail_had_answered_is_not_what_bounced(relay: Relay) -> None:
    """A provider gave it another Message-ID; our earlier mail stands in its References."""
    earlier = sent(relay)
    raw = dsn("<new@provider.test>", BOB).decode()
    answers = f"References: <x@y>\n {message_id(earlier)}\nIn-Reply-To: {message_id(earlier)}\n"
    look(relay, raw.replace("Subject: Hello\n", f"Subject: Hello\n{answers}").encode())
    assert recipient_states(earlier)[BOB] == "sent"
    later = sent(relay)
    to = message_ids.bounce_address("relay@sender.test", message_id(later))
    raw = dsn("<new@provider.test>", BOB, to=to, own_id="<2@mx>").decode()
    look(relay, raw.replace("Subject: Hello\n", f"Subject: Hello\n{answers}").encode())
    assert (recipient_states(earlier)[BOB], recipient_states(later)[BOB]) == ("sent", "bounced")


QUOTED = """\
From: MAILER-DAEMON@mx.test
To: relay@sender.test
Subject: failure notice

Hi. This is the qmail-send program at mx.test.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{ann}>:
Sorry, no mailbox here by that name. (#5.1.1)

<{bob}>:
552 5.2.2 the mailbox is full, try again later

--- Below this line is a copy of the message.

From: relay@sender.test
Message-ID: {id}
In-Reply-To: {other}

Hello
"""


def test_in_free_text_each_has_his_own_reason(relay: Relay) -> None:
    email_id, other = sent(relay), sent(relay)
    text = QUOTED.format(ann=ANN, bob=BOB, id=message_id(email_id), other=message_id(other))
    look(relay, text.encode())
    assert recipient_states(email_id) == {ANN: "bounced", BOB: "bounced"}
    assert recipient_states(other) == {ANN: "sent", BOB: "sent"}
    assert listed() == [ANN]


def test_what_is_to_be_tried_again_suppresses_nobody(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, dsn(message_id(email_id), BOB, status="", diagnostic="450 User unknown in local table"))
    assert (recipient_states(email_id)[BOB], listed()) == ("bounced", [])


def test_a_report_without_a_sender_is_read(relay: Relay) -> None:
    email_id = sent(relay)
    text = QUOTED.format(ann=ANN, bob=BOB, id=message_id(email_id), other="<x@y>")
    look(relay, text.replace("From: MAILER-DAEMON@mx.test\n", "").encode())
    assert recipient_states(email_id)[ANN] == "bounced"


def test_a_report_that_names_nobody_is_read_from_its_text(relay: Relay) -> None:
    email_id = sent(relay)
    raw = dsn(message_id(email_id), "X-Nobody: x").decode()
    told = f"Delivery to the following recipient failed permanently:\n\n     {BOB}\n\nTechnical details"
    look(relay, raw.replace("This is the mail system at host mx.test.", told).encode())
    assert recipient_states(email_id) == {ANN: "sent", BOB: "bounced"}


def test_a_complaint_that_hides_its_recipient_blames_nobody_among_several(relay: Relay) -> None:
    email_id = sent(relay)
    look(relay, complaint(message_id(email_id), "", to=f"Ann <{ANN}>"))
    assert recipient_states(email_id) == {ANN: "sent", BOB: "sent"}
    assert (events(email_id), listed()) == (["complained"], [])


def test_a_complaint_that_hides_the_only_recipient_is_theirs(relay: Relay) -> None:
    email_id = sent(relay, ANN)
    look(relay, complaint(message_id(email_id), "", to="redacted@isp.test"))
    assert (recipient_states(email_id), listed()) == ({ANN: "complained"}, [ANN])


def test_a_second_answer_with_the_same_subject_is_told_too(relay: Relay) -> None:
    email_id = sent(relay)
    for number in range(2):
        look(relay, answer(message_id(email_id), Message_ID=f"<{number}@example.com>"))
    look(relay, answer(message_id(email_id), Message_ID="<1@example.com>"))  # in another folder
    assert events(email_id) == ["replied", "replied"]


@pytest.mark.parametrize("action", ["delayed", "delivered"])
def test_a_report_that_it_was_taken_settles_what_was_unknown(relay: Relay, action: str) -> None:
    email_id = sent(relay, BOB)

    def doubt() -> None:
        run("UPDATE emails SET state = 'unknown' WHERE id = ?", email_id)
        run("UPDATE recipients SET state = 'unknown' WHERE email_id = ?", email_id)

    write(doubt)
    look(relay, dsn(message_id(email_id), BOB, action=action, status="4.4.1", diagnostic="timed out"))
    assert (email(email_id)["state"], recipient_states(email_id)) == ("sent", {BOB: "sent"})
