"""``vidgraph.run`` in Python: loops, waiting, leaving early, errors, callbacks, loaded models, graphs of one's own."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vidgraph
from vidgraph import DETECTIONS, LANDMARKS, Detections, FrameResult, Graph, Key, Landmarks, Model, Packet
from vidgraph.benchmarks.soak import repeat_clip
from vidgraph.models import load_model
from vidgraph.pipeline.errors import CheckpointError, OutputError, SourceError, StageError, UsageError
from vidgraph.pipeline.results.format import ResultKeys, dumps
from vidgraph.stages.drawing.draw import Draw
from vidgraph.stages.sinks.registry import open_sink
from vidgraph.stages.sources.registry import open_source

from ..material import make_clip, picture

LEAVE_S = 6.0
"""Leaving a run takes two seconds at most on a quiet machine."""


@pytest.fixture
def options(face_weights: Path) -> dict[str, Any]:
    """Of all runs here: the model, small, in fp32."""
    return {"model": "retinaface", "weights": face_weights, "size": 160, "precision": "fp32"}


@pytest.fixture(scope="module")
def long_clip(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeat_clip(face_clip, tmp_path_factory.mktemp("long") / "long.mp4", frames=4000)


@pytest.fixture
def loaded(face_weights: Path) -> Iterator[Model]:
    with load_model("retinaface", weights=face_weights, size=160, precision="fp32") as model:
        yield model


def open_files() -> set[str]:
    """Regular files that this process has open."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = str(Path(entry.path).readlink())
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(("/dev", "/proc", "/sys")):
            found.add(target)
    return found


def read(path: Path) -> np.ndarray:
    """A picture as RGB."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """Fails where a test leaves threads of ours or open files of its folder behind."""
    before = open_files()
    yield
    gc.collect()
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("vidgraph")]
    assert not ours
    assert not {path for path in open_files() - before if path.endswith((".mp4", ".jsonl", ".png"))}


@pytest.mark.usefixtures("nothing_is_left")
def test_a_loop(face_clip: Path, options: dict[str, Any]) -> None:
    run = vidgraph.run(face_clip, **options)
    assert run.models[0].name == "retinaface"
    assert run.models[0].input_size == (120, 160)
    results = list(run)
    assert [result.index for result in results] == list(range(40))
    assert [result.stream for result in results] == ["in"] * 40
    assert results[10].time_s == pytest.approx(0.4)
    found = results[10]
    assert len(found.detections) > 2
    for row in found.detections:
        assert row.class_name == "face"
        assert 0.5 < row.score <= 1
        assert len(row.box) == 4
        assert row.mask is None
        assert row.track_id is None
    assert found.landmarks is not None
    assert found.landmarks.points.shape == (len(found.detections), 5, 2)
    assert found.image.shape == (240, 320, 3)
    assert (found.draw() != found.image).any()
    assert json.loads(dumps(found.to_dict()))["frame"] == 10
    assert run.stats.frames == 40
    assert run.stats.complete
    with pytest.raises(UsageError, match="goes once"):
        run.wait()
    with pytest.raises(UsageError, match="goes once"):
        next(iter(run))


@pytest.mark.usefixtures("nothing_is_left")
def test_wait_writes_outputs(face_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    outputs = [tmp_path / "out.mp4", str(tmp_path / "out.jsonl")]
    stats = vidgraph.run(face_clip, outputs=outputs, **options).wait()
    assert (stats.frames, stats.complete, stats.dropped) == (40, True, {})
    assert {row.name for row in stats.stages} >= {"preprocess", "infer", "postprocess", "draw"}
    recorded = list(vidgraph.read_results(tmp_path / "out.jsonl"))
    looped = list(vidgraph.run([face_clip], **options))
    assert [record.data for record in recorded] == [result.to_dict() for result in looped]
    for record, result in zip(recorded, looped, strict=True):
        np.testing.assert_allclose(record.detections.boxes, result.detections.boxes, atol=1e-3)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_loop_and_outputs_together(face_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    results = [result.to_dict() for result in vidgraph.run(face_clip, outputs=tmp_path / "out.jsonl", **options)]
    assert [record.data for record in vidgraph.read_results(tmp_path / "out.jsonl")] == results


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize("executor", ["threaded", "serial"])
def test_leaving_a_loop_early(executor: str, long_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    """The loop is over, and so are all threads; what was written until then is whole."""
    run = vidgraph.run(long_clip, outputs=[tmp_path / "out.mp4", tmp_path / "out.jsonl"], executor=executor, **options)
    for result in run:
        if result.index == 10:
            break
    left = time.monotonic()
    run.close()
    assert time.monotonic() - left < LEAVE_S
    frames = [record.index for record in vidgraph.read_results(tmp_path / "out.jsonl")]
    assert frames == list(range(len(frames)))
    assert 10 < len(frames) < 4000
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.streams.video[0].frames == len(frames)
    assert run.stats.streams[0].ended == "cancelled"


@pytest.mark.usefixtures("nothing_is_left")
def test_leaving_a_loop_frees_everything_at_once(long_clip: Path, options: dict[str, Any]) -> None:
    """Without ``close``: the end of the loop's iterator is enough, as it is in a function that returns."""

    def first() -> FrameResult:
        for result in vidgraph.run(long_clip, **options):
            return result
        raise AssertionError("no frame")

    started = time.monotonic()
    assert first().index == 0
    assert time.monotonic() - started < LEAVE_S


@pytest.mark.usefixtures("nothing_is_left")
def test_an_error_in_the_loop(long_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), vidgraph.run(long_clip, outputs=tmp_path / "a.jsonl", **options) as run:
        for result in run:
            assert 1 // (5 - result.index) >= 0
    assert [record.index for record in vidgraph.read_results(tmp_path / "a.jsonl")][:6] == list(range(6))


@pytest.mark.usefixtures("nothing_is_left")
def test_cancelling_from_another_thread(long_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    run = vidgraph.run(long_clip, outputs=tmp_path / "a.jsonl", **options)
    timer = threading.Timer(0.5, run.cancel)
    timer.start()
    stats = run.wait()
    timer.join()
    assert 0 < stats.frames < 4000
    assert stats.streams[0].ended == "cancelled"


@pytest.mark.usefixtures("nothing_is_left")
def test_a_run_that_is_not_used_warns(face_clip: Path, options: dict[str, Any]) -> None:
    with pytest.warns(ResourceWarning, match="neither iterated nor waited for"):
        vidgraph.run(face_clip, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with vidgraph.run(face_clip, **options):
            pass
        gc.collect()


@pytest.mark.usefixtures("nothing_is_left")
def test_functions_as_outputs(face_clip: Path, options: dict[str, Any]) -> None:
    seen: list[tuple[int, int]] = []
    vidgraph.run(
        face_clip, outputs=lambda result: seen.append((result.index, len(result.detections))), **options
    ).wait()
    assert [index for index, _ in seen] == list(range(40))
    assert len({count for _, count in seen}) > 3

    def fails(result: FrameResult) -> None:
        if result.index == 3:
            raise KeyError("colour")

    with pytest.raises(
        OutputError, match=r"output 'fails' failed on frame 3 of stream 'in' \(t = 0.120 s\): KeyError: colour"
    ):
        vidgraph.run(face_clip, outputs=[fails], **options).wait()
    with pytest.raises(OutputError, match="output 'fails' failed"):
        list(vidgraph.run(face_clip, outputs=[fails], **options))


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"source": []}, UsageError, "no source was given"),
        ({"source": "no.mp4"}, SourceError, "no such file: no.mp4"),
        ({"model": ""}, UsageError, "no model was given; models are retinaface"),
        ({"model": "zebra"}, UsageError, "unknown model 'zebra'"),
        ({"model": "sub/no.pth"}, CheckpointError, "no such weights file: sub/no.pth"),
        ({"model": "retinaface=a.pth"}, UsageError, "weights are given twice: a.pth with the model, and"),
        ({"weights": "no.pth"}, CheckpointError, "no such weights file: no.pth"),
        ({"every": 2, "max_fps": 2}, UsageError, "every or max_fps, not both"),
        ({"every": 0}, UsageError, "every must be a whole number from 1, got 0"),
        ({"frames": 0}, UsageError, "frames must be"),
        ({"threads": 0}, UsageError, "threads must be a whole number from 1, got 0"),
        ({"executor": "paralel"}, UsageError, "executor"),
        ({"policy": "newest"}, UsageError, "policy"),
        ({"preset": "slow!"}, UsageError, "unknown preset"),
        ({"outputs": 5}, UsageError, "an output is an address, a function or a sink, got int"),
        ({"outputs": "out.avi"}, UsageError, "unknown suffix '.avi'"),
    ],
)
def test_wrong_arguments(
    wrong: dict[str, Any], error: type[Exception], message: str, face_clip: Path, options: dict[str, Any],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = {"source": face_clip, "outputs": "out.mp4", **options, **wrong}
    with pytest.raises(error, match=message) as caught:
        vidgraph.run(given.pop("source"), **given).wait()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.usefixtures("nothing_is_left")
def test_a_loaded_model(face_clip: Path, loaded: Model, options: dict[str, Any]) -> None:
    plain = [result.to_dict() for result in vidgraph.run(face_clip, **options)]
    assert [result.to_dict() for result in vidgraph.run(face_clip, model=loaded)] == plain
    assert [result.to_dict() for result in vidgraph.run(face_clip, model=loaded, threads=1)] == plain
    deterministic = vidgraph.run(face_clip, model=loaded, deterministic=True, frames=2)
    assert [result.to_dict() for result in deterministic] == plain[:2]
    with pytest.raises(UsageError, match="min_score, size cannot be given for a model that is loaded"):
        vidgraph.run(face_clip, model=loaded, size=320, min_score=0.5)
    assert len(loaded(picture(4)).detections) > 0, "a run leaves the model open"


def test_a_model_is_a_function_of_pictures(face_clip: Path, loaded: Model) -> None:
    result = loaded(picture(4))
    assert len(result.detections) > 2
    assert (result.draw() != result.image).any()
    camera = loaded.stream("door")
    results = [camera(picture(number), time_s=number / 25) for number in range(3)]
    assert [(one.stream, one.index, round(one.time_s, 2)) for one in results] == [
        ("door", 0, 0.0),
        ("door", 1, 0.04),
        ("door", 2, 0.08),
    ]
    np.testing.assert_array_equal(camera(picture(4)).detections.boxes, result.detections.boxes)
    camera.close()


def test_supervision(loaded: Model) -> None:
    supervision = pytest.importorskip("supervision", reason="needs the extra 'supervision'")
    result = loaded(picture(4))
    converted = result.to_supervision()
    assert isinstance(converted, supervision.Detections)
    np.testing.assert_array_equal(converted.xyxy, result.detections.boxes)
    assert list(converted.data["class_name"]) == ["face"] * len(result.detections)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_graph_of_public_parts(face_clip: Path, loaded: Model, tmp_path: Path, options: dict[str, Any]) -> None:
    """Sources, a model's stages, plain functions and sinks, put together by hand, do what ``run`` does."""
    left: Key[int] = Key("faces on the left", int)
    counted: list[int] = []

    def count_left(packet: Packet) -> Packet:
        return packet.with_item(left, int((packet[DETECTIONS].boxes[:, 0] < 160).sum()))

    count_left.reads, count_left.creates = frozenset({DETECTIONS}), frozenset({left})  # type: ignore[attr-defined]
    stages = [*loaded.stages(), count_left, Draw([loaded.result_keys()])]
    sinks = [
        open_sink(tmp_path / "out.jsonl", keys=[loaded.result_keys()]),
        open_sink(tmp_path / "out.mp4"),
        lambda packet: counted.append(packet[left]),
    ]
    stats = Graph(open_source(face_clip), stages, sinks).run()
    assert stats.frames == 40
    whole = [result.detections for result in vidgraph.run(face_clip, **options)]
    assert counted == [int((found.boxes[:, 0] < 160).sum()) for found in whole]
    recorded = vidgraph.read_results(tmp_path / "out.jsonl")
    assert [len(record.detections) for record in recorded] == [len(found) for found in whole]
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.streams.video[0].frames == 40


def test_two_models_in_one_graph(face_clip: Path, face_weights: Path, loaded: Model, options: dict[str, Any]) -> None:
    """The same network under two key sets, the second with other settings."""
    strict_keys = ResultKeys(
        keys={DETECTIONS: Key("strict.detections", Detections), LANDMARKS: Key("strict.landmarks", Landmarks)}
    )
    seen: list[tuple[Detections, Detections]] = []
    with load_model("retinaface", weights=face_weights, size=160, precision="fp32", min_score=0.6) as strict:
        stages = [*loaded.stages(), *strict.stages(prefix="strict_", keys=strict_keys)]

        def note(packet: Packet) -> None:
            seen.append((packet[DETECTIONS], packet[strict_keys.to(DETECTIONS)]))

        Graph(open_source(face_clip), stages, [note]).run()
    assert len(seen) == 40
    assert sum(len(loose) for loose, _ in seen) > sum(len(few) for _, few in seen) > 0
    for loose, few in seen:
        np.testing.assert_array_equal(loose.boxes[loose.scores > np.float32(0.6)], few.boxes)


def test_two_models_in_one_results_file(face_clip: Path, face_weights: Path, loaded: Model, tmp_path: Path) -> None:
    renamed: dict[Key[Any], Key[Any]] = {
        DETECTIONS: Key("second.detections", Detections),
        LANDMARKS: Key("second.landmarks", Landmarks),
    }
    keys = [
        ResultKeys("first", {DETECTIONS: DETECTIONS, LANDMARKS: LANDMARKS}),
        ResultKeys("second", renamed),
    ]
    stages = [*loaded.stages(), *loaded.stages(prefix="second_", keys=keys[1])]
    Graph(open_source(face_clip, frames=3), stages, [open_sink(tmp_path / "out.jsonl", keys=keys)]).run()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    models = [item["model"] for frame in lines[1:] for item in frame["objects"]]
    assert models.count("first") == models.count("second") > 0


@pytest.mark.usefixtures("nothing_is_left")
def test_a_stage_that_fails_names_everything(face_clip: Path, loaded: Model) -> None:
    def picky(packet: Packet) -> Packet:
        if packet.frame.index == 7:
            raise ValueError("seven")
        return packet

    graph = Graph(open_source(face_clip), [*loaded.stages(), picky], [lambda packet: None])
    with pytest.raises(
        StageError, match=r"stage 'picky' failed on frame 7 of stream 'in' \(t = 0.280 s\): ValueError: seven"
    ):
        graph.run(strict=True)


@pytest.mark.usefixtures("nothing_is_left")
def test_two_runs_at_once(face_clip: Path, options: dict[str, Any], loaded: Model) -> None:
    expected = [result.to_dict() for result in vidgraph.run(face_clip, **options)]
    both = [vidgraph.run(face_clip, model=loaded) for _ in range(2)]
    got: list[list[Any]] = [[], []]
    for one, other in zip(*both, strict=True):
        got[0].append(one.to_dict())
        got[1].append(other.to_dict())
    assert got == [expected, expected]


@pytest.mark.usefixtures("nothing_is_left")
def test_drawing_recorded_results(
    face_clip: Path, options: dict[str, Any], tmp_path: Path, tolerance: Callable[[str], float]
) -> None:
    from vidgraph.models.run import draw

    vidgraph.run(face_clip, outputs=[tmp_path / "out.jsonl", tmp_path / "run/%d.png"], **options).wait()
    stats = draw(face_clip, tmp_path / "out.jsonl", outputs=tmp_path / "drawn/%d.png").wait()
    assert stats.frames == 40
    pairs = [(read(tmp_path / f"run/{number}.png"), read(tmp_path / f"drawn/{number}.png")) for number in range(40)]
    assert max((one != other).mean() for one, other in pairs) < tolerance("drawn from results, share of values")


@pytest.mark.usefixtures("nothing_is_left")
def test_drawing_on_another_video_is_refused(face_clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    from vidgraph.models.run import draw
    from vidgraph.pipeline.errors import ResultsError

    vidgraph.run(face_clip, outputs=tmp_path / "out.jsonl", frames=5, **options).wait()
    with pytest.raises((ResultsError, StageError)):
        draw(make_clip(tmp_path / "other.mp4", 9, rate=10), tmp_path / "out.jsonl", outputs=tmp_path / "no.mp4").wait()
