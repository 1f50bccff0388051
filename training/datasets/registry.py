"""Data sets by address: ``coco:annotations.json``, ``mot:MOT17/train``, ``synth:street?split=hard``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...pipeline.errors import SourceError, UsageError, nearest
from .address import COMMON_OPTIONS, Address, check_options, read_json, split_options
from .dataset import Dataset

SYNTHETIC = "synth"
"""The kind of synthetic scenes, whose addresses name no files."""


@dataclass(frozen=True, slots=True)
class Format:
    """One row of :data:`FORMATS`.

    Attributes:
        opener: ``module:function`` of this package; the function makes a :class:`Dataset` of an :class:`Address`.
        options: what may follow the ``?``, besides those of all formats.
        example: an address.
        description: for the table of formats.
    """

    opener: str
    options: tuple[str, ...]
    example: str
    description: str

    def open(self, address: Address) -> Dataset:
        """Open a data set of this format."""
        module, function = self.opener.split(":")
        opener: Callable[[Address], Dataset] = getattr(import_module(f".{module}", __package__), function)
        return opener(address)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "coco": Format(
            "coco:open_coco",
            ("images", "faces", "masks"),
            "coco:annotations/instances_val2017.json",
            "boxes, masks (run lengths and polygons), keypoints; of images or videos",
        ),
        "coco-panoptic": Format(
            "coco_panoptic:open_coco_panoptic",
            ("images", "pngs"),
            "coco-panoptic:annotations/panoptic_val2017.json",
            "a segment for every pixel",
        ),
        "youtube-vis": Format(
            "youtube_vis:open_youtube_vis",
            ("images",),
            "youtube-vis:train/instances.json",
            "masks of objects through a video (YouTube-VIS, OVIS)",
        ),
        "cityscapes-vps": Format(
            "cityscapes_vps:open_cityscapes_vps",
            ("split", "frames"),
            "cityscapes-vps:cityscapes_vps",
            "a segment for every pixel, through a video",
        ),
        "mot": Format("mot:open_mot", (), "mot:MOT17/train", "boxes of objects through a video"),
        "wider": Format(
            "wider:open_wider",
            ("images",),
            "wider:wider_face_split/wider_face_val_bbx_gt.txt",
            "boxes of faces; with five points from RetinaFace's label.txt",
        ),
        "mpii": Format(
            "mpii:open_mpii", ("images", "split"), "mpii:annot/valid.json", "16 joints of people, from the usual JSON"
        ),
    }
)
"""The formats of data sets: one row for each."""


def open_dataset(address: str) -> Dataset:
    """A data set by its address.

    Args:
        address: ``KIND:PATH?OPTION=VALUE&…`` with a kind of :data:`FORMATS`, ``synth:…`` for synthetic scenes, or a
            bare path of a file or folder that says itself what it is.

    Raises:
        UsageError: an unknown kind or option.
        SourceError: there is no such file, or it is damaged.
    """
    if address.startswith(f"{SYNTHETIC}:"):
        from .synthetic import open_synthetic

        return open_synthetic(address)
    found = _found(address)
    check_options(found.kind, found.options, (*FORMATS[found.kind].options, *COMMON_OPTIONS))
    if not found.path.exists():
        raise SourceError(f"cannot open the data set {address}: there is no {found.path}")
    return FORMATS[found.kind].open(found)


def refuse_own_folder(address: str, folder: Path) -> None:
    """Refuse to write into the folder that a data set is read from.

    Raises:
        UsageError: ``folder`` is that, or holds it.
    """
    if address.startswith(f"{SYNTHETIC}:"):
        return
    found, target = _found(address), folder.resolve()
    for path in (found.path, *(Path(found.options[name]) for name in ("images",) if name in found.options)):
        if path.exists() and (target == path.resolve() or target in path.resolve().parents):
            raise UsageError(f"cannot write {folder}: the data set is read from there ({path}); name another folder")


def _found(address: str) -> Address:
    """What an address stands for; of a bare path, by what is there.

    Raises:
        UsageError, SourceError: as :func:`open_dataset`.
    """
    kind, colon, rest = address.partition(":")
    if colon and kind in FORMATS:
        text, options = split_options(rest)
        return Address(kind, Path(text), options)
    if colon and not Path(split_options(address)[0]).exists():
        hint = nearest(kind, (*FORMATS, SYNTHETIC), always=True)
        raise UsageError(f"data set {address}: unknown kind {kind!r}; {hint}")
    return _recognised(*split_options(address))


def _recognised(text: str, options: Mapping[str, str]) -> Address:
    """The address of a path without a kind.

    Raises:
        SourceError: it does not exist, or could be anything.
    """
    path = Path(text)
    if path.is_dir():
        return _recognised_folder(path, options)
    if path.suffix.lower() == ".json" and path.is_file():
        document = read_json(path)
        return Address(_kind_of_json(document, path), path, options, document)
    if not path.exists():
        raise SourceError(f"cannot open the data set {text}: there is no such file or folder")
    if path.suffix.lower() == ".txt":
        return Address("wider", path, options)
    raise SourceError(f"{text} is no data set that is recognised; name its kind: {', '.join(FORMATS)}")


def _kind_of_json(document: Any, path: Path) -> str:
    if isinstance(document, list):
        return "mpii"
    if isinstance(document, dict) and "categories" in document:
        videos, annotations = document.get("videos"), document.get("annotations")
        if isinstance(videos, list) and videos and isinstance(videos[0], dict) and "file_names" in videos[0]:
            return "youtube-vis"
        first = annotations[0] if isinstance(annotations, list) and annotations else None
        if isinstance(first, dict) and "segments_info" in first:
            return "coco-panoptic"
        if "images" in document:
            return "coco"
    raise SourceError(f"{path} is the JSON of no data set that is recognised; name its kind: {', '.join(FORMATS)}")


def _recognised_folder(folder: Path, options: Mapping[str, str]) -> Address:
    from .mot import sequence_folders
    from .write_coco import ANNOTATIONS
    from .write_coco_panoptic import PANOPTIC

    for kind, file in (("coco", ANNOTATIONS), ("coco-panoptic", PANOPTIC)):
        if (folder / file).is_file():
            return Address(kind, folder / file, options)
    if any(folder.glob("panoptic_gt_*_city_vps.json")):
        return Address("cityscapes-vps", folder, options)
    if sequence_folders(folder):
        return Address("mot", folder, options)
    raise SourceError(f"the folder {folder} is no data set that is recognised; name the kind: {', '.join(FORMATS)}")
