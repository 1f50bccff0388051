"""Recorded results on the frames they were made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import ResultsError, UsageError
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, LANDMARKS, Frame, Key, Packet
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, dumps, frame_record, header_record
from vidgraph.pipeline.results.reader import Results, read_results
from vidgraph.pipeline.stage import EndReason, Stage
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.replay_results import ReplayResults

CARS = Key("cars", Detections)
ONE_MODEL = (ResultKeys(),)
FACES = ModelInfo("faces", class_names=("face",), point_names=("nose",))


def frame(index: int, stream: str = "in", *, width: int = 64, start_ns: int = 0) -> Frame:
    picture = Picture.from_rgb(np.zeros((48, width, 3), np.uint8))
    return Frame(stream, index, 0, start_ns + index * 40_000_000, 40_000_000, picture)


def packet(index: int, stream: str = "in") -> Packet:
    """One face whose box starts at the frame's number, and its nose."""
    box = np.array([[index, 1, index + 9, 20]], np.float32)
    rows = np.zeros(1, np.int32)
    found = Detections(box, np.ones(1, np.float32), rows, ("face",))
    nose = Landmarks(box[:, None, :2].copy(), np.ones((1, 1), np.float32), box, ("nose",), rows, rows - 1)
    return Packet(frame(index, stream)).with_item(DETECTIONS, found).with_item(LANDMARKS, nose)


def written(path: Path, packets: list[Packet], *, keys: Any = ONE_MODEL, models: Any = (FACES,)) -> Results:
    streams = dict.fromkeys(p.frame.stream_id for p in packets)
    records = [header_record(models=models, sources=[SourceInfo(name) for name in streams])]
    records += [frame_record(p, keys) for p in packets]
    path.write_text("".join(dumps(record) + "\n" for record in records))
    return read_results(path)


def first_x(stage: ReplayResults, at: Frame) -> list[float]:
    (out,) = stage.process(Packet(at))
    np.testing.assert_array_equal(out[LANDMARKS].points[:, 0], out[DETECTIONS].boxes[:, :2])
    return out[DETECTIONS].boxes[:, 0].tolist()


def test_frames_get_their_results(tmp_path: Path) -> None:
    packets = [packet(index) for index in (0, 1, 2, 5, 6)]
    packets[2] = packets[2].with_item(HELD_FROM, 1)
    stage = ReplayResults(written(tmp_path / "r.jsonl", packets))
    assert isinstance(stage, Stage)
    assert stage.creates == {DETECTIONS, LANDMARKS, HELD_FROM}
    stage.open()
    assert [first_x(stage, frame(index)) for index in range(9)] == [[0], [1], [2], [], [], [5], [6], [], []]
    assert list(stage.end_stream("in", EndReason.FINISHED)) == []
    (out,) = stage.process(Packet(frame(2)))  # the stream again, from the start
    assert out[HELD_FROM] == 1
    assert out[DETECTIONS].class_names == ("face",)
    stage.close()


def test_streams_are_read_on_their_own(tmp_path: Path) -> None:
    order = [packet(0, "a"), packet(0, "b"), packet(1, "a"), packet(2, "a"), packet(1, "b")]
    stage = ReplayResults(written(tmp_path / "r.jsonl", order))
    assert [first_x(stage, frame(index, "a")) for index in range(3)] == [[0], [1], [2]]
    assert [first_x(stage, frame(index, "b")) for index in range(3)] == [[0], [1], []]
    with pytest.raises(UsageError, match=r"no stream 'c'; it has a, b. Name the source: NAME=ADDRESS"):
        list(stage.process(Packet(frame(0, "c"))))


def test_one_stream_needs_no_name(tmp_path: Path) -> None:
    stage = ReplayResults(written(tmp_path / "r.jsonl", [packet(0, "door")]))
    assert first_x(stage, frame(0, "renamed")) == [0]


def test_another_video_is_refused(tmp_path: Path) -> None:
    results = written(tmp_path / "r.jsonl", [packet(0), packet(1)])
    with pytest.raises(UsageError, match="line 2: results are for 64x48, the video is 32x48"):
        list(ReplayResults(results).process(Packet(frame(0, width=32))))
    with pytest.raises(UsageError, match=r"line 3: results are for 0.040 s, frame 1 of the video is at 2.040 s"):
        list(ReplayResults(results).process(Packet(frame(1, start_ns=2_000_000_000))))


def test_another_picture_is_refused(tmp_path: Path) -> None:
    given = [replace(one, frame=replace(one.frame, file=f"sub/{i}.png")) for i, one in enumerate(map(packet, range(3)))]
    stage = ReplayResults(written(tmp_path / "r.jsonl", given))
    assert first_x(stage, replace(frame(0), file="0.png")) == [0]  # from where the folder was named does not matter
    assert first_x(stage, frame(1)) == [1]
    with pytest.raises(UsageError, match=r"line 4: results are for the picture sub/2\.png, frame 2 is sub/3\.png"):
        first_x(stage, replace(frame(2), file="sub/3.png"))


def test_several_models_are_attached_by_name(tmp_path: Path) -> None:
    cars = ResultKeys("cars", {DETECTIONS: CARS})
    models = (FACES, ModelInfo("cars", class_names=("car",)))
    one = packet(4).with_item(CARS, Detections.empty(("car",)))
    results = written(tmp_path / "r.jsonl", [one], keys=(ResultKeys("faces"), cars), models=models)
    with pytest.raises(UsageError, match="several models: faces, cars; say which"):
        ReplayResults(results)
    with pytest.raises(UsageError, match="no results of model 'dogs'; it has faces, cars"):
        ReplayResults(results, model="dogs")
    stage = ReplayResults(results, model="cars", keys=cars)
    assert stage.creates == {CARS, HELD_FROM}
    (out,) = stage.process(Packet(frame(4)))
    assert out[CARS].class_names == ("car",)
    assert LANDMARKS not in out
    assert first_x(ReplayResults(results, model="faces"), frame(4)) == [4]


def test_a_large_file_is_not_kept_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "r.jsonl"
    written(path, [packet(0)])
    line = path.read_text().splitlines()[1]
    with path.open("a") as file:
        file.writelines(line.replace('"frame":0', f'"frame":{index}') + "\n" for index in range(1, 20_000))
    assert path.stat().st_size > 3e6
    stage = ReplayResults(read_results(path))
    at = frame(19_999, start_ns=-19_999 * 40_000_000)
    tracemalloc.start()
    assert first_x(stage, at) == [0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stage.close()
    assert peak < 1e6


def test_nothing_is_used_after_a_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = written(path, [packet(index) for index in range(4)]).path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "damage", *lines[3:]]) + "\n")
    stage = ReplayResults(read_results(path))
    assert [first_x(stage, frame(index)) for index in range(2)] == [[0], [1]]
    for index in (2, 3):
        with pytest.raises(ResultsError, match="line 4: not JSON"):
            list(stage.process(Packet(frame(index))))
