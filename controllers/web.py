"""The web application: every route, and what all of them go through."""

from __future__ import annotations

from apiflask import APIFlask
from flask_bootstrap import Bootstrap5
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, IntegerConverter

from controllers import (
    accounts,
    attachments,
    batch,
    composing,
    credentials,
    docs,
    drafts,
    email_actions,
    emails,
    errors,
    folders,
    hooks,
    keys,
    messages,
    openapi,
    pages,
    queue,
    sandbox,
    service,
    sessions,
    smtp_config_actions,
    smtp_configs,
    suppressions,
    sync,
    templates,
    uploads,
)  # fmt: skip
from controllers.access import check_all_declared, deny_undeclared
from services.rate_limits import RateLimits
from services.relay import Relay

BLUEPRINTS = (
    service.bp, emails.bp, email_actions.bp, batch.bp, smtp_configs.bp, smtp_config_actions.bp, queue.bp, sandbox.bp,
    keys.bp, accounts.bp, credentials.bp, sync.bp, folders.bp, messages.bp, attachments.bp, composing.bp, drafts.bp,
    uploads.bp, suppressions.bp, templates.bp, pages.bp,
)  # fmt: skip


class IdConverter(IntegerConverter):
    """An id that the database could hold; anything else in its place is a path that does not exist."""

    regex = "[0-9]{1,19}"

    def __init__(self, url_map: object) -> None:
        super().__init__(url_map, max=2**63 - 1)  # type: ignore[arg-type]


class KeyConverter(BaseConverter):
    """An id in text: a UUID, or one of the caller's choice. Anything else there is a path that does not exist."""

    regex = "[A-Za-z0-9._@:-]{1,100}"


class AddressConverter(BaseConverter):
    """An email address, which may hold a slash; without an @ it is another path."""

    regex = ".+@.+"
    part_isolating = False


def register(
    app: APIFlask, *, cors_origins: tuple[str, ...] = (), trusted_proxies: int = 0, streams: int = 2
) -> None:
    """Give `app` all routes. It needs a secret key, and the relay in `extensions["mailferry"]`.

    `streams`: how many browsers may hold a thread of this process to be told what happens.
    """
    relay: Relay = app.extensions["mailferry"]
    app.extensions["mailferry.limits"] = RateLimits(relay.policy.rate_limits)
    app.config["MAX_CONTENT_LENGTH"] = 2 * relay.policy.max_message_bytes
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.url_map.converters |= {"id": IdConverter, "key": KeyConverter, "address": AddressConverter}
    app.url_map.merge_slashes = False
    app.ensure_sync = lambda func: func  # type: ignore[method-assign]  # asked per hook and view; none is async
    if trusted_proxies:
        number = trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, number, number, number, number, number)  # type: ignore[method-assign]
    errors.register(app)
    app.register_error_handler(404, pages.missing)
    app.before_request(deny_undeclared(app))
    hooks.register(app, cors_origins)
    sessions.register(app)
    pages.live.register(app, streams)
    Bootstrap5(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    openapi.register(app)
    docs.register(app)
    check_all_declared(app)
