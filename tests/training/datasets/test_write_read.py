"""Data sets written, read by the reference libraries, and read back by us: nothing is lost that the format holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vidgraph import VidgraphError
from vidgraph.pipeline.ground_truth import FACE_POINTS, MPII_JOINTS
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.panoptic import PanopticMap
from vidgraph.training.datasets.dataset import Clip, DataSample
from vidgraph.training.datasets.registry import open_dataset
from vidgraph.training.datasets.write import WRITERS, write_dataset

from ...conftest import Ended
from . import fixtures
from .drawn import SIZE, DrawnDataset, rgb, truth, without_panoptic

ALL = DrawnDataset()


def all_samples(address: str) -> list[DataSample]:
    dataset = open_dataset(address)
    return [sample for clip in dataset.clips for sample in dataset.samples(clip)]


def same_points(found: Landmarks | None, wanted: Landmarks | None) -> None:
    assert found is not None
    assert wanted is not None
    assert found.names == wanted.names
    for name in ("points", "scores", "boxes", "detection_rows", "track_ids"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-3, err_msg=name)


def test_coco_comes_back_whole(tmp_path: Path) -> None:
    written = write_dataset(ALL, "coco", tmp_path, images="png")
    assert [path.name for path in written] == ["annotations.json", "faces.json"]
    dataset = open_dataset(f"coco:{written[0]}?faces={written[1]}")
    assert dataset.class_names == ALL.class_names
    assert dataset.clips == (Clip("photo", 1, SIZE), Clip("street/one", 3, SIZE, 25.0))
    for clip in dataset.clips:
        samples = list(dataset.samples(clip))
        assert [sample.frame.index for sample in samples] == list(range(clip.frames))
        for sample in samples:
            index, found = sample.frame.index, sample.truth
            wanted = truth(index)
            np.testing.assert_array_equal(sample.frame.picture.rgb(), rgb(index))
            assert sample.frame.pts_ns == index * 40_000_000
            assert found.objects.masks is not None
            for row in range(3):
                np.testing.assert_array_equal(found.objects.masks.full(row), wanted.objects.masks.full(row))  # type: ignore[union-attr]
            for name in ("boxes", "class_ids", "track_ids", "scores"):
                np.testing.assert_array_equal(getattr(found.objects, name), getattr(wanted.objects, name), err_msg=name)
            np.testing.assert_array_equal(found.ignored, wanted.ignored)
            np.testing.assert_array_equal(found.hidden, wanted.hidden)
            same_points(found.bodies, wanted.bodies)
            same_points(found.faces, wanted.faces)
            np.testing.assert_array_equal(found.faces_ignored, wanted.faces_ignored)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library, with NumPy 2
def test_coco_is_what_pycocotools_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools (the extra 'eval')")
    from pycocotools.cocoeval import COCOeval

    annotations, faces = write_dataset(ALL, "coco", tmp_path, images="none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.json", "faces.json"]
    found = coco.COCO(str(annotations))
    assert [one["name"] for one in found.loadCats(found.getCatIds())] == ["person", "car"]
    assert found.loadCats([1])[0]["keypoints"] == list(MPII_JOINTS)
    for image in found.loadImgs(found.getImgIds()):
        wanted = truth(image.get("frame_id", 0))
        rows = found.loadAnns(found.getAnnIds(imgIds=image["id"]))
        assert [row["iscrowd"] for row in rows] == [0, 0, 1]
        for place, row in enumerate(rows):
            np.testing.assert_array_equal(found.annToMask(row), wanted.objects.masks.full(place))  # type: ignore[union-attr]
            assert row["area"] == found.annToMask(row).sum()
    results = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "segmentation": one["segmentation"],
         "bbox": one["bbox"], "score": 1.0}
        for one in found.dataset["annotations"] if not one["iscrowd"]
    ]  # fmt: skip
    for kind in ("bbox", "segm"):
        judge = COCOeval(found, found.loadRes(results), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        assert judge.stats[0] == 1.0, kind  # the truth is perfect, its crowd does not count as missed
    face = coco.COCO(str(faces))
    assert face.loadCats([1])[0]["keypoints"] == list(FACE_POINTS)
    assert len(face.getAnnIds(iscrowd=False)) == len(face.getAnnIds(iscrowd=True)) == 4
    capsys.readouterr()


def test_coco_panoptic_is_what_panopticapi_reads(tmp_path: Path) -> None:
    (path,) = write_dataset(ALL, "coco-panoptic", tmp_path, images="png")
    document = json.loads(path.read_text())
    categories = {one["id"]: one for one in document["categories"]}
    image_module = pytest.importorskip("PIL.Image")
    for annotation, image in zip(document["annotations"], document["images"], strict=True):
        with image_module.open(tmp_path / "panoptic" / annotation["file_name"]) as png:
            colours = np.array(png, dtype=np.uint32)
        ids = colours[:, :, 0] + 256 * colours[:, :, 1] + 256 * 256 * colours[:, :, 2]
        wanted = truth(image.get("frame_id", 0)).panoptic
        assert wanted is not None
        np.testing.assert_array_equal(ids, wanted.segment_ids)
        infos = {info["id"]: info for info in annotation["segments_info"]}
        assert set(np.unique(ids)) - {0} == set(infos)
        for segment in wanted.segments:
            info = infos[segment.id]
            category = categories[info["category_id"]]
            assert (category["name"], bool(category["isthing"])) == (segment.class_name, segment.is_thing)
            assert info["area"] == (ids == segment.id).sum() == segment.area_px
            assert info["iscrowd"] == (segment.id == 7)
            x, y, width, height = info["bbox"]
            assert (ids[y : y + height, x : x + width] == segment.id).sum() == info["area"]


def test_coco_panoptic_keeps_classes_of_one_name_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = DrawnDataset()
    monkeypatch.setattr(twins, "class_names", ("person", "person"))

    def renamed(clip: Clip) -> Iterator[DataSample]:
        for sample in ALL.samples(clip):
            assert sample.truth.panoptic is not None
            segments = tuple(
                replace(one, class_name="person") if one.is_thing else one for one in sample.truth.panoptic.segments
            )
            changed = replace(sample.truth, panoptic=PanopticMap(sample.truth.panoptic.segment_ids, segments))
            yield replace(sample, truth=changed)

    monkeypatch.setattr(twins, "samples", renamed)
    (path,) = write_dataset(twins, "coco-panoptic", tmp_path, images="png")
    written = json.loads(path.read_text())
    assert [one["name"] for one in written["categories"]] == ["person", "person", "sky", "road"]
    assert {info["category_id"] for info in written["annotations"][0]["segments_info"]} == {1, 2, 3, 4}


def test_coco_panoptic_comes_back_whole(tmp_path: Path) -> None:
    (path,) = write_dataset(ALL, "coco-panoptic", tmp_path, images="png")
    dataset = open_dataset(f"coco-panoptic:{path}")
    assert (dataset.class_names, dataset.stuff_names) == (ALL.class_names, ALL.stuff_names)
    samples = all_samples(f"coco-panoptic:{path}")
    assert [sample.frame.stream_id for sample in samples] == ["photo", *["street/one"] * 3]
    for sample in samples:
        wanted = truth(sample.frame.index)
        assert sample.truth.panoptic is not None
        assert wanted.panoptic is not None
        np.testing.assert_array_equal(sample.truth.panoptic.segment_ids, wanted.panoptic.segment_ids)
        assert sample.truth.panoptic.segments == wanted.panoptic.segments
        objects = sample.truth.objects
        np.testing.assert_array_equal(objects.class_ids, [0, 1, 0])
        np.testing.assert_array_equal(objects.track_ids, [0, 4, 9])
        np.testing.assert_array_equal(sample.truth.ignored, [False, False, True])
        for row in range(3):
            np.testing.assert_array_equal(objects.masks.full(row), wanted.objects.masks.full(row))  # type: ignore[union-attr]


def test_mot_comes_back_whole(tmp_path: Path) -> None:
    written = write_dataset(ALL, "mot", tmp_path)
    assert [path.name for path in written] == ["street-one", "photo"]
    dataset = open_dataset(f"mot:{tmp_path}")
    assert dataset.class_names == ALL.class_names
    assert dataset.clips == (Clip("photo", 1, SIZE), Clip("street-one", 3, SIZE, 25.0))
    for sample in all_samples(f"mot:{written[0]}"):
        wanted = truth(sample.frame.index)
        for name in ("boxes", "class_ids", "track_ids"):
            np.testing.assert_array_equal(getattr(sample.truth.objects, name), getattr(wanted.objects, name))
        np.testing.assert_array_equal(sample.truth.ignored, wanted.ignored)
        np.testing.assert_allclose(sample.truth.hidden, [0.25, 0, 0], atol=1e-6)
        assert np.abs(sample.frame.picture.rgb().astype(int) - rgb(sample.frame.index)).mean() < 4  # JPEG


@pytest.mark.filterwarnings("ignore")  # of the library
def test_mot_is_what_motmetrics_reads(tmp_path: Path) -> None:
    motmetrics = pytest.importorskip("motmetrics", reason="needs motmetrics (the extra 'eval')")
    folder = write_dataset(ALL, "mot", tmp_path, images="none")[0]
    table = motmetrics.io.loadtxt(str(folder / "gt" / "gt.txt"), fmt="mot16", min_confidence=-1)
    assert len(table) == 9
    for (frame, track), row in table.iterrows():
        objects = truth(frame - 1).objects
        place = [0, 4, 9].index(track)
        x1, y1, x2, y2 = objects.boxes[place]
        np.testing.assert_allclose([row["X"], row["Y"], row["Width"], row["Height"]], [x1, y1, x2 - x1, y2 - y1])
        assert row["ClassId"] == objects.class_ids[place] + 1
        assert row["Confidence"] == (track != 9)


def test_mot_numbers_objects_without_a_track() -> None:
    from vidgraph.training.datasets.write_mot import _numbered

    assert _numbered([(1, 5, "a"), (1, -1, "b"), (2, -1, "c")]) == ["1,5,a\n", "1,6,b\n", "2,7,c\n"]


@pytest.mark.parametrize("to", WRITERS)
def test_at_most_so_many_frames(tmp_path: Path, to: str) -> None:
    seen = []
    write_dataset(ALL, to, tmp_path / to, frames=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert sorted(clip.frames for clip in open_dataset(str(tmp_path / to)).clips) == [1, 2]


def test_names_of_clips_stay_in_the_folder(tmp_path: Path) -> None:
    write_dataset(DrawnDataset(Clip("../../out/.", 1, SIZE)), "coco", tmp_path / "a" / "b")
    assert [path.relative_to(tmp_path / "a" / "b") for path in tmp_path.rglob("*.jpg")] == [Path("images/out.jpg")]


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(ALL, "mot", tmp_path / "full", frames=1)
    with pytest.raises(VidgraphError, match=r"full: it is not empty; overwrite it \(-y"):
        write_dataset(ALL, "mot", tmp_path / "full")
    write_dataset(ALL, "mot", tmp_path / "full", overwrite=True)
    with pytest.raises(VidgraphError, match="as 'koko': did you mean coco"):
        write_dataset(ALL, "koko", tmp_path / "new")
    with pytest.raises(VidgraphError, match="images must be jpg, png, none, got 'gif'"):
        write_dataset(ALL, "coco", tmp_path / "new", images="gif")
    (tmp_path / "file").touch()
    with pytest.raises(VidgraphError, match="cannot write"):
        write_dataset(ALL, "coco", tmp_path / "file" / "inside")
    plain = DrawnDataset()
    monkeypatch.setattr(plain, "samples", lambda clip: map(without_panoptic, ALL.samples(clip)))
    with pytest.raises(VidgraphError, match="drawn has no segment for every pixel; --to coco"):
        write_dataset(plain, "coco-panoptic", tmp_path / "plain")


def test_the_command(tmp_path: Path, vidgraph: Callable[..., Ended]) -> None:
    write_dataset(ALL, "coco", tmp_path / "in", images="png")
    words = ("data", str(tmp_path / "in"), "--to", "mot", "-o", str(tmp_path / "out"))
    ended = vidgraph(*words, "--frames", "2", "--images", "png")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [str(tmp_path / "out" / "photo"), str(tmp_path / "out" / "street-one")]
    assert "2 clips, 3 frames, person, car" in ended.err
    assert (tmp_path / "out" / "street-one" / "img1" / "000002.png").is_file()
    again = vidgraph(*words)
    assert again.code == 1
    assert "it is not empty" in again.line


def test_synthetic_scenes_come_back_whole(tmp_path: Path) -> None:
    """More than a test of writers: the scenes' truth is such as the formats can hold."""
    pytest.importorskip("vidgraph.training.datasets.synthetic", reason="needs synthetic scenes")
    scenes = open_dataset("synth:street?clips=1&frames=3&size=480x270&seed=5")
    wanted = [sample.truth for sample in scenes.samples(scenes.clips[0])]
    annotations, faces = write_dataset(scenes, "coco", tmp_path / "coco", images="png")
    found = [sample.truth for sample in all_samples(f"coco:{annotations}?faces={faces}")]
    assert len(found) == len(wanted) == 3
    assert sum(len(truth.objects) for truth in wanted) > 3
    for got, want in zip(found, wanted, strict=True):
        for name in ("boxes", "class_ids", "track_ids"):
            np.testing.assert_allclose(getattr(got.objects, name), getattr(want.objects, name), atol=2e-3)
        assert got.objects.masks is not None
        assert want.objects.masks is not None
        assert [got.objects.masks.rle(row) for row in range(len(got.objects))] == [
            want.objects.masks.rle(row) for row in range(len(want.objects))
        ]
        np.testing.assert_array_equal(got.ignored, want.ignored)
        np.testing.assert_allclose(got.hidden, want.hidden, atol=1e-3)
        if want.faces is not None:
            assert got.faces is not None
            np.testing.assert_allclose(got.faces.boxes, want.faces.boxes, atol=2e-3)
            np.testing.assert_array_equal(got.faces_ignored, want.faces_ignored)
    (path,) = write_dataset(scenes, "coco-panoptic", tmp_path / "panoptic", images="png")
    for sample, want in zip(all_samples(f"coco-panoptic:{path}"), wanted, strict=True):
        assert sample.truth.panoptic is not None
        assert want.panoptic is not None
        np.testing.assert_array_equal(sample.truth.panoptic.segment_ids, want.panoptic.segment_ids)
        assert sample.truth.panoptic.segments == want.panoptic.segments


@pytest.mark.parametrize("make", [fixtures.mot, fixtures.youtube_vis, fixtures.cityscapes_vps, "wider", "mpii"])
def test_every_format_as_coco(tmp_path: Path, make: Callable[[Path], Path] | str) -> None:
    """What is read of a format goes through COCO: no masks, no objects but faces, joints without masks."""
    source = tmp_path / "in"
    source.mkdir()
    found = {"wider": lambda root: fixtures.wider(root)[1], "mpii": lambda root: fixtures.mpii(root)[0]}
    address = str(found[make](source) if isinstance(make, str) else make(source))
    address = f"wider:{address}" if make == "wider" else address
    written = write_dataset(open_dataset(address), "coco", tmp_path / "out", images="png")
    again = f"coco:{written[0]}" + (f"?faces={written[1]}" if len(written) > 1 else "")
    before, after = all_samples(address), all_samples(again)
    assert len(before) == len(after)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(two.truth.objects.boxes, one.truth.objects.boxes, atol=1e-3)
        np.testing.assert_array_equal(two.truth.objects.class_ids, one.truth.objects.class_ids)
        np.testing.assert_array_equal(two.truth.ignored, one.truth.ignored)
        assert (two.truth.objects.masks is None) == (one.truth.objects.masks is None)
        if one.truth.bodies is not None:
            same_points(two.truth.bodies, one.truth.bodies)
        if one.truth.faces is not None:
            same_points(two.truth.faces, one.truth.faces)
