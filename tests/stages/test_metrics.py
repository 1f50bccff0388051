"""What Prometheus is told of a run."""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import vidgraph
from vidgraph.kernels import Device
from vidgraph.kernels.device import empty
from vidgraph.pipeline.errors import MissingExtraError, OutputError, UsageError
from vidgraph.pipeline.execution.stats import RunStats, Samples, StageStats, StreamStats, Summary
from vidgraph.stages.metrics import MOST_CAUSES, MetricsServer, metrics_place
from vidgraph.stages.sources.camera.status import CameraStatus

from ..emulator import libcuda

pytest.importorskip("prometheus_client", reason="metrics need the extra 'metrics'")


def scrape(address: str) -> dict[str, float]:
    """The samples by name and labels, as they are in the text."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if line_is_sample(name)}


def line_is_sample(name: str) -> bool:
    return name.startswith(("vidgraph_", "process_"))


def summary(*milliseconds: float) -> Summary:
    samples = Samples(100)
    for one in milliseconds:
        samples.add(one)
    return samples.summary()


def camera_stats(**changes: object) -> StreamStats:
    status = CameraStatus(
        "rtsp://10.0.0.7/x", "up", reconnects={"stall": 2}, frame_age_s=0.04, lag_s=0.25, rate=14.9, decode_errors=3
    )
    given = {
        "stream_id": "door", "frames": 20, "dropped": {"mailbox_full": 5}, "problems": {"damaged": 1},
        "expected_frames": None, "latency_ms": summary(4, 30), "wall_s": 1.0, "peak_in_flight": 2, "ended": None,
        "error": None, "live": True, "in_flight": 1, "capture_latency_ms": summary(50.0, 90.0),
        "capture_clock": "camera", "camera": status,
    }  # fmt: skip
    return StreamStats(**{**given, **changes})  # type: ignore[arg-type]


def run_stats(*streams: StreamStats) -> RunStats:
    stages = (StageStats("infer", 15, 1, summary(10, 12)),)
    sinks = tuple(StageStats("publish", 15, 0, summary(1), {"slow": n}) for n in (4, 6))
    return RunStats(streams, (StageStats("door", 20, 0, summary(33)),), stages, sinks, summary(4), 1.0)


def test_every_metric() -> None:
    server = MetricsServer("0")
    try:
        assert not any(name.startswith("vidgraph_") for name in scrape(server.address))
        server.watch(lambda: run_stats(camera_stats()))
        found = scrape(server.address)
    finally:
        server.close()
    expected = {
        'frames_total{source="door"}': 20,
        'frames_dropped_total{cause="mailbox_full",source="door"}': 5,
        'problems_total{cause="damaged",source="door"}': 1,
        'fps{source="door"}': 15,
        'queue_depth{source="door"}': 1,
        'e2e_seconds_bucket{le="0.005",source="door"}': 1,
        'e2e_seconds_count{source="door"}': 2,
        'e2e_seconds_sum{source="door"}': 0.034,
        'capture_latency_seconds_bucket{clock="camera",le="0.05",source="door"}': 1,
        'capture_latency_seconds_bucket{clock="camera",le="+Inf",source="door"}': 2,
        'source_up{source="door"}': 1,
        'last_frame_age_seconds{source="door"}': 0.04,
        'stream_lag_seconds{source="door"}': 0.25,
        'source_fps{source="door"}': 14.9,
        'decode_errors_total{source="door"}': 3,
        'reconnects_total{reason="stall",source="door"}': 2,
        'stage_seconds_count{kind="stage",stage="infer"}': 2,
        'stage_seconds_count{kind="source",stage="door"}': 1,
        'stage_failures_total{kind="stage",stage="infer"}': 1,
        'output_frames_left_out_total{cause="slow",stage="publish"}': 4,
        'output_frames_left_out_total{cause="slow",stage="publish 2"}': 6,
    }
    assert {name: found.get(f"vidgraph_{name}") for name in expected} == pytest.approx(expected)


def test_metrics_of_cards_are_there_where_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    library = libcuda.plug_in(monkeypatch)
    monkeypatch.setattr("vidgraph.engines.tensorrt.build.BUILT", Counter({"tensorrt-rtx": 3}))
    server = MetricsServer("0")
    try:
        server.watch(lambda: run_stats(camera_stats()))
        without = scrape(server.address)
        assert library.calls == []
        held = empty((1 << 20,), np.uint8, Device("cuda"))
        found = scrape(server.address)
    finally:
        server.close()
    assert {name: found[name] for name in found if name.startswith("vidgraph_") and name not in without} == {
        'vidgraph_gpu_mem_bytes{device="cuda:0"}': held.nbytes,
        'vidgraph_engine_builds_total{engine="tensorrt-rtx"}': 3,
    }


def test_batches_are_there_where_networks_are_run_in_some(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: dict[str, Counter[int]] = {}
    monkeypatch.setattr("vidgraph.engines.queue._ran", ran)
    server = MetricsServer("0")
    try:
        server.watch(lambda: run_stats(camera_stats()))
        without = scrape(server.address)
        ran["yolo.onnx"] = Counter({1: 5, 3: 2, 40: 1})
        found = scrape(server.address)
    finally:
        server.close()
    name, upto = "vidgraph_batch_size", {"1.0": 5, "2.0": 5, "4.0": 7, "8.0": 7, "16.0": 7, "32.0": 7, "+Inf": 8}
    assert {key: found[key] for key in found if key.startswith("vidgraph_") and key not in without} == {
        **{f'{name}_bucket{{le="{bound}",network="yolo.onnx"}}': count for bound, count in upto.items()},
        f'{name}_count{{network="yolo.onnx"}}': 8,
        f'{name}_sum{{network="yolo.onnx"}}': 5 + 6 + 40,
    }


def test_labels_are_bounded() -> None:
    server = MetricsServer("0")
    try:
        causes = {f"cause{n}": 1 for n in range(100)}
        server.watch(lambda: run_stats(camera_stats(dropped=causes)))
        found = scrape(server.address)
    finally:
        server.close()
    dropped = {name: value for name, value in found.items() if name.startswith("vidgraph_frames_dropped")}
    assert len(dropped) == MOST_CAUSES + 1
    assert sum(dropped.values()) == 100


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell them")
def test_descriptors_and_memory_of_the_process() -> None:
    server = MetricsServer("0")
    try:
        before = scrape(server.address)
        with ExitStack() as opened:
            for _ in range(50):
                opened.enter_context(Path("/dev/null").open("rb"))
            after = scrape(server.address)
    finally:
        server.close()
    assert 40 <= after["process_open_fds"] - before["process_open_fds"] <= 60
    assert after["process_max_fds"] > after["process_open_fds"]
    assert after["process_resident_memory_bytes"] > 1e6


def test_places() -> None:
    assert metrics_place("9100") == ("127.0.0.1", 9100)
    assert metrics_place("0.0.0.0:9100") == ("0.0.0.0", 9100)
    assert metrics_place("[::1]:9100") == ("::1", 9100)
    for wrong in ("", "host", "99999", "http://127.0.0.1:9100", "a b:9"):
        with pytest.raises(UsageError, match="metrics: expected PORT or HOST:PORT"):
            MetricsServer(wrong)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=f"cannot serve metrics at 127.0.0.1:{port}: address already in use"):
            MetricsServer(str(port))


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"metrics needs an optional package.*vidgraph\[metrics\]"):
        MetricsServer("0")


def test_a_run_serves_its_metrics_until_it_is_over(custom_model: Path, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []

    def look(result: vidgraph.FrameResult) -> None:
        if result.index == 5:
            seen.append(scrape(address))

    made = vidgraph.run("synth:street?frames=8", model=str(custom_model), outputs=look, metrics="0")
    assert made._session.metrics is not None
    address = made._session.metrics.address
    with made:
        made.wait()
    assert seen[0]['vidgraph_frames_total{source="street"}'] >= 1
    assert seen[0]['vidgraph_stage_seconds_count{kind="stage",stage="infer"}'] >= 6
    with pytest.raises(OSError):
        scrape(address)


def test_a_hub_serves_the_cameras_that_are_there(custom_model: Path, tmp_path: Path) -> None:
    with vidgraph.live(model=str(custom_model), metrics="0") as hub:
        assert hub._session.metrics is not None
        hub.add("door", "rtsp://127.0.0.1:9/x", outputs=tmp_path / "door.jsonl")
        found = scrape(hub._session.metrics.address)
        assert found['vidgraph_source_up{source="door"}'] == 0
        assert 'vidgraph_stage_seconds_count{kind="output",stage="door: write_results"}' in found
        hub.remove("door")
        assert np.isfinite(list(scrape(hub._session.metrics.address).values())).all()
