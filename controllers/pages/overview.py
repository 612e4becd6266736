"""How things stand, at a glance: what to look at, what waits, how it moves, and what each SMTP config has left."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from controllers.pages.charts import chart
from controllers.pages.frame import Done, Visit, action, page, render
from services import configs, history, search, stats, switches
from services.alerts import alerts
from services.config_view import view
from services.roles import Role
from services.why import why

MOST_CARDS = 24
THROUGHPUT = (("accepted", ("accepted",)), ("sent", ("sent",)))
OUTCOMES = (
    ("sent", ("sent",)), ("failed", ("failed",)), ("unknown", ("unknown",)), ("bounced", ("bounced", "complained")),
)  # fmt: skip


@page("/overview")
def overview(visit: Visit) -> Response:
    queue = stats.queue_stats(visit.relay, visit.tenant, visit.now)
    span = request.args.get("span", "hour")
    span = span if span in history.SPANS else "hour"
    steps = history.steps(span, visit.now)
    found, total = configs.listed(visit.who, MOST_CARDS, 0)
    return render(
        "overview.html", queue=queue, alerts=alerts(visit.relay, queue, visit.now), span=span,
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
