"""Two engines on the same feeds: where do they differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.device import to_host
from ..pipeline.errors import EngineError
from .spec import Array, Engine, TensorSpec


@dataclass(frozen=True, slots=True)
class Difference:
    """One output of two engines.

    ``worst`` and ``mean`` are absolute differences over the elements that are finite in both;
    ``index``, ``reference_value`` and ``other_value`` belong to the worst element; ``relative`` is the
    worst difference over the largest finite magnitude of the reference. ``non_finite`` counts NaN and
    infinities of (reference, other); ``disagree`` counts the elements where these differ.
    """

    output: str
    shape: tuple[int, ...]
    worst: float
    index: tuple[int, ...]
    reference_value: float
    other_value: float
    relative: float
    mean: float
    non_finite: tuple[int, int]
    disagree: int


def compare(reference: Engine, other: Engine, feeds: Mapping[str, Array]) -> list[Difference]:
    """Run both engines once on ``feeds`` and compare output by output, in the reference's order.

    Raises:
        EngineError: the engines have different inputs or outputs, or one of them fails.
    """
    for what, ours, theirs in (
        ("inputs", reference.inputs, other.inputs),
        ("outputs", reference.outputs, other.outputs),
    ):
        if {(spec.name, spec.shape) for spec in ours} != {(spec.name, spec.shape) for spec in theirs}:
            raise EngineError(
                f"cannot compare {_title(reference)} with {_title(other)}: {what} are {_list(ours)} and {_list(theirs)}"
            )
    expected = {name: to_host(array).copy() for name, array in reference.run(feeds).items()}  # the lease may end
    got = other.run(feeds)
    return [difference(spec.name, expected[spec.name], to_host(got[spec.name])) for spec in reference.outputs]


def difference(output: str, reference: Array, other: Array) -> Difference:
    """Compare two arrays of one shape; both are taken as float64."""
    ours, theirs = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    both = np.isfinite(ours) & np.isfinite(theirs)
    gap = np.zeros(ours.shape)
    np.subtract(ours, theirs, out=gap, where=both)
    np.abs(gap, out=gap)
    flat = int(gap.argmax())
    index = tuple(int(i) for i in np.unravel_index(flat, gap.shape))
    largest = float(np.abs(ours[np.isfinite(ours)]).max(initial=0.0))
    worst, count = float(gap.flat[flat]), int(both.sum())
    agree = both | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return Difference(
        output=output,
        shape=ours.shape,
        worst=worst,
        index=index,
        reference_value=float(ours[index]),
        other_value=float(theirs[index]),
        relative=worst / largest if largest else (0.0 if worst == 0 else float("inf")),
        mean=float(gap.sum() / count) if count else 0.0,
        non_finite=(int((~np.isfinite(ours)).sum()), int((~np.isfinite(theirs)).sum())),
        disagree=int((~agree).sum()),
    )


def random_feeds(specs: Sequence[TensorSpec], *, seed: int = 0) -> dict[str, Array]:
    """Feeds that fit ``specs``: normal numbers for floats, 0..255 (or the dtype's range) for whole numbers."""
    random = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for spec in specs:
        if spec.dtype.kind == "f":
            feeds[spec.name] = random.standard_normal(spec.shape).astype(spec.dtype)
        elif spec.dtype.kind == "b":
            feeds[spec.name] = random.random(spec.shape) < 0.5
        else:
            feeds[spec.name] = random.integers(0, min(255, np.iinfo(spec.dtype).max) + 1, spec.shape).astype(spec.dtype)
    return feeds


def format_differences(reference: Engine, other: Engine, rows: Sequence[Difference]) -> str:
    """The rows as a text table, one output per line, under a line that names both engines."""
    header = ("output", "shape", "worst", "at", "reference", "other", "relative", "mean", "non-finite")
    cells = [header]
    for row in rows:
        non_finite = f"{row.non_finite[0]}/{row.non_finite[1]}" + (f" ({row.disagree} differ)" if row.disagree else "")
        cells.append((
            row.output, str(list(row.shape)), f"{row.worst:.3g}", str(list(row.index)), f"{row.reference_value:.6g}",
            f"{row.other_value:.6g}", f"{row.relative:.2g}", f"{row.mean:.2g}", non_finite,
        ))  # fmt: skip
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([f"reference: {_title(reference)}   other: {_title(other)}", *lines])


def _title(engine: Engine) -> str:
    return f"{engine.name} ({engine.engine}, {engine.precision}, {engine.device})"


def _list(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {list(spec.shape)}" for spec in specs)
