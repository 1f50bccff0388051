"""``python -m vidgraph.benchmarks [-o FILE]``: every kernel beside other formulations of the same arithmetic."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import (
    bench_boxes,
    bench_custom,
    bench_detections,
    bench_labels,
    bench_masks,
    bench_motion,
    bench_pixels,
    bench_scores,
    bench_segments,
    bench_synthetic,
)
from .harness import measure, report, save
from .optional import optional


def main() -> None:
    """Measure all kernels; print the table, and write it with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, in turn (default 15)")
    options = parser.parse_args()
    cv2, torch = optional("cv2"), optional("torch")
    if cv2:
        cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    files = (bench_pixels, bench_boxes, bench_detections, bench_scores, bench_masks, bench_labels, bench_segments)
    cases = [case for file in (*files, bench_custom, bench_synthetic, bench_motion) for case in file.cases()]
    timings = measure(cases, rounds=options.rounds)
    print("one thread each")
    print(report(timings))
    if options.output:
        save(options.output, "kernels", [timing.row() for timing in timings])


if __name__ == "__main__":
    main()
