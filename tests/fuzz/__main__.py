"""Reads inputs that are damaged on purpose, each in a process of its own, and counts how they end.

    python -m tests.fuzz                            1 minute, every kind
    python -m tests.fuzz video --inputs 10000       so many videos
    python -m tests.fuzz results --seconds 7200     two hours of results files
    python -m tests.fuzz video --only 4711          one again, its file kept, its output shown

The same ``--seed`` makes the same inputs. Every fault is one line that makes it again; exit code 1 if there was any. A
file that found one belongs into ``tests/fuzz/findings/KIND/``: it is a seed from then on.
"""

from __future__ import annotations

import argparse
import os
import sys

from .campaign import again, campaign
from .kinds import KINDS


def main() -> int:
    """Read the arguments, start the workers, print what they found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--inputs", type=int, help="how many of each kind")
    parser.add_argument("--seconds", type=float, help="how long in all (60, where --inputs is not given)")
    parser.add_argument("--seed", type=int, default=0, help="of the generator (0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (0)")
    parser.add_argument("--only", type=int, help="this input alone")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes at a time")
    options = parser.parse_args()
    unknown = [kind for kind in options.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there is no kind {unknown[0]}; there are {', '.join(KINDS)}")
    kinds = options.kinds or list(KINDS)
    if options.only is not None:
        return again(kinds[0], options.only, options.seed)
    seconds = options.seconds or (60.0 if options.inputs is None else None)
    failed = False
    for kind in kinds:
        counts = campaign(kind, options, None if seconds is None else seconds / len(kinds))
        print(counts.line(kind), flush=True)
        failed = failed or bool(counts.faults) or not counts.inputs
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
