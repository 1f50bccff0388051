"""The first command of the README: no video, no weights, no model named."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
import vidgraph
from vidgraph.models.default_model import SYNTHETIC_MODEL
from vidgraph.models.registry import MODELS

from ..conftest import Command

SMALL = "size=320x180&frames=12"


def test_first_command(command: Command, tmp_path: Path) -> None:
    """An annotated video, JSON lines and a table, with an empty cache, and again the same lines."""
    command.environment["VIDGRAPH_CACHE"] = str(tmp_path / "cache")
    ended = command("run", f"synth:street?{SMALL}", "-o", "out.mp4", "-o", "out.jsonl")
    assert (ended.code, ended.out) == (0, "")
    first, *table = ended.err.splitlines()
    row = MODELS[SYNTHETIC_MODEL]
    assert first.startswith(f"{SYNTHETIC_MODEL} (trained on: {row.trained_on}): ")
    assert table[0].startswith("stream "), "no warning comes before the table"
    header, *frames = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert header["models"][0]["trained_on"] == row.trained_on
    assert [frame["frame"] for frame in frames] == list(range(12))
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12
    assert command("run", f"again=synth:street?{SMALL}", "-o", "again.jsonl", "-q").err == ""
    _, *again = map(json.loads, (tmp_path / "again.jsonl").read_text().splitlines())
    assert [frame["objects"] for frame in again] == [frame["objects"] for frame in frames]


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    run = vidgraph.run([f"synth:street?{SMALL}", f"b=synth:street?seed=1&{SMALL}"], frames=2)
    with run:
        assert sorted((result.stream, result.index) for result in run) == [
            ("b", 0), ("b", 1), ("street", 0), ("street", 1),
        ]  # fmt: skip
    assert run.models[0].name == SYNTHETIC_MODEL
