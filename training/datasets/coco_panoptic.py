"""COCO panoptic: a JSON of segments, and PNGs whose colours are the numbers of the segments.

Source: Kirillov et al., CVPR 2019, and the format's description at cocodataset.org.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import GroundTruth
from ...pipeline.types.masks import Masks
from ...pipeline.types.panoptic import PanopticMap, Segment
from .address import Address
from .coco import Record, check_image, clips_of, image_folder
from .files import FileDataset, FrameFile, known_id, picture_path, reading, things
from .image_files import read_ids


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The records of one panoptic JSON, looked through.

    Attributes:
        address: of the data set.
        images: in their order.
        of_image: image id -> its annotation.
        class_names, stuff_names: in the order of the categories' ids.
        classes: category id -> (class id, name, whether it is a thing). Class ids count things first, then stuff.
    """

    address: Address
    images: list[Record]
    of_image: dict[Any, Record]
    class_names: tuple[str, ...]
    stuff_names: tuple[str, ...]
    classes: dict[int, tuple[int, str, bool]]

    @classmethod
    def of(cls, document: Any, address: Address) -> Segments:
        """
        Raises:
            SourceError: an image is too large; a record is missing or damaged, or names what is not there.
        """
        name, max_pixels = address.name, address.max_pixels
        with reading(f"{name}: the list of categories"):
            ordered = sorted(document["categories"], key=lambda one: (not one["isthing"], int(one["id"])))
            classes = {int(c["id"]): (row, str(c["name"]), bool(c["isthing"])) for row, c in enumerate(ordered)}
        with reading(name):
            images = list(document["images"])
            annotations = list(document.get("annotations") or ())
        known: dict[Any, None] = {}
        for number, image in enumerate(images):
            with reading(f"{name}: image {number}"):
                check_image(image, f"{name}: image {number}", max_pixels)
                known[image["id"]] = None
        of_image: dict[Any, Record] = {}
        for number, annotation in enumerate(annotations):
            with reading(f"{name}: annotation {number}"):
                image_id = known_id(known, annotation["image_id"], "image")
                for segment in annotation["segments_info"]:
                    known_id(classes, segment["category_id"], "category")
                of_image[image_id] = annotation
        things_first = [(thing, label) for _, label, thing in classes.values()]
        return cls(
            address,
            images,
            of_image,
            tuple(label for thing, label in things_first if thing),
            tuple(label for thing, label in things_first if not thing),
            classes,
        )

    @property
    def name(self) -> str:
        """For messages."""
        return self.address.name

    def nothing(self) -> GroundTruth:
        """The truth of a frame that nothing is said about."""
        return GroundTruth.of(things(np.zeros((0, 4), np.float32), [], self.class_names))

    def frame(self, image: Record, images: Path, pngs: Path, *, tracked: bool) -> FrameFile:
        """The frame of one image; ``tracked``: a segment's id stays with it through the video."""
        annotation = self.of_image.get(image["id"])
        with reading(f"{self.name}: image {image['id']!r}"):
            file = picture_path(images, image["file_name"], self.address)
            if annotation is None:
                return FrameFile(file, self.nothing, annotated=False)
            size = int(image["height"]), int(image["width"])
        return FrameFile(file, partial(self._truth, annotation, pngs, tracked, size))

    def _truth(self, annotation: Mapping[str, Any], pngs: Path, tracked: bool, size: tuple[int, int]) -> GroundTruth:
        where = f"{self.name}: the segments of image {annotation['image_id']!r}"
        with reading(where):
            path = picture_path(pngs, annotation["file_name"], self.address)
        ids = read_ids(path, max_pixels=self.address.max_pixels)
        with reading(where):
            if ids.shape != size:
                raise ValueError(f"{path} must be {size[1]}x{size[0]} as its image, got {ids.shape[1]}x{ids.shape[0]}")
            infos = annotation["segments_info"]
            areas = _areas(ids, [int(info["id"]) for info in infos], path)
            segments = tuple(self._segment(info, areas[int(info["id"])], tracked) for info in infos)
            crowd = {int(info["id"]) for info in infos if info.get("iscrowd", 0)}
            return panoptic_truth(PanopticMap(ids, segments), self.class_names, crowd)

    def _segment(self, info: Record, area_px: int, tracked: bool) -> Segment:
        class_id, label, thing = self.classes[known_id(self.classes, info["category_id"], "category")]
        track = info.get("track_id", info["id"] if tracked else None) if thing else None
        track_id = None if track is None else int(track)
        return Segment(int(info["id"]), class_id, label, thing, 1.0 if thing else None, area_px, track_id)


def _areas(ids: NDArray[np.int32], wanted: Sequence[int], path: Path) -> dict[int, int]:
    """Pixels of each segment.

    Raises:
        ValueError: the PNG and the JSON do not have the same segments.
    """
    found, counts = np.unique(ids, return_counts=True)
    areas = {int(number): int(count) for number, count in zip(found, counts, strict=True) if number}
    if unnamed := sorted(areas.keys() - set(wanted)):
        raise ValueError(f"{path} has the segment {unnamed[0]}, which the JSON has not")
    if unseen := sorted(set(wanted) - areas.keys()):
        raise ValueError(f"the JSON has the segment {unseen[0]}, which {path} has not")
    return areas


def panoptic_truth(panoptic: PanopticMap, class_names: tuple[str, ...], crowd: Iterable[int] = ()) -> GroundTruth:
    """The map, and its things as objects, in their order; those whose segments are in ``crowd`` are ignored."""
    found = [segment for segment in panoptic.segments if segment.is_thing]
    rles = panoptic.rles()
    masks = Masks.from_rles(
        [rle for rle, segment in zip(rles, panoptic.segments, strict=True) if segment.is_thing],
        (panoptic.segment_ids.shape[0], panoptic.segment_ids.shape[1]),
    )
    tracked = any(segment.track_id is not None for segment in found)
    objects = things(
        masks.boxes.astype(np.float32),
        [segment.class_id for segment in found],
        class_names,
        masks=masks,
        track_ids=[-1 if s.track_id is None else s.track_id for s in found] if tracked else None,
    )
    ignored = np.isin([segment.id for segment in found], list(crowd))
    return GroundTruth(objects, ignored, np.full(len(found), -1, np.float32), panoptic)


def open_coco_panoptic(address: Address) -> FileDataset:
    """Open ``coco-panoptic:FILE.json``; the PNGs are in the folder of the same name without ``.json``.

    Options: ``images=FOLDER``, ``pngs=FOLDER``. Objects are the segments that are things.

    Raises:
        SourceError: a file is missing or damaged.
    """
    document = address.json()
    found = Segments.of(document, address)
    images, pngs = image_folder(address, found.images), address.folder("pngs", address.path.with_suffix(""))
    clips, frames = [], {}
    for clip, members in clips_of(found.images, document.get("videos", ()), address.name):
        clips.append(clip)
        frames[clip.name] = [found.frame(image, images, pngs, tracked=False) for image in members]
    if not found.of_image:
        raise SourceError(f"{address.name} has no annotations")
    return FileDataset(address.name, found.class_names, found.stuff_names, tuple(clips), frames, address.max_pixels)
