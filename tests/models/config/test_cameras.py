"""Cameras of a file at work: they end together, and follow what the file says."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import Cameras, ConfigError, FrameResult, OutputError, UsageError, read_results
from vidgraph.models.config.read import read_cameras
from vidgraph.models.config.write import set_value

from ...waiting import until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

LEFT = "[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]"
HEAD = """[run]
threads = 2
[defaults]
model = "retinaface-tiny"
size = 160
precision = "fp32"
min_score = 0.02
"""


class Written:
    """A file of cameras, and what a loop over them sees."""

    def __init__(self, folder: Path, camera: Path) -> None:
        self.path, self._camera = folder / "cams.toml", camera
        self.seen: dict[str, list[FrameResult]] = {}

    def write(self, *cameras: str, head: str = HEAD) -> None:
        """``name`` or ``name key=value; key=value``."""
        text = head
        for camera in cameras:
            name, _, rest = camera.partition(" ")
            text += f"[cameras.{name}]\naddress = '{self._camera}'\n" + "".join(
                f"{one.strip()}\n" for one in rest.split(";")
            )
        self.path.write_text(text, "utf-8")

    def take(self, result: FrameResult) -> None:
        self.seen.setdefault(result.stream, []).append(result)

    def count(self, name: str) -> int:
        return len(self.seen.get(name, ()))


@pytest.fixture
def file(tmp_path: Path, camera: Path) -> Written:
    return Written(tmp_path, camera)


def apply(cameras: Cameras, file: Written) -> None:
    cameras.apply(file.path)


def test_a_loop_sees_all_cameras_until_they_are_over(tmp_path: Path, face_clip: Path) -> None:
    (tmp_path / "cams.toml").write_text(
        f"""{HEAD}[cameras.door]
        address = "{face_clip}"
        zones.left = {LEFT}
        outputs = ["door.jsonl"]
        privacy_masks = [{LEFT}]
        [cameras.yard]
        address = "synth:street?frames=6&size=160x96"
        model = "yolact-edge-tiny"
        size = "160x96"
        """
    )
    seen: dict[str, int] = {}
    with vidgraph.live_from(tmp_path / "cams.toml") as cameras:
        assert [info.name for info in cameras.models] == ["retinaface-tiny", "yolact-edge-tiny"]
        for result in cameras:
            seen[result.stream] = seen.get(result.stream, 0) + 1
            if result.stream == "door":
                assert not result.frame.picture.rgb()[:, : result.frame.picture.width // 2].any()
                assert set(result.detections.data) == {"zones"}
            else:
                assert result.detections.data == {}
        stats = cameras.stats
    assert seen.keys() == {"door", "yard"}
    assert [[(one.stream_id, one.ended) for one in hub.streams] for hub in stats] == [
        [("door", "finished")],
        [("yard", "finished")],
    ]
    results = read_results(tmp_path / "door.jsonl")
    columns = [result.detections.data["zones"] for result in results if len(result.detections)]
    assert all(set(column.tolist()) <= {"", "left"} for column in columns)


def test_cameras_with_the_same_model_share_it(file: Written) -> None:
    file.write("door", "yard classes=['face']; max_fps=5", "gate min_score=0.5")
    with vidgraph.live_from(file.path, outputs=file.take, follow=False) as cameras:
        assert len(cameras.stats) == 2
        assert sorted(cameras.names) == ["door", "gate", "yard"]
        until(lambda: all(file.count(name) for name in cameras.names))


def test_a_new_file_adds_removes_and_changes_cameras_by_name(file: Written, tmp_path: Path) -> None:
    file.write("door outputs=['door.jsonl']", "yard outputs=['yard.jsonl']", "gate")
    with vidgraph.live_from(file.path, outputs=file.take, follow=False) as cameras:
        until(lambda: all(file.count(name) > 2 for name in ("door", "yard", "gate")))
        file.write(
            "door outputs=['door.jsonl']", "yard outputs=['yard.jsonl']; max_fps=5", "shed model='retinaface-tiny'"
        )
        apply(cameras, file)
        assert sorted(cameras.names) == ["door", "shed", "yard"]
        before = file.count("door"), file.count("yard")
        until(lambda: file.count("shed") > 2 and file.count("door") > before[0] and file.count("yard") > before[1])
    door = [result.frame.index for result in file.seen["door"]]
    assert door == sorted(set(door))  # it was not touched
    yard = [result.frame.index for result in file.seen["yard"]]
    assert yard != sorted(set(yard))  # it began again
    assert len(list(read_results(tmp_path / "yard.jsonl"))) + len(list(read_results(tmp_path / "yard-2.jsonl"))) >= len(
        yard
    )
    assert not (tmp_path / "door-2.jsonl").exists()


def test_a_model_comes_and_goes_with_its_cameras(file: Written) -> None:
    file.write("door")
    with vidgraph.live_from(file.path, outputs=file.take, follow=False) as cameras:
        file.write("door", "yard min_score=0.5")
        apply(cameras, file)
        assert len(cameras.stats) == 2
        until(lambda: file.count("yard") > 1)
        file.write("door")
        apply(cameras, file)
        assert len(cameras.stats) == 1
        before = file.count("door")
        until(lambda: file.count("door") > before + 1)


def test_a_loop_sees_cameras_that_come_with_another_model_and_may_change_them(file: Written) -> None:
    file.write("door")
    with vidgraph.live_from(file.path, follow=False) as cameras:
        for result in cameras:
            file.take(result)
            if file.count("door") == 3 and not file.count("yard"):
                file.write("yard min_score=0.5")
                apply(cameras, file)
            if file.count("yard") == 3:
                break
    assert file.count("yard") == 3


def test_a_camera_that_cannot_be_added_leaves_the_others_alone(
    file: Written, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write("door")
    (tmp_path / "there.jsonl").write_text("mine")
    with vidgraph.live_from(file.path, outputs=file.take, follow=False) as cameras:
        file.write("door", "yard outputs=['there.jsonl']")
        apply(cameras, file)
        assert cameras.names == ("door",)
        assert "camera yard cannot be added" in caplog.text
        file.write("door", "yard")
        apply(cameras, file)
        assert sorted(cameras.names) == ["door", "yard"]
    assert (tmp_path / "there.jsonl").read_text() == "mine"


def test_the_run_waits_for_a_camera_that_could_not_be_added(file: Written, tmp_path: Path) -> None:
    file.write("door")
    (tmp_path / "there.jsonl").write_text("mine")
    with vidgraph.live_from(file.path, outputs=file.take) as cameras:
        file.write("door outputs=['there.jsonl/door.jsonl']")  # a folder that is a file
        until(lambda: cameras.names == ())
        with pytest.raises(TimeoutError):
            cameras.wait(0.5)
        file.write("door")
        until(lambda: cameras.names == ("door",))


def test_an_output_for_all_is_of_one_model(file: Written, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write("door")
    with vidgraph.live_from(file.path, outputs=tmp_path / "all.jsonl", follow=False) as cameras:
        file.write("door", "yard min_score=0.5")
        apply(cameras, file)
        assert cameras.names == ("door",)
        assert "all.jsonl' holds the results of one model, and the cameras have 2; put {stream} into it" in caplog.text
    with pytest.raises(UsageError, match=r"holds the results of one model, and the cameras have 2"):
        vidgraph.live_from(file.path, outputs=tmp_path / "more.jsonl")


def test_a_function_is_called_by_one_hub_at_a_time(file: Written) -> None:
    at_once: list[int] = []
    calls = [0, 0]

    def take(result: FrameResult) -> None:
        calls[0] += 1
        at_once.append(calls[0])
        time.sleep(0.002)
        calls[0] -= 1
        file.take(result)

    file.write("door", "yard min_score=0.5")
    with vidgraph.live_from(file.path, outputs=take, follow=False):
        until(lambda: file.count("door") > 5 and file.count("yard") > 5)
    assert set(at_once) == {1}


def test_what_holds_for_the_run_stays_until_the_next_start(file: Written, caplog: pytest.LogCaptureFixture) -> None:
    file.write("door")
    with vidgraph.live_from(file.path, outputs=file.take, follow=False) as cameras:
        file.write("door", head=HEAD.replace("threads = 2", "threads = 1"))
        apply(cameras, file)
        assert "what has changed in [run] holds from the next start on" in caplog.text
        assert cameras.names == ("door",)


def test_nothing_is_left_where_a_camera_cannot_be_added_at_the_start(file: Written, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    file.write("door outputs=['door.jsonl']", "yard outputs=['there.jsonl']")
    with pytest.raises(OutputError, match=r"there.jsonl"):
        vidgraph.live_from(file.path)


def test_after_the_end_nothing_can_be_applied(file: Written) -> None:
    file.write("door")
    with vidgraph.live_from(file.path, outputs=file.take) as cameras:
        with pytest.raises(TimeoutError, match=r"not over after 0.1 s"):
            cameras.wait(0.1)
        cameras.cancel()
        (stats,) = cameras.wait()
        assert [stream.ended for stream in stats.streams] == ["cancelled"]
    with pytest.raises(UsageError, match="are closed"):
        apply(cameras, file)


class TestFollow:
    """The file is read again when it has changed, in whatever way an editor does it."""

    @pytest.fixture
    def cameras(self, file: Written, caplog: pytest.LogCaptureFixture) -> Iterator[Cameras]:
        caplog.set_level(logging.INFO, "vidgraph")
        file.write("door")
        with vidgraph.live_from(file.path, outputs=file.take) as cameras:
            yield cameras

    def test_it_is_written_over(self, cameras: Cameras, file: Written) -> None:
        file.write("door", "yard")
        until(lambda: set(cameras.names) == {"door", "yard"})
        until(lambda: file.count("yard"))

    def test_a_new_one_is_put_in_its_place(self, cameras: Cameras, file: Written, camera: Path) -> None:
        other = Written(file.path.parent, camera)
        other.path = file.path.with_suffix(".new")
        other.write("door", "yard")
        other.path.replace(file.path)
        until(lambda: set(cameras.names) == {"door", "yard"})
        set_value(file.path, "yard", "max_fps", 3)
        set_value(file.path, "gate", "address", str(camera))
        until(lambda: set(cameras.names) == {"door", "yard", "gate"})

    def test_mistakes_are_logged_and_nothing_changes(
        self, cameras: Cameras, file: Written, caplog: pytest.LogCaptureFixture
    ) -> None:
        file.write("door evry=2", "yard colour='red'")
        until(lambda: "colour: unknown key" in caplog.text)
        assert "cams.toml:10: cameras.door.evry: unknown key; did you mean every" in caplog.text
        assert cameras.names == ("door",)
        before = file.count("door")
        until(lambda: file.count("door") > before + 2)
        file.write("door", "yard")
        until(lambda: set(cameras.names) == {"door", "yard"})

    def test_it_is_gone_for_a_while(self, cameras: Cameras, file: Written, caplog: pytest.LogCaptureFixture) -> None:
        file.path.unlink()
        until(lambda: "is gone; the cameras go on" in caplog.text)
        assert cameras.names == ("door",)
        file.write("yard")
        until(lambda: cameras.names == ("yard",))

    def test_half_of_it_is_written(self, cameras: Cameras, file: Written, caplog: pytest.LogCaptureFixture) -> None:
        """What is there in between is right as well, but is not what is meant."""
        whole = file.path.read_text()
        file.write("yard", "door")
        text = file.path.read_text()
        file.path.write_text(whole)
        with file.path.open("w") as slowly:
            for piece in (text[: text.index("[cameras.door]")], text[text.index("[cameras.door]") :]):
                slowly.write(piece)
                slowly.flush()
                time.sleep(0.1)
        until(lambda: set(cameras.names) == {"door", "yard"})
        indices = [result.frame.index for result in file.seen["door"]]
        assert indices == sorted(set(indices))  # it was never away

    def test_the_same_text_is_nothing_new(
        self, cameras: Cameras, file: Written, caplog: pytest.LogCaptureFixture
    ) -> None:
        file.path.write_text(file.path.read_text())
        time.sleep(1.5)
        assert "was read again" not in caplog.text


class TestSetValue:
    """One value is written into a file; comments and order stay."""

    TEXT = """# my cameras
[defaults]
model = "retinaface-tiny" # small
[cameras.door] # the front one
address = "synth:faces" # of course
max_fps = 5
"""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "cams.toml"
        path.write_text(self.TEXT)
        path.chmod(0o640)
        return path

    @pytest.mark.parametrize(
        ("camera", "key", "value", "before", "after"),
        [
            ("door", "max_fps", 2.5, "max_fps = 5\n", "max_fps = 2.5\n"),
            ("door", "max_fps", None, "max_fps = 5\n", ""),
            (None, "model", "yolact-edge-tiny", '"retinaface-tiny" # small', '"yolact-edge-tiny" # small'),
            ("door", "zones", {"a": [[0, 0], [1, 0], [1, 1]]}, "", None),
            ("yard", "address", "synth:faces?seed=2", "", '\n[cameras.yard]\naddress = "synth:faces?seed=2"\n'),
        ],
    )
    def test_only_that_changes(
        self, path: Path, camera: str | None, key: str, value: Any, before: str, after: str | None
    ) -> None:
        set_value(path, camera, key, value)
        text = path.read_text()
        if after is not None:
            assert text.replace("\n\n", "\n") == (
                self.TEXT.replace(before, after) if before else self.TEXT + after
            ).replace("\n\n", "\n")
        assert all(comment in text for comment in ("# my cameras", "# small", "# the front one", "# of course"))
        assert path.stat().st_mode & 0o777 == 0o640
        assert [one.name for one in path.parent.iterdir()] == ["cams.toml"]
        found = read_cameras(path)
        if camera is not None and value is not None and key != "address":
            assert key in found.cameras[camera].options

    def test_a_mistake_is_not_written(self, path: Path) -> None:
        with pytest.raises(ConfigError, match=r"max_fps: must be a number, got 'fast'"):
            set_value(path, "door", "max_fps", "fast")
        with pytest.raises(UsageError, match="key cannot be"):
            set_value(path, "door", "key", object())
        assert path.read_text() == self.TEXT
        path.write_text("[cameras")
        with pytest.raises(ConfigError, match="not TOML"):
            set_value(path, "door", "max_fps", 2)

    def test_numbers_of_numpy_are_none_of_toml(self, path: Path) -> None:
        with pytest.raises(UsageError, match="max_fps cannot be float32"):
            set_value(path, "door", "max_fps", np.float32(2))
