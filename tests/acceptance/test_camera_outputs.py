"""From cameras through a model to a server: what arrives there, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import vidgraph
from vidgraph.stages.sinks.registry import Output
from vidgraph.testing import GstCamera, RtspCamera, make_clip, number_in


def test_a_camera_is_published_and_its_latency_is_known(
    custom_model: Path, tmp_path: Path, rtsp_camera: Callable[..., RtspCamera], gst_camera: Callable[..., GstCamera]
) -> None:
    camera = rtsp_camera(make_clip())
    server = gst_camera(record_to=tmp_path / "rec.mkv")
    source = f"door={camera.url}"
    with vidgraph.run(source, model=str(custom_model), outputs=server.record_url, frames=75) as made:
        stats = made.wait()
    server.stop()
    (stream,) = stats.streams
    assert stream.frames == 75
    assert stream.capture_latency_ms.count == stream.processed > 0
    assert stream.capture_clock in ("camera", "arrival")
    assert -50 < stream.capture_latency_ms.p50 < 2000
    assert stream.camera.address == camera.url
    head, row = stats.table().split("\n\n")[1].splitlines()
    assert head.split() == [
        "live:",
        "result",
        "after",
        "capture,",
        "ms",
        "fps",
        "reconn.",
        "p50",
        "p95",
        "p99",
        "dropped",
    ]
    assert row.startswith("door ")
    assert max(map(len, stats.table().splitlines())) <= 100
    (output,) = stats.sinks
    assert set(output.left_out) <= {"not_connected", "slow"}
    with av.open(str(tmp_path / "rec.mkv")) as recorded:
        numbers = [number_in(frame) for frame in recorded.decode(video=0)]
    assert len(numbers) > 20


def test_a_server_that_is_not_there_costs_the_other_outputs_nothing(
    custom_model: Path, tmp_path: Path, rtsp_camera: Callable[..., RtspCamera]
) -> None:
    camera = rtsp_camera(make_clip())
    results: list[vidgraph.FrameResult] = []
    outputs: list[Output] = [results.append, "rtsp://user:secret@127.0.0.1:9/{stream}"]
    with vidgraph.run(f"door={camera.url}", model=str(custom_model), outputs=outputs, frames=50) as made:
        stats = made.wait()
    assert len(results) == 50
    assert stats.streams[0].capture_latency_ms.p99 < 1000
    publish = next(sink for sink in stats.sinks if sink.name == "publish")
    assert publish.left_out["not_connected"] >= 40
    assert "left out by outputs: not_connected" in stats.table()
