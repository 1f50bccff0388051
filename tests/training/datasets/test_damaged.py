"""Missing and damaged files, and addresses that are wrong: one line each, which says what and where."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import VidgraphError
from vidgraph.training.datasets.registry import open_dataset

from . import fixtures

Change = Callable[[dict[str, Any]], object]


def read(address: str) -> None:
    """Open a data set and read all of it."""
    dataset = open_dataset(address)
    for clip in dataset.clips:
        list(dataset.samples(clip))


def refused(address: str, *parts: str) -> None:
    """The data set is refused with one line that has ``parts``."""
    with pytest.raises(VidgraphError) as caught:
        read(address)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def changed(path: Path, change: Change) -> str:
    """Change the JSON of a file; returns its path."""
    document = json.loads(path.read_text())
    change(document)
    fixtures.dumped(path, document)
    return str(path)


COCO: list[tuple[Change, list[str]]] = [
    (lambda d: d.pop("images"), ["instances_val2017.json has no 'images'"]),
    (lambda d: d["images"][1].pop("width"), ["image 1 has no 'width'"]),
    (lambda d: d["images"][1].update(height="tall"), ["image 1 is damaged", "tall"]),
    (lambda d: d["images"][1].update(id=1), ["two images have the same id"]),
    (lambda d: d["annotations"][1].update(image_id=99), ["annotation 1", "no image with the id 99"]),
    (lambda d: d["annotations"][1].update(category_id=99), ["annotation 1", "no category with the id 99"]),
    (lambda d: d["annotations"][1].pop("category_id"), ["annotation 1 has no 'category_id'"]),
    (lambda d: d["annotations"][1].pop("bbox"), ["annotations of 000000000001.jpg has no 'bbox'"]),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, 3]), ["000000000001.jpg is damaged", "x, y, width, height"]),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, -3, 4]), ["x, y, width, height"]),
    (lambda d: d["annotations"][1].pop("segmentation"), ["annotation 11 has no mask", "?masks=no"]),
    (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3]]), ["three or more pairs"]),
    (lambda d: d["annotations"][1]["segmentation"].update(size=[9, 9]), ["must have size"]),
    (lambda d: d["annotations"][1]["segmentation"].update(counts=[5]), ["add up to"]),
    (lambda d: d["annotations"][2].update(keypoints=[1, 2, 2]), ["keypoints must be 17 times"]),
    (lambda d: d["images"][0].update(width=31), ["000000000001.jpg"]),
    (lambda d: d["images"][0].update(video_id=5, frame_id=0), ["no video with the id 5"]),
    (lambda d: d["images"][1].update(file_name="gone.jpg"), ["gone.jpg"]),
    (lambda d: d["images"][0].update(file_name="gone.jpg"), ["gone.jpg is not in", "?images=FOLDER"]),
]


@pytest.mark.parametrize("number", range(len(COCO)))
def test_coco(tmp_path: Path, number: int) -> None:
    pytest.importorskip("pycocotools", reason="needs pycocotools (the extra 'eval')")
    change, parts = COCO[number]
    refused(f"coco:{changed(fixtures.coco(tmp_path), change)}", *parts)


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    refused(f"coco:{tmp_path}/a.json", "a.json is not JSON")
    (tmp_path / "b.json").write_bytes(b'"\xff"')
    refused(f"coco:{tmp_path}/b.json", "b.json is not JSON")
    (tmp_path / "c.json").write_text("[1]")
    for kind in ("coco", "coco-panoptic", "youtube-vis", "mpii"):
        refused(f"{kind}:{tmp_path}/c.json", "c.json")


def test_polygons_without_pycocotools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    refused(f"coco:{fixtures.coco(tmp_path)}", "pip install 'vidgraph[eval]'")


PANOPTIC: list[tuple[Change, list[str]]] = [
    (lambda d: d["annotations"][0]["segments_info"].pop(), ["final_mask.png has the segment 26001", "JSON has not"]),
    (lambda d: d["annotations"][0]["segments_info"].append({"id": 5, "category_id": 0}), ["JSON has the segment 5"]),
    (lambda d: d["annotations"][0]["segments_info"][0].update(category_id=5), ["annotation 0", "category", "5"]),
    (lambda d: d["annotations"][0].update(image_id="x"), ["annotation 0", "no image with the id 'x'"]),
    (lambda d: d["annotations"][0].update(file_name="gone.png"), ["gone.png"]),
    (lambda d: d["categories"][0].pop("isthing"), ["categories has no 'isthing'"]),
    (lambda d: d["images"][0].pop("height"), ["image 0 has no 'height'"]),
]


@pytest.mark.parametrize("number", range(len(PANOPTIC)))
def test_panoptic(tmp_path: Path, number: int) -> None:
    change, parts = PANOPTIC[number]
    root = fixtures.cityscapes_vps(tmp_path)
    changed(root / "panoptic_gt_val_city_vps.json", change)
    refused(f"cityscapes-vps:{root}", *parts)


def test_cityscapes_vps_lacks_something(tmp_path: Path) -> None:
    root = fixtures.cityscapes_vps(tmp_path)
    refused(f"cityscapes-vps:{root}?split=train", "panoptic_gt_train_city_vps.json", "No such file")
    changed(root / "im_all_info_val_city_vps.json", lambda d: d["images"].pop())
    refused(f"cityscapes-vps:{root}?frames=all", "no video with lindau_000000_000005, lindau_000000_000010")
    refused(f"cityscapes-vps:{root}?frames=some", "frames must be annotated or all, got 'some'")


def test_a_png_of_another_size(tmp_path: Path) -> None:
    root = fixtures.cityscapes_vps(tmp_path)
    path = next((root / "val" / "panoptic_video").iterdir())
    fixtures.segment_png(path, np.full((5, 5), 65536 * 2 + 256 * 3 + 7))
    refused(f"cityscapes-vps:{root}", path.name)


YOUTUBE_VIS: list[tuple[Change, list[str]]] = [
    (lambda d: d["annotations"][0].update(video_id=9), ["annotation 0", "no video with the id 9"]),
    (lambda d: d["annotations"][0].update(category_id=9), ["annotation 0", "no category with the id 9"]),
    (lambda d: d["annotations"][0]["segmentations"].pop(), ["annotation 0", "2 masks for 3 frames"]),
    (lambda d: d["annotations"][0]["bboxes"].pop(), ["video 0043f083b5, frame 2"]),
    (lambda d: d["videos"][0].pop("file_names"), ["video 0 has no 'file_names'"]),
    (lambda d: d["videos"][0]["file_names"].clear(), ["annotation 0", "3 masks for 0 frames"]),
]


@pytest.mark.parametrize("number", range(len(YOUTUBE_VIS)))
def test_youtube_vis(tmp_path: Path, number: int) -> None:
    change, parts = YOUTUBE_VIS[number]
    refused(f"youtube-vis:{changed(fixtures.youtube_vis(tmp_path), change)}", *parts)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("1,2,3", ["gt.txt:1 is damaged", "six to ten numbers, got 3"]),
        ("1,2,a,4,5,6,1,1,1", ["gt.txt:1 is damaged", "'a'"]),
        ("3,2,3,4,5,6,1,1,1", ["gt.txt:1", "frame 3 of a sequence of 2"]),
        ("1,2,3,4,5,6,1,44,1", ["gt.txt:1", "class 44, and there are 13"]),
        ("1,2,3,4,5,inf,1,1,1", ["gt.txt:1", "numbers"]),
        ("1,2,3,4,-5,6,1,1,1", ["gt.txt", "width"]),
    ],
)
def test_mot_lines(tmp_path: Path, line: str, parts: list[str]) -> None:
    folder = fixtures.mot(tmp_path)
    (folder / "gt" / "gt.txt").write_text(line + "\n", "utf-8")
    refused(f"mot:{folder}", *parts)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("seqLength=2", "", "seqinfo.ini has no 'seqLength'"),
        ("seqLength=2", "seqLength=two", "seqinfo.ini is damaged"),
        ("seqLength=2", "seqLength=3", "000003.jpg"),
        ("[Sequence]", "[Other]", "seqinfo.ini has no 'Sequence'"),
        ("[Sequence]", "", "seqinfo.ini is damaged"),
        ("imWidth=30", "imWidth=40", "000001.jpg must be 40x20"),
    ],
)
def test_mot_seqinfo(tmp_path: Path, old: str, new: str, part: str) -> None:
    info = fixtures.mot(tmp_path) / "seqinfo.ini"
    info.write_text(info.read_text("utf-8").replace(old, new), "utf-8")
    refused(f"mot:{info.parent}", part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "names no image"),
        ("0--Parade/a.jpg\nmany\n", ".txt:2 is damaged"),
        ("0--Parade/a.jpg\n3\n1 1 2 2\n", "3 faces, and 1 lines are left"),
        ("0--Parade/a.jpg\n1\n1 1 2\n", ".txt:3 is damaged: a face has 4 or more numbers"),
        ("0--Parade/a.jpg", ".txt:2 is damaged"),
        ("# 0--Parade/a.jpg\n1 1 x 2\n", ".txt:2 is damaged"),
        ("# 0--Parade/a.jpg\n1 1 2 nan\n", ".txt:2 is damaged"),
        ("# 0--Parade/gone.jpg\n", "gone.jpg is not in"),
        ("# 0--Parade/a.jpg\n# 0--Parade/gone.jpg\n", "gone.jpg: No such file"),
    ],
)
def test_wider(tmp_path: Path, text: str, part: str) -> None:
    split, _ = fixtures.wider(tmp_path)
    split.write_text(text, "utf-8")
    refused(f"wider:{split}", part)


MPII: list[tuple[Change, list[str]]] = [
    (lambda d: d[1].pop("center"), ["person 1 has no 'center'"]),
    (lambda d: d[1].update(center=[1]), ["person 1 is damaged"]),
    (lambda d: d[1]["joints"].pop(), ["person 1 is damaged", "16 joints, got 15"]),
    (lambda d: d[1]["joints_vis"].pop(), ["person 1 is damaged"]),
    (lambda d: d[1].update(image="gone.jpg"), ["gone.jpg"]),
]


@pytest.mark.parametrize("number", range(len(MPII)))
def test_mpii(tmp_path: Path, number: int) -> None:
    change, parts = MPII[number]
    refused(f"mpii:{changed(fixtures.mpii(tmp_path)[0], change)}", *parts)


def test_addresses(tmp_path: Path) -> None:
    refused("koko:a.json", "unknown kind 'koko'; did you mean coco?")
    refused("zzz:a.json", "known: coco, coco-panoptic")
    refused(f"coco:{tmp_path}/a.json", "there is no")
    refused(f"{tmp_path}/a.json", "no such file or folder")
    refused(str(tmp_path), "is no data set that is recognised; name the kind")
    refused(f"mot:{tmp_path}", "has no sequence")
    path = fixtures.coco(tmp_path)
    refused(f"coco:{path}?image=x", "have no option 'image'; did you mean images?")
    refused(f"coco:{path}?images", "the option 'images' has no value")
    refused(f"coco:{path}?images={tmp_path}/none", "there is no folder")
    refused(f"coco:{path}?masks=maybe", "masks must be yes or no, got 'maybe'")
    fixtures.dumped(tmp_path / "other.json", {"a": 1})
    refused(f"{tmp_path}/other.json", "JSON of no data set that is recognised")
    (tmp_path / "a.bin").touch()
    refused(f"{tmp_path}/a.bin", "is no data set that is recognised")


def test_a_colon_in_a_name_is_no_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fixtures.mot(tmp_path / "a:b")
    assert re.fullmatch("mot:a:b", open_dataset("a:b").name)
