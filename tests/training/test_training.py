"""Whole trainings of tiny inputs: they learn, end in order, and go on bit for bit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

from vidgraph.models import find_model  # noqa: E402
from vidgraph.models.weights.checkpoint import load_network  # noqa: E402
from vidgraph.pipeline.errors import CheckpointError, UsageError  # noqa: E402
from vidgraph.training.datasets.dataset import Clip, DataSample  # noqa: E402
from vidgraph.training.loop import Trainer  # noqa: E402
from vidgraph.training.settings import TrainSettings  # noqa: E402
from vidgraph.training.train import Trained, train  # noqa: E402

from .shapes import Shapes  # noqa: E402

TINY, FACES = "yolact-edge-tiny", "retinaface-tiny"
SIZE = (64, 96)


def trained(
    folder: Path, settings: TrainSettings, *, model: str = TINY, data: Shapes | None = None, **options: Any
) -> Trained:
    """Train on shapes, at a tiny size."""
    return train(model, "shapes", folder, settings, size=SIZE, dataset=data or Shapes(), **options)


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]


def assert_same(first: Any, second: Any, where: str = "") -> None:
    """Two checkpoints hold the same bits, but for the time that was taken."""
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert list(first) == list(second), where
        for name in first:
            if name not in ("elapsed_s", "settings"):
                assert_same(first[name], second[name], f"{where}.{name}")
    elif isinstance(first, list):
        for place, (left, right) in enumerate(zip(first, second, strict=True)):
            assert_same(left, right, f"{where}[{place}]")
    else:
        assert first == second, where


def test_a_wrong_file_of_weights_is_refused_before_frames_are_rendered(tmp_path: Path) -> None:
    class Unread(Shapes):
        def samples(self, clip: Clip) -> Iterator[DataSample]:
            raise AssertionError(f"{clip.name} was read")

    (tmp_path / "text.pth").write_text("no tensors")
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        trained(tmp_path / "run", TrainSettings(steps=1), data=Unread(), weights=tmp_path / "text.pth")


def test_augmentation_is_a_part_of_all() -> None:
    with pytest.raises(UsageError, match=r"^augment must be between 0 and 1, got 1\.5$"):
        TrainSettings(augment=1.5)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_training_is_the_one_that_was_not_interrupted(processes: int, tmp_path: Path) -> None:
    """The first is stopped after its second step, in the same epoch; both then take four."""

    def settings(steps: int) -> TrainSettings:
        return TrainSettings(
            steps=steps, batch=4, processes=processes, threads=processes, input_crop=1.0, warmup=2, log_interval=1
        )

    trainers: list[Trainer] = []

    def stop_after_two(report: Any) -> None:
        if report.step == 2:
            trainers[0].stop()

    first = trained(tmp_path / "a", settings(4), begun=trainers.append, tell=stop_after_two)
    assert (first.steps, first.stopped) == (2, True)
    again = trained(tmp_path / "a", settings(4), resume=True)
    assert (again.steps, again.stopped) == (4, False)
    trained(tmp_path / "b", settings(4))
    saved = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in "ab"]
    assert_same(*saved)
    assert saved[0]["step"] == 4
    losses = [[each["total"] for each in curve(tmp_path / name)] for name in "ab"]
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 4


def test_an_epoch_of_200_images_learns_and_is_quick(tmp_path: Path) -> None:
    """Of CPU time, for the machine may be busy; the weights are what the model loads."""
    begun = time.process_time()
    settings = TrainSettings(
        steps=25, batch=8, processes=1, threads=1, input_crop=1.0, lr=3e-3, warmup=5, log_interval=5
    )
    done = trained(tmp_path, settings, data=Shapes(clips=40))
    assert time.process_time() - begun < 120
    lines = curve(tmp_path)
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 25]
    assert lines[-1]["class"] < 0.9 * lines[0]["class"]
    assert lines[-1]["semantic"] < 0.75 * lines[0]["semantic"]
    network = load_network(find_model(TINY), done.weights)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    about = json.loads((tmp_path / "training.json").read_text())
    assert (about["model"], about["frames"], about["size"]) == (TINY, 200, list(SIZE))
    assert (tmp_path / "labels.txt").read_text().split() == list(Shapes.class_names)


def test_the_stage_of_videos_trains_what_carries_features(tmp_path: Path) -> None:
    """From weights of the first stage; the network that finds the motion has none of its own there."""
    settings = TrainSettings(steps=1, batch=2, processes=1, threads=1, input_crop=1.0, warmup=0)
    first = trained(tmp_path / "image", settings)
    told: list[Any] = []
    video = TrainSettings(
        stage="video",
        steps=3,
        batch=2,
        processes=1,
        threads=1,
        input_crop=1.0,
        warmup=0,
        log_interval=3,
        feature_loss=0.5,
    )
    second = trained(tmp_path / "video", video, weights=first.weights, tell=told.append)
    assert set(told[0].losses) == {"box", "class", "mask", "semantic", "flow", "match", "total"}
    assert all(np.isfinite(value) and value > 0 for value in told[0].losses.values())
    before, after = (torch.load(each.weights, weights_only=True) for each in (first, second))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    motion = [name for name in before if name.startswith("flow_net") and name.endswith("weight")]
    assert motion
    assert set(motion) <= moved


def test_faces_train(tmp_path: Path) -> None:
    told: list[Any] = []
    settings = TrainSettings(steps=6, batch=4, processes=1, threads=1, input_crop=1.0, warmup=0, log_interval=2)
    trained(tmp_path, settings, model=FACES, tell=told.append)
    assert set(told[0].losses) == {"box", "class", "points", "total"}
    assert told[0].losses["class"] > told[1].losses["class"] > told[2].losses["class"]
