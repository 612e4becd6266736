"""What makes a shell complete our commands: click's own script, for `mailferry`, calling this very checkout.

Click completes the name of a program. `python app.py` has the name `python`, which is not ours to take: hence the
script `mailferry` beside app.py. The completion itself is asked of app.py by its path, so that it works for an alias or
a wrapper of that name too, and never through sudo.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

NAME = "mailferry"
COMPLETE = "_MAILFERRY_COMPLETE"
APP = Path(__file__).resolve().parents[2] / "app.py"
_WHERE = {
    "bash": "~/.local/share/bash-completion/completions/mailferry",
    "zsh": "a folder of $fpath, as _mailferry",
    "fish": "~/.config/fish/completions/mailferry.fish",
}
# Where click's scripts call the program: by the name that was typed.
_CALL = re.compile(r" (?:\$1|mailferry)(?=\))")
_FIND = re.compile(r"^.*\$\+commands\[mailferry\].*\n", re.MULTILINE)  # zsh: an alias would not be found


@click.command()
@click.argument("shell", type=click.Choice(list(_WHERE)))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and ids.

    \b
    bash: python app.py completion bash > ~/.local/share/bash-completion/completions/mailferry
    zsh:  python app.py completion zsh > /a/folder/of/fpath/_mailferry
    fish: python app.py completion fish > ~/.config/fish/completions/mailferry.fish
    """
    click.echo(script(shell))
    if sys.stdout.isatty():
        click.echo(f"Save this as {_WHERE[shell]}, and start a new shell.", err=True)


def script(shell: str) -> str:
    from controllers.cli import cli

    found: Any = get_completion_class(shell)
    made = found(cli, {}, NAME, COMPLETE)
    text = made.source_template % made.source_vars()
    program = f"{shlex.quote(sys.executable)} {shlex.quote(str(APP))}"
    return _FIND.sub("", _CALL.sub(lambda _: f" {program}", text))
