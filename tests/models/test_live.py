"""``vidgraph.live``: cameras that come and go, with outputs and settings of their own."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vidgraph
from vidgraph import FrameResult, Hub
from vidgraph.pipeline.errors import OutputError, SourceError, StageError, UsageError
from vidgraph.stages import CameraSource
from vidgraph.testing import MjpegCamera, make_clip

from ..waiting import until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def options(face_weights: Path) -> dict[str, Any]:
    return {"model": "retinaface", "weights": face_weights, "size": 160, "precision": "fp32"}


def frames_of(hub: Hub, name: str) -> int:
    return next((stream.processed for stream in hub.stats.streams if stream.stream_id == name), -1)


def test_cameras_come_and_go_in_a_loop(options: dict[str, Any], camera: Path) -> None:
    seen: dict[str, list[FrameResult]] = {"door": [], "yard": []}
    with vidgraph.live(**options) as hub:
        hub.add("door", camera)
        for result in hub:
            seen[result.stream].append(result)
            if len(seen["door"]) == 3 and not seen["yard"] and len(hub.stats.streams) == 1:
                hub.add("yard", camera)
            if len(seen["yard"]) == 3:
                stats = hub.remove("door")  # within the loop, which takes nothing meanwhile
                break
        assert stats.ended == "cancelled"
        until(lambda: [stream.stream_id for stream in hub.stats.streams] == ["yard"])
        before = frames_of(hub, "yard")
        until(lambda: frames_of(hub, "yard") > before)  # nobody loops any more: it goes on
    assert all(len(result.detections) and result.dropped is None for results in seen.values() for result in results)
    for results in seen.values():
        assert [result.index for result in results] == sorted({result.index for result in results})


def test_each_camera_has_outputs_of_its_own(options: dict[str, Any], camera: Path, tmp_path: Path) -> None:
    shared: list[FrameResult] = []
    outputs = [shared.append, tmp_path / "{stream}.jsonl"]
    with vidgraph.live(**options, outputs=outputs) as hub:
        hub.add("door", camera, outputs=tmp_path / "door.mp4")
        hub.add("yard", camera, max_fps=2, classes=["face"])
        until(lambda: min(frames_of(hub, "door"), frames_of(hub, "yard")) > 5)
        door = hub.remove("door")
        assert door.frames == len(list(vidgraph.read_results(tmp_path / "door.jsonl")))
        with av.open(str(tmp_path / "door.mp4")) as video:
            assert sum(1 for _ in video.decode(video=0)) == door.processed
    for name, settings in (("door", {}), ("yard", {"max_fps": 2, "classes": ["face"]})):
        header = vidgraph.read_results(tmp_path / f"{name}.jsonl").header
        assert [source["stream"] for source in header["sources"]] == [name]
        assert header["sources"][0]["live"] is True
        assert {key: header["settings"].get(key) for key in settings} == settings
    held = [result for result in vidgraph.read_results(tmp_path / "yard.jsonl") if result.held_from is not None]
    assert held
    assert {result.stream for result in shared} == {"door", "yard"}


def test_settings_are_those_of_the_camera_that_has_the_name_now(options: dict[str, Any], camera: Path) -> None:
    seen: list[FrameResult] = []
    with vidgraph.live(**options, outputs=seen.append) as hub:
        hub.add("door", camera, every=1000)
        until(lambda: frames_of(hub, "door") > 4)
        hub.remove("door")
        held = [result for result in seen if result.held_from is not None]
        assert held
        hub.add("door", camera)
        until(lambda: frames_of(hub, "door") > 4)
        hub.remove("door")
        later = [result for result in seen[len(seen) // 2 :] if result.held_from is not None and result.index > 0]
        assert len(later) < len(held) + 1


def test_a_file_is_read_whole_and_leaves(options: dict[str, Any], face_clip: Path, tmp_path: Path) -> None:
    with vidgraph.live(**options, outputs=tmp_path / "{stream}.jsonl") as hub:
        hub.add("a", face_clip)
        until(lambda: hub.stats.streams == ())
        hub.add("b", face_clip)
        until(lambda: hub.stats.streams == ())
    frames = [len(list(vidgraph.read_results(tmp_path / f"{name}.jsonl"))) for name in "ab"]
    assert frames[0] == frames[1] > 0


def test_what_is_refused_touches_no_camera(options: dict[str, Any], camera: Path, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    with vidgraph.live(**options) as hub:
        hub.add("door", camera, every=2)
        for error, match, refused in (
            (UsageError, "there is a stream 'door' already", lambda: hub.add("door", camera)),
            (SourceError, "no such file", lambda: hub.add("yard", tmp_path / "none.mp4")),
            (UsageError, "has no class 'fase'; did you mean face", lambda: hub.add("yard", camera, classes=["fase"])),
            (UsageError, "every must be a whole number from 1", lambda: hub.add("yard", camera, every=0)),
            (UsageError, "unknown suffix", lambda: hub.add("yard", camera, outputs="out.xyz")),
            (OutputError, "exists", lambda: hub.add("yard", camera, outputs=tmp_path / "there.jsonl")),
            (UsageError, "there is no stream 'yard' to remove; there are: door", lambda: hub.remove("yard")),
        ):
            with pytest.raises(error, match=match):
                refused()
        before = frames_of(hub, "door")
        until(lambda: frames_of(hub, "door") > before)
    with pytest.raises(UsageError, match="is not going on"):
        hub.add("yard", camera)
    assert (tmp_path / "there.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"freeze_s": "x"}, "freeze_s must be seconds above 0, got 'x'"),
        ({"every": "2"}, "every must be a whole number from 1, got '2'"),
        ({"max_fps": "5"}, "max_fps must be frames per second above 0, got '5'"),
        ({"when": np.array([1, 2])}, "when must be 'motion', got array"),
        ({"classes": "face"}, "classes must be a list of names or numbers, got 'face'"),
        ({"classes": 5}, "classes must be a list of names or numbers, got 5"),
        ({"privacy_masks": "door.png"}, "privacy_masks must be a list of images and polygons, got str"),
        ({"privacy_masks": np.ones((4, 4), np.bool_)}, "privacy_masks must be a list of images and polygons, got nda"),
        ({"zones": 5}, "zones must be polygons by their names, got 5"),
        ({"zones": {5: [[0, 0], [0, 1], [1, 1]]}}, "zones must be polygons by their names, got {5"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused(options: dict[str, Any], given: dict[str, Any], said: str) -> None:
    with vidgraph.live(**options) as hub, pytest.raises(UsageError, match=re.escape(said)):
        hub.add("door", "rtsp://127.0.0.1:9/none", **given)


@pytest.mark.parametrize("limit_s", ["x", -1, float("inf")])
def test_a_limit_that_is_no_time_is_refused(options: dict[str, Any], limit_s: Any) -> None:
    with pytest.raises(UsageError, match="stage_limit_s must be seconds above 0, got "):
        vidgraph.live(**options, stage_limit_s=limit_s).close()


def test_an_error_that_ends_the_hub_reaches_the_loop(options: dict[str, Any], camera: Path) -> None:
    def fail(result: FrameResult) -> None:
        raise ValueError("no")

    with vidgraph.live(**options, outputs=fail) as hub:
        hub.add("door", camera)
        with pytest.raises(OutputError, match="output 'fail' failed on frame"):
            list(hub)


def test_a_camera_whose_output_fails_leaves_alone(options: dict[str, Any], camera: Path) -> None:
    def fail(result: FrameResult) -> None:
        raise ValueError("no")

    with vidgraph.live(**options) as hub:
        hub.add("door", camera)
        hub.add("yard", camera, outputs=fail)
        until(lambda: [stream.stream_id for stream in hub.stats.streams] == ["door"])
        before = frames_of(hub, "door")
        until(lambda: frames_of(hub, "door") > before)
        assert any("output 'fail' failed" in line for line in hub.stats.errors)


def test_an_inference_that_hangs_ends_the_hub(options: dict[str, Any], camera: Path) -> None:
    """The first inference of a frame takes longer than a limit that nothing can keep."""
    with vidgraph.live(**options, stage_limit_s=1e-4) as hub:
        hub.add("door", camera)
        with pytest.raises(StageError, match=r"has not returned for 0\.0001 s, on frame"):
            hub.wait()


def test_nothing_is_kept_of_cameras_that_have_left(options: dict[str, Any], camera: Path) -> None:
    with vidgraph.live(**options) as hub:
        for number in range(20):
            hub.add(f"off {number}", "rtsp://127.0.0.1:9/off", classes=[0], every=2)
            hub.remove(f"off {number}")
        until(lambda: hub.stats.streams == ())
        hub.add("door", camera)
        choices = hub._choices
        for kept in (hub._sources, choices.samples, choices.classes, choices.zones, choices.drawn):
            assert set(kept) <= {"door"}


def test_a_camera_behind_a_web_address_has_a_status(options: dict[str, Any]) -> None:
    with MjpegCamera(make_clip(30, size=(120, 160), codec="mjpeg")) as web, vidgraph.live(**options) as hub:
        hub.add("web", web.url)
        until(lambda: frames_of(hub, "web") > 0)
        assert hub.status["web"].state == "up"


def test_names_and_sources_that_cannot_be(options: dict[str, Any], camera: Path) -> None:
    with vidgraph.live(**options) as hub:
        for name in ("", None, 7):
            with pytest.raises(UsageError, match="a camera needs a name, as text"):
                hub.add(name, camera)  # type: ignore[arg-type]
        off = CameraSource("rtsp://127.0.0.1:9/off", stream_id="mine")
        hub.add("a", camera)
        with pytest.raises(UsageError, match="there is a stream 'a' already"):
            hub.add("a", off)
        assert off.stream_id == "mine"
        hub.add("b", off)
        with pytest.raises(UsageError, match="the source for 'c' is that of 'b'; make another one"):
            hub.add("c", off)
        assert off.stream_id == "b"


def test_a_source_that_is_refused_keeps_its_name(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("")
    refused: list[dict[str, Any]] = [
        {"outputs": tmp_path / "there.jsonl"},
        {"privacy_masks": [tmp_path / "none.png"]},
        {"classes": ["horse"]},
    ]
    with vidgraph.live(**options) as hub:
        for given in refused:
            own = CameraSource("rtsp://127.0.0.1:9/off", stream_id="mine")
            with pytest.raises(vidgraph.VidgraphError):
                hub.add("door", own, **given)
            assert own.stream_id == "mine"
        hub.add("door", own)
        assert own.stream_id == "door"


def test_one_loop_at_a_time(options: dict[str, Any], camera: Path) -> None:
    with vidgraph.live(**options) as hub:
        hub.add("a", camera)
        loop = iter(hub)
        assert next(loop).stream == "a"
        with pytest.raises(UsageError, match="there is a loop over this hub already; one at a time"):
            next(iter(hub))
        assert next(loop).stream == "a"
    assert list(hub) == []


def test_a_callback_may_remove_and_close(options: dict[str, Any], camera: Path) -> None:
    took_s: list[float] = []

    def shared(result: FrameResult) -> None:
        if result.stream == "b":
            before = time.monotonic()
            hub.close()
            took_s.append(time.monotonic() - before)

    with vidgraph.live(**options, outputs=shared) as hub:
        hub.add("a", camera, outputs=lambda result: result.index or hub.remove("a"))
        until(lambda: hub.stats.streams == ())
        assert not hub.stats.errors
        hub.add("b", camera)
        hub.wait(20)
    assert took_s
    assert max(took_s) < 1


def test_a_hub_that_nobody_has_any_more_ends(options: dict[str, Any], camera: Path, tmp_path: Path) -> None:
    def leave_one() -> None:
        hub = vidgraph.live(**options, outputs=tmp_path / "all.jsonl")
        hub.add("a", camera)
        until(lambda: frames_of(hub, "a") > 3)

    with pytest.warns(ResourceWarning, match=r"a hub of vidgraph\.live was not closed"):
        leave_one()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("vidgraph")])
    assert len(list(vidgraph.read_results(tmp_path / "all.jsonl"))) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_hub_stays_in_its_process(options: dict[str, Any], camera: Path) -> None:
    with vidgraph.live(**options) as hub:
        hub.add("a", camera)
        until(lambda: frames_of(hub, "a") > 3)
        child = os.fork()
        if not child:
            refused = 0
            for call in (lambda: hub.add("b", camera), lambda: hub.remove("a"), lambda: next(iter(hub)), hub.wait):
                try:
                    call()
                except UsageError as error:
                    refused += "from which this one was forked" in str(error)
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
