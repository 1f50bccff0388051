"""The ``vidgraph`` command: parses, dispatches, and turns every error into one line and an exit code.

It stands on top: what a command needs is imported when it runs, so that the others start quickly.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import importlib
import os
import re
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from .._version import __version__
from ..pipeline.errors import ConfigError, UsageError, VidgraphError, did_you_mean
from .options import COMMANDS, Command
from .terminal import say, speaking

LISTED_ONCE = 20
"""A command with more options has them in its list only, not in the line of its usage too."""
DONE, FAILED, USAGE, DAMAGED = 0, 1, 2, 3
"""Exit codes; a run stopped by a signal ends with 128 + the signal's number, its outputs whole."""
OPTION_CUTOFF = 0.75
"""How near a suggested option is, with its dashes: --threads (0.7) is not suggested for --threshold."""


class _Parser(argparse.ArgumentParser):
    """argparse with errors on one line that name the nearest option or command."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, but a command refuses what it does not know itself: it has the nearest options."""
        known, unknown = super().parse_known_args(args, namespace)
        options = [word.partition("=")[0] for word in unknown if word.startswith("-") and word != "-"]
        if options:
            near = did_you_mean(options[0], self._option_string_actions, cutoff=OPTION_CUTOFF)
            self._refuse(f"unknown option {options[0]}", near)
        if unknown:
            self._refuse(f"unexpected argument {unknown[0]!r}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        invalid = re.match(r"argument COMMAND: invalid choice: '(?P<name>.*?)' \(", message)
        if invalid:
            near = did_you_mean(invalid["name"], [one.name for one in COMMANDS])
            self._refuse(f"unknown command {invalid['name']!r}", near)
        self._refuse(message)

    def _refuse(self, message: str, hint: str = "") -> NoReturn:
        raise UsageError(f"{message}; {hint}{' ' if hint else ''}see: {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all sub-commands, made from the option table."""
    parser = _Parser(
        prog="vidgraph",
        description="Real-time video understanding: video in, objects, points and annotated video out.",
        epilog="Try: vidgraph run video.mp4 --model retinaface-1mb -o out.mp4 -o out.jsonl",
        allow_abbrev=False,
        formatter_class=_help_of_all,
    )
    parser.add_argument("--version", action="version", version=f"vidgraph {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        _add_command(commands, command)
    return parser


def _help_of_all(prog: str) -> argparse.HelpFormatter:
    """Each command and its help on one line: argparse forgets that commands are indented further than options."""
    made = argparse.HelpFormatter(prog, max_help_position=20)
    made._action_max_length = 16
    return made


def _add_command(commands: argparse._SubParsersAction[_Parser], command: Command) -> None:
    sub = commands.add_parser(
        command.name,
        help=command.help,
        description=command.help.capitalize() + ".",
        epilog=f"Example: {command.example}",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=116),
    )
    for option in command.options:
        sub.add_argument(*option.flags, help=option.help, **option.settings)
    sub.set_defaults(function=command.run)
    if len(command.options) > LISTED_ONCE:
        places = [option for option in command.options if not option.flags[0].startswith("-")]
        names = [str(option.settings.get("metavar", option.flags[0].upper())) for option in places]
        several = ["nargs" in option.settings for option in places]
        words = [f"[{name} ...]" if many else name for name, many in zip(names, several, strict=True)]
        sub.usage = " ".join(["%(prog)s [options]", *words])
        sub._positionals.title = argparse.SUPPRESS  # so that the page fits on a screen
        sub._option_string_actions["--help"].help = argparse.SUPPRESS


def console() -> NoReturn:
    """``vidgraph`` and ``python -m vidgraph``: :func:`main`, then the end of the process with its exit code.

    A stopped run may leave daemon threads behind that are inside C code: a source that waits for a server, an
    inference that takes long. Should one of them call back into Python, or use what a library frees at exit, while the
    interpreter takes itself down, the process ends with a segmentation fault after all was done well. So where any is
    left, what is to be done at exit is done here, and then the process ends at once, without taking anything down.
    """
    code = main()
    if not any(thread.daemon for thread in threading.enumerate()):
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, nobody reads it, it is closed
            stream.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Every error is one line on standard error."""
    verbose = False
    try:
        options = build_parser().parse_args(_with_dashes(sys.argv[1:] if arguments is None else arguments))
        if options.command is None:
            raise UsageError("which command? " + ", ".join(c.name for c in COMMANDS) + "; see: vidgraph --help")
        verbose = getattr(options, "verbose", False)
        code = _execute(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else DONE
    except KeyboardInterrupt:
        say("vidgraph: stopped")
        return 130
    except Exception as error:
        return _report(error, verbose=verbose)


def _with_dashes(words: Sequence[str]) -> list[str]:
    """``--min_score=0.5`` -> ``--min-score=0.5``: in names of options, ``-`` and ``_`` are alike."""
    end = words.index("--") if "--" in words else len(words)
    names = [re.sub(r"^--[^=]+", lambda name: name[0].replace("_", "-"), word) for word in words[:end]]
    return [*names, *words[end:]]


def _execute(options: argparse.Namespace) -> int:
    module, function = options.function.split(":")
    command = getattr(importlib.import_module(f".{module}", __name__), function)
    with speaking(quiet=getattr(options, "quiet", False), verbose=getattr(options, "verbose", False)):
        code: int = command(options)
    return code


def _report(error: Exception, *, verbose: bool) -> int:
    """One line for an error that ends the command, with ``-v`` the traceback too; nothing where the reader has left."""
    if _reader_left(error):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    if verbose:
        import traceback

        say("".join(traceback.format_exception(error)).rstrip())
    from ..pipeline.execution.stage_calls import one_line

    if isinstance(error, ConfigError):
        for mistake in error.mistakes:
            say(mistake)
        return error.exit_code
    if isinstance(error, VidgraphError):
        say(f"vidgraph: {one_line(error)}")
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        say(f"vidgraph: a file name is too long: {one_line(error)}")
        return FAILED
    if isinstance(error, MemoryError):
        say(f"vidgraph: there is not enough memory: {str(error) or 'this machine has no more'}")
        return FAILED
    say(f"vidgraph: unexpected {one_line(error)}; this is a fault of vidgraph, -v shows where")
    return FAILED


def _reader_left(error: BaseException | None) -> bool:
    """Whether an error comes of a standard output that nobody reads any more, as in ``vidgraph … | head -1``."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        error = error.__cause__
    return False
