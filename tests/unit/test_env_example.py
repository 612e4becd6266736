from __future__ import annotations

from dataclasses import fields

import config

EXAMPLE = (config.ROOT / ".env.example").read_text()


def test_it_names_every_setting_with_its_default_and_what_it_is_for() -> None:
    described = [block.splitlines() for block in EXAMPLE.strip().split("\n\n")[1:]]
    wanted = [
        [f"# {one.metadata['why']}", f"#{one.name.upper()}={one.metadata['default'] or ''}"]
        for one in fields(config.Settings)
    ]
    assert described == wanted


def test_its_values_are_usable_as_they_stand() -> None:
    lines = [
        line.removeprefix("#")
        for line in EXAMPLE.splitlines()
        if line.startswith("#") and line[1:2].isupper()
    ]
    values = dict(line.split("=", 1) for line in lines)
    secrets = {"SECRET_KEY": "x" * 16, "API_KEY": "x" * 16, "JWT_SECRET": "x" * 16}
    key = "A" * 43 + "="
    settings = config.from_env(values | secrets | {"CREDENTIALS_KEY": key})
    assert settings == config.from_env(secrets | {"CREDENTIALS_KEY": key})
