"""YolactEdge from a video to JSON lines with RLE, beside the same in plain torch (:mod:`.eager_yolact`).

    python -m vidgraph.benchmarks.bench_yolact --weights yolact_edge_vid_resnet50.pth -o yolact.json clip.mp4 other.mp4

One process, passes in turn: torch, vidgraph in the default precision, vidgraph in fp32. Before anything is timed,
both sides must find the same instances in the same pictures. Needs torch, pycocotools, and OpenCV or PyAV.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.load import load_model
from ..models.model import Model
from ..models.run import run
from ..pipeline.execution.threads import ThreadBudget
from ..pipeline.types.detections import Detections
from .harness import optional, save

if TYPE_CHECKING:
    from .eager_yolact import EagerYolact, Instances

MODEL = "yolact-edge-vid-resnet50"
COUNTS = (20, 100)
"""Detections a frame; so many there must be in every frame."""
PRECISIONS = ("auto", "fp32")
OFFICIAL_MS = {"key": 548.0, "non_key": 454.0, "postprocess": 456.0}
"""The official code, eager, on two cores with AMX: the network's two kinds of frames, and (where there are so many
detections in such a frame) from its outputs to 100 masks of 1920x1080."""
OFFICIAL_FRAME, OFFICIAL_COUNT = (1080, 1920), 100
CHECKED = 3
"""Pictures of each clip that are compared: a key frame and two that are warped from it."""
BOX_PX, MASK_IOU, MASK_PX = 1.0, 0.99, 50
"""Boxes are whole pixels, so that the smallest difference may be 1; masks under 50 pixels are not compared."""

Side = Callable[[Path, Path], tuple[int, dict[str, float]]]
"""Runs a clip into a file of JSON lines: how many frames, and milliseconds by part."""


@dataclass(slots=True)
class Passes:
    """Passes of one side over one clip: frames per second, and milliseconds a frame by part."""

    fps: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)

    def add(self, side: Side, clip: Path, output: Path, count: int) -> None:
        """One pass; every frame must have ``count`` detections."""
        started = time.perf_counter()
        frames, parts = side(clip, output)
        self.fps.append(frames / (time.perf_counter() - started))
        self.parts.append(parts)
        check_counts(output, frames, count)

    def row(self) -> dict[str, Any]:
        """Medians, JSON-able."""
        parts = {name: round(statistics.median(one[name] for one in self.parts), 2) for name in self.parts[0]}
        passes = [round(each, 3) for each in self.fps]
        return {"fps": round(statistics.median(self.fps), 3), "fps_passes": passes, "parts_ms": parts}


def check_counts(output: Path, frames: int, count: int) -> None:
    """Raise AssertionError unless the file has ``frames`` frames of ``count`` detections, each with its RLE."""
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    found = [each["objects"] for each in lines if "objects" in each]
    assert len(found) == frames, f"{output.name} has {len(found)} frames, expected {frames}"
    for number, objects in enumerate(found):
        assert len(objects) == count, f"frame {number} has {len(objects)} detections, expected {count}"
        assert all(each["mask"]["counts"] for each in objects), f"frame {number} has detections without RLE"


def check_same(ours: Detections, theirs: Instances) -> float:
    """Raise AssertionError unless both are the same instances, in any order; returns the worst IoU of two masks."""
    masks, boxes, classes = theirs.masks.numpy() > 0, theirs.boxes.numpy(), theirs.classes.numpy()
    assert len(ours) == len(boxes), f"{len(ours)} detections beside {len(boxes)}"
    assert ours.masks is not None
    free, worst = np.ones(len(boxes), np.bool_), 1.0
    for row in range(len(ours)):
        off = np.abs(boxes - ours.boxes[row]).max(axis=1)
        off[~free | (classes != ours.class_ids[row])] = np.inf
        other = int((off + np.abs(theirs.scores.numpy() - ours.scores[row])).argmin())
        where = f"detection {row} (class {ours.class_ids[row]}, score {ours.scores[row]:.4f})"
        assert off[other] <= BOX_PX, f"{where} has no counterpart within {BOX_PX} pixel"
        free[other] = False
        iou = overlap(ours.masks.full(row), masks[other])
        assert iou > MASK_IOU, f"{where}: IoU of the masks is {iou:.4f}"
        worst = min(worst, iou)
    return worst


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """IoU of two masks; 1 where they are too small to be compared."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union >= MASK_PX else 1.0


def check_agreement(
    clip: Path, model: Model, eager: EagerYolact, count: int, pictures: int = CHECKED
) -> dict[str, Any]:
    """Both sides on the same pictures, which OpenCV decoded; ``model`` in fp32.

    Returns:
        ``frame``: height and width of the pictures; ``worst_mask_iou``: of any two masks.

    Raises:
        AssertionError: they do not find the same ``count`` instances.
    """
    import torch

    from . import eager_yolact

    stream, ious = model.stream(), []
    with torch.no_grad():
        for number, picture in enumerate(eager_yolact.frames_of(clip, pictures)):
            theirs = eager_yolact.frame_of(eager, picture, eager_yolact.Times(), key=number == 0)
            assert theirs is not None, "nothing was detected"
            assert len(theirs.boxes) == count, f"{len(theirs.boxes)} detections, expected {count}"
            ious.append(check_same(stream(np.ascontiguousarray(picture[:, :, ::-1])).detections, theirs))
    return {"frame": [*picture.shape[:2]], "worst_mask_iou": round(min(ious), 4)}


def eager_side(eager: EagerYolact, frames: int) -> Side:
    """Plain torch."""
    from .eager_yolact import run_eager

    def side(clip: Path, output: Path) -> tuple[int, dict[str, float]]:
        number, times = run_eager(clip, eager, output, frames=frames)
        return number, times.medians()

    return side


def our_side(model: Model, frames: int, threads: int | None) -> Side:
    """:func:`vidgraph.run` with a loaded model, as a user calls it."""

    def side(clip: Path, output: Path) -> tuple[int, dict[str, float]]:
        stats = run(str(clip), model=model, outputs=[output], frames=frames, threads=threads, overwrite=True).wait()
        return stats.frames, {}

    return side


def bench(
    clips: Sequence[Path],
    weights: Path,
    *,
    frames: int = 15,
    passes: int = 3,
    counts: Sequence[int] = COUNTS,
    precisions: Sequence[str] = PRECISIONS,
    size: int | None = None,
    threads: int | None = None,
    also: Path | None = None,
) -> list[dict[str, Any]]:
    """One row for each clip and number of detections; see the top of the module.

    Args:
        clips: videos.
        weights: a checkpoint of ``MODEL``.
        frames: of each clip, from the start.
        passes: of each side, in turn.
        counts: detections a frame.
        precisions: of vidgraph, fp32 among them.
        size: side of the network's input; None: as published.
        threads: of either side; None: the cores this process may use.
        also: a file of ``vidgraph export`` that is measured too, such as the same weights in int8.

    Raises:
        AssertionError: the two sides find different things, or not so many.
    """
    import torch

    from .eager_yolact import EagerYolact

    budget = ThreadBudget.share_out(threads)
    torch.set_num_threads(budget.total)
    rows = []
    for count in counts:
        with ExitStack() as opened, tempfile.TemporaryDirectory(prefix="vidgraph-bench-") as folder:
            choices: dict[str, Any] = {"min_score": 0.0, "max_detections": count, "size": size}
            choices |= {"requests": budget.requests, "threads": budget.total}
            files = [(weights, each) for each in precisions] + [(also, "auto") for _ in range(also is not None)]
            models = {
                (file, each): opened.enter_context(load_model(MODEL, weights=file, precision=each, **choices))
                for file, each in files
            }
            exact = models[weights, "fp32"]
            eager = EagerYolact(exact.network(), count, exact.input_size((1, 1)))
            sides = {"torch fp32": eager_side(eager, frames)}
            sides |= {
                f"vidgraph {model.describe().precision}": our_side(model, frames, threads) for model in models.values()
            }
            for clip in clips:
                row: dict[str, Any] = {"clip": clip.name, "detections": count, "frames": frames}
                row |= {"threads": budget.total, **check_agreement(clip, exact, eager, count)}
                row |= compared(timed(sides, clip, Path(folder, "out.jsonl"), count, passes))
                if (row["frame"], count) != ([*OFFICIAL_FRAME], OFFICIAL_COUNT):
                    del row["torch_beside_official"]["postprocess"]
                rows.append(row)
    return rows


def timed(sides: dict[str, Side], clip: Path, output: Path, count: int, passes: int) -> dict[str, Passes]:
    """All sides in turn, after the engines are open."""
    figures = {name: Passes() for name in sides}
    for _ in range(passes):
        for name, side in sides.items():
            figures[name].add(side, clip, output, count)
    return figures


def compared(figures: dict[str, Passes]) -> dict[str, Any]:
    """The sides, how many times quicker than torch each is, and torch beside the official code."""
    sides = {name: passes.row() for name, passes in figures.items()}
    torch_row = sides["torch fp32"]
    parts = torch_row["parts_ms"]
    seen = {**{name: parts[name] for name in ("key", "non_key")}, "postprocess": parts["detect"] + parts["masks"]}
    ratios = {name: round(row["fps"] / torch_row["fps"], 2) for name, row in sides.items() if row is not torch_row}
    official = {
        name: {"ms": round(seen[name], 1), "official_ms": ms, "ratio": round(seen[name] / ms, 3)}
        for name, ms in OFFICIAL_MS.items()
    }
    return {"sides": sides, "times_torch": ratios, "torch_beside_official": official}


def report(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = []
    for row in rows:
        lines.append(f"{row['clip']}, {row['detections']} detections, worst IoU of masks {row['worst_mask_iou']}")
        for name, side in row["sides"].items():
            ratio = row["times_torch"].get(name)
            lines.append(f"  {name:<16} {side['fps']:8.3f} fps" + (f"  {ratio:6.2f} x torch" if ratio else ""))
        parts = row["sides"]["torch fp32"]["parts_ms"]
        lines.append("  torch, ms: " + ", ".join(f"{name} {ms:.0f}" for name, ms in parts.items()))
        for name, each in row["torch_beside_official"].items():
            lines.append(f"  {name:<12} {each['ms']:7.1f} ms, official {each['official_ms']:.0f}: {each['ratio']:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure; print the table, and write it with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.bench_yolact", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, help="videos")
    parser.add_argument("--weights", required=True, type=Path, help=f"a checkpoint of {MODEL}")
    parser.add_argument("--frames", type=int, default=15, help="frames of each clip (default 15)")
    parser.add_argument("--passes", type=int, default=3, help="passes, in turn (default 3)")
    parser.add_argument("--also", type=Path, metavar="FILE", help="an exported file to measure too, such as int8")
    parser.add_argument(
        "--precisions", nargs="+", default=PRECISIONS, help="of vidgraph, fp32 among them (default: auto fp32)"
    )
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    missing = [name for name in ("torch", "pycocotools") if optional(name) is None]
    if missing:
        parser.error(f"the comparison needs {' and '.join(missing)}")
    if "fp32" not in options.precisions:
        parser.error("--precisions must have fp32 among them: in fp32 both sides must find the same")
    rows = bench(
        options.clips,
        options.weights,
        frames=options.frames,
        passes=options.passes,
        precisions=options.precisions,
        also=options.also,
    )
    print(report(rows))
    if options.output:
        save(options.output, "yolact", rows)


if __name__ == "__main__":
    main()
