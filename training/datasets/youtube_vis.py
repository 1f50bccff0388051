"""YouTube-VIS: videos, and objects with a mask, or none, for each frame. OVIS and others are laid out like it.

Source: Yang et al., Video Instance Segmentation, ICCV 2019: ``videos`` with ``file_names``, ``annotations`` with
``segmentations`` and ``bboxes``, one or null for each frame of the video; images in ``JPEGImages``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import GroundTruth
from ...pipeline.limits import too_large
from .address import Address
from .coco import Record
from .dataset import Clip
from .files import FileDataset, FrameFile, boxes_of, choose_folder, known_id, picture_path, reading, things
from .segmentation import enclosing, masks_of


def open_youtube_vis(address: Address) -> FileDataset:
    """Open ``youtube-vis:FILE.json``.

    Options: ``images=FOLDER``. The track of an object is the id of its annotation. A file without annotations, as the
    test sets are published, gives frames that are not annotated.

    Raises:
        SourceError: a file is missing or damaged.
    """
    document = address.json()
    with reading(address.name):
        ordered = sorted(document["categories"], key=lambda one: int(one["id"]))
        class_of = {int(one["id"]): row for row, one in enumerate(ordered)}
        class_names = tuple(str(one["name"]) for one in ordered)
        videos = list(document["videos"])
        annotations = document.get("annotations")
        annotations = None if annotations is None else list(annotations)
    of_video = _by_video(annotations or (), videos, class_of, address.name)
    clips, frames = [], {}
    for number, video in enumerate(videos):
        with reading(f"{address.name}: video {number}"):
            files = [str(name) for name in video["file_names"]]
            size = int(video["height"]), int(video["width"])
            if min(size) < 1:
                raise ValueError("height and width must be from 1")
            if size[0] * size[1] > address.max_pixels:
                raise too_large(f"{address.name}: video {number}", size, address.max_pixels)
            for file in files:
                picture_path(address.path.parent, file, address)
            clip = Clip(_clip_name(files), len(files), size)
            objects = of_video[video["id"]]
        if clip.name in frames or not files:
            raise SourceError(f"{address.name}: video {number} has no frames, or the folder of another one")
        clips.append(clip)
        reader = partial(_truth, f"{address.name}: video {clip.name}", objects, class_of, class_names, clip.size)
        frames[clip.name] = [(name, partial(reader, place)) for place, name in enumerate(files)]
    root = address.path.parent
    near = [root / "JPEGImages", root, root.parent / "JPEGImages", root / address.path.stem / "JPEGImages"]
    root = choose_folder(address, near, frames[clips[0].name][0][0] if clips else None)
    files_of = {
        name: [FrameFile(picture_path(root, file, address), truth, annotations is not None) for file, truth in several]
        for name, several in frames.items()
    }
    return FileDataset(address.name, class_names, (), tuple(clips), files_of, address.max_pixels)


def _clip_name(files: Sequence[str]) -> str:
    """The folder that the frames of a video are in; the first frame where they are in none."""
    return files[0].rpartition("/")[0] or files[0] if files else ""


def _by_video(
    annotations: Sequence[Record], videos: Sequence[Record], class_of: dict[int, int], name: str
) -> dict[Any, list[Record]]:
    """Video id -> annotations.

    Raises:
        SourceError: an annotation names a video or category that is not there, or has not one mask for each frame.
    """
    of_video: dict[Any, list[Record]] = {}
    lengths = {}
    for number, video in enumerate(videos):
        with reading(f"{name}: video {number}"):
            of_video[video["id"]] = []
            lengths[video["id"]] = len(video["file_names"])
    for number, one in enumerate(annotations):
        with reading(f"{name}: annotation {number}"):
            video_id = known_id(of_video, one["video_id"], "video")
            category = known_id(class_of, one["category_id"], "category")
            if len(one["segmentations"]) != lengths[video_id]:
                raise ValueError(f"{len(one['segmentations'])} masks for {lengths[video_id]} frames")
            int(one["id"])
            of_video[video_id].append(one if category == one["category_id"] else {**one, "category_id": category})
    return of_video


def _truth(
    where: str,
    objects: Sequence[Record],
    class_of: dict[int, int],
    class_names: tuple[str, ...],
    size: tuple[int, int],
    place: int,
) -> GroundTruth:
    """The objects with a mask in the frame at ``place``; boxes as given, or around the mask.

    A polygon of fewer than three points encloses nothing: the object is not seen, as where there is none.
    """
    with reading(f"{where}, frame {place}"):
        seen = [one for one in objects if enclosing(one["segmentations"][place])]
        masks = masks_of([enclosing(one["segmentations"][place]) for one in seen], size)
        boxes = masks.boxes.astype(np.float32)
        given = {row: one["bboxes"][place] for row, one in enumerate(seen) if one.get("bboxes")}
        rows = [row for row, box in given.items() if box]
        boxes[rows] = boxes_of([given[row] for row in rows])
        return GroundTruth(
            things(
                boxes,
                [class_of[one["category_id"]] for one in seen],
                class_names,
                masks=masks,
                track_ids=[int(one["id"]) for one in seen],
            ),
            np.array([bool(one.get("iscrowd", 0)) for one in seen], np.bool_),
            np.full(len(seen), -1, np.float32),
        )
