"""Cityscapes-VPS: COCO panoptic of videos, a segment's id being the same in all frames of its video.

Source: Kim et al., Video Panoptic Segmentation, CVPR 2020: ``panoptic_gt_val_city_vps.json`` beside ``val/img`` (the
frames with annotations), ``val/img_all`` (every frame) and ``val/panoptic_video`` (the PNGs). The image ids are
``VVVV_FFFF_city_sequence_frame`` with the number of the video in front; ``im_all_info_val_city_vps.json`` lists every
frame, with ids of 10000 times the video plus the frame.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...pipeline.errors import SourceError
from .address import Address, read_json
from .coco import Record
from .coco_panoptic import Segments
from .dataset import Clip
from .files import FileDataset, FrameFile, picture_path, reading

VIDEO_DIGITS = 4
FRAMES_PER_SECOND = 17.0
STEP = 5
"""Every fifth frame has annotations."""
IDS_PER_VIDEO = 10_000

_PREFIX = re.compile(r"\d{4}_\d{4}_")


def open_cityscapes_vps(address: Address) -> FileDataset:
    """Open ``cityscapes-vps:FOLDER``.

    Options: ``split`` (val; train or test); ``frames``: ``annotated`` (every fifth, as VPQ counts them) or ``all``.

    Raises:
        SourceError: a file is missing or damaged.
    """
    split = address.choice("split", "val", "train", "test")
    every = address.choice("frames", "annotated", "all") == "all"
    found = Segments.of(read_json(address.path / f"panoptic_gt_{split}_city_vps.json"), address)
    folder = address.path / split
    videos: dict[str, list[Record]] = {}
    for number, image in enumerate(found.images):
        with reading(f"{address.name}: image {number}"):
            videos.setdefault(image["id"][:VIDEO_DIGITS], []).append(image)
    sequences = _sequences(address.path / f"im_all_info_{split}_city_vps.json", address.name) if every else []
    clips, frames = [], {}
    for video, images in videos.items():
        images.sort(key=lambda image: str(image["id"]))
        files = {
            _frame_name(image): found.frame(image, folder / "img", folder / "panoptic_video", tracked=True)
            for image in images
        }
        frames[video] = _all_of(files, sequences, folder / "img_all", found) if every else list(files.values())
        size = int(images[0]["height"]), int(images[0]["width"])
        rate = FRAMES_PER_SECOND if every else FRAMES_PER_SECOND / STEP
        clips.append(Clip(video, len(frames[video]), size, rate))
    return FileDataset(address.name, found.class_names, found.stuff_names, tuple(clips), frames, address.max_pixels)


def _frame_name(image: Record) -> str:
    """``city_sequence_frame`` of an image, which all its names share."""
    return _PREFIX.sub("", str(image["file_name"]), count=1).rpartition("_")[0]


def _sequences(path: Path, name: str) -> list[dict[str, str]]:
    """For each video the frames' names and files, in order."""
    videos: dict[int, dict[str, str]] = {}
    document = read_json(path)
    with reading(f"{name}: {path.name}"):
        for image in sorted(document["images"], key=lambda image: int(image["id"])):
            videos.setdefault(int(image["id"]) // IDS_PER_VIDEO, {})[_frame_name(image)] = image["file_name"]
    return list(videos.values())


def _all_of(
    labelled: dict[str, FrameFile], sequences: list[dict[str, str]], folder: Path, found: Segments
) -> list[FrameFile]:
    """The frames of the video that the labelled ones are from.

    Raises:
        SourceError: no video has them all.
    """
    for names in sequences:
        if labelled.keys() <= names.keys():
            with reading(f"{found.name}: the list of all frames"):
                unlabelled = {
                    name: FrameFile(picture_path(folder, file, found.address), found.nothing, annotated=False)
                    for name, file in names.items()
                }
            return list((unlabelled | labelled).values())
    raise SourceError(f"{found.name}: the list of all frames has no video with {', '.join(labelled)}")
