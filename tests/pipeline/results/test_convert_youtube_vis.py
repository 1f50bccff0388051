"""Results as YouTube-VIS results, and as COCO results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import ResultsError
from vidgraph.pipeline.packet import DETECTIONS, Packet
from vidgraph.pipeline.results.convert import convert


def test_youtube_vis_by_hand(samples: Any, write_results: Callable[..., Path]) -> None:
    packets = [samples.packet(1, "a"), samples.packet(3, "b"), samples.packet(3, "a"), samples.packet(6, "a")]
    written = convert(write_results(packets, streams=("a", "b")), to="youtube-vis")
    assert written.name == "results.youtube-vis.json"
    rows = json.loads(written.read_text())
    lengths = {1: 3, 2: 1}  # video 1 is "a", with three frames
    assert all(len(row["segmentations"]) == lengths[row["video_id"]] for row in rows)
    # rows of frames 1, 3 and 6 of "a": 1, 3 and 2 objects; the first of each has no track, the second track 0, …
    of_a = [row for row in rows if row["video_id"] == 1]
    seen = [tuple(mask is not None for mask in row["segmentations"]) for row in of_a]
    alone = [(True, False, False), (False, True, False), (False, False, True)]
    assert sorted(seen) == sorted([*alone, (False, True, True), (False, True, False)])
    track = of_a[seen.index((False, True, True))]
    first, second = packets[2][DETECTIONS], packets[3][DETECTIONS]
    assert track["segmentations"][1:] == [first.masks.rle(1), second.masks.rle(1)]
    assert track["category_id"] == int(first.class_ids[1]) + 1
    assert track["score"] == pytest.approx((float(first.scores[1]) + float(second.scores[1])) / 2, abs=1e-5)


def test_youtube_vis_needs_masks(samples: Any, write_results: Callable[..., Path]) -> None:
    bare = Packet(samples.frame(1)).with_item(DETECTIONS, samples.detections(1, masks=False))
    with pytest.raises(ResultsError, match="has no mask, which YouTube-VIS results need"):
        convert(write_results([bare]), to="youtube-vis")


def test_coco_results_are_the_annotations_of_the_data_set(samples: Any, write_results: Callable[..., Path]) -> None:
    path = write_results([samples.packet(2), samples.packet(3)])
    whole = json.loads(convert(path, to="coco").read_text())
    assert json.loads(convert(path, to="coco-results").read_text()) == whole["annotations"]
    assert len(whole["annotations"]) == 5
