"""No socket is opened that the user did not ask for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from vidgraph.testing import RtspCamera, make_clip

WATCHED = """
import json, os, sys
names = []
def hook(event, details):
    if event.startswith("socket.") and event != "socket.gethostname":
        names.append([event, repr(details[1:])])
sys.addaudithook(hook)
import vidgraph
settings = json.loads(sys.argv[1])
with vidgraph.run(settings.pop("source"), **settings) as made:
    made.wait()
print(json.dumps(names))
"""


def watched(**settings: object) -> tuple[list[tuple[str, str]], set[str]]:
    """Run in a process of its own: Python's calls for sockets, and all sockets that it had, of whatever library."""
    command = [sys.executable, "-P", "-c", WATCHED, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        seen = _sockets_of(process)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    return json.loads(said), seen


def _sockets_of(process: subprocess.Popen[str]) -> set[str]:
    seen: set[str] = set()
    folder = Path(f"/proc/{process.pid}/fd")
    while process.poll() is None:
        try:
            links = [str(entry.readlink()) for entry in folder.iterdir()]
        except OSError:  # one was closed meanwhile, or the process has ended
            continue
        seen |= {link for link in links if link.startswith("socket:")}
        time.sleep(0.002)
    return seen


def test_files_into_files_open_no_socket(custom_model: Path, face_clip: Path, tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("out.mp4", "out.jsonl", "%06d.png")]
    calls, sockets = watched(source=str(face_clip), model=str(custom_model), outputs=outputs)
    assert calls == []
    assert sockets == set()
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 40  # nothing is lost on the way


def test_a_camera_opens_its_own_connection_only(
    custom_model: Path, tmp_path: Path, rtsp_camera: Callable[..., RtspCamera]
) -> None:
    camera = rtsp_camera(make_clip())
    outputs = [str(tmp_path / "out.jsonl")]
    settings = {"source": camera.url, "model": str(custom_model), "outputs": outputs, "frames": 20}
    calls, sockets = watched(**settings)
    places = [details for event, details in calls if event in ("socket.connect", "socket.bind")]
    port = camera.url.split(":")[-1].split("/")[0]
    assert places
    assert all(f"('127.0.0.1', {port}" in place for place in places)
    assert 1 <= len(sockets) <= 3  # the picture, and a question about the password before it


def test_metrics_open_what_was_asked_for(custom_model: Path, face_clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="metrics need the extra 'metrics'")
    calls, _ = watched(source=str(face_clip), model=str(custom_model), metrics="0")
    assert [details for event, details in calls if event == "socket.bind"] == ["(('127.0.0.1', 0),)"]
    assert not [event for event, _ in calls if event == "socket.connect"]
