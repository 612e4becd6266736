"""Versions of templates as they are kept: checked when saved, compiled when they are first used."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError, nodes

from services.errors import FieldError, InvalidInputError
from services.templates import css, inlining
from services.templates.names import Used, note
from services.templates.sandbox import PARTS, SANDBOXES, Part

MAX_SOURCE = 300_000  # characters of a part
MAX_SUBJECT = 2_000
KEPT = 300  # compiled versions
KEPT_CHARS = 20_000_000  # of their sources

NONE, AT_SAVE, AT_RENDER = "none", "save", "render"  # when css is inlined


@dataclass(frozen=True, slots=True)
class Sources:
    """What a version says. `css`, `inlined`: see `checked`."""

    subject: str
    html: str | None
    text: str | None
    css: str = NONE
    inlined: str | None = None

    def of(self, part: Part) -> str | None:
        source: str | None = getattr(self, part)
        return source

    @property
    def size(self) -> int:
        return sum(len(one or "") for one in (self.subject, self.html, self.text, self.inlined))


@dataclass(slots=True)
class Version:
    """One of a stored template, or, with id 0, of one that is not stored."""

    id: int
    name: str
    number: int
    sources: Sources
    _made: dict[tuple[Part, bool], Template] = field(default_factory=dict)

    def made(self, part: Part, alone: bool) -> Template:
        """A part, compiled. `alone`: as an email's own, and not within that of another template.

        TemplateNotFound where it has no such part.
        """
        made = self._made.get((part, alone))
        if made is None:
            source = self.sources.inlined if alone and part == "html" and self.sources.inlined else None
            source = self.sources.of(part) if source is None else source
            if source is None:
                raise TemplateNotFound(self.name, f"the template {self.name} has no {part}")
            made = self._made[part, alone] = SANDBOXES[part].made(source, self.name)
        return made


class Library:
    """The versions that were used last, by (id, number). Shared by the threads of a process."""

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[int, int], Version] = OrderedDict()
        self._chars = 0

    def get(self, template_id: int, number: int) -> Version | None:
        version = self._versions.get((template_id, number))
        if version is not None:
            with suppress(KeyError):  # another thread has just dropped it
                self._versions.move_to_end((template_id, number))
        return version

    def keep(self, version: Version) -> Version:
        kept = self._versions.setdefault((version.id, version.number), version)
        if kept is version:
            self._chars += version.sources.size
            while len(self._versions) > 1 and (len(self._versions) > KEPT or self._chars > KEPT_CHARS):
                self._chars -= self._versions.popitem(last=False)[1].sources.size
        return kept


def checked(subject: str, html: str | None, text: str | None) -> Sources:
    """What may be saved, its css inlined where that can be done now. InvalidInputError with every wrong part."""
    given = Sources(subject, html or None, text or None)
    wrong: list[FieldError] = []
    for part in PARTS:
        _check(part, given.of(part), wrong)
    if given.html is None and given.text is None:
        wrong.append(FieldError("html", "html or text is needed", "MISSING_CONTENT"))
    if wrong:
        raise InvalidInputError.of(wrong)
    return _with_css(given)


def _check(part: Part, source: str | None, wrong: list[FieldError]) -> None:
    if source is None:
        return
    most = MAX_SUBJECT if part == "subject" else MAX_SOURCE
    if len(source) > most:
        wrong.append(FieldError(part, f"has {len(source)} characters; the limit is {most}", "TOO_LONG"))
        return
    try:
        source.encode()
        SANDBOXES[part].compile(source)
    except UnicodeEncodeError:
        wrong.append(FieldError(part, "holds a broken character", "INVALID_CHARACTER"))
    except TemplateSyntaxError as exc:
        wrong.append(FieldError(part, f"line {exc.lineno}: {exc.message}", "TEMPLATE_SYNTAX"))
    except RecursionError:
        wrong.append(FieldError(part, "line 1: too much stands within one another", "TEMPLATE_SYNTAX"))
    except SyntaxError as exc:  # Python's, of what Jinja has made of it
        wrong.append(FieldError(part, f"cannot be compiled: {exc.msg}", "TEMPLATE_SYNTAX"))


def _with_css(given: Sources) -> Sources:
    html = given.html
    if html is None:
        return given
    tree = SANDBOXES["html"].raw_tree(html)
    if not css.has_css(html):
        return Sources(given.subject, html, given.text, AT_RENDER if inlining.depends(tree) else NONE)
    try:
        done = inlining.prepared(html, tree)
        if done is not None:
            SANDBOXES["html"].compile(done)
    except css.CssError as exc:
        raise InvalidInputError.of([FieldError("html", str(exc), "INVALID_CSS")]) from None
    except TemplateSyntaxError:
        done = None
    return Sources(given.subject, html, given.text, AT_RENDER if done is None else AT_SAVE, done)


def trees(sources: Sources) -> dict[Part, nodes.Template]:
    return {
        part: SANDBOXES[part].raw_tree(source) for part in PARTS if (source := sources.of(part)) is not None
    }


def used(sources: Sources) -> Used:
    """The variables that its own parts use, but for those of templates that it includes."""
    found = Used()
    for part, tree in trees(sources).items():
        note(tree, found, frozenset(SANDBOXES[part].globals))
    return found
