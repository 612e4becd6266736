"""SMTP configs: the list, one of them, adding by provider, changing, trying it out."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from controllers.pages.forms import read_form, wrong_fields
from controllers.pages.frame import Done, Visit, action, page, render, streamed
from controllers.pages.stepwise import steps_of
from controllers.schemas.smtp_configs import ConfigChangesBody, NewConfigBody
from services import config_test, configs, presets
from services.config_history import history
from services.config_view import view
from services.errors import ServiceError
from services.roles import Role

MOST = 500


@page("/smtp-configs")
def smtp_configs(visit: Visit) -> Response:
    found, total = configs.listed(visit.who, MOST, 0)
    return render("smtp_configs.html", configs=[view(one, visit.now) for one in found], total=total)


@page("/smtp-configs/new", Role.ADMIN)
def new_smtp_config(visit: Visit) -> Response:
    provider = request.args.get("provider", "")
    return _form(None, {"provider": provider} | presets.PRESETS.get(provider, {}))


@action("/smtp-configs/new", Role.ADMIN)
def create_smtp_config(visit: Visit) -> Any:
    try:
        values = read_form(NewConfigBody).values()
        config_id = configs.create(visit.relay, visit.who, {**values}, visit.now)
    except ServiceError as error:
        return _form(None, request.form.to_dict(), error)
    to = url_for("pages.smtp_config", config_id=config_id)
    return Done("Added. Test it before mail goes through it.", to, f"smtp config {config_id}", {**values})


@page("/smtp-configs/<id:config_id>")
def smtp_config(visit: Visit, config_id: int) -> Response:
    config = configs.find(visit.who, config_id)
    return render("smtp_config.html", config=view(config, visit.now), history=history(config_id))


@page("/smtp-configs/<id:config_id>/edit", Role.ADMIN)
def edit_smtp_config(visit: Visit, config_id: int) -> Response:
    return _form(config_id, view(configs.find(visit.who, config_id), visit.now))


@action("/smtp-configs/<id:config_id>/edit", Role.ADMIN)
def update_smtp_config(visit: Visit, config_id: int) -> Any:
    now = view(configs.find(visit.who, config_id), visit.now)
    try:
        given = read_form(ConfigChangesBody).values()
        changes = {
            name: value for name, value in given.items() if name == "password" or now.get(name) != value
        }
        cleared = configs.update(visit.relay, visit.who, config_id, changes, visit.now)
    except ServiceError as error:
        return _form(config_id, now | request.form.to_dict(), error)
    told = " Its password was cleared, since it connects elsewhere now: give it again." if cleared else ""
    to = url_for("pages.smtp_config", config_id=config_id)
    return Done(f"Saved.{told}", to, f"smtp config {config_id}", changes, "warning" if cleared else "success")


@action("/smtp-configs/<id:config_id>/pause", Role.OPERATOR)
def pause_smtp_config(visit: Visit, config_id: int) -> Done:
    configs.pause(visit.who, config_id)
    return _done(config_id, "Paused: nothing goes through it until it is resumed.")


@action("/smtp-configs/<id:config_id>/resume", Role.OPERATOR)
def resume_smtp_config(visit: Visit, config_id: int) -> Done:
    configs.resume(visit.relay, visit.who, config_id)
    return _done(config_id, "Resumed: it is tried at once.")


@action("/smtp-configs/<id:config_id>/delete", Role.ADMIN)
def delete_smtp_config(visit: Visit, config_id: int) -> Done:
    name = configs.find(visit.who, config_id).name
    configs.delete(visit.who, config_id)
    return Done(f"{name} is deleted.", url_for("pages.smtp_configs"), f"smtp config {config_id} {name}")


@action("/smtp-configs/<id:config_id>/test", Role.OPERATOR, outward=True)
def test_smtp_config(visit: Visit, config_id: int) -> Response:
    """The page grows by each step as it is done."""
    config = configs.find(visit.who, config_id)
    send_to = request.form.get("send_to", "").strip() or None
    config_test.check_recipient(send_to)
    steps = steps_of(
        f"test of config {config_id}",
        lambda heard: config_test.run_test(visit.relay, config, send_to, visit.now, told=heard),
    )
    return streamed("smtp_config_test.html", config=config, send_to=send_to, steps=steps)


def _done(config_id: int, message: str) -> Done:
    return Done(message, url_for("pages.smtp_config", config_id=config_id), f"smtp config {config_id}")


def _form(config_id: int | None, values: dict[str, Any], error: ServiceError | None = None) -> Response:
    return render(
        "smtp_config_form.html", error.status if error else 200, id=config_id, values=values, wrong=wrong_fields(error),
        told=error.message if error else "", providers=presets.PROVIDERS,
    )  # fmt: skip
