"""A mail's html for showing it in a cage: its look stays as it is, what would reach out from there does not.

The cage (a sandbox, and a policy that allows nothing) keeps scripts, requests and forms in. But browsers dial for some
tags before they ask the policy: Chromium for a frame, others for `preconnect` and names to look up. That alone tells
the sender who reads what, and when.
"""

from __future__ import annotations

import re

# A tag begins with these very letters and no others: references are not resolved in a tag's name. Inside of comments,
# attributes or styles the change does no harm.
_REACHING = re.compile(r"<(link|meta|base|i?frame|fencedframe|portal)(?=[\s/>])", re.IGNORECASE | re.ASCII)


def still(html: str) -> str:
    """`basefont` takes their place: it needs no end, leaves a page's head as it is, and does nothing."""
    return _REACHING.sub("<basefont", html)
