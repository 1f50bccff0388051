"""Memory over a long run: resident size every 100 frames, and the slope of a line through it.

    python -m vidgraph.benchmarks.soak clip.mp4 --model retinaface=mobilenet0.25_Final.pth -o results/soak.json

The clip is played over and over, without encoding it again, until there are frames enough. Memory still grows
while caches fill and the allocator settles; the line is fitted to what comes after.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..models.load import load_model
from ..models.model import Model
from ..models.run import run
from ..pipeline.results.frame_result import FrameResult
from .harness import save

SAMPLE_EVERY = 100
"""Frames from one look at the resident size to the next."""


@dataclass(frozen=True, slots=True)
class Soak:
    """What was seen.

    Attributes:
        frames: numbers of the frames after which the resident size was read.
        resident_kib: the sizes, in KiB.
        warm_up: frames that the line leaves out.
        fps: frames per second of the whole run.
    """

    frames: tuple[int, ...]
    resident_kib: tuple[int, ...]
    warm_up: int
    fps: float

    def slope(self) -> tuple[float, float]:
        """Growth after the warm-up in KiB per 1000 frames, and its standard error, by least squares.

        Resident memory goes in steps, so that neighbouring samples are alike: the true error is larger.
        """
        chosen = [(x, y) for x, y in zip(self.frames, self.resident_kib, strict=True) if x >= self.warm_up]
        x, y = np.array(chosen, np.float64).T
        x = (x - x.mean()) / 1000
        slope = (x @ y) / (x @ x)
        rest = y - y.mean() - slope * x
        return float(slope), float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        slope, error = self.slope()
        return {
            "frames": self.frames[-1],
            "warm_up": self.warm_up,
            "fps": round(self.fps, 1),
            "slope_kib_per_1000_frames": round(slope, 2),
            "standard_error": round(error, 2),
            "resident_kib": dict(zip(self.frames, self.resident_kib, strict=True)),
        }


def soak(
    source: Path,
    model: Model | str,
    *,
    frames: int = 10_000,
    warm_up: int | None = None,
    outputs: Sequence[str] = ("out.jsonl",),
    **options: Any,
) -> Soak:
    """Run ``frames`` frames through a model and watch the memory of this process.

    Args:
        source: a video; repeated until it is long enough.
        model, options: as for :func:`run`.
        warm_up: frames that the line leaves out; None: a fifth.
        outputs: names of files that are written, and removed afterwards.

    Raises:
        VidgraphError: as a run.
    """
    seen: list[tuple[int, int]] = []

    def look(result: FrameResult) -> None:
        if result.index % SAMPLE_EVERY == SAMPLE_EVERY - 1:
            seen.append((result.index + 1, resident_kib()))

    with tempfile.TemporaryDirectory(prefix="vidgraph-soak-") as folder:
        clip = repeat_clip(source, Path(folder, f"long{source.suffix}"), frames=frames)
        made = [Path(folder, name) for name in outputs]
        stats = run(clip, model=model, outputs=[*made, look], frames=frames, **options).wait()
    numbers, sizes = zip(*seen, strict=True)
    return Soak(numbers, sizes, frames // 5 if warm_up is None else warm_up, stats.fps)


def resident_kib() -> int:
    """Memory of this process that is in RAM, in KiB. Linux."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def repeat_clip(source: Path, path: Path, *, frames: int) -> Path:
    """The video of a file over and over, without encoding it again, until it has at least ``frames`` frames."""
    import av

    with av.open(str(path), "w") as target:
        made, offset, count = None, 0, 0
        while count < frames:
            with av.open(str(source)) as container:
                stream, end = container.streams.video[0], 0
                made = made or target.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, made
                    end = max(end, packet.pts + (packet.duration or 0))
                    target.mux(packet)
                    count += 1
                offset = end
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, metavar="VIDEO")
    parser.add_argument("--model", required=True, metavar="NAME[=WEIGHTS]")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="longer side of the network's input")
    parser.add_argument("--frames", type=int, default=10_000, metavar="N")
    parser.add_argument("--warm-up", type=int, metavar="N", help="frames that the line leaves out (default a fifth)")
    parser.add_argument("--video", action="store_true", help="write an annotated video too")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    outputs = ("out.jsonl", "out.mp4") if options.video else ("out.jsonl",)
    with load_model(options.model, size=options.size) as model:
        seen = soak(options.source, model, frames=options.frames, warm_up=options.warm_up, outputs=outputs)
        about = {"source": options.source.name, "model": model.name, "outputs": outputs}
    slope, error = seen.slope()
    print(f"{seen.frames[-1]} frames at {seen.fps:.1f} fps: {slope:.1f} ± {error:.1f} KiB per 1000 frames")
    if options.output is not None:
        save(options.output, "soak", {**about, **seen.to_dict()})


if __name__ == "__main__":
    main()
