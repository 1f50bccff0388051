"""The command about data sets: write one in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import passed
from .terminal import Progress, say, show_path


def data(options: argparse.Namespace) -> int:
    """Write a data set, or synthetic scenes, as another."""
    from ..training.datasets.registry import open_dataset, refuse_own_folder
    from ..training.datasets.write import write_dataset

    dataset = open_dataset(options.address)
    refuse_own_folder(options.address, Path(options.output))
    line = Progress(quiet=options.quiet)
    written = write_dataset(
        dataset,
        options.to,
        options.output,
        progress=lambda done, total: line.show(f"{done} of {total} frames"),
        **passed(options, write_dataset),
    )
    if not options.quiet:
        frames = sum(min(clip.frames, options.frames or clip.frames) for clip in dataset.clips)
        clips = f"{len(dataset.clips)} clip{'s' if len(dataset.clips) != 1 else ''}"
        say(f"{dataset.name}: {clips}, {frames} frames, {', '.join(dataset.class_names) or 'faces'}")
    for path in written:
        show_path(path)
    return 0
