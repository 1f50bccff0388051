"""Two files at once: their frames meet in batches at the engine, and the results are those of each file alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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
