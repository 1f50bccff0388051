"""No fault in a CUDA kernel goes unnoticed: each barrier and guard taken out, each bound off by one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .. import emulator
from .cuda_cases import CASES
from .cuda_faults import NEVER_MET
from .mutants import TESTED_WITH, mutants, own_mutants, with_faults
from .test_emulator import preloaded

_TURN = "one turn more of a loop, in which nothing is within bounds"
_END = "where the last ones end, which is written there anyway"
HARMLESS = {
    "assemble_masks: bound mask_offsets 0: first < count": _TURN,
    "assemble_masks: bound mask_offsets 2: i < count": _END,
    "draw: bound is_near 0: first < count": _TURN,
    "to_rgb: guard chroma_of 0: if (i >= needed) break;": "saves sums that nothing reads",
    "best_classes: bound best_classes_found 0: first < count": _TURN,
    "class_nms: bound class_nms_sort 1: first < count": _TURN,
    "class_nms: bound class_nms_suppress 0: first < count": _TURN,
    "confident_rows: bound confident_rows_best 0: first < count": _TURN,
    "confident_rows: bound softmax_of 2: first < classes": f"{_TURN}; it adds what no sum of at least 1 shows",
    "fast_nms: guard least_of_best 0: if (shared->settled) break;": "saves turns that change nothing",
    "fast_nms: bound least_of_best 0: limit < count": "at equality, both are the same number",
    "fast_nms: bound drop_overlapped 1: first < count": _TURN,
    "label_runs: bound label_run_offsets 0: first < count": _TURN,
    "label_runs: bound label_run_offsets 2: i < count": _END,
    "nms: bound nms_sort 1: first < count": _TURN,
    "nms: bound nms_suppress 0: first < count": _TURN,
}
"""Faults that change no result and read nothing beyond an array -> why."""


def test_faults_are_put_in() -> None:
    """All, each once; and those of shared functions into a source that has cases for them."""
    found = [mutant for source in emulator.SOURCES for mutant in own_mutants(source)]
    assert len({mutant.name for mutant in found}) == len(found)
    assert {mutant.fault for mutant in found} == {"barrier", "guard", "bound"}
    everywhere = {mutant.place for source in emulator.SOURCES for mutant in mutants(source)}
    assert {mutant.place for mutant in found} == everywhere
    assert set(TESTED_WITH) <= {place.split()[0] for place in everywhere}
    assert set(HARMLESS) <= {mutant.name for mutant in found}
    for source in emulator.SOURCES:
        chosen = re.findall(r"emulator::fault\((\d+)\)", with_faults(source))
        assert sorted(map(int, chosen)) == list(range(len(own_mutants(source))))


class Faults:
    """The process that tries them, and what it writes."""

    def __init__(self, environment: dict[str, str], errors: Path) -> None:
        path = os.pathsep.join([str(emulator.HERE.parents[1]), environment.get("PYTHONPATH", "")])
        command, self.errors = [sys.executable, "-m", f"{__package__}.cuda_faults"], errors
        with errors.open("wb") as file:
            self._process = subprocess.Popen(
                command, env={**environment, "PYTHONPATH": path}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
            )  # fmt: skip

    def seen(self, stem: str) -> dict[str, str | None] | None:
        """What was seen of each fault of a source; None where the process has ended."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(stem, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        return dict(json.loads(line)) if line else None

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    environment = preloaded()
    if environment is None:
        pytest.skip("needs a compiler with the address sanitizer")
    process = Faults(environment, tmp_path_factory.mktemp("faults") / "errors")
    yield process
    process.close()


@pytest.mark.parametrize("stem", CASES)
def test_every_fault_is_caught(faults: Faults, stem: str) -> None:
    seen = faults.seen(stem)
    assert seen is not None, faults.errors.read_text()
    missed = {name for name, what in seen.items() if what is None}
    assert missed == {name for name in HARMLESS if name.startswith(f"{stem}: ")}
    assert NEVER_MET not in seen.values(), seen
