"""People who may sign in, and what they may do."""

from __future__ import annotations

from flask import Response, request, url_for

from controllers.pages.frame import Done, Visit, action, page, render
from services import users as people
from services.roles import Role


@page("/users", Role.ADMIN)
def users(visit: Visit) -> Response:
    return render(
        "users.html", users=people.listed(), roles=list(Role), shortest=people.SHORTEST, now=visit.now
    )


@action("/users", Role.ADMIN)
def create_user(visit: Visit) -> Done:
    name, role = request.form.get("name", ""), request.form.get("role", "")
    people.create(name, request.form.get("password", ""), role, visit.now)
    return Done(f"{name} may sign in now.", url_for("pages.users"), f"user {name}", {"role": role})


@action("/users/<id:user_id>/role", Role.ADMIN)
def set_user_role(visit: Visit, user_id: int) -> Done:
    name, role = people.find(user_id).name, request.form.get("role", "")
    people.set_role(user_id, role)
    return Done(f"{name} is {role} now.", url_for("pages.users"), f"user {name}", {"role": role})


@action("/users/<id:user_id>/password", Role.ADMIN)
def set_user_password(visit: Visit, user_id: int) -> Done:
    name = people.find(user_id).name
    people.set_password(user_id, request.form.get("password", ""))
    return Done(f"{name} has a new password.", url_for("pages.users"), f"user {name}", {"password": "new"})


@action("/users/<id:user_id>/unlock", Role.ADMIN)
def unlock_user(visit: Visit, user_id: int) -> Done:
    name = people.find(user_id).name
    people.unlock(user_id)
    return Done(f"{name} may try again.", url_for("pages.users"), f"user {name}")


@action("/users/<id:user_id>/remove", Role.ADMIN)
def remove_user(visit: Visit, user_id: int) -> Done:
    name = people.find(user_id).name
    people.remove(user_id)
    return Done(f"{name} is removed, and signed out everywhere.", url_for("pages.users"), f"user {name}")
