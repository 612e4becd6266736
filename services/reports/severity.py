"""Whether a failed delivery is a reason never to try that address again (RFC 3463, and what servers write)."""

from __future__ import annotations

import re

# No such mailbox, domain or host; moved; disabled; the domain takes no mail (RFC 7505).
_HARD = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
# Told with all kinds of things: the words decide.
_VAGUE = ("", "5.0.0", "5.1.0", "5.4.4", "5.5.0")
_NOBODY = re.compile(
    r"(user|mailbox|account|address|recipient|alias)s?\b.{0,40}\b(unknown|not found|does ?n.t exist|does not exist|"
    r"not exist|disabled|inactive|invalid|no longer|unavailable)|(unknown|no such|invalid|nonexistent)"
    r" (user|mailbox|recipient|address|account|local part|person)|user doesn.t have|domain (name )?not found|"
    r"host (or domain name )?not found|no mailbox (here|by that name)|not our customer|there is no one",
    re.IGNORECASE,
)
# Full, or refused for what it says, for who we are, or for how we speak: that may pass.
_OTHERWISE = re.compile(
    r"\b(quota|full|over ?(limit|size)|too large|exceed\w*|spam|polic(y|ies)|block(ed|list\w*)|blacklist\w*|reputation|"
    r"virus|content|rate|too many|spf|dkim|dmarc|greylist\w*|relay(ing)? (access )?(denied|not))\b",
    re.IGNORECASE,
)
# "450 4.1.1 User unknown" says that it is to be tried again, whatever the words are.
_FOR_NOW = re.compile(r"\W*4\d\d\b")


def is_hard(status: str, diagnostic: str) -> bool:
    named = status in _HARD or (status in _VAGUE and _NOBODY.search(diagnostic) is not None)
    return named and not _OTHERWISE.search(diagnostic) and not _FOR_NOW.match(diagnostic)
