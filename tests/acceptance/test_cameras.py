"""Cameras from end to end: the command reads real sessions, is told of losses, and leaves in order."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import vidgraph
from vidgraph import Hub, Packet
from vidgraph.benchmarks.camera_restarts import camera_restarts
from vidgraph.pipeline.graph import Graph
from vidgraph.stages.sources.registry import open_source
from vidgraph.testing import GstCamera, RtspCamera, gst_missing, make_clip

from ..conftest import Command
from ..pipeline.parts import Collect
from ..waiting import until, until_no_thread_is_left

FPS = 15
LEAVE_S = 6.0
"""Leaving a run takes two seconds at most on a quiet machine."""


@pytest.fixture
def options(face_weights: Path) -> dict[str, Any]:
    return {"weights": str(face_weights), "size": 64, "precision": "fp32"}


@pytest.mark.parametrize("server", [GstCamera, RtspCamera])
def test_a_camera_that_is_killed_comes_back_and_the_other_sees_nothing_of_it(server: Any, options: Any) -> None:
    if server is GstCamera and (why := gst_missing()):
        pytest.skip(why)
    seen = camera_restarts(server, "retinaface", 3, **options)
    assert sum(seen["reconnections"].values()) == 3
    assert (seen["threads_left"], seen["descriptors_left"]) == (0, 0)
    assert seen["steady_reconnections"] == {}
    assert seen["steady_fps"] == pytest.approx(FPS, rel=0.2)
    assert seen["first_frame_after_s_max"] < LEAVE_S


def test_what_was_received_was_processed_or_dropped(options: Any) -> None:
    """With a consumer ten times too slow: every number that the camera sent is in one frame, with its cause."""
    clip = make_clip(60, (120, 160), FPS, gop=FPS)
    sink = Collect()

    def slow(packet: Packet) -> None:
        time.sleep(10 / FPS)

    with RtspCamera(clip) as camera:
        (source,) = open_source(camera.url)
        name = source.stream_id
        with Graph(source, slow, sink).start() as running:
            until(lambda: running.stats().frames > 6 * FPS)
        stats = running.stats().streams[0]
    assert sink.indices(name) == [*range(stats.frames)]
    causes = Counter(sink.causes(name).values())
    assert stats.dropped == causes
    assert stats.frames == stats.processed + causes.total()
    assert causes["mailbox_full"] > stats.processed > 3
    assert stats.latency_ms.p99 < 1e3 * (2 * 10 / FPS + 1 / FPS + 0.5)  # half a second for a machine that is busy


def test_the_command_reads_cameras_until_it_is_told_to_stop(command: Command, options: Any, tmp_path: Path) -> None:
    clip = make_clip(60, (120, 160), FPS, gop=FPS)
    with RtspCamera(clip, cameras=2, auth="md5", user="ann", password="se/cret") as camera:
        address = [url.replace("://", "://ann:${CAMERA_PASSWORD}@") for url in camera.urls]
        environment = {**command.environment, "CAMERA_PASSWORD": "se/cret"}
        with command.start(
            "run", f"door={address[0]}", f"yard={address[1]}", "--model", f"retinaface={options['weights']}",
            "--size", 64, "--precision", "fp32", "-o", "{stream}.jsonl", "-o", "door-and-yard.jsonl", env=environment,
        ) as process:  # fmt: skip
            try:
                results = [tmp_path / f"{name}.jsonl" for name in ("door", "yard")]
                until(lambda: all(file.exists() and file.read_bytes().count(b"\n") > FPS for file in results))
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=30)
            finally:
                process.kill()
        assert time.monotonic() - began < LEAVE_S
        assert process.returncode == 128 + signal.SIGTERM
        assert camera.wait_until(lambda seen: seen.counts.teardowns == 2, 30)
    assert "se/cret" not in out + err
    assert "se%2Fcret" not in out + err
    for file in (*results, tmp_path / "door-and-yard.jsonl"):
        text = file.read_text("utf-8")
        assert "cret" not in text
        header, *lines = [json.loads(line) for line in text.splitlines()]
        assert all(source["live"] for source in header["sources"])
        assert all(line["frame"] >= 0 and line["capture_clock"] in ("arrival", "camera") for line in lines)


def test_a_camera_that_is_off_delays_no_other(options: Any) -> None:
    clip = make_clip(60, (120, 160), FPS, gop=FPS)
    with RtspCamera(clip) as camera, RtspCamera(clip) as off:
        off.kill()
        results = vidgraph.run([f"off={off.url}", f"on={camera.url}"], model="retinaface", **options)
        with results:
            for result in results:
                assert result.stream == "on"
                if result.index > FPS:
                    break
            else:
                pytest.fail("it ended")


def test_sixty_four_cameras_start_run_and_end(options: Any) -> None:
    clip = make_clip(20, (360, 640), 5, gop=5)
    with RtspCamera(clip, cameras=64) as server, vidgraph.live(model="retinaface", **options) as hub:
        for number, address in enumerate(server.urls):
            hub.add(f"camera-{number}", address, max_fps=0.1)
        until(lambda: len(_up(hub)) == 64)
        before = {stream.stream_id: stream.frames for stream in hub.stats.streams}
        until(lambda: all(stream.frames > before[stream.stream_id] + 5 for stream in hub.stats.streams))
        began = time.monotonic()
        hub.close()
        assert time.monotonic() - began < LEAVE_S
        assert server.wait_until(lambda seen: seen.counts.teardowns == 64, 30)
    until_no_thread_is_left()


def _up(hub: Hub) -> list[str]:
    return [name for name, status in hub.status.items() if status.state == "up"]


def test_only_sockets_that_were_asked_for_are_open(options: Any) -> None:
    def sockets() -> set[str]:
        links = set()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                links.add(str(entry.readlink()))
            except OSError:
                continue
        return {link for link in links if link.startswith("socket:")}

    clip = make_clip(60, (120, 160), FPS, gop=FPS)
    before = sockets()
    with vidgraph.live(model="retinaface", **options) as hub:
        assert sockets() == before
        with RtspCamera(clip) as camera:
            listening = sockets()
            hub.add("door", camera.url)
            until(lambda: len(_up(hub)) == 1)
            until(lambda: len(sockets() - listening) == 2)  # both ends of one connection, all others being closed
            hub.remove("door")
            until(lambda: sockets() == listening)
