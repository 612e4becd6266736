"""What the sandbox caught."""

from __future__ import annotations

from flask import Response, request, url_for

from controllers.pages.forms import whole_number
from controllers.pages.frame import Done, Visit, action, page, render
from services import sandbox
from services.roles import Role
from utils.still_html import still

PAGE_SIZE = 50
# The mail's own html: no scripts, no requests to anywhere, no forms; framed by our page alone.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'"
)


@page("/sandbox")
def sandbox_mails(visit: Visit) -> Response:
    before = whole_number(request.args.get("before", ""))
    mails = sandbox.messages(PAGE_SIZE, before)
    older = mails[-1]["id"] if len(mails) == PAGE_SIZE else None
    return render(
        "sandbox.html", mails=mails, older=older, first=before is None, port=visit.relay.policy.sandbox_port
    )


@action("/sandbox/clear", Role.OPERATOR)
def clear_sandbox(visit: Visit) -> Done:
    count = sandbox.clear()
    return Done(f"{count} caught mail{'s' if count != 1 else ''} deleted.", url_for("pages.sandbox_mails"))


@page("/sandbox/<id:message_id>")
def sandbox_mail(visit: Visit, message_id: int) -> Response:
    raw = sandbox.raw(message_id)
    return render(
        "sandbox_message.html", mail=sandbox.message(message_id), raw=raw[:200_000].decode("utf-8", "replace")
    )


@page("/sandbox/<id:message_id>/html")
def sandbox_html(visit: Visit, message_id: int) -> Response:
    return mail_html(sandbox.message(message_id)["html"] or "")


@page("/sandbox/<id:message_id>/raw")
def sandbox_raw(visit: Visit, message_id: int) -> Response:
    return eml(sandbox.raw(message_id), f"sandbox-{message_id}")


def mail_html(html: str) -> Response:
    """A stranger's html as a document of its own, caged, for a frame of ours."""
    headers = {
        "Content-Security-Policy": MAIL_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "X-DNS-Prefetch-Control": "off",
    }
    return Response(still(html), mimetype="text/html", headers=headers)


def eml(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return Response(data, mimetype="message/rfc822", headers=headers)
