"""No fault in a CUDA kernel goes unnoticed: each barrier and guard taken out, each bound off by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .. import emulator
from .cuda_cases import CASES
from .mutants import TESTED_WITH, mutants, own_mutants
from .test_emulator import preloaded

SEEDS = 3

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
    """Each into a text of its own; and those of shared functions are tried with a source that has them."""
    found = [mutant for source in emulator.SOURCES for mutant in own_mutants(source)]
    assert len({mutant.text for mutant in found}) == len({mutant.name for mutant in found}) == len(found)
    assert {mutant.fault for mutant in found} == {"barrier", "guard", "bound"}
    everywhere = {mutant.place for source in emulator.SOURCES for mutant in mutants(source)}
    assert {mutant.place for mutant in found} == everywhere
    assert set(TESTED_WITH) <= {place.split()[0] for place in everywhere}
    assert set(HARMLESS) <= {mutant.name for mutant in found}


@pytest.mark.parametrize("stem", CASES)
def test_every_fault_is_caught(stem: str) -> None:
    environment = preloaded()
    if environment is None:
        pytest.skip("needs a compiler with the address sanitizer")
    environment["PYTHONPATH"] = os.pathsep.join([str(emulator.HERE.parents[1]), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tests.kernels.cuda_cases", stem, str(SEEDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = dict(json.loads(line) for line in done.stdout.splitlines())
    assert "does not compile" not in seen.values(), seen
    assert seen.pop("") is None
    missed = {name for name, what in seen.items() if what is None}
    assert missed == {name for name in HARMLESS if name.startswith(f"{stem}: ")}
