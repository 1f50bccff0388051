"""A data set as COCO panoptic: ``panoptic.json``, and in ``panoptic`` a PNG for each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...pipeline.errors import OutputError, UsageError
from ...pipeline.ground_truth import GroundTruth
from .dataset import Clip, DataSample, Dataset
from .image_files import MAX_ID, write_ids
from .write_coco import ImageList, Record, write_json

PANOPTIC = "panoptic.json"
PNGS = "panoptic"


class CocoPanopticWriter:
    """Writes the PNGs as :func:`write_dataset` gives it frames, the JSON at the end. Frames without truth are left out.

    Categories are the classes of things, then those of stuff, numbered from 1. Segments keep their ids.
    """

    images = "images"
    skips_unannotated = True

    def __init__(self, folder: Path, dataset: Dataset, suffix: str) -> None:
        self._folder, self._dataset = folder, dataset
        self._list = ImageList(suffix)
        self._annotations: list[Record] = []
        self._labels = [(name, True) for name in dataset.class_names] + [(name, False) for name in dataset.stuff_names]

    def file(self, clip: Clip, index: int) -> str:
        """The name of a frame's image, from the folder ``images``."""
        return self._list.file(clip, index)

    def add(self, sample: DataSample, clip: Clip, file: str) -> None:
        """Take the truth of a frame and write its PNG.

        Raises:
            UsageError: there is no panoptic map.
            OutputError: a segment's id does not fit into three bytes.
            OSError: the disk is full, …
        """
        panoptic = sample.truth.panoptic
        if panoptic is None:
            raise UsageError(f"{self._dataset.name} has no segment for every pixel; --to coco writes its objects")
        if panoptic.segment_ids.max(initial=0) > MAX_ID:
            raise OutputError(f"cannot write {file}: ids of segments must be at most {MAX_ID}")
        image = self._list.add(sample, clip, file)
        name = str(Path(file).with_suffix(".png"))
        write_ids(self._folder / PNGS / name, panoptic.segment_ids)
        segments = self._segments(sample.truth)
        self._annotations.append({"image_id": image["id"], "file_name": name, "segments_info": segments})

    def _segments(self, truth: GroundTruth) -> list[Record]:
        """Those that have pixels."""
        assert truth.panoptic is not None
        crowd = _crowd(truth)
        found = []
        for segment in truth.panoptic.segments:
            where = truth.panoptic.segment_ids == segment.id
            rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
            if not len(rows):
                continue
            x, y = int(columns[0]), int(rows[0])
            record: dict[str, Any] = {
                "id": segment.id,
                "category_id": segment.class_id + 1,
                "area": int(np.count_nonzero(where)),
                "bbox": [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y],
                "iscrowd": int(segment.id in crowd),
            }
            found.append(record | ({} if segment.track_id is None else {"track_id": segment.track_id}))
        return found

    def finish(self) -> tuple[Path, ...]:
        """Write the JSON; returns it.

        Raises:
            OSError: the disk is full, …
        """
        categories = [
            {"id": number, "name": name, "isthing": int(thing), "supercategory": "", "color": _colour(number)}
            for number, (name, thing) in enumerate(self._labels, start=1)
        ]
        head = self._list.head(self._dataset.name)
        document = head | {"categories": categories, "annotations": self._annotations}
        return (write_json(self._folder / PANOPTIC, document),)


def _crowd(truth: GroundTruth) -> set[int]:
    """Ids of the segments of ignored objects, where objects and segments that are things are the same, in one order."""
    assert truth.panoptic is not None
    segments = [segment for segment in truth.panoptic.segments if segment.is_thing]
    names = [truth.objects.class_names[number] for number in truth.objects.class_ids]
    if names != [segment.class_name for segment in segments]:
        return set()
    return {segment.id for segment, ignored in zip(segments, truth.ignored, strict=True) if ignored}


def _colour(number: int) -> list[int]:
    """A colour for a category, another for each of the first 256."""
    return [37 * number % 256, 91 * number % 256, 151 * number % 256]
