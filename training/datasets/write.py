"""Any data set, synthetic scenes too, written in a format that other tools read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from ...pipeline.claims import alone, output_error
from ...pipeline.errors import OutputError, UsageError, nearest
from .dataset import Clip, DataSample, Dataset
from .image_files import IMAGE_KINDS, write_image


class DatasetWriter(Protocol):
    """Writes one format.

    Attributes:
        images: the folder of the images within the output's.
        skips_unannotated: frames that the data set says nothing about are left out.
    """

    images: str
    skips_unannotated: bool

    def file(self, clip: Clip, index: int) -> str:
        """The name of a frame's image, from ``images``."""

    def add(self, sample: DataSample, clip: Clip, file: str) -> None:
        """Take a frame, whose image has the name ``file``."""

    def finish(self) -> tuple[Path, ...]:
        """Write what is left to write; returns what there is to open."""


@dataclass(frozen=True, slots=True)
class WriterRow:
    """One row of :data:`WRITERS`.

    ``writer`` is ``module:class`` of this package; the class is made of a folder, a data set and the suffix of images.
    """

    writer: str
    description: str

    def make(self, folder: Path, dataset: Dataset, suffix: str) -> DatasetWriter:
        """The writer of ``dataset`` into ``folder``."""
        module, name = self.writer.split(":")
        kind: Callable[[Path, Dataset, str], DatasetWriter] = getattr(import_module(f".{module}", __package__), name)
        return kind(folder, dataset, suffix)


WRITERS: Mapping[str, WriterRow] = MappingProxyType(
    {
        "coco": WriterRow("write_coco:CocoWriter", "boxes, masks, keypoints; faces in a file of their own"),
        "coco-panoptic": WriterRow("write_coco_panoptic:CocoPanopticWriter", "a segment for every pixel"),
        "mot": WriterRow("write_mot:MotWriter", "boxes of objects through a video"),
    }
)
"""What data sets can be written as: one row for each format."""


def write_dataset(
    dataset: Dataset,
    to: str,
    folder: str | os.PathLike[str],
    *,
    images: str = "jpg",
    frames: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Write a data set.

    Args:
        dataset: what :func:`open_dataset` gives.
        to: a name of :data:`WRITERS`.
        folder: made if it is not there.
        images: ``jpg`` (quality 95), ``png``, or ``none``: the files that describe them only.
        frames: at most this many of each clip.
        overwrite: write into a folder that is not empty; files of the same name are replaced.
        progress: called with the frames done and those there are.

    Returns:
        The files or folders to open.

    Raises:
        UsageError: an unknown format or kind of image, or the data set does not have what the format holds.
        SourceError: the data set is damaged.
        OutputError: the folder is not empty, is written by another process, or cannot be written.
    """
    root = Path(folder)
    row = _row(to)
    if images not in IMAGE_KINDS:
        raise UsageError(f"images must be {', '.join(IMAGE_KINDS)}, got {images!r}")
    writer = row.make(root, dataset, ".png" if images == "png" else ".jpg")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root):
            _check_empty(root, overwrite)
            return _write_all(dataset, writer, root, images=images, frames=frames, progress=progress)
    except OSError as error:
        raise output_error(root, error) from error


def _write_all(
    dataset: Dataset,
    writer: DatasetWriter,
    root: Path,
    *,
    images: str,
    frames: int | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Path, ...]:
    done, total = 0, sum(min(clip.frames, frames or clip.frames) for clip in dataset.clips)
    for clip in dataset.clips:
        for sample in itertools.islice(dataset.samples(clip), frames):
            if sample.annotated or not writer.skips_unannotated:
                file = writer.file(clip, sample.frame.index)
                if images != "none":
                    write_image(root / writer.images / file, sample.frame.picture.rgb())
                writer.add(sample, clip, file)
            done += 1
            if progress is not None:
                progress(done, total)
    return writer.finish()


def _row(to: str) -> WriterRow:
    if to not in WRITERS:
        raise UsageError(f"cannot write a data set as {to!r}: {nearest(to.lower(), WRITERS, always=True)}")
    return WRITERS[to]


def _check_empty(folder: Path, overwrite: bool) -> None:
    """
    Raises:
        OutputError: there is something in it.
    """
    if not overwrite and any(folder.iterdir()):
        raise OutputError(
            f"cannot write {folder}: it is not empty; overwrite it (-y, overwrite=True) or name another one"
        )
