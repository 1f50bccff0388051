"""The ``vidgraph`` command: parses, dispatches, and turns every expected error into one line and an exit code.

This package (and the root) may import every layer, inside functions; nothing else does.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ... import __version__
from ..errors import UsageError, VidgraphError, redact
from .options import COMMANDS, Command

DONE, FAILED, USAGE, DAMAGED = 0, 1, 2, 3
"""Exit codes; a run stopped by a signal ends with 128 + the signal's number, its outputs whole."""


class _Parser(argparse.ArgumentParser):
    """argparse with errors on one line that name the nearest option or command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}{self._nearest(message)}; see: {self.prog} --help")

    def _nearest(self, message: str) -> str:
        words = [w.split("=")[0] for w in message.replace("'", " ").replace("unrecognized arguments:", "").split()]
        known = [flag for action in self._actions for flag in action.option_strings] + [c.name for c in COMMANDS]
        if "unrecognized" not in message and "invalid choice" not in message:
            return ""
        wanted = words[0] if "unrecognized" in message else message.split("'")[1]
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
        return f" (did you mean {' or '.join(near)}?)" if near else ""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all sub-commands, made from the option table."""
    parser = _Parser(
        prog="vidgraph",
        description="Real-time video understanding: video in, objects, points and annotated video out.",
        epilog="Try: vidgraph run video.mp4 --model retinaface -o out.mp4 -o out.jsonl",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vidgraph {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        _add_command(commands, command)
    return parser


def _add_command(commands: argparse._SubParsersAction[_Parser], command: Command) -> None:
    sub = commands.add_parser(
        command.name,
        help=command.help,
        description=command.help.capitalize() + ".",
        epilog=f"Example: {command.example}",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=110),
    )
    for option in command.options:
        sub.add_argument(*option.flags, help=option.help, **option.settings)
    sub.set_defaults(function=command.run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Every expected error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = build_parser().parse_args(words)
        if options.command is None:
            raise UsageError("which command? " + ", ".join(c.name for c in COMMANDS) + "; see: vidgraph --help")
        module, function = options.function.split(":")
        code: int = getattr(importlib.import_module(f".{module}", __name__), function)(options)
        sys.stdout.flush()
        return code
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else DONE
    except KeyboardInterrupt:
        print("vidgraph: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except VidgraphError as error:
        return _report(error, words)


def _report(error: VidgraphError, words: Sequence[str]) -> int:
    """One line for the error; with ``-v`` the traceback too."""
    if "-v" in words or "--verbose" in words:
        import traceback

        traceback.print_exception(error)
    message = " ".join(redact(str(error)).split())
    print(f"vidgraph: {message}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
