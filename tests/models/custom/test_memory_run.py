"""Custom networks with memory in whole runs: batches over streams, sampling, and runs that go on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import EngineQueue
from vidgraph.models import load_model
from vidgraph.models.run import run
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import Frame
from vidgraph.stages.inference import runners
from vidgraph.stages.session import Session
from vidgraph.stages.sources.registry import open_source

from ...tolerances import TOLERANCES
from .memory_nets import Loop, check_equal, flow, inputs_of, matting, matting_loop, queries

ENGINE: dict[str, Any] = {"engine": "onnxruntime"}
NAMES = ("fgr", "pha")
ATOL, _ = TOLERANCES["state in another engine"]


@pytest.fixture(autouse=True)
def _needs_onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")


def frames_of(clip: Path, count: int) -> list[Frame]:
    (source,) = open_source(clip, frames=count)
    source.open()
    try:
        return list(source.frames())
    finally:
        source.close()


def loop_of(path: Path) -> Loop:
    return matting_loop(path) if path.stem == "matting" else Loop(path, "image2", {}, {}, previous="image1")


def read_tensors(folder: Path) -> dict[str, Mapping[str, Any]]:
    """By the file's name, without what says how the input lies in the frame."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        with np.load(path) as arrays:
            found[path.name] = {name: arrays[name] for name in arrays if not name.startswith("vidgraph.")}
    return found


@pytest.mark.parametrize("executor", ["serial", "threaded"])
@pytest.mark.parametrize("made", [matting, flow])
def test_a_run_gives_what_the_loop_gives(made: Any, executor: str, face_clip: Path, tmp_path: Path) -> None:
    path = made(tmp_path / f"{made.__name__}.onnx")
    with load_model(str(path), head="raw", **ENGINE) as model:
        want = loop_of(path)(inputs_of(model, frames_of(face_clip, 8)))
        got = [result.tensors for result in run(face_clip, model=model, frames=8, executor=executor)]
    check_equal([each for each in got if each], want, NAMES if made is matting else ["flow"])


def test_the_network_runs_on_some_frames(face_clip: Path, tmp_path: Path) -> None:
    """Its state goes on from the last of these."""
    path = matting(tmp_path / "matting.onnx")
    with load_model(str(path), head="raw", **ENGINE) as model:
        want = loop_of(path)(inputs_of(model, frames_of(face_clip, 10)[::3]))
        results = list(run(face_clip, model=model, frames=10, every=3))
    check_equal([each.tensors for each in results[::3] if each.tensors], want, NAMES)
    check_equal([each.tensors for each in results[2::3] if each.tensors], want[:3], NAMES)


def test_streams_run_together(face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one run are frames of several streams, each with its own state."""
    path = matting(tmp_path / "matting.onnx", batch="batch")
    sources = [f"{name}={face_clip}" for name in "abc"]
    seen: dict[str, list[Mapping[str, Any]]] = {name: [] for name in "abc"}

    def note(result: Any) -> None:
        seen[result.stream].append(result.tensors)

    queues: list[EngineQueue] = []

    class Noted(EngineQueue):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, deadline_ms=10_000, **named)  # until every stream's frame is there
            queues.append(self)

    monkeypatch.setattr(runners, "EngineQueue", Noted)
    with load_model(str(path), head="raw", batch=3, **ENGINE) as model:
        want = loop_of(path)(inputs_of(model, frames_of(face_clip, 6)))
        run(sources, model=model, outputs=[note], frames=6, threads=2).wait()
    for name in "abc":
        for ours, theirs in zip(seen[name], want, strict=True):
            for output in NAMES:
                np.testing.assert_allclose(ours[output], theirs[output], atol=ATOL)
    assert [queue.batches for queue in queues] == [{3: 6}]


def test_one_stream_runs_on_all_threads(face_clip: Path, tmp_path: Path) -> None:
    """No frame can run beside the one before it."""
    path = str(matting(tmp_path / "matting.onnx"))
    chosen = []
    for model in (path, load_model(path, head="raw", **ENGINE)):
        options = {"head": "raw", **ENGINE} if isinstance(model, str) else {}
        running = run(face_clip, model=model, frames=1, threads=4, **options)
        chosen.append(_model_of(running).engine_choice)
        running.wait()
    assert [(each.requests, each.threads) for each in chosen] == [(1, 4), (1, 4)]


def _model_of(running: Any) -> Any:
    stage = next(stage for stage in running._graph.stages if stage.name == "infer")
    return stage._cache._open_runner.__self__


@pytest.mark.parametrize("made", [matting, flow])
@pytest.mark.parametrize("options", [{}, {"every": 3}, {"every": 2, "skipped": "none"}])
def test_resumed(
    made: Any, options: dict[str, Any], face_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever frame it was stopped after, what is written in the end is what would have been, bit for bit."""
    path = made(tmp_path / f"{made.__name__}.onnx")
    lines, folder = tmp_path / "out.jsonl", tmp_path / "tensors"
    outputs = [str(lines), str(folder / "%06d.npz")]
    options = {"frames": 12, "threads": 1, **options}
    with load_model(str(path), head="raw", threads=1, **ENGINE) as model:
        run(face_clip, model=model, outputs=outputs, **options).wait()
        whole, tensors = lines.read_text().splitlines(keepends=True), read_tensors(folder)
        assert len(tensors) == 12 // options.get("every", 1)
        for kept in (1, 2, 6, 9):
            lines.write_text("".join(whole[: kept + 1]) + whole[kept + 1][:30])
            for file in sorted(folder.iterdir()):
                if int(file.stem) >= kept:
                    file.unlink()
            caplog.clear()
            with caplog.at_level(logging.INFO, "vidgraph"):
                run(face_clip, model=model, outputs=outputs, resume=True, **options).wait()
            assert lines.read_text().splitlines(keepends=True) == whole
            again = read_tensors(folder)
            assert list(again) == list(tensors)
            check_equal(again.values(), list(map(dict, tensors.values())), NAMES if made is matting else ["flow"])
            seen = -(-last_of(kept, folder, options) // options.get("every", 1)) if made is matting else 1
            said = [record.getMessage() for record in caplog.records if "again" in record.getMessage()]
            assert len(said) == (seen > 1)


def last_of(kept: int, folder: Path, options: dict[str, Any]) -> int:
    """Frames that all outputs had: with files of some frames only, up to the last of these."""
    every = options.get("every", 1)
    return (kept - 1) // every * every + 1


def test_results_of_a_head_are_resumed(face_clip: Path, tmp_path: Path) -> None:
    """With results that skipped frames repeat, and two streams that have come to different frames."""
    path, out = queries(tmp_path / "queries.onnx"), tmp_path / "out.jsonl"
    sources = [f"a={face_clip}", f"b={face_clip}"]
    options: dict[str, Any] = {"frames": 9, "every": 2, "threads": 1}
    with load_model(str(path), min_score=0.0, threads=1, **ENGINE) as model:
        run(sources, model=model, outputs=[out], **options).wait()
        header, *lines = out.read_text().splitlines(keepends=True)
        scores = [json.loads(line)["objects"][0]["score"] for line in lines if '"stream":"a"' in line]
        assert len(set(scores)) > 3
        first = [line for line in lines if '"stream":"a"' in line][:6]
        second = [line for line in lines if '"stream":"b"' in line][:3]
        out.write_text("".join([header, *first, *second]))
        run(sources, model=model, outputs=[out], resume=True, **options).wait()
    assert sorted(out.read_text().splitlines(keepends=True)[1:]) == sorted(lines)


def test_a_run_that_is_whole_is_left_as_it_is(face_clip: Path, tmp_path: Path) -> None:
    path, out = matting(tmp_path / "matting.onnx"), tmp_path / "out.jsonl"
    options: dict[str, Any] = {"model": str(path), "outputs": [out], "head": "raw", "frames": 3, **ENGINE}
    run(face_clip, **options).wait()
    whole = out.read_bytes()
    run(face_clip, resume=True, **options).wait()
    assert out.read_bytes() == whole


def test_frames_that_were_dropped_are_not_seen_again(face_clip: Path, tmp_path: Path) -> None:
    """What results say of the run that was stopped counts: here its fourth frame never reached the network."""
    path = matting(tmp_path / "matting.onnx")
    lines, folder = tmp_path / "out.jsonl", tmp_path / "tensors"
    outputs = [str(lines), str(folder / "%06d.npz")]
    with load_model(str(path), head="raw", threads=1, **ENGINE) as model:
        run(face_clip, model=model, outputs=outputs, frames=7, threads=1).wait()
        images = inputs_of(model, frames_of(face_clip, 9))
        records = lines.read_text().splitlines(keepends=True)
        dropped = {**json.loads(records[4]), "dropped": "mailbox_full"}
        lines.write_text("".join([*records[:4], json.dumps(dropped) + "\n", *records[5:]]))
        run(face_clip, model=model, outputs=outputs, frames=9, threads=1, resume=True).wait()
    want = loop_of(path)([*images[:3], *images[4:]])[-2:]
    check_equal(list(read_tensors(folder).values())[-2:], want, NAMES)


@pytest.mark.parametrize("made", [matting, flow])
def test_engines_are_compared_on_what_the_first_remembers(
    made: Any, vidgraph: Any, face_clip: Path, tmp_path: Path
) -> None:
    made(tmp_path / "my.onnx")
    words = ("--model", "my.onnx", "--head", "raw", "--frames", "3", "--candidate", "onnxruntime")
    ended = vidgraph("compare", "--source", face_clip, *words)
    assert ended.code == 0
    rows = [line.split()[0] for line in ended.out.splitlines()[2:]]
    assert rows[: 4 if made is matting else 1] == (["fgr", "pha", "r1o", "r2o"] if made is matting else ["flow"])


def test_other_settings_are_refused_before_frames_are_seen_again(
    face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = queries(tmp_path / "queries.onnx"), tmp_path / "out.jsonl"
    options: dict[str, Any] = {"model": str(path), "outputs": [out], "min_score": 0.0, **ENGINE}
    run(face_clip, **options, frames=3).wait()
    monkeypatch.setattr(Session, "take_passed", lambda session: pytest.fail("frames were seen again"))
    with pytest.raises(UsageError, match=r"cannot resume .*out\.jsonl: .*settings\.min_score: 0\.0, now 0\.5"):
        run(face_clip, **{**options, "min_score": 0.5}, frames=6, resume=True)
