"""Records of the results format: their fields, their schema, their page in the docs."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import encode_runs
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, LANDMARKS, PANOPTIC, Key, Packet
from vidgraph.pipeline.results.format import (
    ModelInfo,
    ResultKeys,
    SourceInfo,
    dumps,
    frame_record,
    header_record,
    iso_time,
    results_schema,
)
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment

PAGE = Path(__file__).resolve().parents[3] / "docs" / "results.md"


@pytest.fixture(scope="module")
def check() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    validator = jsonschema.Draft202012Validator(results_schema())
    validator.check_schema(results_schema())
    return lambda record: validator.validate(json.loads(dumps(record)))


def panoptic() -> PanopticMap:
    segments = (
        Segment(1, 3, "road", is_thing=False, score=None, area_px=40),
        Segment(2, 0, "car", is_thing=True, score=0.123456789, area_px=8, track_id=5),
    )
    ids = np.zeros((48, 64), np.int32)
    ids[8:18, 4:8], ids[40:, 63] = 1, 2
    return PanopticMap(ids, segments)


def test_header_has_what_a_reader_needs(check: Any) -> None:
    model = ModelInfo(
        "retinaface", "WIDER FACE", "w.pth", "0" * 64, "openvino", "bf16", "cpu", (384, 640), ("face",), ("nose",)
    )
    source = SourceInfo("door", "rtsp://ann:secret@cam/1?token=abc", (1080, 1920), Fraction(30000, 1001), live=True)
    header = header_record(
        models=[model],
        sources=[source],
        settings={"min_score": 0.5, "labels": None, "source": ["rtsp://ann:secret@cam/1"]},
        versions={"vidgraph": "0.1.0"},
    )
    check(header)
    assert header == {
        "format": "vidgraph.results/1",
        "models": [
            {
                "name": "retinaface",
                "trained_on": "WIDER FACE",
                "weights": "w.pth",
                "weights_sha256": "0" * 64,
                "engine": "openvino",
                "precision": "bf16",
                "device": "cpu",
                "input_size": [640, 384],
                "classes": ["face"],
                "points": ["nose"],
            }
        ],
        "sources": [
            {
                "stream": "door",
                "address": "rtsp://***@cam/1?token=***",
                "size": [1920, 1080],
                "rate": 29.97003,
                "live": True,
            }
        ],
        "settings": {"min_score": 0.5, "source": ["rtsp://***@cam/1"]},
        "versions": {"vidgraph": "0.1.0"},
    }


def test_a_header_with_little_is_a_header(check: Any) -> None:
    header = header_record(models=[ModelInfo("m")], sources=[SourceInfo("in")])
    check(header)
    assert header["models"] == [{"name": "m"}]
    assert header["sources"] == [{"stream": "in"}]
    assert {"python", "vidgraph", "numpy"} <= set(header["versions"])


def test_names_are_unique() -> None:
    with pytest.raises(UsageError, match="two models are named 'm'"):
        header_record(models=[ModelInfo("m"), ModelInfo("m")])
    with pytest.raises(UsageError, match="two sources are named 'in'"):
        header_record(sources=[SourceInfo("in"), SourceInfo("in")])


def test_frame_by_hand(check: Any, samples: Any) -> None:
    detections = Detections(
        np.array([[1.23456, -0.00001, 20, 30]], np.float32),
        np.array([0.987654321], np.float32),
        np.array([1], np.int32),
        ("face", "mask"),
        track_ids=np.array([7], np.int32),
    )
    landmarks = Landmarks(
        np.array([[[2.00049, 3]], [[5, 6]]], np.float32),
        np.array([[1], [0.25]], np.float32),
        np.array([[1, 0, 20, 30], [4, 5, 6, 7]], np.float32),
        ("nose",),
        np.array([0, -1], np.int32),
        np.array([-1, 9], np.int32),
    )
    frame = samples.frame(41, capture_ns=1_769_847_300_040_000_999, damaged=True)
    packet = Packet(frame).with_item(DETECTIONS, detections).with_item(LANDMARKS, landmarks).with_item(HELD_FROM, 40)
    record = frame_record(packet)
    check(record)
    assert record == {
        "stream": "in",
        "frame": 41,
        "time_s": 1.64,
        "captured_at": "2026-01-31T08:15:00.040000Z",
        "epoch": 0,
        "size": [64, 48],
        "held_from": 40,
        "damaged": True,
        "objects": [
            {
                "class": "mask",
                "class_id": 1,
                "score": 0.98765,
                "box": [1.235, 0.0, 20.0, 30.0],
                "track": 7,
                "points": [[2.0, 3.0, 1.0]],
            },
            {"box": [4.0, 5.0, 6.0, 7.0], "track": 9, "points": [[5.0, 6.0, 0.25]]},
        ],
    }
    assert "-0.0" not in dumps(record)


def test_a_picture_has_its_name(check: Any, samples: Any) -> None:
    record = frame_record(samples.packet(2, file="sub/a b.png"))
    check(record)
    assert record["file"] == "sub/a b.png"
    assert list(record)[:4] == ["stream", "frame", "time_s", "file"]
    assert "file" not in frame_record(samples.packet(2))


def test_nothing_looked_is_not_nothing_found(check: Any, samples: Any) -> None:
    frame = samples.frame(0)
    assert "objects" not in frame_record(Packet(frame))
    nothing = frame_record(Packet(frame).with_item(DETECTIONS, Detections.empty(("face",))))
    dropped = frame_record(Packet(frame).dropped("mailbox_full"))
    assert nothing["objects"] == []
    assert dropped["dropped"] == "mailbox_full"
    check(nothing)
    check(dropped)


def test_several_models_are_told_apart(check: Any, samples: Any) -> None:
    second = ResultKeys("people", {DETECTIONS: Key("people", Detections), PANOPTIC: Key("scene", PanopticMap)})
    keys = (ResultKeys("faces"), second)
    packet = samples.packet(2).with_item(second.to(DETECTIONS), samples.detections(1, masks=False))
    packet = packet.with_item(second.to(PANOPTIC), panoptic())
    record = frame_record(packet, keys)
    check(record)
    assert [item["model"] for item in record["objects"]] == ["faces", "faces", "people"]
    assert [item["model"] for item in record["segments"]] == ["people", "people"]


def test_segments(check: Any, samples: Any) -> None:
    record = frame_record(Packet(samples.frame(0)).with_item(PANOPTIC, panoptic()))
    check(record)
    assert "objects" not in record
    runs = [[4 * 48 + 8, 10, 38, 10, 38, 10, 38, 10, 30 + 56 * 48], [64 * 48 - 8, 8]]
    masks = [{"size": [48, 64], "counts": encode_runs(np.array(each))} for each in runs]
    stuff = {"id": 1, "class": "road", "class_id": 3, "is_thing": False, "area": 40}
    thing = {"id": 2, "class": "car", "class_id": 0, "is_thing": True, "area": 8, "score": 0.12346, "track": 5}
    assert record["segments"] == [stuff | {"mask": masks[0]}, thing | {"mask": masks[1]}]


def test_masks_are_coco_rle_of_the_frame(check: Any, samples: Any) -> None:
    packet = samples.packet(3)
    record = frame_record(packet)
    check(record)
    assert [item["mask"]["size"] for item in record["objects"]] == [[48, 64]] * 3
    assert record["objects"][0]["mask"] == packet[DETECTIONS].masks.rle(0)


def test_points_of_a_detection_that_is_not_there_are_refused(samples: Any) -> None:
    packet = samples.packet(3).with_item(DETECTIONS, samples.detections(1))
    with pytest.raises(ValueError, match="row 1 belongs to detection 1, the frame has 1"):
        frame_record(packet)


def test_lines_are_the_same_every_time_and_plain_ascii(samples: Any) -> None:
    first, again = (dumps(frame_record(samples.packet(3, "Straße \udcff"))) for _ in range(2))
    assert first == again
    assert first.isascii()
    assert "\n" not in first
    assert json.loads(first)["stream"] == "Straße \udcff"


def test_nan_is_refused(samples: Any) -> None:
    detections = replace(samples.detections(1), scores=np.array([np.nan], np.float32))
    with pytest.raises(ValueError, match="JSON"):
        dumps(frame_record(Packet(samples.frame(0)).with_item(DETECTIONS, detections)))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("frame", {"score": 1}),
        ("frame", {"time_s": None}),
        ("frame", {"objects": [{"class": "face", "box": [0, 0, 1, 1]}]}),
        ("frame", {"objects": [{"box": [0, 0, 1]}]}),
        ("frame", {"captured_at": "yesterday"}),
        ("header", {"format": "vidgraph.results/2"}),
        ("header", {"models": [{"name": ""}]}),
    ],
)
def test_schema_refuses_what_is_wrong(check: Any, samples: Any, part: str, change: dict[str, Any]) -> None:
    from jsonschema import ValidationError

    record = frame_record(samples.packet(1)) if part == "frame" else header_record()
    check(record)
    with pytest.raises(ValidationError):
        check(record | change)


def schema_properties(node: Any) -> set[str]:
    """The names of all properties anywhere in a schema."""
    if isinstance(node, list):
        return set().union(*map(schema_properties, node))
    if not isinstance(node, dict):
        return set()
    return set(node.get("properties", {})).union(*map(schema_properties, node.values()))


def test_the_page_names_every_field_and_its_example_is_right(check: Any) -> None:
    text = PAGE.read_text("utf-8")
    in_tables = set(re.findall(r"`(\w+)`", "\n".join(line for line in text.splitlines() if line.startswith("|"))))
    fields = schema_properties(results_schema())
    assert len(fields) > 40
    assert fields - in_tables == set()
    examples = re.findall(r"```json\n(.*?)```", text, flags=re.S)
    assert len(examples) == 2
    for example in examples:
        check(json.loads(example))


def test_iso_time() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000000Z"
    assert iso_time(1_999) == "1970-01-01T00:00:00.000001Z"


def test_a_line_is_written_quickly(samples: Any) -> None:
    """Ten objects of five points: about 0.1 ms; the limit leaves room for a busy machine."""
    detections = Detections(
        np.random.default_rng(0).uniform(0, 1000, (10, 4)).astype(np.float32),
        np.linspace(0.9, 0.1, 10, dtype=np.float32),
        np.zeros(10, np.int32),
        ("face",),
    )
    points = np.random.default_rng(1).uniform(0, 1000, (10, 5, 2)).astype(np.float32)
    rows = np.arange(10, dtype=np.int32)
    landmarks = Landmarks(points, np.ones((10, 5), np.float32), detections.boxes, tuple("abcde"), rows, rows)
    packet = Packet(samples.frame(0)).with_item(DETECTIONS, detections).with_item(LANDMARKS, landmarks)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        dumps(frame_record(packet))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.4e-3, f"fastest of 50: {min(times) * 1e3:.3f} ms"
