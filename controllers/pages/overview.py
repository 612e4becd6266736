"""How things stand, at a glance: what to look at, what waits, how it moves, and what each SMTP config has left."""

from __future__ import annotations

from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple

from flask import Response, current_app, request, url_for
from markupsafe import Markup

from controllers.pages.charts import chart
from controllers.pages.frame import Done, Visit, action, drawn, fragment, page, render
from services import configs, history, search, stats, switches
from services.alerts import alerts
from services.config_view import view
from services.pulse import pulse
from services.roles import Role
from services.why import why

MOST_CARDS = 24
_drawing = Lock()  # who comes while it is drawn waits for that
THROUGHPUT = (("accepted", ("accepted",)), ("sent", ("sent",)))
OUTCOMES = (
    ("sent", ("sent",)), ("failed", ("failed",)), ("unknown", ("unknown",)), ("bounced", ("bounced", "complained")),
)  # fmt: skip


class Watched(NamedTuple):
    """What moves on the page, as it was drawn for those marks of the pulse."""

    marks: dict[str, str]
    html: Markup
    tag: str


@page("/overview")
def overview(visit: Visit) -> Response:
    span = request.args.get("span", "hour")
    span = span if span in history.SPANS else "hour"
    if "X-Live" in request.headers:
        return _for_watchers(visit, span)
    queue = stats.queue_stats(visit.relay, visit.tenant, visit.now)
    return render("overview.html", queue=queue, live=_drawn(visit, span, queue))


def _for_watchers(visit: Visit, span: str) -> Response:
    """Drawn once for all who watch, until the pulse tells of something new: at most once a second in a process. Whoever
    has it already gets a 304."""
    kept: dict[tuple[str, str], Watched] = current_app.extensions.setdefault("mailferry.overview", {})
    with _drawing:
        marks, found = pulse(visit.now), kept.get((visit.role, span))
        if found is None or found.marks is not marks:
            html = _drawn(visit, span, stats.queue_stats(visit.relay, visit.tenant, visit.now))
            tag = sha256(html.encode()).hexdigest()[:20]
            found = kept[visit.role, span] = Watched(marks, html, tag)
    response = fragment(found.html)
    response.set_etag(found.tag)
    response.make_conditional(request)
    return response


def _drawn(visit: Visit, span: str, queue: dict[str, Any]) -> Markup:
    steps = history.steps(span, visit.now)
    found, total = configs.listed(visit.who, MOST_CARDS, 0)
    return drawn(
        "overview_live.html", queue=queue, alerts=alerts(visit.relay, queue, visit.now), span=span,
        spans=list(history.SPANS), throughput=chart(steps, THROUGHPUT, stacked=False),
        outcome=chart(steps, OUTCOMES, stacked=True), configs=[view(one, visit.now) for one in found],
        more_configs=total - len(found), oldest=_oldest(visit, queue), priorities=list(stats.PRIORITIES),
    )  # fmt: skip


@action("/overview/pause", Role.OPERATOR)
def pause_queue(visit: Visit) -> Done:
    switches.pause_relay(visit.now)
    return Done(
        "Paused: mail is accepted, none is delivered.", url_for("pages.overview"), "relay", category="warning"
    )


@action("/overview/resume", Role.OPERATOR)
def resume_queue(visit: Visit) -> Done:
    switches.resume_relay(visit.now)
    visit.relay.wake()
    return Done("Delivering again.", url_for("pages.overview"), "relay")


def _oldest(visit: Visit, queue: dict[str, Any]) -> dict[str, Any] | None:
    """The queued email that was accepted first, and why it waits."""
    email_id = search.oldest(visit.tenant, "queued") if queue["counts"]["queued"] else None
    return why(visit.relay, visit.tenant, email_id, visit.now) if email_id is not None else None
