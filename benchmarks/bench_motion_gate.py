"""What the motion gate saves, and what it misses of what moves.

    python -m vidgraph.benchmarks.bench_motion_gate car_park.mp4 'synth:street?frames=1000&shot=1000&still=1' \\
        --model detector.onnx -o motion_gate.json

Each source is run on every frame, and then with ``when="motion"`` alone and with ``every=2``. What counts:

- Detections of the run on every frame are linked into tracks, best IoU first, from 0.3 on and over gaps of up to 3
  frames, whatever their class: a network that does not know a view changes its mind about what it sees.
- A track of 3 frames and more is a moving object where its centre strays by more than 2 % of the frame's diagonal. Of
  these, its detections count in frames around which (3 to each side) the centre strays by more than 0.2 %.
- Such a detection is found where in its frame, or in one of the 3 after it, what the gated run shows (a held result
  too) has a box with an IoU of at least 0.5 with the object's box in that same frame. An object is found where its
  first detection is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.run import run
from ..training.evaluation.overlap import box_iou
from .harness import save

Boxes = NDArray[np.float32]
Track = list[tuple[int, Boxes]]
WITHIN = 3
GATES: dict[str, dict[str, Any]] = {"motion": {"when": "motion"}, "motion, every 2": {"when": "motion", "every": 2}}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run showed: boxes [N, 4] of each frame, on how many the network ran, and the median time of the gate."""

    boxes: list[Boxes]
    ran: int
    gate_ms: float
    diagonal: float


def tracks(frames: Sequence[Boxes], *, least: float = 0.3, gap: int = WITHIN) -> list[Track]:
    """Boxes of one object each, (frame, box [4]) in order."""
    live: list[Track] = []
    ended: list[Track] = []
    for number, boxes in enumerate(frames):
        overlaps = box_iou(np.array([track[-1][1] for track in live], np.float32).reshape(-1, 4), boxes)
        free = set(range(len(boxes)))
        while overlaps.size and overlaps.max() >= least:
            row, column = (int(at) for at in np.unravel_index(overlaps.argmax(), overlaps.shape))
            live[row].append((number, boxes[column]))
            free.remove(column)
            overlaps[row], overlaps[:, column] = -1, -1
        ended += [track for track in live if number - track[-1][0] > gap]
        live = [track for track in live if number - track[-1][0] <= gap]
        live += [[(number, boxes[column])] for column in sorted(free)]
    return ended + live


def misses(every: Shown, gated: Shown) -> dict[str, int]:
    """How many moving objects and detections of them there are, and how many are found."""
    counts = {"objects": 0, "objects found": 0, "detections": 0, "found within 3 frames": 0, "found at once": 0}
    for track in tracks(every.boxes):
        at, numbers = dict(track), np.array([number for number, _ in track])
        centres = np.array([(box[:2] + box[2:]) / 2 for _, box in track])
        if len(track) < 3 or _strays(centres) <= 0.02 * every.diagonal:
            continue
        found = [[_is_shown(at.get(n, box), gated, n) for n in range(f, f + WITHIN + 1)] for f, box in track]
        near = [centres[abs(numbers - number) <= WITHIN] for number in numbers]
        moving = [hits for hits, around in zip(found, near, strict=True) if _strays(around) > 0.002 * every.diagonal]
        counts["objects"] += 1
        counts["objects found"] += any(found[0])
        counts["detections"] += len(moving)
        counts["found within 3 frames"] += sum(map(any, moving))
        counts["found at once"] += sum(hits[0] for hits in moving)
    return counts


def _strays(centres: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(centres.max(0) - centres.min(0)))


def _is_shown(box: Boxes, gated: Shown, number: int) -> bool:
    boxes = gated.boxes[number] if number < len(gated.boxes) else gated.boxes[-1][:0]
    return bool(len(boxes)) and bool(box_iou(box[None], boxes).max() >= 0.5)


def show(source: str, options: dict[str, Any]) -> Shown:
    """Run a model on a source."""
    made = run(source, **options)
    boxes, ran, diagonal = [], 0, 0.0
    for result in made:
        boxes.append(result.detections.boxes.copy())
        ran += result.held_from is None
        diagonal = float(np.hypot(result.frame.picture.height, result.frame.picture.width))
    gate_ms = sum(stage.busy_ms.p50 for stage in made.stats.stages if stage.name == "sample")
    return Shown(boxes, ran, gate_ms, diagonal)


def bench(source: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each gate: what it saves and what it misses on one source. Every run of the engine costs the same."""
    every = show(source, options)
    rows = []
    for name, gate in GATES.items():
        gated = show(source, {**options, **gate})
        rows.append(
            {
                "source": Path(source).name,
                "gate": name,
                "frames": len(every.boxes),
                "runs": gated.ran,
                "runs saved": round(1 - gated.ran / every.ran, 4),
                "gate ms a frame": round(gated.gate_ms, 3),
                **misses(every, gated),
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(map(str, row.values())) + " |" for row in rows])


def main() -> None:
    """Measure; print the table, and write the figures with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.bench_motion_gate", description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="a video from a camera that stands still")
    parser.add_argument("--model", required=True, metavar="NAME|FILE", help="a detector")
    parser.add_argument("--min-score", type=float, default=0.3, help="of detections (default 0.3)")
    parser.add_argument("--keyframes", help="of a video model")
    parser.add_argument("--threads", type=int, help="in all")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    given = parser.parse_args()
    options = {name: getattr(given, name) for name in ("model", "min_score", "keyframes", "threads")}
    rows = [row for source in given.sources for row in bench(source, options)]
    print(table(rows))
    if given.output:
        save(given.output, "motion gate", {"model": Path(given.model).name, "within_frames": WITHIN, "rows": rows})


if __name__ == "__main__":
    main()
