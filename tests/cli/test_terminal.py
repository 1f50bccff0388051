"""Messages, the progress line and the closing table on standard error, at a terminal and into a pipe."""

from __future__ import annotations

import logging
import os
import pty
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from vidgraph.cli.terminal import progress_line, say, speaking
from vidgraph.pipeline.execution.stats import RunStats, StreamStats, Summary

from ..conftest import PROGRAM, Command, Ended
from ..material import make_clip


def stats(frames: int, expected: int | None, wall_s: float = 2.0) -> RunStats:
    stream = StreamStats("in", frames, {}, {}, expected, Summary(), wall_s, 1, None, None)
    return RunStats((stream,), (), (), (), Summary(), wall_s)


def test_progress_line() -> None:
    assert progress_line(stats(50, 200)) == "[########                      ]  25%  50/200 frames, 25.0 fps, 6 s left"
    assert progress_line(stats(50, None)) == "50 frames, 25.0 fps"
    assert progress_line(stats(0, 200, 0.0)) == f"[{'':30}]   0%  0/200 frames, 0.0 fps, 0 s left"
    assert progress_line(stats(210, 200)).startswith(f"[{'#' * 30}] 100%  210/200")
    two = replace(stats(50, 200), streams=(stats(50, 200).streams[0], stats(10, None).streams[0]))
    assert progress_line(two) == "60 frames, 30.0 fps"


def test_at_a_terminal(command: Command, face_weights: Path, tmp_path: Path) -> None:
    """The progress line is there, is written over, and is gone when the table comes."""
    clip = make_clip(tmp_path / "in.mp4", 12, rate=8)
    shown, terminal = pty.openpty()
    words = ("--model", f"retinaface={face_weights}", "--size", "96", "--latest", "-o", "-")
    process = command.start("run", clip, *words, stderr=terminal)
    os.close(terminal)
    text = b""
    while True:
        try:
            text += os.read(shown, 4096)
        except OSError:  # the other end is closed
            break
    out, _ = process.communicate(timeout=60)
    os.close(shown)
    assert process.returncode == 0
    assert len(out.splitlines()) == 13
    assert re.search(rb"\r\[#+ +\] +\d+%  \d+/12 frames, [\d.]+ fps, \d+ s left", text)
    assert re.search(rb"\r +\rstream  ", text), "an empty line goes over the last progress line"


def test_not_into_a_pipe(command: Command, face_weights: Path, face_clip: Path) -> None:
    ended = command("run", face_clip, "--model", f"retinaface={face_weights}", "--size", "96", "-o", "out.jsonl")
    assert ended.code == 0
    assert "\r" not in ended.err
    assert "[#" not in ended.err


@pytest.mark.parametrize(
    ("quiet", "verbose", "seen"), [(False, False, "iwe"), (True, False, "e"), (False, True, "diwe")]
)
def test_messages(quiet: bool, verbose: bool, seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("vidgraph")
    before = (log.level, log.propagate, list(log.handlers))
    with speaking(quiet=quiet, verbose=verbose):
        log.debug("d %s", "http://me:secret@host/a\nb")
        log.info("i")
        log.warning("w")
        log.error("e")
    log.error("after")
    assert (log.level, log.propagate, list(log.handlers)) == before
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vidgraph: ")]
    assert "".join(line.removeprefix("vidgraph: ")[0] for line in lines) == seen
    assert not any("secret" in line for line in lines)


def test_nothing_piles_up(vidgraph: Callable[..., Ended], face_weights: Path, face_clip: Path) -> None:
    """Several commands in one process: each message once."""
    for _ in range(2):
        ended = vidgraph(
            "run", face_clip, "--model", f"retinaface={face_weights}", "--size", "96", "-o", "a.jsonl", "-y"
        )
        assert ended.err.count("retinaface (trained on") == 1
    say("done")


@pytest.mark.parametrize(
    ("closing", "output", "code", "err"),
    [
        ("2>&-", "out.jsonl", 0, ""),
        (">&-", "out.jsonl", 0, "fps"),
        (">&-", "-", 1, "cannot write standard output: it is closed"),
        (">/dev/full", "-", 1, "cannot write standard output: the disk is full"),
    ],
)
def test_nobody_listens(
    closing: str, output: str, code: int, err: str, command: Command, face_weights: Path, face_clip: Path
) -> None:
    """Messages that cannot be written change nothing; results that cannot are an error."""
    words = ("--model", f"retinaface={face_weights}", "--size", "96", "-o", output)
    ended = command("run", face_clip, *words, program=("sh", "-c", f'exec "$@" {closing}', "sh", *PROGRAM))
    assert (ended.code, ended.out) == (code, "")
    assert err in (ended.err.splitlines() or [""])[-1]
    if output != "-":
        assert len((command.folder / output).read_text().splitlines()) == 41
