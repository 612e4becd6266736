"""From a version and variables to what an email says, or to an error that names what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.runtime import new_context

from services.errors import FieldError, InvalidInputError
from services.templates import css
from services.templates.budget import JOB, Job
from services.templates.compiled import AT_RENDER, Version
from services.templates.errors import LimitError, MissingVariableError
from services.templates.finding import Shelf
from services.templates.sandbox import PARTS, SANDBOXES, Part

MAX_OUTPUT = 5_000_000  # characters of a part
CSS_WORK = 20  # pairs of css and tags for a unit of work
_LINE_ENDS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_MAX_TOLD = 300  # characters of an error


@dataclass(frozen=True, slots=True)
class Rendered:
    """None: the part was not asked for, or the template has none."""

    subject: str | None
    html: str | None
    text: str | None
    missing: tuple[str, ...] = ()  # of a lenient rendering: what it was not given


def render(
    version: Version,
    variables: Mapping[str, Any],
    shelf: Shelf,
    parts: Iterable[Part] = PARTS,
    lenient: bool = False,
) -> Rendered:
    """InvalidInputError that names the missing variable, or the line that went wrong."""
    job = Job(variables, shelf, lenient)
    token = JOB.set(job)
    done: dict[Part, str | None] = dict.fromkeys(PARTS)
    part: Part = "subject"
    try:
        shelf.check_time()
        for part in parts:
            if version.sources.of(part) is not None:
                done[part] = _part(version, part, job)
    except Exception as exc:
        raise InvalidInputError.of([_told(exc, version, part)]) from None
    finally:
        JOB.reset(token)
    return Rendered(done["subject"], done["html"], done["text"], tuple(job.missing))


def _part(version: Version, part: Part, job: Job) -> str:
    template = version.made(part, alone=True)
    known = {**SANDBOXES[part].globals, **job.variables}
    context = new_context(template.environment, template.name, template.blocks, known, shared=True)
    pieces = template.root_render_func(context)
    result = "".join(pieces)
    if len(result) > MAX_OUTPUT:
        raise LimitError(f"it has {len(result)} characters; the limit is {MAX_OUTPUT}")
    if "\0" in result:
        raise ValueError("it holds a NUL character")
    if part == "subject":
        return result.strip() if result.isprintable() else _LINE_ENDS.sub(" ", result).strip()
    if part == "html" and version.sources.css == AT_RENDER and css.has_css(result):
        job.charge(len(css.stylesheets(result)) * result.count("<") // CSS_WORK)
        return css.inlined(result)
    return result


def _told(exc: Exception, version: Version, part: Part) -> FieldError:
    name, line = _place(exc.__traceback__)
    if isinstance(exc, TemplateSyntaxError):
        name, line = exc.name, exc.lineno
    of = f" of {name}" if name and name != version.name else ""
    where = f"{part}{of}, line {line}" if line else f"{part}{of}"
    if isinstance(exc, MissingVariableError):
        return FieldError(f"variables.{exc.path}"[:_MAX_TOLD], f"is missing ({where})", "MISSING_VARIABLE")
    if isinstance(exc, TemplateNotFound):
        told = exc.message or ""
        told = told if told != exc.name else f"no template {told}"
        return FieldError("template", f"{where}: {told[:_MAX_TOLD]}", "UNKNOWN_TEMPLATE")
    code = (
        "TEMPLATE_LIMIT" if isinstance(exc, LimitError | RecursionError | MemoryError) else "TEMPLATE_ERROR"
    )
    return FieldError("template", f"{where}: {_reason(exc)}", code)


def _reason(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "it calls itself without end"
    if isinstance(exc, SecurityError):
        return f"not allowed: {str(exc)[:_MAX_TOLD]}"
    return " ".join(str(exc).split())[:_MAX_TOLD] or type(exc).__name__


def _place(trace: TracebackType | None) -> tuple[str | None, int]:
    """The name of the template and the line in which it happened."""
    name, line = None, 0
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            name, line = template.name, template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return name, line
