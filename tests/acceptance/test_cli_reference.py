"""docs/reference/cli.md names every command and every option, and no other."""

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from coremachine.runtime.cli.program import program
from tests.acceptance.commands import ROOT

FLAG = re.compile(r"^\| `(--[a-z-]+)", re.MULTILINE)
HEADING = re.compile(r"^## `coremachine ?([a-z ]*)[^`]*`$", re.MULTILINE)


def declared(command: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    """Each command with its flags."""
    flags = {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
    if not hasattr(command, "commands") or not path:
        yield path, flags - {"--help"}
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from declared(child, f"{path} {name}".strip())


def documented() -> dict[str, set[str]]:
    """Each section on a command, with the flags in its table."""
    parts = HEADING.split((ROOT / "docs" / "reference" / "cli.md").read_text())[1:]
    return {name.strip(): set(FLAG.findall(text)) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def test_every_command_and_option_is_documented() -> None:
    assert documented() == dict(declared(typer.main.get_command(program)))


def test_only_a_deprecated_name_of_a_command_is_hidden() -> None:
    command: Any = typer.main.get_command(program)
    hidden = {
        f"{name} {inner}": child
        for name, group in command.commands.items()
        for inner, child in getattr(group, "commands", {"": group}).items()
        if child.hidden or group.hidden
    }
    assert [name for name, child in hidden.items() if child.deprecated] == ["bench rule"] == list(hidden)


def test_every_parameter_has_help() -> None:
    command: Any = typer.main.get_command(program)
    for child in command.commands.values():
        for one in getattr(child, "commands", {"": child}).values():
            assert one.help
            assert all(parameter.help for parameter in one.params if parameter.name != "help"), one.name
