"""The sections of the pages, in the order of the menu. To add one, add a line here."""

from __future__ import annotations

from typing import NamedTuple

from services.roles import Role


class Section(NamedTuple):
    name: str
    path: str
    icon: str
    role: Role = Role.VIEWER


SECTIONS = {
    "": [
        Section("Overview", "/overview", "speedometer2"),
        Section("Send", "/compose", "pencil", Role.OPERATOR),
        Section("Emails", "/emails", "envelope"),
        Section("Inbox", "/inbox", "inbox"),
        Section("Templates", "/templates", "file-earmark-text"),
        Section("SMTP configs", "/smtp-configs", "send"),
        Section("Suppressions", "/suppressions", "slash-circle"),
        Section("Sandbox", "/sandbox", "box-seam"),
    ],
    "Manage": [
        Section("API keys", "/keys", "key", Role.ADMIN),
        Section("Users", "/users", "people", Role.ADMIN),
        Section("Audit log", "/audit", "clock-history", Role.ADMIN),
        Section("Settings", "/settings", "gear", Role.ADMIN),
    ],
}


class Item(NamedTuple):
    name: str
    path: str
    icon: str
    here: bool


def menu(role: Role | None, path: str) -> list[tuple[str, list[Item]]]:
    """What somebody with this role may open; nothing for strangers. `here` is the section that `path` is in."""
    if role is None:
        return []
    groups = [
        (title, [
            Item(one.name, one.path, one.icon, path == one.path or path.startswith(f"{one.path}/"))
            for one in sections if role.includes(one.role)
        ])
        for title, sections in SECTIONS.items()
    ]  # fmt: skip
    return [(title, items) for title, items in groups if items]
