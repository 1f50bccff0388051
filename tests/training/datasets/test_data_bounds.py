"""Data sets that others made: what they announce has limits, and what they name is theirs."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vidgraph import VidgraphError
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.training.datasets.dataset import DataSample
from vidgraph.training.datasets.registry import open_dataset

from . import fixtures

Change = Callable[[Any], object]


def samples(address: str) -> list[DataSample]:
    dataset = open_dataset(address)
    return [sample for clip in dataset.clips for sample in dataset.samples(clip)]


def refused(address: str, says: str) -> None:
    with pytest.raises(VidgraphError, match=says) as caught:
        samples(address)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def changed(path: Path, change: Change) -> Path:
    document = json.loads(path.read_text())
    change(document)
    return fixtures.dumped(path, document)


def simple(root: Path, *segmentations: Any) -> Path:
    """An image for each segmentation, with one object."""
    for number in range(len(segmentations)):
        fixtures.picture(root / "images" / f"{number}.png")
    annotations = [
        {"id": 10 + number, "image_id": number, "category_id": 1, "bbox": [2, 3, 10, 8], "segmentation": one}
        for number, one in enumerate(segmentations)
    ]
    images = [fixtures.image(number, f"{number}.png") for number in range(len(segmentations))]
    document = {"images": images, "categories": [{"id": 1, "name": "red"}], "annotations": annotations}
    return fixtures.dumped(root / "a.json", document)


SQUARE = [2, 3, 12, 3, 12, 11, 2, 11]
LINE = [2, 3, 12, 11]


@pytest.mark.parametrize("nothing", [[LINE], [], [[]], [[2, 3]], [LINE, [1, 1]], None, {}])
def test_a_mask_that_encloses_nothing_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nothing: Any
) -> None:
    """Counted and named; the rest of the set is used."""
    path = simple(tmp_path, nothing, [SQUARE], [SQUARE])
    with caplog.at_level(logging.WARNING, "vidgraph"):
        found = samples(f"coco:{path}")
    assert [len(sample.truth.objects) for sample in found] == [0, 1, 1]
    (record,) = caplog.records
    assert "coco:a.json: 1 annotation is left out" in record.getMessage()
    assert "10 of 0.png" in record.getMessage()
    caplog.clear()
    assert [len(sample.truth.objects) for sample in samples(f"coco:{path}?masks=no")] == [1, 1, 1]
    assert not caplog.records


def test_several_that_are_left_out_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidgraph"):
        samples(f"coco:{simple(tmp_path, *[[LINE]] * 5, [SQUARE])}")
    assert "5 annotations are left out" in caplog.text
    assert "10 of 0.png, 11 of 1.png, 12 of 2.png, …" in caplog.text


def test_a_line_beside_a_polygon_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    both, alone = samples(f"coco:{simple(tmp_path, [SQUARE, LINE], [SQUARE])}")
    for sample in (both, alone):
        masks = sample.truth.objects.masks
        assert masks is not None
        assert masks.area(0) == 80
    assert not caplog.records


def test_the_set_that_was_met(shared: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    images = shared("cases/images")
    for name, counts in (("poly2", [0, 1, 1]), ("cat_str", [1, 1, 1])):
        found = samples(f"coco:{shared(f'cases/{name}.json')}?images={images}")
        assert [len(sample.truth.objects) for sample in found] == counts
        assert [sample.truth.objects.class_names for sample in found] == [("red", "blue")] * 3


def test_youtube_vis_does_not_see_a_line(tmp_path: Path) -> None:
    path = changed(
        fixtures.youtube_vis(tmp_path), lambda d: d["annotations"][0]["segmentations"].__setitem__(2, [LINE])
    )
    assert [len(sample.truth.objects) for sample in samples(f"youtube-vis:{path}")] == [2, 1, 1]


def as_texts(document: dict[str, Any]) -> None:
    for one in document["categories"]:
        one["id"] = str(one["id"])
    for one in document["annotations"]:
        one["category_id"] = str(one["category_id"])


@pytest.mark.parametrize("which", ["both", "categories", "annotations"])
@pytest.mark.parametrize("kind", ["coco", "youtube-vis"])
def test_ids_as_texts_are_understood(tmp_path: Path, kind: str, which: str) -> None:
    make = fixtures.coco if kind == "coco" else fixtures.youtube_vis
    before = samples(f"{kind}:{make(tmp_path / 'before')}")

    def change(document: dict[str, Any]) -> None:
        kept = json.loads(json.dumps(document))
        as_texts(document)
        if which != "both":
            other = "annotations" if which == "categories" else "categories"
            document[other] = kept[other]

    after = samples(f"{kind}:{changed(make(tmp_path / 'after'), change)}")
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.truth.objects.class_ids, two.truth.objects.class_ids)
        np.testing.assert_array_equal(one.truth.objects.boxes, two.truth.objects.boxes)


def test_ids_of_images_as_texts_are_understood(tmp_path: Path) -> None:
    path = changed(
        fixtures.coco(tmp_path), lambda d: [one.update(image_id=str(one["image_id"])) for one in d["annotations"]]
    )
    assert [len(sample.truth.objects) for sample in samples(f"coco:{path}")] == [3, 0]


@pytest.mark.parametrize("name", ["../outside.jpg", "a/../../outside.jpg", "ABSOLUTE"])
@pytest.mark.parametrize("kind", ["coco", "youtube-vis", "mpii", "wider", "coco-panoptic", "cityscapes-vps", "mot"])
def test_pictures_outside_of_the_folder_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    outside = fixtures.picture(tmp_path / "outside.jpg")
    name = str(outside) if name == "ABSOLUTE" else name
    root = tmp_path / "set"
    if kind == "coco":
        path = changed(fixtures.coco(root), lambda d: d["images"][1].update(file_name=name))
    elif kind == "youtube-vis":
        path = changed(fixtures.youtube_vis(root), lambda d: d["videos"][0]["file_names"].__setitem__(1, name))
    elif kind == "mpii":
        path = changed(fixtures.mpii(root)[0], lambda d: d[0].update(image=name))
    elif kind == "wider":
        path = fixtures.wider(root)[0]
        path.write_text(f"{name}\n0\n0 0 0 0 0 0 0 0 0 0\n")
    elif kind == "coco-panoptic":
        path = panoptic(root, pngs=name)
    elif kind == "cityscapes-vps":
        path = fixtures.cityscapes_vps(root)
        changed(path / "panoptic_gt_val_city_vps.json", lambda d: d["images"][0].update(file_name=name))
    else:
        path = fixtures.mot(root)
        info = path / "seqinfo.ini"
        info.write_text(info.read_text().replace("imDir=img1", f"imDir={name}"))
    refused(f"{kind}:{path}", "not inside of its folder; if that is meant, say [?]outside=yes")


def test_pictures_outside_are_read_where_that_is_asked_for(tmp_path: Path) -> None:
    fixtures.picture(tmp_path / "outside.png")
    path = changed(simple(tmp_path / "set", [SQUARE]), lambda d: d["images"][0].update(file_name="../../outside.png"))
    images = path.parent / "images"
    assert len(samples(f"coco:{path}?images={images}&outside=yes")) == 1
    refused(f"coco:{path}?images={images}", "names the picture '../../outside.png'")
    with pytest.raises(UsageError, match="outside must be no or yes"):
        open_dataset(f"coco:{path}?outside=maybe")


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    """As data sets are laid out that lie on another disk."""
    path = simple(tmp_path / "set", [SQUARE])
    (path.parent / "images").rename(tmp_path / "disk")
    (path.parent / "images").symlink_to(tmp_path / "disk")
    assert len(samples(f"coco:{path}")) == 1


def panoptic(root: Path, *, pngs: str = "1.png", png_size: tuple[int, int] = (fixtures.HEIGHT, fixtures.WIDTH)) -> Path:
    """One image, all of it one segment."""
    fixtures.picture(root / "val2017" / "1.jpg")
    fixtures.segment_png(root / "annotations" / "panoptic_val2017" / "1.png", np.full(png_size, 5, np.int32))
    segments = [{"id": 5, "category_id": "2", "area": 600, "iscrowd": 0}]
    document = {
        "images": [fixtures.image(1, "1.jpg")],
        "categories": [{"id": 2, "name": "sky", "isthing": 0}],
        "annotations": [{"image_id": "1", "file_name": pngs, "segments_info": segments}],
    }
    return fixtures.dumped(root / "annotations" / "panoptic_val2017.json", document)


def test_panoptic_pngs_have_the_size_of_their_image(tmp_path: Path) -> None:
    assert len(samples(f"coco-panoptic:{panoptic(tmp_path / 'right')}")) == 1
    refused(f"coco-panoptic:{panoptic(tmp_path / 'wrong', png_size=(9, 9))}", "must be 30x20 as its image, got 9x9")


def large(path: Path, kind: str) -> str:
    """The address of the data set, which now says that its images have 10^18 pixels."""
    huge = {"width": 10**9, "height": 10**9}
    if kind == "mot":
        info = path / "seqinfo.ini"
        info.write_text(
            info.read_text().replace("imWidth=30", "imWidth=1000000000").replace("imHeight=20", "imHeight=1000000000")
        )
    else:
        changed(path, lambda d: d["videos" if kind == "youtube-vis" else "images"][0].update(huge))
    return f"{kind}:{path}"


@pytest.mark.parametrize("kind", ["coco", "youtube-vis", "coco-panoptic", "mot"])
def test_sizes_are_not_believed_without_a_limit(tmp_path: Path, kind: str) -> None:
    makers = {
        "coco": fixtures.coco,
        "youtube-vis": fixtures.youtube_vis,
        "coco-panoptic": panoptic,
        "mot": fixtures.mot,
    }
    refused(large(makers[kind](tmp_path), kind), "is 1000000000x1000000000, which is larger than 67108864 pixels")


def test_max_pixels_is_the_callers(tmp_path: Path) -> None:
    path = simple(tmp_path, [SQUARE])
    assert len(samples(f"coco:{path}?max-pixels=600")) == 1
    refused(f"coco:{path}?max-pixels=599", "is 30x20, which is larger than 599 pixels")
    with pytest.raises(UsageError, match="max-pixels must be a whole number from 1, got 'many'"):
        open_dataset(f"coco:{path}?max-pixels=many")


def test_an_image_that_is_larger_than_the_annotations_say_is_not_decoded(tmp_path: Path) -> None:
    path = simple(tmp_path, [SQUARE])
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    picture = path.parent / "images" / "0.png"
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    refused(f"coco:{path}", "0.png is 30000x30000, which is larger than 67108864 pixels")


def test_an_image_of_a_list_that_says_it_is_endless(tmp_path: Path) -> None:
    """Sizes of WIDER's images come of their heads."""
    path = fixtures.wider(tmp_path)[0]
    picture = next(tmp_path.rglob(path.read_text().splitlines()[0]))
    Image.new("RGB", (10, 10)).save(picture, "GIF")
    data = bytearray(picture.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    picture.write_bytes(data)
    refused(f"wider:{path}", "more pixels than any image")


@pytest.mark.parametrize(
    "polygon",
    [
        [0, 0, 1e9, 0, 0, 1e9],
        [0, 0, float("nan"), 0, 5, 5],
        [0, 0, 1e400, 0, 5, 5],
        [coordinate for _ in range(80_000) for coordinate in (-20, 0, 55, 1)],
    ],
)
def test_polygons_are_filled_within_limits(tmp_path: Path, polygon: list[float]) -> None:
    refused(f"coco:{simple(tmp_path, [polygon])}", "0.png is damaged: a polygon")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 200_000, "is not JSON: lists or objects are nested too deeply"),
        (b'{"images": "\xff"}', "is not JSON"),
        (b"", "is not JSON"),
        (b'{"images": 1' + b"0" * 5000 + b"}", "is not JSON"),
    ],
)
def test_a_file_that_is_no_json(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    refused(f"coco:{path}", says)


COCO: list[Change] = [
    lambda d: d.update(annotations=5),
    lambda d: d.update(annotations=[5]),
    lambda d: d["categories"][1].update(keypoints=5),
    lambda d: d["annotations"][1].update(bbox=[0, 0, 1e300, 1]),
    lambda d: d["annotations"][1].update(hidden=1e300),
    lambda d: d["annotations"][1].update(track_id=10**12),
    lambda d: d["annotations"][2].update(keypoints=[1e300] * 51),
    lambda d: d["annotations"][2].update(keypoints="a" * 51),
    lambda d: d["annotations"][1].update(image_id=[1]),
    lambda d: d["images"][0].update(file_name=""),
    lambda d: d["images"][0].update(file_name="a" * 5000),
    lambda d: d["images"][0].update(file_name="a\0b"),
    lambda d: d["images"][0].update(file_name="."),
    lambda d: d["images"][0].update(file_name=5),
    lambda d: d["images"][0].update(id="x" * 100_000, width=0),
]


@pytest.mark.parametrize("change", COCO)
def test_damage_is_one_line(tmp_path: Path, change: Change) -> None:
    refused(f"coco:{changed(fixtures.coco(tmp_path), change)}", "instances_val2017.json")


@pytest.mark.parametrize("file", ["gt/gt.txt", "gt/labels.txt", "seqinfo.ini"])
def test_mot_that_is_no_text(tmp_path: Path, file: str) -> None:
    folder = fixtures.mot(tmp_path)
    (folder / file).write_bytes(b"1,5,555,528,100,34,1,5,0.170\n\xb4,6\n")
    refused(f"mot:{folder}", rf"cannot read .*{Path(file).name}: it is no text in UTF-8")


def test_mot_that_announces_frames_without_end(tmp_path: Path) -> None:
    folder = fixtures.mot(tmp_path)
    info = folder / "seqinfo.ini"
    info.write_text(info.read_text().replace("seqLength=2", "seqLength=1000000000"))
    refused(f"mot:{folder}", "seqLength is 1000000000, and .* has no 000003.jpg")


def test_mot_with_a_byte_order_mark(tmp_path: Path) -> None:
    folder = fixtures.mot(tmp_path)
    before = samples(f"mot:{folder}")
    for name in ("gt/gt.txt", "seqinfo.ini"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    for one, two in zip(before, samples(f"mot:{folder}"), strict=True):
        np.testing.assert_array_equal(one.truth.objects.boxes, two.truth.objects.boxes)


def test_a_list_of_faces_that_is_damaged_after_a_zero(tmp_path: Path) -> None:
    path = fixtures.wider(tmp_path)[0]
    path.write_text("a.jpg\n0\nno number\n")
    with pytest.raises(SourceError, match=r":3 is damaged"):
        open_dataset(f"wider:{path}")
