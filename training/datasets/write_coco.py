"""A data set as COCO: ``annotations.json`` with objects, their masks and bodies; ``faces.json`` with faces.

Faces are in a file of their own, with the same images, because they are no class of objects: in one file, COCO's
evaluation of masks would look for the masks of the faces. Images of a video have ``video_id`` and ``frame_id``,
objects ``track_id``; both, and ``hidden``, are additions that COCO's tools pass over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.claims import hidden
from ...pipeline.ground_truth import FACE_POINTS, GroundTruth
from ...pipeline.results.record import PIXEL_DECIMALS
from ...pipeline.types.landmarks import Landmarks
from .dataset import Clip, DataSample, Dataset

ANNOTATIONS, FACES = "annotations.json", "faces.json"

Record = dict[str, Any]


class ImageList:
    """The records of images and videos, which all files of COCO's family have."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self.images: list[Record] = []
        self.videos: dict[str, Record] = {}

    def file(self, clip: Clip, index: int) -> str:
        """The name of an image, from the folder ``images``: a folder for each video."""
        name = safe_name(clip.name)
        return f"{name}/{index:06d}{self._suffix}" if clip.frames > 1 else f"{name}{self._suffix}"

    def add(self, sample: DataSample, clip: Clip, file: str) -> Record:
        """The record of a new image."""
        height, width = clip.size
        image: Record = {"id": len(self.images) + 1, "file_name": file, "width": width, "height": height}
        if clip.frames > 1:
            new = {"id": len(self.videos) + 1, "name": clip.name, "width": width, "height": height, "fps": clip.rate}
            video = self.videos.setdefault(clip.name, new)
            image |= {"video_id": video["id"], "frame_id": sample.frame.index}
        self.images.append(image)
        return image

    def head(self, name: str) -> Record:
        """How the JSON begins."""
        videos = {"videos": list(self.videos.values())} if self.videos else {}
        return {"info": {"description": name}, "licenses": [], **videos, "images": self.images}


def safe_name(name: str) -> str:
    """``name`` as a path that stays below its folder."""
    parts = [part for part in name.replace("\\", "/").replace("\0", "").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "unnamed"


class CocoWriter:
    """Collects what :func:`.write.write_dataset` gives it, and writes at the end. Frames without truth are left out."""

    images = "images"
    skips_unannotated = True

    def __init__(self, folder: Path, dataset: Dataset, suffix: str) -> None:
        self._folder, self._dataset = folder, dataset
        self._list = ImageList(suffix)
        self._objects: list[Record] = []
        self._faces: list[Record] = []
        self._points: dict[int, tuple[str, ...]] = {}
        self._has_faces = False

    def file(self, clip: Clip, index: int) -> str:
        """The name of a frame's image, from the folder ``images``."""
        return self._list.file(clip, index)

    def add(self, sample: DataSample, clip: Clip, file: str) -> None:
        """Take the truth of a frame."""
        image, truth = self._list.add(sample, clip, file), sample.truth
        bodies = {}
        if truth.bodies is not None:
            bodies = {int(row): place for place, row in enumerate(truth.bodies.detection_rows) if row >= 0}
        for row in range(len(truth.objects)):
            annotation = {"id": len(self._objects) + 1, "image_id": image["id"]} | object_record(truth, row)
            if truth.bodies is not None and row in bodies:
                annotation |= _keypoints(truth.bodies, bodies[row])
                self._points.setdefault(annotation["category_id"], truth.bodies.names)
            self._objects.append(annotation)
        if truth.faces is not None and truth.faces_ignored is not None:
            self._has_faces = True
            for row, ignored in enumerate(truth.faces_ignored.tolist()):
                face = {"id": len(self._faces) + 1, "image_id": image["id"], "category_id": 1}
                self._faces.append(face | _box(truth.faces.boxes[row]) | _face(truth.faces, row, ignored))

    def finish(self) -> tuple[Path, ...]:
        """Write the files; returns them.

        Raises:
            OSError: the disk is full, …
        """
        categories = [
            {"id": number, "name": name, "supercategory": ""} | self._named_points(number)
            for number, name in enumerate(self._dataset.class_names, start=1)
        ]
        for one in self._objects:
            if one["category_id"] in self._points and "keypoints" not in one:
                one |= {"keypoints": [0] * 3 * len(self._points[one["category_id"]]), "num_keypoints": 0}
        head = self._list.head(self._dataset.name)
        written = [
            write_json(self._folder / ANNOTATIONS, head | {"categories": categories, "annotations": self._objects})
        ]
        if self._has_faces:
            face = {"id": 1, "name": "face", "supercategory": "", "keypoints": list(FACE_POINTS), "skeleton": []}
            written.append(write_json(self._folder / FACES, head | {"categories": [face], "annotations": self._faces}))
        return tuple(written)

    def _named_points(self, category: int) -> Record:
        names = self._points.get(category)
        return {"keypoints": list(names), "skeleton": []} if names else {}


def object_record(truth: GroundTruth, row: int) -> Record:
    """Category, box, mask, area and what else is known of one object."""
    objects = truth.objects
    record: Record = {"category_id": int(objects.class_ids[row]) + 1} | _box(objects.boxes[row])
    if objects.masks is not None:
        record |= {"segmentation": objects.masks.rle(row), "area": objects.masks.area(row)}
    record["iscrowd"] = int(truth.ignored[row])
    if objects.track_ids is not None and objects.track_ids[row] >= 0:
        record["track_id"] = int(objects.track_ids[row])
    if truth.hidden[row] >= 0:
        record["hidden"] = round(float(truth.hidden[row]), PIXEL_DECIMALS)
    return record


def _box(box: NDArray[np.float32]) -> Record:
    x1, y1, x2, y2 = rounded(box)
    width, height = round(x2 - x1, PIXEL_DECIMALS), round(y2 - y1, PIXEL_DECIMALS)
    return {"bbox": [x1, y1, width, height], "area": round(width * height, PIXEL_DECIMALS)}


def _face(faces: Landmarks, row: int, ignored: bool) -> Record:
    track = {"track_id": int(faces.track_ids[row])} if faces.track_ids[row] >= 0 else {}
    return _keypoints(faces, row) | {"iscrowd": int(ignored)} | track


def _keypoints(landmarks: Landmarks, row: int) -> Record:
    """x, y and COCO's visibility of each point; zeros where a point is not known."""
    seen = np.rint(landmarks.scores[row] * 2).astype(int).tolist()
    flat: list[float] = []
    for (x, y), visible in zip(landmarks.points[row], seen, strict=True):
        flat += [*rounded((x, y)), visible] if visible else [0, 0, 0]
    return {"keypoints": flat, "num_keypoints": sum(visible > 0 for visible in seen)}


def rounded(numbers: Sequence[float] | NDArray[np.float32]) -> list[float]:
    """Pixels as they are written."""
    return [round(float(number), PIXEL_DECIMALS) for number in numbers]


def write_json(path: Path, document: Any) -> Path:
    """Write a file that appears whole.

    Raises:
        OSError: the disk is full, …
    """
    part = hidden(path, ".part")
    try:
        part.write_text(json.dumps(document, separators=(",", ":")), "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
