"""Tries the faults of CUDA kernels in the emulator, under the address sanitizer; see ``test_cuda_mutants.py``.

    echo nms | python -m tests.kernels.cuda_faults

A process of its own, which the sanitizer is loaded into. It reads stems of sources, and writes a JSON line for each:
pairs of a fault's name and what was seen of it, null where nothing was. Each fault is tried in a child, as it may bring
the process down; the same library without a fault has given all that the host does, in this very process, before.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from vidgraph.kernels.cuda import driver

from .. import emulator
from .cuda_cases import cases_of, compare
from .cuda_picture_cases import Case
from .mutants import own_mutants, with_faults

SEEDS = 3
SHORTEST_S, TIMES_SLOWER = 1.0, 20  # of the processor: what takes longer never ends

NEVER_MET, WRONG, SAID, REFUSED = (
    "no thread comes by it",
    "wrong results",
    "an error of the emulator",
    "refused results",
)
_CODES = {0: None, 1: NEVER_MET, 2: WRONG, 3: SAID, 4: REFUSED}
_BEYOND = 99  # as ASAN_OPTIONS say


@dataclass
class Trial:
    """A case, and how long it may take."""

    case: Case
    wanted: list[np.ndarray]
    limit_s: float = 0.0

    def run(self) -> None:
        """Fails where the driver in place gives something else."""
        compare(self.case, self.wanted)


def try_faults(stem: str) -> Iterator[tuple[str, str | None]]:
    """Each fault of a source, and what was seen of it.

    Raises:
        AssertionError: something is seen without a fault, or something else than the kernel went wrong.
    """
    (source,) = (source for source in emulator.SOURCES if source.stem == stem)
    text = with_faults(source)
    library = emulator.build(source, text)
    drivers = [emulator.EmulatedDriver(seed, {source: text}) for seed in range(SEEDS)]
    trials = [Trial(case, wanted) for case, wanted in cases_of(stem)]
    emulator.choose_fault(library, -1)
    for one in drivers:
        driver._drivers[:] = [one]
        for trial in trials:
            began = time.process_time()
            trial.run()
            trial.limit_s = max(trial.limit_s, SHORTEST_S, TIMES_SLOWER * (time.process_time() - began))
    trials.sort(key=lambda trial: trial.limit_s)
    for number, mutant in enumerate(own_mutants(source)):
        emulator.choose_fault(library, number)
        yield mutant.name, _seen(source, library, drivers, trials)


def _seen(source: Path, library: Path, drivers: list[emulator.EmulatedDriver], trials: list[Trial]) -> str | None:
    """What a child finds wrong; it may be killed for it. The case that shows it is tried first from now on."""
    with mmap.mmap(-1, 8) as place, tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            os._exit(_try(library, drivers, trials, place))
        status = os.waitpid(child, 0)[1]
        found = _meaning(status, source, said)
        if found not in (None, NEVER_MET):
            at = int.from_bytes(place[:8], "little")
            trials.insert(0, trials.pop(at))
    return found


def _try(library: Path, drivers: list[emulator.EmulatedDriver], trials: list[Trial], place: mmap.mmap) -> int:
    try:
        for one in drivers:
            driver._drivers[:] = [one]
            for number, trial in enumerate(trials):
                place[:8] = number.to_bytes(8, "little")
                signal.setitimer(signal.ITIMER_VIRTUAL, trial.limit_s)
                trial.run()
    except AssertionError:
        return _code(WRONG)
    except RuntimeError:
        return _code(SAID)
    except (ValueError, IndexError, OverflowError, MemoryError):
        return _code(REFUSED)
    except BaseException as error:
        os.write(2, repr(error).encode())
        return -1
    return _code(None if emulator.fault_was_met(library) else NEVER_MET)


def _code(found: str | None) -> int:
    return next(code for code, meaning in _CODES.items() if meaning == found)


def _meaning(status: int, source: Path, said: IO[bytes]) -> str | None:
    """Of how a child ended. What the sanitizer reports has to be of a kernel, and not of what runs it."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGVTALRM:
        return "never ends"
    code = os.waitstatus_to_exitcode(status)
    if code in _CODES:
        return _CODES[code]
    said.seek(0)
    report = said.read().decode(errors="replace")
    kernels = "|".join(emulator.kernels_of(source))
    kernel = re.search(rf"^ *#\d+ .* in (?:.*\W)?({kernels})\b", report, re.MULTILINE)
    assert code == _BEYOND, f"ended with {code}:\n{report}"
    assert kernel, f"not in a kernel:\n{report}"
    return "an access beyond an array"


def main() -> None:
    for line in sys.stdin:
        found: list[Any] = list(try_faults(line.strip()))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
