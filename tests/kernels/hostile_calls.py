"""Calls kernels with what no caller should hand to them, and prints, as JSON, what came of it.

    python hostile_calls.py table number current

``table`` is a Python file. Of its functions ``CASES`` that with ``number`` calls kernels as they are meant to be
called; these calls are changed in one or two arguments. ``kernels`` in it is the module that has the kernels. A script
of its own, as a call may end the process. Before each call the file ``current`` says which it is.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import os
import resource
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from hostile import misplaced, variants  # type: ignore[import-not-found]

Call = dict[str, Any]

MOST_CALLS = 4  # that the variants of each kernel's begin with
PAIRS = 100  # calls with two changes, for each of these
REFUSALS = (ValueError, MemoryError)
MOST_MEMORY = 8 << 30  # bytes of address space: what asks for more has a MemoryError, and the machine no trouble


def kernels_of(module: Any) -> dict[str, FunctionType]:
    """The functions that a module of kernels offers and that have a reference."""
    functions = {name: found for name in module.__all__ if isinstance(found := getattr(module, name), FunctionType)}
    folders = {name: Path(found.__code__.co_filename).parent for name, found in functions.items()}
    return {name: found for name, found in functions.items() if (folders[name] / "reference.py").exists()}


class Recorder:
    """Stands for a kernel, and keeps the arguments of its calls: of each kind the first."""

    def __init__(self, kernel: FunctionType) -> None:
        self.kernel = kernel
        self.kinds: dict[Any, Call] = {}

    @property
    def calls(self) -> list[Call]:
        """Some of them, as unlike as may be."""
        places = np.linspace(0, len(self.kinds) - 1, min(MOST_CALLS, len(self.kinds))).astype(int)
        return [list(self.kinds.values())[place] for place in places]

    def __call__(self, *values: Any, **named: Any) -> Any:
        bound = inspect.signature(self.kernel).bind(*values, **named)
        bound.apply_defaults()
        kind = tuple(value for value in bound.arguments.values() if isinstance(value, (str, type(None))))
        kept = copy.deepcopy(bound.arguments) if kind not in self.kinds else {}
        result = self.kernel(*values, **named)
        if "out" in kept and kept["out"] is None:
            results = result if isinstance(result, tuple) else (result,)
            written = tuple(map(np.zeros_like, results))
            kept["out"] = written if isinstance(result, tuple) else written[0]
        self.kinds.setdefault(kind, kept)
        return result


def record(table: Any, number: int) -> dict[str, Recorder]:
    """Those kernels that one part of a table calls."""
    recorders = {name: Recorder(kernel) for name, kernel in kernels_of(table.kernels).items()}
    for name, recorder in recorders.items():
        setattr(table.kernels, name, recorder)
    for _ in table.CASES[number]():
        pass
    return {name: recorder for name, recorder in recorders.items() if recorder.kinds}


def changed(call: Call, random: np.random.Generator) -> Iterator[tuple[str, Call]]:
    """The call with one change, then with two, then with two arguments that share their memory."""
    singles = [(name, word, value) for name in call for word, value in variants(call[name], random)]
    for name, word, value in singles:
        yield f"{name}: {word}", {**call, name: value}
    for first, second in random.integers(0, len(singles), (PAIRS, 2)):
        (name, word, value), (other, second_word, second_value) = singles[first], singles[second]
        yield f"{name}: {word}, {other}: {second_word}", {**call, name: value, other: second_value}
    given = [name for name, value in call.items() if isinstance(value, np.ndarray)]
    for name in given:
        for other in given:
            yield f"{name}: that of {other}", {**call, name: call[other]}
            yield f"{name}: a view of {other}", {**call, name: _view(call[other], call[name])}


def _view(memory: np.ndarray, like: np.ndarray) -> np.ndarray:
    """An array like another one within the memory of a third, where that is large enough."""
    whole = memory.ravel().view(np.uint8)
    if len(whole) < like.nbytes:
        return misplaced(like, 1)
    within: np.ndarray = np.frombuffer(whole, like.dtype, like.size).reshape(like.shape)
    return within


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _arrays(member)


def attack(name: str, kernel: Callable[..., Any], call: Call, say: Callable[[str], None]) -> Iterator[str]:
    """Complaints about what came of the variants of one call."""
    random = np.random.default_rng(13)
    positional = [p.name for p in inspect.signature(kernel).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    for word, values in changed(copy.deepcopy(call), random):
        say(f"{name}: {word}")
        small = [array for array in _arrays(values) if array.nbytes < 2**20]
        before = [array.copy() for array in small]
        named = {key: value for key, value in values.items() if key not in positional}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                kernel(*(values[key] for key in positional), **named)
        except REFUSALS as error:
            text = str(error)
            if "\n" in text or not (text.startswith(f"{name}: ") or isinstance(error, MemoryError)) or len(text) > 400:
                yield f"{name}: {word}: {type(error).__name__}: {text[:200]!r} is no message of one line that says who"
            same = [np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(small, before, strict=True)]
            if not all(same):
                yield f"{name}: {word}: refused, but an argument was changed"
        except Exception as error:
            yield f"{name}: {word}: {type(error).__name__}: {str(error)[:200]!r}"
        for array, old in zip(small, before, strict=True):
            if array.flags.writeable and not np.shares_memory(array, old):
                array[...] = old


def main(path: str, number: str, current: str) -> None:
    spec = importlib.util.spec_from_file_location("table", path)
    assert spec is not None
    assert spec.loader is not None
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # which takes the whole address space for itself
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    counts: Counter[str] = Counter()
    complaints: list[str] = []
    with Path(current).open("w", encoding="utf-8") as file:

        def say(text: str) -> None:
            counts[text.split(":")[0]] += 1
            file.seek(0)
            file.write(f"{text[:200]:200}\n")
            file.flush()

        for name, recorder in record(table, int(number)).items():
            for call in recorder.calls:
                complaints += attack(name, recorder.kernel, call, say)
    print(json.dumps({"counts": counts, "complaints": complaints}))


if __name__ == "__main__":
    main(*sys.argv[1:])
