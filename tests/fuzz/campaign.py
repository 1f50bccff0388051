"""Many tries, shared between processes, and what came of them."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

from .tries import Tries

_MANY = 10**9


@dataclass
class Counts:
    """What came of the tries of one kind."""

    inputs: int = 0
    came_through: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mib: float = 0.0

    def add(self, code: int | None, came_through: bool, seconds: float, peak_mib: float, fault: str) -> None:
        """Count one try, and print its fault."""
        self.inputs += 1
        self.came_through += came_through
        self.codes[str(code)] += 1
        self.seconds, self.peak_mib = max(self.seconds, seconds), max(self.peak_mib, peak_mib)
        if fault:
            self.faults.append(fault)
            print(fault, flush=True)

    def line(self, kind: str) -> str:
        """One line of the report."""
        codes = ", ".join(f"{count} exit {code}" for code, count in sorted(self.codes.items()))
        share = self.came_through / max(1, self.inputs)
        return (
            f"{kind}: {self.inputs} inputs, {share:.0%} reached decoding or parsing, {codes}; "
            f"slowest {self.seconds:.1f} s, largest {self.peak_mib:.0f} MiB; {len(self.faults)} faults"
        )


def campaign(kind: str, options: Any, seconds: float | None) -> Counts:
    """All tries of a kind, shared between processes."""
    context = multiprocessing.get_context("spawn")
    workers, pipes = [], []
    for share in range(options.jobs):
        receiver, sender = context.Pipe(duplex=False)
        workers.append(context.Process(target=work, args=(kind, options, seconds, share, sender)))
        workers[-1].start()
        sender.close()
        pipes.append(receiver)
    counts = Counts()
    while pipes:
        for pipe in connection.wait(pipes):
            try:
                counts.add(*pipe.recv())
            except EOFError:
                pipes.remove(pipe)
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"a worker of {kind} ended with exit code {worker.exitcode}")
    return counts


def work(kind: str, options: Any, seconds: float | None, share: int, sender: Any) -> None:
    """The tries of one worker: every ``jobs``-th, for so long once all is prepared."""
    with sender:
        with tempfile.TemporaryDirectory(prefix="vidgraph-fuzz-") as folder:
            os.environ["VIDGRAPH_CACHE"] = str(Path(folder) / "cache")
            tries = Tries(kind, seed=options.seed, work=Path(folder))
            until = None if seconds is None else time.monotonic() + seconds
            last = options.first + (options.inputs or _MANY)
            for number in range(options.first + share, last, options.jobs):
                if until is not None and time.monotonic() > until:
                    break
                _, ended = tries.run(number)
                through = tries.kind.came_through(ended)
                line = f"python -m tests.fuzz {kind} --seed {options.seed} --only {number}"
                fault = ended.fault()
                sender.send((ended.code, through, ended.seconds, ended.peak_mib, f"{line}  # {fault}" if fault else ""))


def again(kind: str, number: int, seed: int) -> int:
    """One try, its folder kept and its output shown."""
    folder = Path(tempfile.mkdtemp(prefix=f"vidgraph-fuzz-{kind}-{number}-"))
    os.environ["VIDGRAPH_CACHE"] = str(folder / "cache")
    tries = Tries(kind, seed=seed, work=folder)
    tried, ended = tries.run(number)
    fault = ended.fault()
    print(f"{folder / 'try' / tried.seed.file}, made of {tried.seed.name}: vidgraph {shlex.join(tries.words(tried))}")
    print(f"exit code {ended.code}, {ended.seconds:.1f} s, {ended.peak_mib:.0f} MiB; {fault or 'no fault'}")
    sys.stdout.write(ended.out + ended.err)
    return int(bool(fault))
