"""Faults put into CUDA kernels one at a time: barriers and guards taken out, bounds off by one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)
_BARRIER = re.compile(r"__sync(?:threads|warp)\([^()]*\);")
_GUARD = re.compile(r"if \((?=[^{};]*(?:<|>))[^{};]*?\) (?:return|continue|break);")
_BOUND = re.compile(r"\b\w+ < (?:count|here|taken|rows|columns|classes|room)\b")


TESTED_WITH = {
    "count_before": "best_classes",
    "is_among": "fast_nms",
    "sum_before": "label_runs",
    "least_of_best": "fast_nms",
    "choose_best": "top_scores",
    "place_among": "fast_nms",
    "drop_overlapped": "fast_nms",
}
"""Function of a header of CUDA kernels -> the source whose cases its faults are tried with."""


@dataclass(frozen=True)
class Mutant:
    """One source with one fault.

    Attributes:
        stem: of the source.
        fault: ``barrier``, ``guard`` or ``bound``.
        place: the kernel or function, and which of its faults of that kind, from 0.
        line: what is there without the fault.
        at: where it begins in the flattened text.
    """

    stem: str
    fault: str
    place: str
    line: str
    at: int

    @property
    def name(self) -> str:
        """Says which it is, whatever else of the source changes."""
        return f"{self.stem}: {self.fault} {self.place}: {self.line}"


def flattened(source: Path) -> str:
    """The text of a source; headers that only CUDA kernels include stand in place of their includes."""
    seen: set[Path] = set()

    def written(path: Path) -> str:
        def inlined(found: re.Match[str]) -> str:
            header = (path.parent / found[1]).resolve()
            if not header.name.startswith("cuda"):
                return f'#include "../{header.parent.name}/{header.name}"'
            if header in seen:
                return ""
            seen.add(header)
            return written(header).replace("#pragma once", "")

        return _INCLUDE.sub(inlined, path.read_text())

    return written(source)


def mutants(source: Path) -> Iterator[Mutant]:
    """All faults that can be put into a source, headers of CUDA kernels included."""
    text = flattened(source)
    counts: Counter[tuple[str, str]] = Counter()
    for fault, pattern in (("barrier", _BARRIER), ("guard", _GUARD), ("bound", _BOUND)):
        for found in pattern.finditer(text):
            function = _function(text, found.start())
            number = counts[fault, function]
            counts[fault, function] += 1
            yield Mutant(source.stem, fault, f"{function} {number}", found[0], found.start())


def own_mutants(source: Path) -> list[Mutant]:
    """Those of its own functions, and of shared ones that are tested with this source; see :data:`TESTED_WITH`."""
    return [each for each in mutants(source) if TESTED_WITH.get(each.place.split()[0], source.stem) == source.stem]


def with_faults(source: Path) -> str:
    """The flattened text of a source with all its faults: the emulator chooses one, by its place in ``own_mutants``."""
    text, put_in = flattened(source), []
    for number, mutant in enumerate(own_mutants(source)):
        chosen, end = f"emulator::fault({number})", mutant.at + len(mutant.line)
        if mutant.fault == "bound":
            put_in.append((mutant.at + mutant.line.index("< ") + 2, f"{chosen} + "))
        else:
            put_in += [(mutant.at, f"{{ if (!{chosen}) "), (end, " }")]
    for at, piece in sorted(put_in, reverse=True):
        text = text[:at] + piece + text[at:]
    return text


_FUNCTION = re.compile(r"^(?:CUDA_KERNEL\([\w, ]+\)\s*|__device__ inline [\w:<>* ]+?)(\w+)\(", re.MULTILINE)


def _function(text: str, place: int) -> str:
    """The function that a place lies in."""
    return [found[1] for found in _FUNCTION.finditer(text, 0, place)][-1]
