"""how long synthetic scenes take: their kernel beside NumPy, and whole frames at 720p on one core.

    taskset -c 0 python -m vidgraph.benchmarks.bench_synthetic -o benchmarks/results/synthetic.json

Faster than real time is less than 40 ms a frame, its frames being 25 a second. Times are CPU time of the one thread
that draws; a busy machine makes them longer all the same, so its load is noted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels import shade_surfaces
from ..kernels.shade_surfaces.reference import shade_surfaces_reference
from ..stages.sources.synthetic.render import SceneRenderer
from ..stages.sources.synthetic.settings import parse_synthetic
from ..stages.sources.synthetic.textures import texture_bank
from .harness import Case, save

SPLITS = ("easy", "hard")
NOISE, SEED = 12, 7
CHECKED_ROWS = 24
"""The reference blurs pixel by pixel: so many rows are enough to be sure."""


def cases() -> Iterator[Case]:
    """All cases of this file: a street is shaded with and without motion blur."""
    renderer = SceneRenderer(parse_synthetic("synth:street?split=hard"), 0)
    rendered = renderer.draw(renderer.moment(9))
    table, textures = rendered.canvas.table(), texture_bank()
    sharp = replace(table, blur=np.zeros_like(table.blur))
    size = "1280x720"
    moved = rendered.surfaces.nbytes + rendered.shadow.nbytes + 3 * rendered.shadow.nbytes
    for task, chosen in ((f"street of {size} shaded", sharp), (f"street of {size} shaded, motion blur", table)):
        ours = partial(shade_surfaces, rendered.surfaces, rendered.shadow, chosen, textures, noise=NOISE, seed=SEED)
        plain = partial(shade_surfaces_reference, rendered.surfaces, rendered.shadow, chosen, textures, NOISE, SEED)
        rows = slice(0, CHECKED_ROWS)
        some = rendered.surfaces[rows], rendered.shadow[rows], chosen, textures
        check = partial(
            np.testing.assert_array_equal,
            shade_surfaces(*some, noise=NOISE, seed=SEED),
            shade_surfaces_reference(*some, NOISE, SEED),
        )
        yield Case(task, "vidgraph", ours, check, moved)
        if chosen is sharp:
            yield Case(task, "numpy", plain, lambda: None, moved)


def measure_frames(split: str, frames: int, passes: int) -> dict[str, Any]:
    """CPU milliseconds of a frame of a split: drawn, and made a picture; the best of some passes each."""
    settings = parse_synthetic(f"synth:street?split={split}")
    columns: tuple[list[float], ...] = ([], [], [])  # drawing, picture, wall
    for clip in range(settings.first, settings.first + settings.clips):
        renderer = SceneRenderer(settings, clip)
        renderer.draw(renderer.moment(0)).picture()
        for index in np.linspace(1, settings.frames - 1, frames).astype(int).tolist():
            times = [_one(renderer, index) for _ in range(passes)]
            for kept, values in zip(columns, zip(*times, strict=True), strict=True):
                kept.append(1e3 * min(values))
    drawing, picture, wall = columns
    whole = np.add(drawing, picture)
    return {
        "split": split, "frames": len(whole), "passes": passes,
        "draw_ms": round(statistics.mean(drawing), 2), "picture_ms": round(statistics.mean(picture), 2),
        "cpu_ms": round(float(whole.mean()), 2), "cpu_ms_p95": round(float(np.percentile(whole, 95)), 2),
        "wall_ms": round(statistics.mean(wall), 2), "fps": round(1e3 / float(whole.mean()), 1),
    }  # fmt: skip


def _one(renderer: SceneRenderer, index: int) -> tuple[float, float, float]:
    moment, wall, start = renderer.moment(index), time.perf_counter(), time.thread_time()
    rendered = renderer.draw(moment)
    drawn = time.thread_time()
    rendered.picture()
    end = time.thread_time()
    return drawn - start, end - drawn, time.perf_counter() - wall


def main() -> None:
    """Measure easy and hard frames; print them, and write them with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.bench_synthetic", description=__doc__)
    parser.add_argument("--frames", type=int, default=3, help="of each clip (default 3)")
    parser.add_argument("--passes", type=int, default=3, help="the best of so many counts (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = [measure_frames(split, options.frames, options.passes) for split in SPLITS]
    for row in rows:
        print(f"{row['split']}: {row['cpu_ms']} ms a frame (draw {row['draw_ms']}, picture {row['picture_ms']}; "
              f"95 % below {row['cpu_ms_p95']}), {row['fps']} fps; load {load:.1f}")  # fmt: skip
    if options.output:
        cores = len(os.sched_getaffinity(0))
        save(options.output, "synthetic", {"load_before": round(load, 2), "cores_used": cores, "splits": rows})


if __name__ == "__main__":
    main()
