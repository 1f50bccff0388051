"""What is known of a network, whether it runs, whether each engine takes it, what it costs and how fast it is."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...engines.compare import random_feeds
from ...engines.network_file import kind_of, shape_text
from ...engines.open import (
    ENGINES,
    EngineRow,
    check_file,
    choose_device,
    choose_engine,
    open_engine,
    place_of_arrays,
)
from ...kernels.device import Tensor, to_device, to_host
from ...pipeline.errors import CheckpointError, EngineError, MissingExtraError, VidgraphError
from ...pipeline.execution.threads import available_cores
from ...pipeline.types.picture import Size
from ..model import EngineChoice, Model
from ..options import read_labels, validate_options
from ..resolve import written_by_vidgraph
from ..weights.onnx_export import read_exported
from .cost import flop_of
from .defaults import numbers_text
from .detect_head import unread
from .family import CustomWeights
from .inspect import CustomNetwork, InspectedFile, inspect_file, parse_outputs
from .open import placement
from .own_size import own_placement

RUNS, MOST_S = 15, 1.5
"""A speed is the median of so many runs, or of as many (three at least) as go into this time."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One way of running the network: ``median_ms`` of a run on ``threads`` cores, or the one-line ``refusal``."""

    engine: str
    precision: str
    threads: int
    median_ms: float | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        given: the network; an ``CustomNetwork`` where its outputs are parsed.
        problem: why they are not, or why the network does not run.
        ran: how it ran on a picture, from its pixels to its results; None where it did not.
        flop: floating-point operations of one run, None where a shape is not known.
        speeds: of each engine, or its refusal.
    """

    given: InspectedFile
    problem: VidgraphError | None
    ran: str | None
    flop: int | None
    speeds: tuple[Speed, ...]

    @property
    def works(self) -> bool:
        """Whether the outputs were parsed, and the network ran."""
        return self.ran is not None

    def text(self) -> str:
        """All of it, a line each."""
        rows = [*_network_rows(self.given, self.flop), *_head_rows(self.given)]
        rows.append(("run", self.ran) if self.ran else ("problem", " ".join(str(self.problem).split())))
        lines = [f"{name:<12} {value}" for name, value in rows]
        lines += ["", f"{'engine':<12} {'precision':<10} {'threads':>7} {'ms a run':>9}"]
        for each in self.speeds:
            measured = each.refusal if each.median_ms is None else f"{each.median_ms:9.2f}"
            lines.append(f"{each.engine:<12} {each.precision:<10} {each.threads:>7} {measured}")
        return "\n".join(lines)


def check(
    path: str | os.PathLike[str],
    *,
    size: int | Size | None = None,
    head: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    engine: str | None = None,
    runs: int = RUNS,
) -> Checked:
    """Inspect a custom model and try it in the engines.

    Args:
        path: the file.
        size, head, labels: as for :func:`..load.load_model`.
        engine: the only one to try; None: all for the device of this machine.
        runs: of which the median is taken.

    Raises:
        CheckpointError: the file is damaged, written by ``vidgraph export``, or takes or gives what cannot be run.
        UsageError: an unknown engine, or a size that does not fit.
        EngineError: no engine can read it.
    """
    path = Path(path).expanduser()
    if written_by_vidgraph(path):
        read_exported(path)
        raise CheckpointError(f"{path} was written by vidgraph export; vidgraph bench --model {path} measures it")
    kind = kind_of(path)
    check_file(path, engine or "auto")
    device = choose_device("auto", network=kind)
    here = [row for row in ENGINES.values() if row.opens(kind) and row.runs_on(device)]
    rows = here if engine in (None, "auto") else [choose_engine(engine or "")]
    given = inspect_file(
        path, size=size, engine=engine or "auto", labels=None if labels is None else read_labels(labels)
    )
    problem: VidgraphError | None = None
    ran = None
    try:
        custom = given = parse_outputs(given, head)
        ran = _run(custom, engine or "auto")
    except VidgraphError as error:
        problem = error
    speeds = tuple(speed for row in rows for speed in _speeds(row, given.file, runs))
    return Checked(given, problem, ran, _flop(given.file, engine or "auto"), speeds)


def _run(custom: CustomNetwork, engine: str) -> str:
    """Run it as ``vidgraph run`` does, on one picture of noise; with memory on two.

    Raises:
        VidgraphError: it cannot be run, or what it gives cannot be read.
    """
    weights = CustomWeights.of(custom.path.stem, custom, engine)
    choices = validate_options(weights.row.name, custom.class_names, {})
    size = placement(custom.about, custom.size)
    chosen = EngineChoice(engine, choose_device("auto", engine, kind_of(custom.path)), threads=available_cores())
    noise = np.random.default_rng(0).integers(0, 256, (*custom.size, 3)).astype(np.uint8)
    with Model(weights.row, weights, size, chosen, choices, head=custom.head.kind) as model:
        camera = model.stream()
        try:
            camera(noise)
            if custom.memory is not None:
                camera(noise)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise EngineError(
                f"{custom.path.name}: what it gives cannot be read as {custom.head.kind}: "
                f"{type(error).__name__}: {error}"
            ) from error
        info = model.describe()
    went = "a picture of noise" if custom.memory is None else "two pictures of noise, one after the other,"
    return f"{info.engine} {info.precision}: {went} went through"


def _flop(file: Path, engine: str) -> int | None:
    try:
        return flop_of(file, engine=engine)
    except EngineError:  # the engines say themselves why
        return None


def _speeds(row: EngineRow, file: Path, runs: int) -> list[Speed]:
    """One engine: what it chooses itself and fp32, on one thread and on all."""
    try:
        row.load()
    except MissingExtraError as error:
        return [Speed(row.name, "", 0, refusal=str(error))]
    found: dict[tuple[str, int], Speed] = {}
    for asked in ("auto", "fp32"):
        for threads in sorted({1, available_cores()}):
            speed = _speed(row.name, file, asked, threads, runs)
            if speed.median_ms is not None or asked == "auto":
                found.setdefault((speed.precision, speed.threads), speed)
            if speed.median_ms is None:
                break
    return list(found.values())


def _speed(engine: str, file: Path, precision: str, threads: int, runs: int) -> Speed:
    try:
        opened = open_engine(file, engine=engine, precision=precision, threads=threads)
        try:
            place = place_of_arrays(engine, opened.device)
            feeds = {name: to_device(array, place) for name, array in random_feeds(opened.inputs).items()}
            _wait(opened.run(feeds))
            times: list[float] = []
            while len(times) < runs and (len(times) < 3 or sum(times) < 1e3 * MOST_S):
                started = time.perf_counter()
                _wait(opened.run(feeds))
                times.append(1e3 * (time.perf_counter() - started))
            return Speed(engine, opened.precision, threads, statistics.median(times))
        finally:
            opened.close()
    except VidgraphError as error:
        return Speed(engine, precision, threads, refusal=" ".join(str(error).split()))


def _wait(outputs: Mapping[str, Tensor]) -> None:
    """Until a run on a card is done."""
    for array in outputs.values():
        to_host(array)
        break


def _network_rows(given: InspectedFile, flop: int | None) -> list[tuple[str, str]]:
    info, image = given.info, given.image
    cost = "GFLOP not known" if flop is None else f"{flop / 1e9:.3g} GFLOP a run"
    written = f", written by {info.producer}" if info.producer else ""
    rows = [
        ("network", f"{given.path}: {info.version}{written}"),
        ("cost", f"{info.parameters / 1e6:.3g} million parameters, {cost} (convolutions and matrix products)"),
        ("input", f"{image.name} {image.dtype} {list(image.shape(given.size))} {image.layout}"),
    ]
    declared = next(each for each in info.inputs if each.name == image.name)
    if not declared.fixed:
        source = given.about.sources.get("input.size", "")
        size = f"{given.size[1]}x{given.size[0]}"
        if own_placement(given.about) is not None:
            size = f"{size} for this check, else at each frame's own size"
        rows.append(
            ("", f"{shape_text(declared.shape)} in the file, fixed at {size}{f' ({source})' if source else ''}")
        )
    rows += [("", f"{each.name}: constant") for each in image.others]
    rows += [("", text) for text in image.memory.texts()]
    return rows


def _head_rows(given: InspectedFile) -> list[tuple[str, str]]:
    left = unread(given.head, given.shown, given.about) if isinstance(given, CustomNetwork) else []
    rows = [
        (
            "output" if not index else "",
            f"{spec.name} {spec.dtype} {list(spec.shape)}{', left out' if spec in left else ''}",
        )
        for index, spec in enumerate(given.outputs)
    ]
    if not isinstance(given, CustomNetwork):
        return rows
    about = given.about
    names = given.class_names
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    source = about.sources.get("classes", f"numbered: {about.names_problem or 'nothing names them'}")
    rows.append(("head", f"{given.head.kind}: {given.head.task} ({about.sources.get('head', 'from the outputs')})"))
    if names:
        rows.append(("classes", f"{len(names)}: {shown} ({source})"))
    made = about.input
    values: list[tuple[str, str | None]] = [
        ("fit", made.fit), ("color", made.color), ("mean", numbers_text(made.mean)), ("std", numbers_text(made.std)),
    ]  # fmt: skip
    if made.multiple is not None:
        values.append(("multiple", str(made.multiple)))
    for name, value in values:
        rows.append((name, f"{value} ({about.sources.get(f'input.{name}', '')})"))
    skip = {"classes", "names_problem", "head", "outputs", "state"}
    for name, origin in about.sources.items():
        if "." not in name and name not in skip:
            rows.append((name, f"{getattr(about, name)} ({origin})"))
    return [*rows, *(("note", note) for note in about.notes)]
