"""Two files at once: their frames meet in batches at the engine, and the results are those of each file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vidgraph.engines import EngineQueue
from vidgraph.models.load import load_model
from vidgraph.models.run import run


def test_frames_of_two_files_run_as_batches(
    face_clip: Path, face_weights: Path, command_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))
    sources = [f"left={face_clip}", f"right={face_clip}"]
    with load_model("retinaface", weights=face_weights, precision="fp32", batch=2, requests=2, threads=2) as model:
        run(sources, model=model, outputs=[tmp_path / "{stream}.jsonl"], threads=2).wait()
        with model._cache.runner(model.input_size((240, 320))) as runner:
            assert runner.queue.batches[2] >= 1
    with load_model("retinaface", weights=face_weights, precision="fp32", requests=2, threads=2) as alone:
        run(sources[0], model=alone, outputs=[tmp_path / "alone.jsonl"], threads=2).wait()
    left, right, single = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()[1:]]
        for name in ("left", "right", "alone")
    )
    assert len(single) == 40
    assert sum(len(line["objects"]) for line in single) >= 40
    for batched in (left, right):
        for one, line in zip(batched, single, strict=True):
            assert one["frame"] == line["frame"]
            assert [item["score"] for item in one["objects"]] == pytest.approx(
                [item["score"] for item in line["objects"]], abs=1e-4
            )


def test_frames_of_two_streams_of_a_video_model_run_as_batches(
    command_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key frames with key frames, the others with others, each with the state of its own stream."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))
    defaults: dict[str, Any] = EngineQueue.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "deadline_ms", 500.0)  # whatever else this machine does
    sources = [f"{name}=synth:street?size=320x180&seed={seed}" for name, seed in (("left", 1), ("right", 2))]
    asked: dict[str, Any] = {"precision": "fp32", "keyframes": 4}
    with load_model("yolact-edge-tiny", batch=2, requests=2, threads=2, **asked) as model:
        run(sources, model=model, outputs=[tmp_path / "{stream}.jsonl"], frames=14, threads=2).wait()
        with model._cache.runner(model.input_size((180, 320))) as runner:
            assert [queue.queue.batches[2] > 0 for queue in (runner._key, runner._non_key)] == [True, True]
    run(sources, model="yolact-edge-tiny", outputs=[tmp_path / "{stream}-alone.jsonl"], frames=14, **asked).wait()
    for name in ("left", "right"):
        batched, single = (
            [json.loads(line) for line in (tmp_path / f"{name}{end}.jsonl").read_text().splitlines()[1:]]
            for end in ("", "-alone")
        )
        assert len(single) == 14
        assert sum(len(line["objects"]) for line in single) >= 14
        for one, line in zip(batched, single, strict=True):
            assert (one["frame"], one["key_frame"]) == (line["frame"], line["key_frame"])
            found, alone = ([item["score"] for item in each["objects"]] for each in (one, line))
            assert found == pytest.approx(alone, abs=1e-4)
            assert [item["box"] for item in one["objects"]] == [item["box"] for item in line["objects"]]


def test_the_batch_is_an_option_of_a_run(
    face_clip: Path, face_weights: Path, command_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more frames in a batch than there are cores, as many workers wait for it."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))
    sizes: list[int] = []
    chosen = EngineQueue._run

    def counted(queue: EngineQueue, batch: list[Any]) -> Any:
        sizes.append(len(batch))
        return chosen(queue, batch)

    monkeypatch.setattr(EngineQueue, "_run", counted)
    asked: dict[str, Any] = {"weights": face_weights, "precision": "fp32", "size": 160, "frames": 20, "threads": 1}
    run(face_clip, model="retinaface", outputs=[tmp_path / "out.jsonl"], batch=4, **asked).wait()
    assert sum(sizes) == 20
    assert max(sizes) == 4
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 21
