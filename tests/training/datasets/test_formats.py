"""Every format as its authors lay it out, read from small files made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vidgraph import VidgraphError
from vidgraph.pipeline.ground_truth import FACE_POINTS, MPII_JOINTS
from vidgraph.training.datasets.dataset import Clip, DataSample
from vidgraph.training.datasets.registry import FORMATS, open_dataset
from vidgraph.training.datasets.segmentation import masks_of

from . import fixtures
from .fixtures import HEIGHT, WIDTH

SIZE = (HEIGHT, WIDTH)
WITH_POLYGONS = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("pycocotools"), reason="needs pycocotools (the extra 'eval')"
)


def samples(address: str) -> list[DataSample]:
    dataset = open_dataset(address)
    return [sample for clip in dataset.clips for sample in dataset.samples(clip)]


@WITH_POLYGONS
def test_coco(tmp_path: Path) -> None:
    path = fixtures.coco(tmp_path)
    dataset = open_dataset(f"coco:{path}")
    assert dataset.name == "coco:instances_val2017.json"
    assert dataset.class_names == ("person", "train")  # by id
    assert dataset.clips == (Clip("000000000001", 1, SIZE), Clip("000000000002", 1, SIZE))
    first, second = samples(f"coco:{path}")
    truth = first.truth
    np.testing.assert_array_equal(truth.objects.class_ids, [1, 0, 0])
    np.testing.assert_array_equal(truth.objects.boxes[0], [2, 1, 22.5, 4])
    np.testing.assert_array_equal(truth.ignored, [False, True, False])
    assert truth.objects.track_ids is None
    assert truth.objects.masks is not None
    crowd = np.zeros(SIZE, np.bool_)
    crowd[5:9, 4:12] = True
    np.testing.assert_array_equal(truth.objects.masks.full(1), crowd)
    full = truth.objects.masks.full(0)
    assert full[1:4, 2:6].all()
    assert full[:, :10].sum() == 12
    assert full[:, 17:].any()
    assert truth.bodies is not None
    assert truth.bodies.names == tuple(f"p{number}" for number in range(17))
    np.testing.assert_array_equal(truth.bodies.detection_rows, [2])
    np.testing.assert_array_equal(truth.bodies.points[0, :2], [[11, 12], [13, 14]])
    np.testing.assert_array_equal(truth.bodies.scores[0, :3], [1, 0.5, 0])
    assert len(second.truth.objects) == 0
    assert second.annotated
    assert samples(f"coco:{path}?masks=no")[0].truth.objects.masks is None


@WITH_POLYGONS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pycocotools, with NumPy 2
@pytest.mark.parametrize("seed", range(5))
def test_polygons_are_filled_as_pycocotools_does(seed: int) -> None:
    from pycocotools.coco import COCO

    random = np.random.default_rng(seed)
    polygons = [[random.uniform(-5, 105, 2 * random.integers(3, 9)).tolist() for _ in range(3)] for _ in range(10)]
    coco = COCO()
    coco.imgs = {1: {"height": 80, "width": 100}}
    masks = masks_of(polygons, (80, 100))
    for row, polygon in enumerate(polygons):
        wanted = coco.annToMask({"image_id": 1, "segmentation": polygon})
        np.testing.assert_array_equal(masks.full(row), wanted.astype(np.bool_))


def test_coco_panoptic_as_published(tmp_path: Path) -> None:
    ids = np.full(SIZE, 70_001)
    ids[:4] = 0
    ids[6:9, 2:5] = 300
    fixtures.segment_png(tmp_path / "annotations" / "panoptic_val2017" / "01.png", ids)
    fixtures.picture(tmp_path / "val2017" / "01.jpg")
    info = [{"id": 70_001, "category_id": 200, "iscrowd": 0}, {"id": 300, "category_id": 3, "iscrowd": 1}]
    document = {
        "images": [fixtures.image(1, "01.jpg")],
        "annotations": [{"image_id": 1, "file_name": "01.png", "segments_info": info}],
        "categories": [{"id": 200, "name": "rug", "isthing": 0}, {"id": 3, "name": "car", "isthing": 1}],
    }
    path = fixtures.dumped(tmp_path / "annotations" / "panoptic_val2017.json", document)
    dataset = open_dataset(f"coco-panoptic:{path}")
    assert (dataset.class_names, dataset.stuff_names) == (("car",), ("rug",))
    (sample,) = samples(str(path))
    assert sample.truth.panoptic is not None
    np.testing.assert_array_equal(sample.truth.panoptic.segment_ids, ids)
    rug, car = sample.truth.panoptic.segments
    assert (rug.class_id, rug.is_thing, rug.area_px) == (1, False, 16 * WIDTH - 9)
    assert (car.class_id, car.is_thing, car.area_px, car.track_id) == (0, True, 9, None)
    np.testing.assert_array_equal(sample.truth.objects.boxes, [[2, 6, 5, 9]])
    np.testing.assert_array_equal(sample.truth.ignored, [True])


def test_youtube_vis(tmp_path: Path) -> None:
    path = fixtures.youtube_vis(tmp_path)
    dataset = open_dataset(f"youtube-vis:{path}")
    assert dataset.class_names == ("person", "dog")
    assert dataset.clips == (Clip("0043f083b5", 3, SIZE),)
    first, middle, last = (sample.truth.objects for sample in samples(str(path)))
    np.testing.assert_array_equal(first.track_ids, [21, 22])
    np.testing.assert_array_equal(first.class_ids, [1, 0])
    np.testing.assert_array_equal(middle.track_ids, [22])
    np.testing.assert_array_equal(last.boxes, [[3.5, 2, 9.5, 6], [3, 2, 9, 6]])  # given, and around the mask
    assert first.masks is not None
    assert [first.masks.area(0), first.masks.boxes[0].tolist()] == [24, [3, 2, 9, 6]]


def test_youtube_vis_without_annotations(tmp_path: Path) -> None:
    import json

    path = fixtures.youtube_vis(tmp_path)
    document = json.loads(path.read_text())
    del document["annotations"]
    fixtures.dumped(path, document)
    assert [sample.annotated for sample in samples(f"youtube-vis:{path}")] == [False] * 3


def test_cityscapes_vps(tmp_path: Path) -> None:
    root = fixtures.cityscapes_vps(tmp_path)
    dataset = open_dataset(f"cityscapes-vps:{root}")
    assert (dataset.class_names, dataset.stuff_names) == (("car",), ("road",))
    assert [(clip.name, clip.frames) for clip in dataset.clips] == [("0001", 2), ("0002", 2)]
    for place, sample in enumerate(samples(str(root))):
        video, frame = place // 2 + 1, place % 2 * 5 + 5
        panoptic = sample.truth.panoptic
        assert panoptic is not None
        assert {segment.class_name: segment.id for segment in panoptic.segments} == {
            "road": 65536 * 2 + 256 * 3 + 7,
            "car": 26_000 + video,
        }
        np.testing.assert_array_equal(sample.truth.objects.track_ids, [26_000 + video])
        np.testing.assert_array_equal(sample.truth.objects.boxes, [[frame, 5, frame + 8, 10]])
        assert (panoptic.segment_ids[0] == 0).all()


def test_cityscapes_vps_with_the_frames_between(tmp_path: Path) -> None:
    root = fixtures.cityscapes_vps(tmp_path)
    found = samples(f"cityscapes-vps:{root}?frames=all")
    assert [sample.annotated for sample in found] == ([False] * 4 + [True]) * 4
    assert found[4].frame.pts_ns == pytest.approx(4e9 / 17, abs=1)


def test_wider(tmp_path: Path) -> None:
    split, _ = fixtures.wider(tmp_path)
    dataset = open_dataset(f"wider:{split}")
    assert [clip.name for clip in dataset.clips] == ["0--Parade/a", "0--Parade/b", "1--Handshaking/c"]
    assert dataset.clips[0].size == SIZE
    first, empty, flat = (sample.truth for sample in samples(str(split)))
    assert first.faces is not None
    assert first.faces.names == FACE_POINTS
    np.testing.assert_array_equal(first.faces.boxes, [[4, 3, 14, 11], [1, 1, 4, 4]])
    np.testing.assert_array_equal(first.faces_ignored, [False, True])  # 'invalid'
    assert not first.faces.scores.any()
    assert [len(truth.faces or ()) for truth in (empty, flat)] == [0, 0]


def test_wider_with_points(tmp_path: Path) -> None:
    _, labels = fixtures.wider(tmp_path)
    first, empty = (sample.truth for sample in samples(f"wider:{labels}"))
    assert first.faces is not None
    np.testing.assert_array_equal(first.faces.boxes, [[4, 3, 14, 11], [1, 1, 4, 4]])
    np.testing.assert_array_equal(first.faces.points[0], [[6.5, 5.25], [11, 5], [8, 7], [6, 9], [11, 9]])
    np.testing.assert_array_equal(first.faces.scores, [[1, 0.5, 1, 1, 1], [0] * 5])
    assert not first.faces.points[1].any()
    assert len(empty.faces or ()) == 0


def test_mpii_of_simple_baselines(tmp_path: Path) -> None:
    valid, _ = fixtures.mpii(tmp_path)
    (sample,) = samples(f"mpii:{valid}")
    bodies = sample.truth.bodies
    assert bodies is not None
    assert bodies.names == MPII_JOINTS
    assert len(bodies) == len(sample.truth.objects) == 2
    np.testing.assert_array_equal(bodies.points[0, :3], [[0, 1], [1, 2], [2, 3]])  # counted from 0
    np.testing.assert_array_equal(bodies.scores[0], [1] * 15 + [0])
    np.testing.assert_allclose(bodies.boxes, [[10, 5, 20, 15], [0, 0, 10, 10]])
    np.testing.assert_array_equal(bodies.detection_rows, [0, 1])
    assert open_dataset(f"mpii:{valid}").class_names == ("person",)


def test_mpii_of_stacked_hourglass(tmp_path: Path) -> None:
    _, both = fixtures.mpii(tmp_path)
    assert [clip.name for clip in open_dataset(str(both)).clips] == ["006", "005"]
    (sample,) = samples(f"mpii:{both}?split=val")
    assert sample.frame.stream_id == "006"
    assert sample.truth.bodies is not None
    np.testing.assert_array_equal(sample.truth.bodies.scores[0, :4], [0.5, 1, 0.5, 1])
    assert sample.truth.bodies.scores[0, 15] == 0


def test_mot(tmp_path: Path) -> None:
    folder = fixtures.mot(tmp_path)
    assert open_dataset(f"mot:{tmp_path}").clips == (Clip("MOT17-02", 2, SIZE, 30.0),)
    first, second = (sample.truth for sample in samples(f"mot:{folder}"))
    np.testing.assert_array_equal(first.objects.boxes, [[4, 3, 14, 11], [0, 0, 4, 4]])  # left and top counted from 0
    np.testing.assert_array_equal(first.objects.track_ids, [3, 4])
    assert [first.objects.class_names[row] for row in first.objects.class_ids] == ["pedestrian", "static person"]
    np.testing.assert_array_equal(first.ignored, [False, True])
    np.testing.assert_allclose(first.hidden, [0.25, 0])
    assert len(second.objects) == 1


def test_mot_of_2015_and_without_truth(tmp_path: Path) -> None:
    folder = fixtures.mot(tmp_path)
    (folder / "gt" / "gt.txt").write_text("1,1,17.5,3,4,5,1,-1,-1,-1\n", "utf-8")
    first, second = samples(f"mot:{folder}")
    np.testing.assert_array_equal(first.truth.objects.boxes, [[16.5, 2, 20.5, 7]])
    np.testing.assert_array_equal(first.truth.hidden, [-1])
    assert (first.annotated, second.annotated) == (True, True)
    (folder / "gt" / "gt.txt").unlink()
    assert [sample.annotated for sample in samples(f"mot:{folder}")] == [False, False]


def test_the_frame_of_a_turned_photo(tmp_path: Path) -> None:
    """What Exif says of a photo counts for the size of its clip too."""
    split, _ = fixtures.wider(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "WIDER_val" / "images" / "0--Parade" / "a.jpg"
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path, exif=exif)
    assert open_dataset(f"wider:{split}").clips[0].size == (WIDTH, HEIGHT)
    assert samples(f"wider:{split}")[0].frame.picture.width == HEIGHT


def test_every_format_has_an_example_and_says_what_it_takes() -> None:
    for kind, row in FORMATS.items():
        assert row.example.startswith(f"{kind}:")
        assert row.description
        with pytest.raises(VidgraphError, match=r"there is no|cannot open"):
            open_dataset(row.example)
