"""``vidgraph graph``: what ``run`` would run, without running it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vidgraph.cli import main

SOURCE = "synth:street?frames=3&size=320x192"


def test_graph_prints_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ["-o", str(tmp_path / "new" / "out.mp4"), "-o", str(tmp_path / "out.jsonl")]
    assert main(["graph", SOURCE, *outputs, "--every", "2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("sources\n  street\nstages\n  1. sample: frames of a stream in order; creates skipped\n")
    assert text.endswith("  write_results\n      detections <- repeat_results\n")
    assert "\nsinks\n  encode\n      annotated <- draw\n" in text
    assert list(tmp_path.iterdir()) == []
    assert main(["graph", SOURCE, "--format", "mermaid"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")


def test_graph_refuses_what_run_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.jsonl").write_text("there", "utf-8")
    assert main(["graph", SOURCE, "-o", str(tmp_path / "out.jsonl")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["graph", SOURCE, "--format", "dot"]) == 2


@pytest.mark.parametrize("named", ["", "door="])
def test_graph_does_not_open_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    """It would wait for ever for somebody who writes into it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["graph", f"{named}{pipe}", "--model", "retinaface-tiny"]) == 2
    assert f"{pipe} is a pipe, and graph opens its sources; give a file" in capsys.readouterr().err
