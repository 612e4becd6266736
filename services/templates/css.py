"""CSS moved from <style> to where it applies, for mail programs that read nothing else. Nothing is loaded: neither
from the network nor from files. What only a stylesheet can say (@media, :hover, fonts) stays in its <style>."""

from __future__ import annotations

import re

from css_inline import CSSInliner, InlineError

MAX_PAIRS = 50_000_000  # bytes of css x tags: a fraction of a second, whatever the css

STYLE = re.compile(r"<style\b", re.IGNORECASE)
_STYLES = re.compile(r"<style\b([^>]*)>(.*?)</style", re.IGNORECASE | re.DOTALL)
_MEDIA = re.compile(r"""\bmedia\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_EVERYWHERE = ("", "all", "screen")
_INLINER = CSSInliner(
    load_remote_stylesheets=False, keep_style_tags=True, keep_link_tags=True, remove_inlined_selectors=True
)
_EMPTY = re.compile(r"<style\b(?![^>]*\bdata-css-inline)[^>]*>\s*</style>", re.IGNORECASE)
_IGNORED = re.compile(r'(<style\b[^>]*?) data-css-inline="ignore"', re.IGNORECASE)


class CssError(ValueError):
    """It cannot be inlined; the message is fit to show."""


def has_css(html: str) -> bool:
    return STYLE.search(html) is not None


def stylesheets(html: str) -> str:
    """All css of its <style> tags."""
    return "\n".join(body for _, body in _STYLES.findall(html))


def inlined(html: str) -> str:
    """CssError."""
    if len(stylesheets(html)) * html.count("<") > MAX_PAIRS:
        raise CssError("has too much css for so many elements: shorten either")
    try:
        done = _INLINER.inline(_STYLES.sub(_for_some_media, html))
    except InlineError as exc:
        raise CssError(f"its css cannot be inlined: {str(exc)[:200]}") from None
    return _EMPTY.sub("", _IGNORED.sub(r"\1", done))


def _for_some_media(found: re.Match[str]) -> str:
    """A stylesheet for print, say, must not become the style of the screen."""
    media = _MEDIA.search(found[1])
    if media is None or (media[1] or media[2] or media[3] or "").strip().lower() in _EVERYWHERE:
        return found[0]
    at = found.start(1) - found.start()
    return f'{found[0][:at]} data-css-inline="ignore"{found[0][at:]}'
