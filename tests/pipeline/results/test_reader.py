"""Reading results files: what was written comes back; damage is found and named."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph.pipeline.errors import ResultsError
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, LANDMARKS, Key, Packet
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, dumps, frame_record, header_record
from vidgraph.pipeline.results.header_differences import header_differences
from vidgraph.pipeline.results.reader import read_results, results_end
from vidgraph.pipeline.types.detections import Detections


def assert_same_detections(got: Detections, wanted: Detections) -> None:
    np.testing.assert_allclose(got.boxes, wanted.boxes, atol=6e-4)
    np.testing.assert_allclose(got.scores, wanted.scores, atol=6e-6)
    np.testing.assert_array_equal(got.class_ids, wanted.class_ids)
    assert got.class_names == wanted.class_names
    if len(wanted):
        assert got.masks is not None
        assert wanted.masks is not None
        for row in range(len(wanted)):
            np.testing.assert_array_equal(got.masks.full(row), wanted.masks.full(row))


def test_what_was_written_comes_back(samples: Any, write_results: Callable[..., Path]) -> None:
    packets = [samples.packet(index, capture_ns=index, damaged=index == 2) for index in range(8)]
    packets[5] = packets[5].with_item(HELD_FROM, 4)
    packets[6] = Packet(packets[6].frame).dropped("failed")
    results = read_results(write_results(packets))
    assert results.models == ["faces"]
    assert results.streams == ["in"]
    assert results.torn_bytes == 0
    records = list(results)
    assert [record.data for record in records] == [json.loads(dumps(frame_record(packet))) for packet in packets]
    for record, packet in zip(records[:6], packets[:6], strict=True):
        assert (record.stream, record.index, record.epoch) == ("in", packet.frame.index, 0)
        assert record.time_s == packet.frame.time_s
        assert record.size == (48, 64)
        assert_same_detections(record.detections, packet[DETECTIONS])
        np.testing.assert_allclose(record.landmarks.points, packet[LANDMARKS].points, atol=6e-4)
        np.testing.assert_allclose(record.landmarks.scores, packet[LANDMARKS].scores, atol=6e-6)
        assert record.landmarks.names == packet[LANDMARKS].names
        np.testing.assert_array_equal(record.landmarks.detection_rows, packet[LANDMARKS].detection_rows)
    assert records[3].detections.track_ids.tolist() == [-1, 0, 1]
    assert [record.damaged for record in records] == [index == 2 for index in range(8)]
    assert (records[5].held_from, records[4].held_from) == (4, None)
    assert records[6].dropped == "failed"
    assert len(records[6].detections) == 0
    assert records[1].captured_at == "1970-01-01T00:00:00.000000Z"


def test_the_name_of_a_picture_is_read_where_there_is_one(samples: Any, write_results: Callable[..., Path]) -> None:
    names = ["a b.png", "sub/\u00fc\n.png", "\udcff.png", None]
    packets = [samples.packet(index, file=name) for index, name in enumerate(names)]
    path = write_results(packets)
    assert [record.file for record in read_results(path)] == names
    assert "file" not in list(read_results(path))[3].data
    path.write_text(path.read_text().replace('"a b.png"', "7"))
    with pytest.raises(ResultsError, match=r"line 2: not a frame"):
        list(read_results(path))


def test_a_file_is_read_as_often_as_wanted_and_lazily(samples: Any, write_results: Callable[..., Path]) -> None:
    results = vidgraph.read_results(str(write_results([samples.packet(1), samples.packet(2)], tail="{}\n")))
    for _ in range(2):  # the damaged third line is not reached
        frames = iter(results)
        assert [next(frames).index, next(frames).index] == [1, 2]
    with pytest.raises(ResultsError, match=r"results.jsonl, line 4: not a frame"):
        list(results)


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_is_left_out_and_reported(
    samples: Any, write_results: Callable[..., Path], caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    path = write_results([samples.packet(index) for index in range(4)])
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[:-cut])
    with caplog.at_level(logging.WARNING, "vidgraph"):
        results = read_results(path)
    frames = [record.index for record in results]
    end = results_end(path)
    assert end.whole_bytes == len(whole) - len(line)
    assert end.last_frame == {"in": 2}
    if cut == 1:  # only the line end is missing: the frame is whole
        assert frames == [0, 1, 2, 3]
        assert results.torn_bytes == 0
        assert not caplog.records
    else:
        assert frames == [0, 1, 2]
        assert results.torn_bytes == len(line) - cut
        assert "cut off" in caplog.text


def test_a_torn_line_longer_than_a_block_is_measured(samples: Any, write_results: Callable[..., Path]) -> None:
    tail = '{"stream":"' + "x" * 200_000
    results = read_results(write_results([samples.packet(1)], tail=tail))
    assert results.torn_bytes == len(tail)
    assert len(list(results)) == 1


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("", "is not a vidgraph results file: it is empty"),
        ("hello\n", "its first line is no header"),
        ('{"frame": 1}\n', "its first line is no header"),
        ("[]\n", "its first line is no header"),
        ('{"format": "vidgraph.results/2"}\n', "is written as vidgraph.results/2; this version of vidgraph reads"),
        ('{"format": "vidgraph.results/1"}\n', "line 1: the header is damaged"),
        ('{"format": "vidgraph.results/1", "models": [{}], "sources": []}\n', "line 1: the header is damaged"),
    ],
)  # fmt: skip
def test_what_is_no_results_file_is_refused(tmp_path: Path, first: str, says: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(first, "utf-8")
    with pytest.raises(ResultsError, match=says) as caught:
        read_results(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot read results .*none.jsonl: No such file"):
        read_results(tmp_path / "none.jsonl")
    with pytest.raises(ResultsError, match=r"cannot read results .*: Is a directory"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{\n", "line 3: not JSON"),
        ("\x00\x00\n", "line 3: not JSON"),
        ("3\n", "line 3: not a frame"),
        ('{"stream": "in", "frame": "1"}\n', "line 3: not a frame"),
        ('{"format": "vidgraph.results/1"}\n', "line 3: a second header"),
    ],
)
def test_a_damaged_line_is_named(samples: Any, write_results: Callable[..., Path], line: str, says: str) -> None:
    path = write_results([samples.packet(1)], tail=line + dumps(frame_record(samples.packet(2))) + "\n")
    with pytest.raises(ResultsError, match=says):
        list(read_results(path))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"box": [1, 2, 3]}, "damaged objects"),
        ({"box": "0123"}, "damaged objects"),
        ({"mask": {"size": [48, 64], "counts": "!"}}, "damaged objects"),
        ({"mask": {"size": [64, 48], "counts": "P"}}, r"damaged objects \(mask 0 must have size"),
        ({"class_id": -1}, "damaged objects"),
        ({"points": [[1, 2, 3]]}, "damaged points"),
        ({"points": 5}, "damaged points"),
    ],
)
def test_a_damaged_object_is_named(
    samples: Any, write_results: Callable[..., Path], change: dict[str, Any], says: str
) -> None:
    record = frame_record(samples.packet(1))
    record["objects"][0] |= change
    frame = list(read_results(write_results([samples.packet(0)], tail=dumps(record) + "\n")))[1]
    with pytest.raises(ResultsError, match=f"line 3: {says}"):
        print(frame.detections, frame.landmarks)


def test_several_models_are_read_by_name(tmp_path: Path, samples: Any) -> None:
    people = ResultKeys("people", {DETECTIONS: Key("people", Detections)})
    models = [samples.model, ModelInfo("people", class_names=("person",))]
    packet = samples.packet(3).with_item(people.to(DETECTIONS), Detections.empty(("person",)))
    path = tmp_path / "two.jsonl"
    records = [
        header_record(models=models, sources=[SourceInfo("in")]),
        frame_record(packet, (ResultKeys("faces"), people)),
    ]
    path.write_text("".join(dumps(record) + "\n" for record in records))
    (record,) = read_results(path)
    assert_same_detections(record.detections_of("faces"), packet[DETECTIONS])
    assert record.detections_of("people").class_names == ("person",)
    assert len(record.detections_of("people")) == 0
    assert len(record.landmarks_of("faces")) == 2
    with pytest.raises(ResultsError, match=r"models faces, people; say which: detections_of\('faces'\)"):
        print(record.detections)
    with pytest.raises(ResultsError, match="no model 'cars'; it has faces, people"):
        record.detections_of("cars")


def test_objects_are_read_where_the_header_says_little(tmp_path: Path, samples: Any) -> None:
    path = tmp_path / "plain.jsonl"
    frame = frame_record(samples.packet(3)) | {"panoptic_map": "x.png"}
    frame["objects"].append({"box": [0, 0, 1, 1], "points": [[0, 0, 1]] * 5})
    path.write_text(dumps(header_record()) + "\n" + dumps(frame) + "\n")
    (record,) = read_results(path)
    assert record.detections.class_names == ("face", "mask")
    assert record.landmarks.names == ("0", "1", "2", "3", "4")
    assert record.landmarks.detection_rows.tolist() == [0, 1, -1]


def test_how_far_a_file_got(samples: Any, write_results: Callable[..., Path]) -> None:
    packets = [samples.packet(0, "a"), samples.packet(0, "b"), samples.packet(1, "a")]
    path = write_results(packets, streams=("a", "b"))
    end = results_end(path)
    assert end.last_frame == {"a": 1, "b": 0}
    assert end.whole_bytes == path.stat().st_size
    assert end.header["models"][0]["name"] == "faces"


def test_headers_differ_in_what_matters() -> None:
    def header(score: float, name: str = "m", **fields: Any) -> dict[str, Any]:
        models = [ModelInfo(name, engine="openvino")]
        sources = [SourceInfo("in", "in.mp4")]
        return header_record(models=models, sources=sources, settings={"min_score": score, **fields})

    assert header_differences(header(0.5), header(0.5) | {"versions": {}}) == []
    assert header_differences(header(0.5), header(0.3, every=2)) == [
        "settings.every: nothing, now 2",
        "settings.min_score: 0.5, now 0.3",
    ]
    assert header_differences(header(0.5), header(0.5, "n")) == [
        'models.m: {"name": "m", "engine": "openvino"}, now nothing',
        'models.n: nothing, now {"name": "n", "engine": "openvino"}',
    ]
