"""Panoptic maps: as COCO masks and back, in results files and in the result of a frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import ResultsError
from vidgraph.pipeline.packet import PANOPTIC, Packet
from vidgraph.pipeline.results.convert import convert
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys, dumps, frame_record, header_record
from vidgraph.pipeline.results.frame_result import FrameResult
from vidgraph.pipeline.results.reader import read_results
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment

SIZE = (48, 64)  # of the frames of `samples`


def random_map(size: tuple[int, int] = SIZE, seed: int = 0) -> PanopticMap:
    """Blocks of ids with single pixels in between; one of the segments has no pixel."""
    random = np.random.default_rng(seed)
    coarse = np.kron(random.integers(0, 5, (size[0] // 7 + 1, size[1] // 5 + 1)), np.ones((7, 5)))
    ids = np.where(random.random(size) < 0.05, random.integers(0, 5, size), coarse[: size[0], : size[1]])
    segments = [
        Segment(4, 7, "sky", is_thing=False, score=None, area_px=int((ids == 4).sum())),
        Segment(1, 0, "car", is_thing=True, score=0.5, area_px=int((ids == 1).sum()), track_id=3),
        Segment(9, 2, "road", is_thing=False, score=None, area_px=0),
        *(Segment(i, i, "grass", is_thing=False, score=None, area_px=int((ids == i).sum())) for i in (2, 3)),
    ]
    return PanopticMap(ids.astype(np.int32), tuple(segments))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 17), (48, 64)])
def test_masks_are_those_of_each_segment(size: tuple[int, int]) -> None:
    found = random_map(size)
    whole = Masks.from_full(np.stack([found.segment_ids == segment.id for segment in found.segments]))
    assert found.rles() == [whole.rle(row) for row in range(len(whole))]
    again = PanopticMap.from_rles(found.segments, found.rles(), size)
    np.testing.assert_array_equal(again.segment_ids, found.segment_ids)
    assert again.segments == found.segments


def test_a_map_of_nothing() -> None:
    nothing = PanopticMap(np.zeros(SIZE, np.int32), ())
    assert nothing.rles() == []
    np.testing.assert_array_equal(PanopticMap.from_rles((), [], SIZE).segment_ids, nothing.segment_ids)


def test_masks_that_share_a_pixel_or_have_another_size_are_refused() -> None:
    found = random_map()
    one, rles = found.segments[:1], found.rles()
    with pytest.raises(ValueError, match="two segments share a pixel"):
        PanopticMap.from_rles(found.segments[:2], [rles[0], rles[0]], SIZE)
    with pytest.raises(ValueError, match=r"segment 4 must have size \[64, 48\], got \[48, 64\]"):
        PanopticMap.from_rles(one, rles[:1], (64, 48))


def written(path: Path, *packets: Packet) -> Path:
    """A results file of a model that gives panoptic maps alone."""
    header = header_record(models=[ModelInfo("town", class_names=("car",), gives=frozenset({"panoptic"}))])
    keys = (ResultKeys("town", {PANOPTIC: PANOPTIC}),)
    path.write_text("".join(dumps(record) + "\n" for record in (header, *(frame_record(p, keys) for p in packets))))
    return path


def test_a_results_file_gives_the_map_back(tmp_path: Path, samples: Any) -> None:
    found = random_map()
    seen = Packet(samples.frame(0)).with_item(PANOPTIC, found)
    path = written(tmp_path / "town.jsonl", seen, Packet(samples.frame(1)))
    results = read_results(path)
    assert results.header["models"][0]["panoptic"] is True
    first, second = results
    assert first.panoptic is not None
    np.testing.assert_array_equal(first.panoptic.segment_ids, found.segment_ids)
    assert first.panoptic.segments == found.segments
    assert len(first.detections) == 0
    assert second.panoptic is None
    with pytest.raises(ResultsError, match="no model 'x'"):
        first.panoptic_of("x")


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda item: item.pop("mask"), "damaged segments"),
        (lambda item: item["mask"].update(counts="~"), "damaged segments"),
        (lambda item: item.update(id=0), "damaged segments .*unique positive ids"),
    ],
)
def test_damaged_segments_are_said_to_be_so(tmp_path: Path, samples: Any, damage: Damage, message: str) -> None:
    path = written(tmp_path / "town.jsonl", Packet(samples.frame(0)).with_item(PANOPTIC, random_map()))
    (record,) = read_results(path)
    damage(record.data["segments"][0])
    with pytest.raises(ResultsError, match=f"line 2: {message}"):
        print(record.panoptic)


def test_the_result_of_a_frame_names_its_segments(samples: Any) -> None:
    found = random_map()
    result = FrameResult(
        Packet(samples.frame(0)).with_item(PANOPTIC, found), (ResultKeys("town", {PANOPTIC: PANOPTIC}),)
    )
    assert result.panoptic is found
    assert "sky, car, road, grass, grass" in repr(result)
    assert [item["class"] for item in result.to_dict()["segments"]] == ["sky", "car", "road", "grass", "grass"]


def test_segments_are_annotations_of_coco_and_rows_of_csv(tmp_path: Path, samples: Any) -> None:
    found = random_map()
    path = written(tmp_path / "town.jsonl", Packet(samples.frame(0)).with_item(PANOPTIC, found))
    annotations = json.loads(convert(path, to="coco").read_text())["annotations"]
    rows = list(csv.DictReader(convert(path, to="csv").read_text().splitlines()))
    assert len(annotations) == len(rows) == len(found.segments)
    for annotation, row, segment, mask in zip(annotations, rows, found.segments, found.rles(), strict=True):
        ys, xs = np.nonzero(found.segment_ids == segment.id)
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] if len(xs) else [0, 0, 0, 0]
        x, y, width, height = annotation["bbox"]
        assert [x, y, x + width, y + height] == box
        assert [float(row[name]) for name in ("x1", "y1", "x2", "y2")] == box
        assert annotation["segmentation"] == mask
        assert annotation["area"] == int(row["mask_area"]) == segment.area_px
        assert annotation["category_id"] == segment.class_id + 1
        assert (row["class"], row["score"]) == (segment.class_name, "" if segment.score is None else "0.5")
        assert annotation.get("score") == segment.score
        assert annotation.get("track_id") == segment.track_id


def test_segments_are_no_objects_through_a_video(tmp_path: Path, samples: Any) -> None:
    path = written(tmp_path / "town.jsonl", Packet(samples.frame(0)).with_item(PANOPTIC, random_map()))
    with pytest.raises(ResultsError, match="line 2: YouTube-VIS results hold no segments; convert these to coco"):
        convert(path, to="youtube-vis")
