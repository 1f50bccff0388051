"""Networks with memory: which inputs are given outputs of the frame before, or its picture, and what shapes they have.

Source of the names ``rNi``, ``rNo`` and ``downsample_ratio``: the exports of RobustVideoMatting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engines.network_file import NetworkInfo, Shape, TensorInfo, shape_text
from ...pipeline.errors import CheckpointError, EngineError, UsageError
from ...stages.inference.recurrent import Memory, State
from .description import Description, StateDescription
from .toml_file import toml_path

STATE_DTYPES = ("float32", "float16", "float64", "int64", "int32", "uint8", "int8", "bool")
MAX_STATE_BYTES = 2**30
RATIO, USUAL_RATIO = "downsample_ratio", 0.25
_STATE_INPUT = re.compile(r"r(\d+)i")

Lengths = tuple[int | None, ...]
PortsWith = Callable[[Mapping[str, Lengths]], Mapping[str, Lengths | None]]
"""The shapes of a network's outputs, as an engine infers them, for shapes of its state inputs."""


@dataclass(frozen=True, slots=True)
class StatePair:
    """An input, and the output of the frame before that it is given."""

    input: TensorInfo
    output: TensorInfo
    first: str | Path


@dataclass(frozen=True, slots=True)
class MemoryInputs:
    """The inputs of a file that its picture does not fill, but the frame before.

    Attributes:
        pairs: those that are state.
        previous: that which takes the picture of the frame before.
        ratio: the input :data:`RATIO`.
        share: its value.
        results: names of outputs that are results besides being state.
    """

    pairs: tuple[StatePair, ...] = ()
    previous: TensorInfo | None = None
    ratio: TensorInfo | None = None
    share: float = USUAL_RATIO
    results: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Of all these inputs."""
        others = (each.name for each in (self.previous, self.ratio) if each is not None)
        return frozenset({*(pair.input.name for pair in self.pairs), *others})

    @property
    def hidden(self) -> frozenset[str]:
        """Names of the outputs that are state and nothing else: no head is shown them."""
        return frozenset(pair.output.name for pair in self.pairs) - self.results

    def texts(self) -> list[str]:
        """What each of them is given, for people."""
        texts = []
        for pair in self.pairs:
            first = pair.first.name if isinstance(pair.first, Path) else pair.first
            texts.append(f"{pair.input.name}: {pair.output.name} of the frame before, at first {first}")
        if self.previous is not None:
            texts.append(f"{self.previous.name}: the frame before")
        if self.ratio is not None:
            texts.append(f"{self.ratio.name}: {self.share:g}")
        return texts

    def constants(self, path: Path) -> dict[str, NDArray[Any]]:
        """What the input :data:`RATIO` is given, where there is one.

        Raises:
            CheckpointError: it takes something else than one number.
        """
        given = self.ratio
        if given is None:
            return {}
        lengths = given.shape or ()
        if not given.dtype.startswith("float") or any(length != 1 for length in lengths if isinstance(length, int)):
            raise CheckpointError(f"{path}: input {given} must take one number; export the network without it")
        return {given.name: np.full((1,) * len(lengths), self.share, given.dtype)}


def find_memory(path: Path, info: NetworkInfo, about: Description) -> MemoryInputs:
    """Pairs that the TOML names, and pairs ``rNi`` -> ``rNo`` of equal type and shape; the frame before; the ratio.

    Raises:
        UsageError: the TOML names an input or output that there is not, or that does not fit.
        CheckpointError: ``rNi`` and ``rNo`` are of different shapes.
    """
    inputs, outputs = ({each.name: each for each in tensors} for tensors in (info.inputs, info.outputs))
    toml = toml_path(path).name
    named = dict(about.state or {})
    for name, given in named.items():
        _must_have(f"{toml}: state", name, inputs, "input")
        _must_have(f"{toml}: state.{name}", given.output, outputs, "output")
    for name in inputs:
        match = _STATE_INPUT.fullmatch(name)
        if match and name not in named and f"r{match[1]}o" in outputs:
            named[name] = StateDescription(f"r{match[1]}o")
    pairs = tuple(StatePair(inputs[name], outputs[given.output], given.first) for name, given in named.items())
    for pair in pairs:
        if pair.input.dtype not in STATE_DTYPES:
            raise CheckpointError(f"{path}: state {pair.input} must be of one of {', '.join(STATE_DTYPES)}")
        if not _may_be_equal(pair.input, pair.output):
            error = UsageError if pair.input.name in (about.state or {}) else CheckpointError
            raise error(
                f"{path}: input {pair.input} is given output {pair.output} of the frame before, and must have its type "
                "and shape; export the network with equal ones, or with open (dynamic) axes"
            )
    previous = about.input.previous
    if previous is not None:
        _must_have(f"{toml}: input.previous", previous, inputs, "input")
    return MemoryInputs(
        pairs,
        None if previous is None else inputs[previous],
        inputs.get(RATIO),
        about.input.downsample_ratio or USUAL_RATIO,
        frozenset(about.outputs.values()),
    )


def _must_have(where: str, name: str, tensors: Mapping[str, TensorInfo], what: str) -> None:
    if name not in tensors:
        there = ", ".join(map(str, tensors.values()))
        raise UsageError(f"{where} names the {what} {name!r}, which the network has not; it has {there}")


def check_previous(path: Path, memory: MemoryInputs, picture: TensorInfo) -> None:
    """Refuse an input for the frame before that is not as the picture's.

    Raises:
        CheckpointError: it has another type or shape.
    """
    previous = memory.previous
    if previous is not None and not _may_be_equal(previous, picture):
        raise CheckpointError(
            f"{path}: input {previous} takes the frame before, and must have the type and shape of {picture}; "
            f"correct previous under [input] in {toml_path(path).name}"
        )


def what_settles(
    path: Path, unknown: Iterable[TensorInfo], info: NetworkInfo, picture: TensorInfo | None, *, named: bool
) -> str:
    """What to do about inputs of which nothing is known: what to write where one may be state or the frame before.

    Args:
        picture: the input that takes the picture, or may; ``named``: the TOML says so.
    """
    toml, said = toml_path(path).name, []
    for each in unknown:
        if picture is not None and len(each.shape or ()) == 4 and _may_be_equal(each, picture):
            either, before = (each.name,) * 2 if named else (f"{picture.name} or {each.name}", picture.name)
            said.append(f'if {either} takes the frame before, say so under [input] in {toml}: previous = "{before}"')
        fitting = [output.name for output in info.outputs if _may_be_equal(each, output)]
        if fitting:
            said.append(f"if {each.name} is state, say under [state] in {toml} which output it is given: "
                        f'"{each.name}" = "{fitting[0]}"')  # fmt: skip
    return "; ".join(said) or "export it without"


def _may_be_equal(one: TensorInfo, other: TensorInfo) -> bool:
    """Whether two tensors have one type, and shapes that are equal where both say something."""
    if one.dtype != other.dtype:
        return False
    if one.shape is None or other.shape is None:
        return True
    return len(one.shape) == len(other.shape) and all(
        a == b for a, b in zip(one.shape, other.shape, strict=True) if isinstance(a, int) and isinstance(b, int)
    )


def fixed_shapes(path: Path, memory: MemoryInputs, ports_with: PortsWith, batch: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the state inputs: those of the outputs that they are given.

    Open axes are left to the engine, and where it refuses that, or cannot tell the outputs' shapes, they are 1, as the
    first values of networks are that spread these over their own shape.

    Args:
        path: of the file, for messages.
        memory: its inputs.
        ports_with: infers the shapes of its outputs.
        batch: pictures in one run.

    Raises:
        UsageError: state is fixed at one picture, and ``batch`` is more.
        CheckpointError: no shapes can be found for which each output has the shape of its input.
        EngineError: no engine can read the network.
    """
    pairs = memory.pairs
    declared = {pair.input.name: _numbers(pair.input.shape) for pair in pairs}
    for pair in pairs if batch > 1 else ():
        if pair.input.fixed:
            raise UsageError(f"{path}: its state {pair.input} is that of one picture; leave out batch")
    guesses = [declared]
    if any(shape is None or None in shape for shape in declared.values()):
        guesses.append({name: None if shape is None else tuple(length or 1 for length in shape)
                        for name, shape in declared.items()})  # fmt: skip
    refused: EngineError | None = None
    for guess in guesses:
        try:
            found = _settled(pairs, ports_with, guess)
        except EngineError as error:
            refused = refused or error
            continue
        if found is not None:
            return found
    if refused is not None:
        raise refused
    shown = ", ".join(f"{pair.input} -> {pair.output}" for pair in pairs)
    raise CheckpointError(
        f"{path}: no shapes can be found for its state: {shown}; export the network with the shapes of both fixed"
    )


def _settled(
    pairs: Collection[StatePair], ports_with: PortsWith, guess: Mapping[str, Lengths | None]
) -> dict[str, tuple[int, ...]] | None:
    """The shapes that the outputs have for a guess, where they have these too when the inputs do; else None."""
    known = {name: shape for name, shape in guess.items() if shape is not None}
    for _ in range(2):
        ports = ports_with(known)
        found: dict[str, tuple[int, ...]] = {}
        for pair in pairs:
            shape = ports.get(pair.output.name)
            if shape is None or any(length is None for length in shape):
                return None
            found[pair.input.name] = tuple(length or 0 for length in shape)
        if found == known:
            return found
        known = dict(found)
    return None


def _numbers(shape: Shape | None) -> Lengths | None:
    return None if shape is None else tuple(length if isinstance(length, int) else None for length in shape)


def memory_of(path: Path, given: MemoryInputs, fixed: NetworkInfo) -> Memory | None:
    """What the stage that runs the network remembers; None where it has no memory.

    Args:
        path: of the file, for messages.
        given: its inputs.
        fixed: what the file with fixed axes, for one picture, says of itself.

    Raises:
        CheckpointError: state is too large.
        UsageError: a file of first values does not fit.
    """
    if not given.pairs and given.previous is None:
        return None
    inputs = {each.name: each for each in fixed.inputs}
    states = tuple(State(pair.input.name, pair.output.name, _first(path, pair, inputs[pair.input.name]))
                   for pair in given.pairs)  # fmt: skip
    previous = None if given.previous is None else given.previous.name
    return Memory(states, previous, given.hidden)


def _first(path: Path, pair: StatePair, fixed: TensorInfo) -> NDArray[Any]:
    """The first value of an input of fixed shape, to be spread over it.

    Raises:
        CheckpointError: it is larger than :data:`MAX_STATE_BYTES`.
        UsageError: its file cannot be read, or holds something that does not fit.
    """
    shape = tuple(length for length in fixed.shape or () if isinstance(length, int))
    if math.prod(shape) * np.dtype(fixed.dtype).itemsize > MAX_STATE_BYTES:
        raise CheckpointError(f"{path}: state {fixed} is larger than {MAX_STATE_BYTES >> 20} MiB, the limit")
    if not isinstance(pair.first, Path):
        return np.array(0 if pair.first == "zeros" else 1, fixed.dtype)
    wanted = f"first values of {fixed.name!r} must be {fixed.dtype} {shape_text(fixed.shape)}"
    try:
        values = np.load(pair.first, mmap_mode="r", allow_pickle=False)
        if values.dtype != fixed.dtype:
            raise ValueError(f"they are {values.dtype} {list(values.shape)}")
        np.broadcast_to(values, shape)
        return np.array(values)
    except Exception as error:  # NumPy documents no types here; a damaged head raises nearly anything
        raise UsageError(f"{wanted}; cannot take {pair.first}: {str(error).partition(chr(10))[0]}") from error
