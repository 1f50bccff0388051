"""``vidgraph run`` on cameras: several at once, one of them dead, stopped by a signal, without a secret anywhere."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import vidgraph
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.testing import Faults, RtspCamera, make_clip
from vidgraph.testing.ports import free_port

from ..conftest import Command
from ..waiting import frames_in, until

SECRET = "S3CR3T/é#"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_several_cameras_until_a_signal(number: int, command: Command, face_weights: Path, tmp_path: Path) -> None:
    with RtspCamera(make_clip(), cameras=2, auth="md5", password=SECRET) as served:
        with (tmp_path / "list.txt").open("w") as listed:
            for n, url in enumerate(served.urls):
                listed.write(f"cam{n}={url.replace('://', '://user:${CAM_PASSWORD}@')}\n")
            listed.write(f"dead=rtsp://127.0.0.1:{free_port()}/x\n")
        command.environment["CAM_PASSWORD"] = SECRET
        outputs = ("-o", "out.jsonl", "-o", "{stream}.mp4")
        process = command.start("run", "list.txt", "--model", f"retinaface={face_weights}", "--size", "96", *outputs)
        try:
            until(
                lambda: (
                    process.poll() is not None
                    or {frame["stream"] for frame in frames_in(tmp_path / "out.jsonl")} == {"cam0", "cam1"}
                )
            )
            assert process.poll() is None
            assert SECRET not in Path(f"/proc/{process.pid}/cmdline").read_text()
            process.send_signal(number)
            asked = time.monotonic()
            out, err = process.communicate(timeout=20)
            assert time.monotonic() - asked < 4
        finally:
            process.kill()
        assert process.returncode == 128 + number
        served.wait_until(lambda one: one.counts.sessions == 0)
        assert served.counts.teardowns == 2
        written = err + out + (tmp_path / "out.jsonl").read_text()
        for hidden in (SECRET, "S3CR3T", "user:"):
            assert hidden not in written
        assert "dead: not connected, the connection is refused" in err
    header = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert all(source["live"] for source in header["sources"])
    frames = frames_in(tmp_path / "out.jsonl")
    assert all(frame["capture_clock"] == "arrival" for frame in frames)
    assert vidgraph.read_results(tmp_path / "out.jsonl")
    for name in ("cam0", "cam1"):
        assert (tmp_path / f"{name}.mp4").stat().st_size > 0


def test_a_camera_and_a_file_in_one_run(face_weights: Path, face_clip: Path, tmp_path: Path) -> None:
    """The file loses nothing, the camera counts what it loses."""
    with RtspCamera(make_clip()) as served:
        results = tmp_path / "out.jsonl"
        model = f"retinaface={face_weights}"
        run = vidgraph.run([f"door={served.url}", face_clip], model=model, size=96, outputs=results, frames=25)
        stats = run.wait()
    assert {stream.stream_id: stream.frames for stream in stats.streams} == {"door": 25, "in": 25}
    frames = frames_in(results)
    assert [f["frame"] for f in frames if f["stream"] == "in"] == list(range(25))
    assert not any("dropped" in f for f in frames if f["stream"] == "in")
    assert sum(stats.dropped.values()) == sum("dropped" in f for f in frames)


def test_a_run_ends_with_an_error_where_its_only_camera_is_given_up(face_weights: Path) -> None:
    model = f"retinaface={face_weights}"
    run = vidgraph.run(f"rtsp://127.0.0.1:{free_port()}/x", model=model, size=96, outputs=[], give_up_s=0.5)
    with pytest.raises(SourceError, match="the connection is refused"):
        run.wait()


def test_the_command_ends_where_its_only_camera_is_given_up(command: Command, face_weights: Path) -> None:
    address, model = f"rtsp://127.0.0.1:{free_port()}/x", f"retinaface={face_weights}"
    process = command.start("run", address, "--model", model, "--size", "96", "--give-up-s", "0.5", "-o", "out.jsonl")
    try:
        err = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"vidgraph: camera '127.0.0.1' ({address}): the connection is refused")


def test_a_run_of_a_camera_cannot_be_gone_on_with(face_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resume is for recordings"):
        vidgraph.run(
            "rtsp://127.0.0.1:9/x", model=f"retinaface={face_weights}", outputs=tmp_path / "o.jsonl", resume=True
        )


def test_strict_ends_at_the_first_loss(face_weights: Path) -> None:
    with RtspCamera(make_clip(), faults=Faults(close_at=30)) as served:
        run = vidgraph.run(served.url, model=f"retinaface={face_weights}", size=96, outputs=[], strict=True)
        with pytest.raises(SourceError, match="1 reconnect_closed"):
            run.wait()
