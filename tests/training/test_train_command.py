"""``vidgraph train``: an end in order, going on, and errors on one line."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import Command, Ended

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

MODEL = "yolact-edge-tiny"
STREET = ("--data", "synth:street?clips=1&frames=4&size=320x180", "--size", "96x64", "--batch", 2, "--threads", 1)
WAITED_FOR_S = 100.0


def test_ctrl_c_ends_a_training_in_order_and_it_goes_on(
    command: Command, vidgraph: Callable[..., Ended], tmp_path: Path
) -> None:
    words = ("train", MODEL, *STREET, "-o", "run", "--log-interval", 1, "--quiet")
    curve = tmp_path / "run" / "training_log.jsonl"
    with command.start(*words, "--steps", 100000) as process:
        try:
            end = time.monotonic() + WAITED_FOR_S
            while process.poll() is None and time.monotonic() < end and not (curve.is_file() and curve.read_text()):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=WAITED_FOR_S)
        finally:
            process.kill()
    ended = Ended(process.returncode, out, err)
    assert ended.code == 130, ended.err
    steps = len(curve.read_text().splitlines())
    assert ended.line.startswith(f"stopped after step {steps}; the same command with --resume goes on")
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == steps
    again = vidgraph(*words, "--steps", steps + 2, "--resume")
    assert (again.code, again.err) == (0, "")
    assert [json.loads(line)["step"] for line in curve.read_text().splitlines()] == list(range(1, steps + 3))


@pytest.fixture
def two_steps(vidgraph: Callable[..., Ended]) -> tuple[object, ...]:
    """The words of a command that trained for two steps, in the folder ``run``."""
    words = ("train", MODEL, *STREET, "-o", "run", "--steps", 2, "--log-interval", 1)
    ended = vidgraph(*words)
    assert ended.code == 0, ended.err
    assert "step 2, 100.0%: box " in ended.err
    last = ended.err.splitlines()[-1]
    assert last == f"run/last.pth: {MODEL} after 2 steps; --model {MODEL}=run/last.pth"
    return words


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds child processes in /proc, as Linux has it")
def test_processes_that_render_end_with_the_one_that_began_them(command: Command, tmp_path: Path) -> None:
    many = ("--data", "synth:street?clips=500&frames=20&size=320x180", "--size", "96x64", "--threads", 2)
    environment = {**command.environment, "VIDGRAPH_CACHE": str(tmp_path / "cache")}
    with command.start("train", MODEL, *many, "-o", "run", env=environment) as process:
        rendering = ()
        try:
            end = time.monotonic() + WAITED_FOR_S
            while time.monotonic() < end and not any((tmp_path / "cache").glob("frames/*/parts/*.npz")):
                assert process.poll() is None
                time.sleep(0.05)
            rendering = children_of(process.pid)
            assert len(rendering) >= 2
        finally:
            process.kill()
    end = time.monotonic() + WAITED_FOR_S
    while time.monotonic() < end and any(map(runs, rendering)):
        time.sleep(0.1)
    assert [pid for pid in rendering if runs(pid)] == []


def children_of(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # of one that ended and was not waited for it is empty
    except OSError:
        return False


def test_a_training_is_not_written_over_nor_continued_by_mistake(
    two_steps: tuple[object, ...], vidgraph: Callable[..., Ended], tmp_path: Path
) -> None:
    kept = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    assert vidgraph(*two_steps).line == (
        "run holds a training already; --resume goes on with it, -y begins again, or name another folder"
    )
    assert vidgraph(*two_steps, "--resume", "--lr", 0.5).line == (
        "run was begun with lr None, not 0.5; go on as before, or begin another with -o"
    )
    elsewhere = [*map(str, two_steps)]
    elsewhere[elsewhere.index("run")] = "nothing"
    assert vidgraph(*elsewhere, "--resume").line == (
        "nothing holds no checkpoint.pt to go on from; begin without --resume"
    )
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == kept
    (tmp_path / "run" / "checkpoint.pt").write_bytes(kept[:5000])
    assert vidgraph(*two_steps, "--resume").line.startswith("run/checkpoint.pt is damaged or truncated: ")
    assert vidgraph(*two_steps, "-y").code == 0


def test_wrong_words_are_refused_on_one_line(vidgraph: Callable[..., Ended], tmp_path: Path) -> None:
    unknown = vidgraph("train", "yolact-edge-tinny", *STREET, "-o", "run")
    assert unknown.code != 0
    assert "yolact-edge-tinny" in unknown.line
    one_side = vidgraph("train", MODEL, "--data", "synth:street", "--size", 512, "-o", "run")
    assert one_side.line == "training needs both sides of a size, such as 512x288"
    faces = vidgraph("train", "retinaface-tiny", *STREET, "-o", "faces", "--stage", "video")
    assert faces.line == "retinaface-tiny finds faces frame by frame; --stage image trains it"
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_model_is_refused(vidgraph: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no tensors")
    damaged = vidgraph("train", MODEL, *STREET, "-o", "run", "--weights", "text.pth")
    assert "text.pth" in damaged.line
    torch.save({"body.stage1.0.0.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "face.pth")
    other = vidgraph("train", MODEL, *STREET, "-o", "run", "--weights", "face.pth")
    assert "face.pth" in other.line
    assert MODEL in other.line


def test_data_without_masks_is_refused(vidgraph: Callable[..., Ended], tmp_path: Path) -> None:
    """Boxes alone train no masks."""
    from PIL import Image

    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 30], "area": 600, "iscrowd": 0}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [thing],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    words = ("train", MODEL, "--data", f"coco:a.json?images={tmp_path}&masks=no", "--size", "96x64", "-o", "run")
    assert vidgraph(*words).line.endswith(f"has no objects with masks, which {MODEL} is trained on")
