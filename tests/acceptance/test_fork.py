"""Children of a fork, after vidgraph was used: they work, or say at once why not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..material import make_clip, plain_environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs an operating system that forks")

BEGIN = """
import multiprocessing, os, sys, time, vidgraph
from concurrent.futures import ProcessPoolExecutor
from vidgraph.pipeline.errors import VidgraphError
from vidgraph.stages import VideoSource
SYNTHETIC, SMALL = "synth:street?frames=3&size=128x96", {"model": "yolact-edge-tiny", "size": 128}
def count(engine):
    return len(list(vidgraph.run(SYNTHETIC, engine=engine, **SMALL)))
def decode(name):
    with_frames = VideoSource(name); with_frames.open(); return len(list(with_frames.frames()))
def in_child(function, *arguments):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        try:
            return pool.submit(function, *arguments).result(timeout=30)
        except VidgraphError as error:
            return f"{type(error).__name__}: {error}"
"""


def child(script: str, folder: Path, cache: Path) -> str:
    """What a Python of its own prints."""
    environment = {**plain_environment(), "VIDGRAPH_CACHE": str(cache)}
    began = time.monotonic()
    command = [sys.executable, "-P", "-W", "ignore::DeprecationWarning", "-c", BEGIN + script]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    return done.stdout


def test_after_openvino(tmp_path: Path, command_cache: Path) -> None:
    pytest.importorskip("openvino")
    make_clip(tmp_path / "in.mp4", 5)
    out = child(
        'count("openvino"); print(in_child(count, "openvino")); print(in_child(decode, "in.mp4"))',
        tmp_path,
        command_cache,
    ).splitlines()
    assert "EngineError" in out[0]
    assert "OpenVINO ran before this process was forked" in out[0]
    assert "multiprocessing.get_context('spawn')" in out[0]
    assert out[1:] == ["5"]


def test_before_anything_was_used(tmp_path: Path, command_cache: Path) -> None:
    assert child('print(in_child(count, "auto"))', tmp_path, command_cache) == "3\n"


def test_after_onnxruntime(tmp_path: Path, command_cache: Path) -> None:
    pytest.importorskip("onnxruntime")
    script = 'count("onnxruntime"); print(in_child(count, "onnxruntime"), in_child(count, "auto"))'
    assert child(script, tmp_path, command_cache) == "3 3\n"


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("len(list(loop))", "the run goes on in the process that started it"),
        ("started.join()", "the run goes on in the process that started it"),
        ("waiting.wait()", "the run was made before this process was forked"),
        ("len(list(opened.frames()))", "in.mp4: was opened before this process was forked"),
        ("model(picture)", "ran before this process was forked"),
    ],
)
def test_what_was_begun_before(use: str, expected: str, tmp_path: Path, command_cache: Path) -> None:
    """Runs, sources and models belong to the process they were made in; it goes on with them as if nothing had been."""
    pytest.importorskip("openvino")
    make_clip(tmp_path / "in.mp4", 25)
    script = f"""
import numpy
picture = numpy.zeros((96, 128, 3), numpy.uint8)
model = vidgraph.load_model("yolact-edge-tiny", size=128, engine="openvino"); model(picture)
loop = iter(vidgraph.run("in.mp4", **SMALL)); next(loop)
started = vidgraph.run("in.mp4", outputs=["started.mp4", lambda result: time.sleep(0.08)], **SMALL); started.start()
waiting = vidgraph.run("in.mp4", outputs=["waiting.jsonl"], **SMALL)
opened = VideoSource("in.mp4"); opened.open()
def use(): return {use}
print(in_child(use))
print(len(list(loop)), started.join().frames, waiting.wait().frames, len(list(opened.frames())))
assert os.path.getsize("started.mp4") > 1000
model(picture)
"""
    out = child(script, tmp_path, command_cache).splitlines()
    assert expected in out[0]
    assert out[1:] == ["24 25 25 25"]
