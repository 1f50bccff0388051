"""Converting results: COCO as pycocotools reads it, CSV by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.claims import whole_file
from vidgraph.pipeline.errors import OutputError, ResultsError, UsageError
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, Packet
from vidgraph.pipeline.results.convert import CONVERTERS, CSV_COLUMNS, convert
from vidgraph.pipeline.results.format import ModelInfo, dumps, header_record


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_coco_is_read_by_pycocotools(
    samples: Any, write_results: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    coco_module = pytest.importorskip("pycocotools.coco", reason="reading it back needs pycocotools")
    packets = [samples.packet(0, "a"), samples.packet(2, "b"), samples.packet(3, "a"), Packet(samples.frame(4, "a"))]
    written = convert(write_results(packets, streams=("a", "b")), to="coco")
    assert written.name == "results.coco.json"
    coco = coco_module.COCO(str(written))
    assert sorted(coco.imgs) == [1, 2, 3, 4]
    assert coco.imgs[2] == {
        "id": 2, "file_name": "b/000002.png", "width": 64, "height": 48, "stream": "b", "frame": 2, "time_s": 0.08,
    }  # fmt: skip
    assert [coco.cats[number]["name"] for number in (1, 2)] == ["face", "mask"]
    assert coco.cats[1]["keypoints"] == list(samples.model.point_names)
    assert len(coco.anns) == 2 + 3
    found, points = packets[2][DETECTIONS], packets[2][LANDMARKS]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=3))
    assert [annotation["category_id"] for annotation in annotations] == [1, 2, 1]
    for row, annotation in enumerate(annotations):
        np.testing.assert_array_equal(coco.annToMask(annotation), found.masks.full(row))
        assert annotation["area"] == found.masks.area(row)
        x, y, width, height = annotation["bbox"]
        np.testing.assert_allclose([x, y, x + width, y + height], found.boxes[row], atol=2e-3)
    assert "track_id" not in annotations[0]
    assert annotations[2]["track_id"] == 1
    keypoints = np.array(annotations[1]["keypoints"]).reshape(-1, 3)
    np.testing.assert_allclose(keypoints[:, :2], points.points[1], atol=6e-4)
    assert keypoints[:, 2].tolist() == [2] * 5
    assert annotations[1]["num_keypoints"] == 5
    assert "keypoints" not in annotations[2]
    again = coco.loadRes(json.loads(written.read_text())["annotations"])
    assert len(again.anns) == 5
    capsys.readouterr()


def test_points_that_are_not_there_are_zero_in_coco(tmp_path: Path) -> None:
    header = header_record(
        models=[ModelInfo("a"), ModelInfo("b", class_names=("person", "car"), point_names=("p", "q"))]
    )
    frame = {"stream": "in", "frame": 0, "time_s": 0.0, "epoch": 0, "size": [64, 48]}
    frame["objects"] = [{"model": "b", "box": [1, 2, 4, 8], "points": [[3, 4, 0.0], [1.5, 2, 0.5]]}]
    path = tmp_path / "points.jsonl"
    path.write_text(dumps(header) + "\n" + dumps(frame) + "\n")
    data = json.loads(convert(path, to="COCO").read_text())
    assert [category["name"] for category in data["categories"]] == ["a", "person", "car"]
    assert data["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 6], "area": 18, "iscrowd": 0,
         "keypoints": [0, 0, 0, 1.5, 2, 2], "num_keypoints": 1},
    ]  # fmt: skip


def test_images_have_the_names_of_their_pictures(samples: Any, write_results: Callable[..., Path]) -> None:
    named = [("a", "q.jpg"), ("a", "sub/q.jpg"), ("b", "q.jpg"), ("b", "r.png"), ("c", None)]
    packets = [samples.packet(1 + 4 * index, stream, file=file) for index, (stream, file) in enumerate(named)]
    path = write_results(packets, streams=("a", "b", "c"))
    images = json.loads(convert(path, to="coco").read_text())["images"]
    assert [image["file_name"] for image in images] == ["q.jpg", "sub/q.jpg", "b/q.jpg", "r.png", "c/000017.png"]
    rows = list(csv.DictReader(convert(path, to="csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["q.jpg", "sub/q.jpg", "q.jpg", "r.png", ""]


def test_csv_by_hand(tmp_path: Path, samples: Any, write_results: Callable[..., Path]) -> None:
    packets = [samples.packet(0), samples.packet(3, capture_ns=0)]
    written = convert(write_results(packets), to="csv", out=tmp_path / "table.txt")
    with written.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found, points = packets[1][DETECTIONS], packets[1][LANDMARKS]
    assert list(rows[0])[: len(CSV_COLUMNS)] == list(CSV_COLUMNS)
    assert list(rows[0])[len(CSV_COLUMNS) :][:4] == ["p1_x", "p1_y", "p1_score", "p2_x"]
    assert len(rows[0]) == len(CSV_COLUMNS) + 15
    assert len(rows) == 3  # the frame without objects has none
    for row, cells in enumerate(rows):
        assert (cells["stream"], cells["frame"], cells["model"], cells["held_from"]) == ("in", "3", "faces", "")
        assert cells["captured_at"] == "1970-01-01T00:00:00.000000Z"
        assert (cells["width"], cells["height"], cells["time_s"]) == ("64", "48", "0.12")
        np.testing.assert_allclose([float(cells[c]) for c in ("x1", "y1", "x2", "y2")], found.boxes[row], atol=6e-4)
        assert cells["class"] == found.class_names[found.class_ids[row]]
        assert int(cells["mask_area"]) == found.masks.area(row)
    assert [cells["track"] for cells in rows] == ["", "0", "1"]
    assert float(rows[1]["p5_y"]) == pytest.approx(points.points[1, 4, 1], abs=6e-4)
    assert rows[2]["p1_x"] == ""


def test_nothing_is_overwritten_unasked(samples: Any, write_results: Callable[..., Path]) -> None:
    path = write_results([samples.packet(1)])
    written = convert(path, to="csv")
    before = written.read_text()
    written.write_text("mine")
    with pytest.raises(OutputError, match=r"results.csv: it exists; overwrite it \(-y"):
        convert(path, to="csv")
    assert written.read_text() == "mine"
    convert(path, to="csv", overwrite=True)
    assert written.read_text() == before
    with pytest.raises(OutputError, match="the file being converted"):
        convert(path, to="csv", out=path, overwrite=True)


def test_unknown_kinds_name_the_nearest(samples: Any, write_results: Callable[..., Path]) -> None:
    path = write_results([samples.packet(1)])
    with pytest.raises(UsageError, match="to 'cocco': did you mean coco"):
        convert(path, to="cocco")
    with pytest.raises(UsageError, match="to 'parquet': known: coco, coco-results, youtube-vis, csv"):
        convert(path, to="parquet")


@pytest.mark.parametrize("to", list(CONVERTERS))
@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([{"class": "face"}], "without a box"),
        ([{"box": [1, 2, 3]}], "a box has 4 numbers"),
        ([{"box": [1, 2, 3, 4], "points": [[1, 2]]}], "a point 3"),
        ([{"box": [1, 2, 3, 4], "mask": {"size": [48, 64], "counts": "!"}}], "damaged mask"),
    ],
)
def test_a_damaged_file_leaves_nothing_behind(
    samples: Any, write_results: Callable[..., Path], to: str, objects: list[dict[str, Any]], says: str
) -> None:
    line = {"stream": "in", "frame": 9, "time_s": 0, "epoch": 0, "size": [64, 48], "objects": objects}
    path = write_results([samples.packet(1)], tail=dumps(line) + "\n")
    with pytest.raises(ResultsError, match=f"line 3: .*{says}"):
        convert(path, to=to)
    assert [file.name for file in path.parent.iterdir()] == ["results.jsonl"]


def test_an_output_that_cannot_be_written_is_an_error(samples: Any, write_results: Callable[..., Path]) -> None:
    path = write_results([samples.packet(1)])
    with pytest.raises(OutputError, match=r"cannot write .*none.*: No such file"):
        convert(path, to="csv", out=path.parent / "none" / "x.csv")


def test_an_object_of_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    frame = {"stream": "in", "frame": 0, "time_s": 0, "epoch": 0, "size": [9, 9], "objects": [{"box": [0, 0, 1, 1]}]}
    path.write_text(dumps(header_record()) + "\n" + dumps(frame) + "\n")
    with pytest.raises(ResultsError, match="line 2: an object of a model that the header does not have"):
        convert(path, to="coco")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_of_a_csv_is_a_formula(begin: str, tmp_path: Path) -> None:
    text = f'{begin}HYPERLINK("http://evil")'
    header = {"format": "vidgraph.results/1", "models": [{"name": text, "classes": [text, "a=b", "-1"]}], "sources": []}
    frame = {"stream": text, "frame": 0, "time_s": -0.5, "captured_at": text, "epoch": 0, "size": [64, 48]}
    names = (text, "a=b", "-1")
    objects = [{"class": name, "class_id": n, "score": 0.5, "box": [-1.5, 2, 3, 4]} for n, name in enumerate(names)]
    results = tmp_path / "a.jsonl"
    results.write_text(f"{json.dumps(header)}\n{json.dumps({**frame, 'objects': objects})}\n")
    with convert(results, "csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["stream"] == row["model"] == row["captured_at"] == f"'{text}"
        assert (row["time_s"], row["x1"]) == ("-0.5", "-1.5")
    assert [row["class"] for row in rows] == [f"'{text}", "a=b", "'-1"]


def test_two_conversions_into_one_file(tmp_path: Path, samples: Any, write_results: Callable[..., Path]) -> None:
    results = write_results([samples.packet(1)])
    out = tmp_path / "out.csv"
    with whole_file(out, overwrite=False):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=r"another process is writing .*out\.csv"):
                convert(results, "csv", out, overwrite=overwrite)
    assert convert(results, "csv", out, overwrite=True) == out
