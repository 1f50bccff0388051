"""COCO: images, and a JSON of boxes, masks and keypoints; also that of videos, where images name theirs.

Source: Lin et al., ECCV 2014, and the format's description at cocodataset.org. Videos: images with ``video_id`` and
``frame_id``, annotations with ``track_id``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import FACE_POINTS, GroundTruth
from ...pipeline.limits import MAX_PIXELS, too_large
from ...pipeline.types.landmarks import Landmarks
from .address import Address, read_json
from .dataset import Clip
from .files import (
    FileDataset,
    FrameFile,
    boxes_of,
    choose_folder,
    finite,
    known_id,
    picture_path,
    reading,
    things,
    unique_names,
)
from .segmentation import enclosing, masks_of

Record = Mapping[str, Any]
LOG = logging.getLogger("vidgraph")
_NAMED = 3
"""Annotations that are left out are named up to so many."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """The records of one COCO file, looked through.

    Attributes:
        name: for messages.
        images: in their order; each has ``id``, ``file_name``, ``width`` and ``height``.
        categories: by id, in the order of the ids.
        of_image: image id -> its annotations.
    """

    name: str
    images: list[Record]
    categories: dict[int, Record]
    of_image: dict[Any, list[Record]]

    @classmethod
    def of(cls, document: Any, name: str, *, max_pixels: int = MAX_PIXELS) -> Annotations:
        """
        Raises:
            SourceError: an image has more than ``max_pixels``; a record is missing or damaged, or names what
                is not there.
        """
        with reading(name):
            images = list(document["images"])
            categories = {int(one["id"]): one for one in sorted(document["categories"], key=lambda one: int(one["id"]))}
            of_image: dict[Any, list[Record]] = {}
            for number, image in enumerate(images):
                with reading(f"{name}: image {number}"):
                    of_image[image["id"]] = []
                    check_image(image, f"{name}: image {number}", max_pixels)
            annotations = list(document.get("annotations") or ())
        if len(of_image) != len(images):
            raise SourceError(f"{name}: two images have the same id")
        for number, annotation in enumerate(annotations):
            with reading(f"{name}: annotation {number}"):
                image_id = known_id(of_image, annotation["image_id"], "image")
                category = known_id(categories, annotation["category_id"], "category")
                if category != annotation["category_id"]:
                    annotation = {**annotation, "category_id": category}
                of_image[image_id].append(annotation)
        return cls(name, images, categories, of_image)


def check_image(image: Record, where: str, max_pixels: int) -> None:
    """
    Raises:
        KeyError, TypeError, ValueError: a COCO image lacks its name or size.
        SourceError: it has more than ``max_pixels``.
    """
    height, width = _size(image)
    if not isinstance(image["file_name"], str) or width < 1 or height < 1:
        raise ValueError("file_name, width and height must be a name and numbers from 1")
    if width * height > max_pixels:
        raise too_large(where, (height, width), max_pixels)


def open_coco(address: Address) -> FileDataset:
    """Open ``coco:FILE.json``.

    Options: ``images=FOLDER``; ``faces=FILE.json``, annotations of faces for the same images, as
    :mod:`.write_coco` writes them; ``masks=no`` leaves masks out. Where there are masks, annotations whose mask is
    empty, or a polygon of fewer than three points, are left out, and the log names them.

    A category whose keypoints are the five of a face gives ``GroundTruth.faces``; the others are classes, in the order
    of their ids. ``GroundTruth.bodies`` has the keypoints of the first category with some, and of those with the same.

    Raises:
        SourceError: a file is missing or damaged.
    """
    document = address.json()
    found = Annotations.of(document, address.name, max_pixels=address.max_pixels)
    faces = None
    if "faces" in address.options:
        path = Path(address.options["faces"])
        faces = Annotations.of(read_json(path), f"{address.kind}:{path.name}", max_pixels=address.max_pixels)
    reader = Reader(found, faces, wants_masks=address.choice("masks", "yes", "no") == "yes")
    root = image_folder(address, found.images)
    clips, frames = [], {}
    for clip, images in clips_of(found.images, document.get("videos", ()), address.name):
        clips.append(clip)
        with reading(f"{address.name}: the images of {clip.name}"):
            frames[clip.name] = [
                FrameFile(picture_path(root, image["file_name"], address), partial(reader.truth, image))
                for image in images
            ]
    return FileDataset(address.name, reader.class_names, (), tuple(clips), frames, address.max_pixels)


def image_folder(address: Address, images: Sequence[Record]) -> Path:
    """Where the images are: the option ``images``, or beside the JSON as COCO and others lay them out.

    Raises:
        SourceError: in none of the usual places.
    """
    if "images" in address.options or not images:
        return address.folder("images", address.path.parent)
    folder = address.path.parent
    with reading(f"{address.name}: the first image"):
        picture_path(folder, images[0]["file_name"], address)
    split = address.path.stem.rpartition("_")[2]
    usual = [folder, folder / "images", folder / split, folder.parent / "images", folder.parent / split, folder.parent]
    return choose_folder(address, usual, images[0]["file_name"])


def clips_of(images: Sequence[Record], videos: Sequence[Record], name: str) -> list[tuple[Clip, list[Record]]]:
    """Each clip with its images: those of one video in the order of ``frame_id``, any other image alone.

    Raises:
        SourceError: an image names a video that is not there, or the images of a video differ in size.
    """
    alone = [image for image in images if image.get("video_id") is None]
    found = []
    with reading(f"{name}: the names of its images"):
        names = unique_names([image["file_name"] for image in alone])
    for image, clip_name in zip(alone, names, strict=True):
        found.append((Clip(clip_name, 1, _size(image)), [image]))
    of_video: dict[Any, list[Record]] = {}
    with reading(f"{name}: the list of videos"):
        for image in images:
            if image.get("video_id") is not None:
                of_video.setdefault(image["video_id"], []).append(image)
        known = {video["id"]: video for video in videos or ()}
        for number, members in of_video.items():
            try:
                video = known[known_id(known, number, "video")]
            except ValueError as error:
                raise ValueError(f"{error}, which {members[0]['file_name']} names") from None
            members.sort(key=lambda image: int(image["frame_id"]))
            sizes = {_size(image) for image in members}
            if len(sizes) > 1:
                raise ValueError(f"the images of {number!r} are of different sizes (height, width): {sorted(sizes)}")
            clip = Clip(str(video.get("name", number)), len(members), sizes.pop(), float(video.get("fps", 0)))
            found.append((clip, members))
    if len({clip.name for clip, _ in found}) < len(found):
        raise SourceError(f"{name}: two videos or images have the same name")
    return found


def _size(image: Record) -> tuple[int, int]:
    return int(image["height"]), int(image["width"])


class Reader:
    """Makes the truth of an image from its annotations, and from those of ``faces`` where that is another file."""

    def __init__(self, found: Annotations, faces: Annotations | None, *, wants_masks: bool) -> None:
        self._found = found
        faces = found if faces is None else faces
        self._faces = faces
        with reading(f"{found.name}: the list of categories"):
            self._face_ids = {number for number, one in faces.categories.items() if _points(one) == FACE_POINTS}
            classes = [number for number, one in found.categories.items() if _points(one) != FACE_POINTS]
            self._class_of = {number: row for row, number in enumerate(classes)}
            self.class_names = tuple(str(found.categories[number]["name"]) for number in classes)
            named = [_points(found.categories[number]) for number in classes]
        self._points = next(filter(None, named), ())
        self._with_points = {
            number for number, names in zip(classes, named, strict=True) if names and names == self._points
        }
        annotations = [one for several in found.of_image.values() for one in several]
        self._has_masks = wants_masks and any(one.get("segmentation") for one in annotations)
        self._has_tracks = any("track_id" in one for one in annotations)
        if self._has_masks:
            self._name_left_out()

    def truth(self, image: Record) -> GroundTruth:
        """The truth of one image.

        Raises:
            SourceError: an annotation is damaged.
        """
        where = f"{self._found.name}: the annotations of {image['file_name']}"
        with reading(where):
            rows = [one for one in self._objects(image["id"]) if not self._is_left_out(one)]
            truth = GroundTruth(
                things(
                    boxes_of([one["bbox"] for one in rows]),
                    [self._class_of[one["category_id"]] for one in rows],
                    self.class_names,
                    masks=masks_of([_segmentation(one) for one in rows], _size(image)) if self._has_masks else None,
                    track_ids=[int(one.get("track_id", -1)) for one in rows] if self._has_tracks else None,
                ),
                np.array([bool(one.get("iscrowd", 0)) for one in rows], np.bool_),
                finite("hidden", [float(one.get("hidden", -1)) for one in rows]),
            )
            return self._with_faces(self._with_bodies(truth, rows), image)

    def _objects(self, image_id: Any) -> list[Record]:
        return [one for one in self._found.of_image[image_id] if one["category_id"] in self._class_of]

    def _is_left_out(self, annotation: Record) -> bool:
        """Whether a mask is wanted, and it has one that encloses nothing."""
        return self._has_masks and "segmentation" in annotation and enclosing(annotation["segmentation"]) is None

    def _name_left_out(self) -> None:
        """Say which annotations are not used."""
        files = {image["id"]: image["file_name"] for image in self._found.images}
        left_out = [
            f"{one.get('id')} of {files[number]}"
            for number in files
            for one in self._objects(number)
            if self._is_left_out(one)
        ]
        if left_out:
            more = ", …" if len(left_out) > _NAMED else ""
            LOG.warning(
                "%s: %d annotation%s left out, for the mask is empty or a polygon of fewer than three points:"
                " %s%s; ?masks=no reads boxes only, of all",
                self._found.name,
                len(left_out),
                " is" if len(left_out) == 1 else "s are",
                ", ".join(left_out[:_NAMED]),
                more,
            )

    def _with_bodies(self, truth: GroundTruth, rows: Sequence[Record]) -> GroundTruth:
        if not self._points:
            return truth
        places = [row for row, one in enumerate(rows) if one["category_id"] in self._with_points and _has_points(one)]
        return replace(truth, bodies=_landmarks([rows[row] for row in places], self._points, places))

    def _with_faces(self, truth: GroundTruth, image: Record) -> GroundTruth:
        if not self._face_ids:
            return truth
        several = self._faces.of_image.get(image["id"], ())
        faces = [one for one in several if one["category_id"] in self._face_ids]
        ignored = np.array([bool(one.get("iscrowd", 0)) for one in faces], np.bool_)
        return replace(truth, faces=_landmarks(faces, FACE_POINTS, None), faces_ignored=ignored)


def _points(category: Record) -> tuple[str, ...]:
    return tuple(map(str, category.get("keypoints") or ()))


def _has_points(annotation: Record) -> bool:
    """Whether a point of it is known; COCO gives those without any zeros."""
    return any((annotation.get("keypoints") or ())[2::3])


def _segmentation(annotation: Record) -> Any:
    """
    Raises:
        ValueError: there is none, though others have one.
    """
    if not annotation.get("segmentation"):
        raise ValueError(f"annotation {annotation.get('id')} has no mask, though others do; ?masks=no reads boxes only")
    return enclosing(annotation["segmentation"])


def _landmarks(rows: Sequence[Record], names: tuple[str, ...], places: Sequence[int] | None) -> Landmarks:
    """Keypoints x, y, visibility; faces that have none given get points that are not known."""
    nothing = [0] * (3 * len(names))
    several = [one.get("keypoints") or nothing for one in rows]
    for flat in several:
        if len(flat) != len(nothing):
            raise ValueError(f"keypoints must be {len(names)} times x, y, visibility, got {len(flat)} numbers")
    each = finite("keypoints", several).reshape(len(rows), len(names), 3)
    alone = np.full(len(rows), -1, np.int32)
    return Landmarks(
        np.ascontiguousarray(each[:, :, :2]),
        np.ascontiguousarray(each[:, :, 2] / 2),
        boxes_of([one["bbox"] for one in rows]),
        names,
        alone if places is None else np.array(places, np.int32),
        np.array([int(one.get("track_id", -1)) for one in rows], np.int32),
    )
