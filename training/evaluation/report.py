"""What an evaluation gives: figures, what they belong to, as text and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...engines.info import engine_packages
from ...models.variant import Published
from ...pipeline.environment import environment
from ...pipeline.results.format import ModelInfo

FORMAT = "vidgraph.evaluation/1"
_NOT_A_PART = ("ID switches",)
"""Figures that are counts; all others are parts of 1."""
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class DistanceRow:
    """Precision of the frames that are so many frames away from the one their result comes from."""

    distance: int
    frames: int
    kind: str
    ap: float | None
    ap50: float | None


@dataclass(slots=True)
class Figures:
    """Figures by name, in [0, 1] but for counts; a name that there is nothing for is not there.

    Attributes:
        values: of everything.
        classes: class (or joint) -> name -> value.
        distances: by distance from the key frame, or from the frame whose result is held.
        notes: what a reader must know.
    """

    values: dict[str, float] = field(default_factory=dict)
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    distances: list[DistanceRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float | None) -> None:
        """Take in a figure, if there is one."""
        if value is not None:
            self.values[name] = value

    def add_class(self, class_name: str, name: str, value: float | None) -> None:
        """Take in a figure of one class, if there is one."""
        if value is not None:
            self.classes.setdefault(class_name, {})[name] = value


@dataclass(slots=True)
class Times:
    """Milliseconds of frames: of the model (preprocessing, network, postprocessing), by the clock and of the processor.

    The first frame, on which engines are opened, is left out. ``data_s`` and ``evaluation_s`` are seconds in all: of
    reading or drawing frames, and of the figures.
    """

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    data_s: float = 0.0
    evaluation_s: float = 0.0

    @property
    def mean_ms(self) -> float:
        """Of a frame, by the clock."""
        return statistics.fmean(self.wall_ms) if self.wall_ms else 0.0

    @property
    def mean_cpu_ms(self) -> float:
        """Of a frame, of all cores together."""
        return statistics.fmean(self.cpu_ms) if self.cpu_ms else 0.0

    @property
    def median_ms(self) -> float:
        """Of a frame, by the clock; of a video model this is a frame between key frames."""
        return statistics.median(self.wall_ms) if self.wall_ms else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an evaluation.

    Attributes:
        model: what ran.
        data: address of the data set.
        protocol: ``default`` or ``official``.
        settings: key frames and the like, as they were chosen.
        clips, frames: that were judged; a frame counts once for each pass.
        figures: see :class:`Figures`.
        times: of frames.
        published: to stand beside the figures.
    """

    model: ModelInfo
    data: str
    protocol: str
    settings: dict[str, Any]
    clips: int
    frames: int
    figures: Figures
    times: Times
    published: tuple[Published, ...] = ()

    def __getitem__(self, name: str) -> float:
        """A figure by its name, such as ``mask AP50``.

        Raises:
            KeyError: there is none; the message has those there are.
        """
        values = self.figures.values
        if name not in values:
            raise KeyError(f"no figure {name!r}; there are {', '.join(values) or 'none'}")
        return values[name]

    def table(self) -> str:
        """The report as text, for a terminal."""
        lines = [
            f"{self.model.name} on {self.data}: {self.frames} frames of {self.clips} clips, {self.protocol} protocol"
        ]
        lines += [f"  {note}" for note in self.figures.notes]
        lines += ["", *_values(self.figures.values, self.published)]
        if self.figures.classes:
            lines += ["", *_classes(self.figures.classes)]
        if self.figures.distances:
            lines += ["", *_distances(self.figures.distances)]
        times = self.times
        lines += [
            "",
            f"model {times.mean_ms:.1f} ms a frame (median {times.median_ms:.1f}; {times.mean_cpu_ms:.1f} of CPU); "
            f"{times.data_s:.1f} s for data, {times.evaluation_s:.1f} s for figures",
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The report with machine, versions and commit, as plain JSON values."""
        model = self.model
        return {
            "format": FORMAT,
            **environment(engine_packages()),
            "model": {
                "name": model.name,
                "trained_on": model.trained_on,
                "weights": model.weights,
                "weights_sha256": model.weights_sha256,
                "engine": model.engine,
                "precision": model.precision,
                "device": model.device,
                "input_size": None if model.input_size is None else [model.input_size[1], model.input_size[0]],
            },
            "data": {"address": self.data, "clips": self.clips, "frames": self.frames},
            "protocol": self.protocol,
            "settings": self.settings,
            "notes": list(self.figures.notes),
            "figures": _rounded(self.figures.values),
            "classes": {name: _rounded(values) for name, values in self.figures.classes.items()},
            "by_distance": [
                {"distance": row.distance, "frames": row.frames, **_rounded({f"{row.kind} AP": row.ap,
                 f"{row.kind} AP50": row.ap50})}
                for row in self.figures.distances
            ],
            "times": {
                "mean_ms": round(self.times.mean_ms, 3),
                "median_ms": round(self.times.median_ms, 3),
                "mean_cpu_ms": round(self.times.mean_cpu_ms, 3),
                "data_s": round(self.times.data_s, 2),
                "evaluation_s": round(self.times.evaluation_s, 2),
            },
            "published": [asdict(one) for one in self.published],
        }  # fmt: skip


def _rounded(values: dict[str, Any]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items() if value is not None}


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if name in _NOT_A_PART else f"{value:.{_DIGITS}f}"


def _values(values: dict[str, float], published: Sequence[Published]) -> list[str]:
    width = max((len(name) for name in values), default=0)
    lines = []
    for name, value in values.items():
        beside = [f"{one.value:.4f} published ({one.data})" for one in published if one.figure == name]
        lines.append(f"{name:<{width}}  {_text(name, value):>8}" + "".join(f"  {text}" for text in beside))
    lines += [
        f"{one.figure}: {one.value:.4f} published ({one.data}); no figure of ours"
        for one in published
        if one.figure not in values
    ]
    return lines


def _classes(classes: dict[str, dict[str, float]]) -> list[str]:
    columns = list(dict.fromkeys(name for values in classes.values() for name in values))
    width = max(len(name) for name in (*classes, "class"))
    lines = [f"{'class':<{width}}" + "".join(f"  {name:>10}" for name in columns)]
    for class_name, values in classes.items():
        cells = "".join(f"  {_text(name, values.get(name)):>{max(10, len(name))}}" for name in columns)
        lines.append(f"{class_name:<{width}}{cells}")
    return lines


def _distances(rows: Sequence[DistanceRow]) -> list[str]:
    kind = rows[0].kind
    lines = [f"{'frames since key frame':>22}  {'frames':>7}  {kind + ' AP':>9}  {kind + ' AP50':>9}"]
    lines += [f"{row.distance:>22}  {row.frames:>7}  {_text('', row.ap):>9}  {_text('', row.ap50):>9}" for row in rows]
    return lines
