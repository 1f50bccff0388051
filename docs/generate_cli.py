"""The page of the command line, from its parser; examples come from the table that the parser is made of."""

from __future__ import annotations

import argparse

from vidgraph.cli import build_parser
from vidgraph.cli.options import COMMANDS, Command

INTRO = """# Command line

`vidgraph COMMAND --help` says the same in a terminal.

| command | |
|---|---|
{commands}

Messages, the progress bar (not when piped) and the closing table go to standard error; standard output carries
results only (`-o -`). An error is one line.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | finished, with damaged, missing or skipped frames |
| 130, 143 | stopped by Ctrl-C or SIGTERM; the outputs are whole |

In the names of models, engines and options `-` and `_` are alike. Each example is a whole command; models need
their weights in the cache (`vidgraph pull`) or named (`--model retinaface=weights.pth`).
"""

NEEDS = {
    "check-config": "a file of cameras",
    "pull": "a network connection",
    "eval": "the extra 'eval', and some minutes",
    "train": "a data set, and some hours",
}
"""What a command's example needs, so that the tests of the pages do not run it."""


def cli_page() -> str:
    parsers = _sub_parsers()
    rows = "\n".join(f"| [`{c.name}`](#vidgraph-{c.name}) | {_cell(c.help)} |" for c in COMMANDS)
    sections = [_section(command, parsers[command.name]) for command in COMMANDS]
    return "\n".join([INTRO.format(commands=rows), *sections])


def _sub_parsers() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._actions  # argparse has no public way to list them
    choices = next(a for a in actions if isinstance(a, argparse._SubParsersAction)).choices
    return dict(choices)


def _section(command: Command, parser: argparse.ArgumentParser) -> str:
    examples = {option.flags: option.example for option in command.options}
    rows = ["| option | what it does | example |", "|---|---|---|"]
    for action in parser._actions:
        if action.dest == "help":
            continue
        example = examples[tuple(action.option_strings) or (action.dest,)]
        rows.append(f"| {_name(action)} | {_help(action)} | `{_cell(example)}` |")
    head = f"## vidgraph {command.name}\n\n{command.help[0].upper()}{command.help[1:]}.\n"
    marker = [f"<!-- needs: {NEEDS[command.name]} -->"] if command.name in NEEDS else []
    return "\n".join([head, *marker, "```bash", command.example, "```", "", *rows, ""])


def _name(action: argparse.Action) -> str:
    """How an option or argument is written: its flags with the value they take."""
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        optional, several = action.nargs in ("?", "*"), action.nargs in ("*", "+")
        return f"`{_cell(('[' + value + ']' if optional else value) + ('…' if several else ''))}`"
    takes = "" if action.nargs == 0 else f" {value}"
    return " ".join(f"`{_cell(flag + takes)}`" for flag in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = _cell((action.help or "").replace("%%", "%"))
    needed = ". Must be given." if action.required and action.option_strings else ""
    choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
    return text + choices + needed


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
