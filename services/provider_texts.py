"""What the words of a reply say about the account that we send through.

Codes alone do not tell: Gmail refuses a wrong address and a spent daily quota with the same 550. Each row
is one such text. To add a provider: add its rows here, and the replies as they came to
tests/unit/test_provider_texts.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.smtp import Reply

MINUTE, HOUR, DAY = 60, 3600, 86400

_DAILY: Final = HOUR  # most daily limits are rolling windows that free little by little: look again each hour
_LOGINS: Final = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class Pause:
    """The provider wants no mail through this account for `seconds` (None: no time is named, nor do we know
    one). `crowded`: fewer connections at a time would have done."""

    seconds: int | None
    reason: str
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """`codes`: first digits of the replies that it may stand in. The pattern is sought in "enhanced-code
    text"."""

    codes: str
    pattern: re.Pattern[str]
    seconds: int | None
    reason: str
    crowded: bool = False


def _row(codes: str, pattern: str, seconds: int | None, reason: str, crowded: bool = False) -> _Row:
    return _Row(codes, re.compile(pattern, re.IGNORECASE), seconds, reason, crowded)


_WHOSE = r"\b(hourly|daily|sending|submission|relay|outbound)( \w+){0,2}"
_LIMIT_SPENT = _WHOSE + r" (quota|limit)s? (\w+ ){0,2}(exceeded|reached)"
_YOU_SPENT = r"\byou(r account)?('ve| have| has)? (exceeded|reached|hit) .{0,40}(quota|limit)"
_ACCOUNT_BLOCKED = r"\b(your|sending|smtp) account (\w+ ){0,3}(suspended|disabled|blocked)"

# The first row that matches counts.
_ROWS: Final = (
    # Gmail, Google Workspace
    _row("5", r"^5\.4\.5\b", _DAILY, "daily sending limit"),
    _row("4", r"peak smtp relay limit exceeded", 5 * MINUTE, "peak relay limit"),
    _row("45", r"too many (login|auth\w*) (attempts|failures)", _LOGINS, "too many login attempts"),
    _row("45", r"^[45]\.7\.28\b|unusual rate of (unsolicited )?mail", HOUR, "unusual sending rate"),
    # Microsoft 365, Outlook.com
    _row("4", r"concurrent connections limit|sender thread limit", MINUTE, "too many connections", True),
    _row("5", r"submission ?quota ?(was )?exceeded|^5\.1\.90\b", _DAILY, "daily recipient limit"),
    _row("5", r"storedrv\.submission.*quotaexceeded", None, "the account's own mailbox is full"),
    _row("5", r"^5\.2\.25[1-5]\b", HOUR, "sender throttled for its errors"),
    _row("5", r"^5\.7\.(50[1238]|70[1-8])\b|bad outbound sender", None, "account restricted"),
    _row("4", r"^4\.7\.500\b", 10 * MINUTE, "provider throttles"),
    # Yahoo, AOL
    _row("4", r"\[TSS?\d\d\]|temporarily deferred due to", HOUR, "deferred for volume or complaints"),
    # Amazon SES
    _row("4", r"maximum sending rate exceeded", 5, "sending rate", True),
    _row("45", r"sending (is )?(paused|suspended)|account is paused", None, "sending is paused"),
    # SendGrid, Mailgun, Postmark, ZeptoMail
    _row("45", r"maximum credits exceeded|(out of|not enough) credits", _DAILY, "no credits left"),
    _row("45", r"not allowed to send.*(limit|disabled|terminated|exceeded)", _DAILY, "not allowed to send"),
    # Zoho
    _row("5", r"unusual sending activity", HOUR, "unusual sending activity"),
    _row("5", r"(sender address|outgoing( mail)?) blocked", None, "outgoing mail is blocked"),
    # Hosting panels, Postfix policy daemons, Fastmail and the rest
    _row("45", r"max (e-?mails|defers and failures) per hour", HOUR, "hourly limit"),
    _row("45", r"outgoing messages was exceeded", HOUR, "outgoing limit"),
    _row("45", r"messages? per (second|minute) limit", MINUTE, "sending rate", True),
    _row("4", r"too many (concurrent |smtp )*(connections|sessions)", MINUTE, "too many connections", True),
    _row("4", r"too frequent connects|connection rate limit", 5 * MINUTE, "connects too often", True),
    _row("45", r"too many (messages|e-?mails)\b.*(hour|minute|again)", 10 * MINUTE, "sending rate"),
    _row("45", r"(submission|message|sending) rate\b|rate limit|sending too fast", 10 * MINUTE, "rate"),
    _row("45", _LIMIT_SPENT, HOUR, "sending limit"),
    _row("45", _YOU_SPENT, HOUR, "sending limit"),
    _row("45", _ACCOUNT_BLOCKED, None, "account blocked"),
)

# The recipient's affairs, in words that a row could take for ours.
_RECIPIENTS: Final = re.compile(r"(user you are trying|account that you tried) to (contact|reach)", re.I)
_MAYBE_RECIPIENTS: Final = re.compile(
    r"^[45]\.2\.2\b|over ?quota|(mailbox|recipient|user)\b.{0,60}(full|quota|storage|space)", re.I
)
_OURS: Final = re.compile(
    r"storedrv\.submission|\byou(r account)?('ve| have| has)? (exceeded|reached|hit)"
    r"|\b(sending|submission|outgoing|outbound|relay) (\w+ )?(quota|limit)",
    re.I,
)

_UNITS: Final = {"s": 1, "m": MINUTE, "h": HOUR}
_DELAY: Final = re.compile(
    r"\b(?:again|back|wait|retry|resend|reconnect|later|blocked for|deferred for)\b[^.;]{0,30}?(?<![\d.:])"
    r"(?:(?P<clock>\d\d?:\d\d:\d\d)"
    r"|(?P<count>\d{1,6}|an?|one) ?(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?))\b",
    re.I,
)


def pause_named(reply: Reply) -> Pause | None:
    """The pause that this reply asks of the account. None: it is about the email, the recipient or unknown
    to us."""
    text = f"{reply.enhanced or ''} {reply.text}".strip()
    if _RECIPIENTS.search(text) or (_MAYBE_RECIPIENTS.search(text) and not _OURS.search(text)):
        return None
    for row in _ROWS:
        if str(reply.code)[0] in row.codes and row.pattern.search(text):
            named = delay_named(text)
            return Pause(min(named, DAY) if named else row.seconds, f"{row.reason}: {reply}", row.crowded)
    return None


def delay_named(text: str) -> int | None:
    """Seconds, of "try again in 5 minutes" and its like. None when the text names no delay."""
    found = _DELAY.search(text)
    if found is None:
        return None
    if found["clock"]:
        hours, minutes, seconds = map(int, found["clock"].split(":"))
        return (hours * HOUR + minutes * MINUTE + seconds) or None
    count = int(found["count"]) if found["count"].isdigit() else 1
    return (count * _UNITS[found["unit"][0].lower()]) or None
