"""A video model through the whole graph: executors, batches and key-frame choices give what they must."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph import Detections, Graph, Key, Packet
from vidgraph.models import ResultKeys
from vidgraph.models.load import load_model, propagation_of
from vidgraph.models.model import Model, Propagation
from vidgraph.models.registry import find_model
from vidgraph.models.resolve import resolve_model
from vidgraph.models.run import run
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import DETECTIONS, KEY_FRAME
from vidgraph.stages.inference.key_frames import PhasedInterval
from vidgraph.stages.sources.registry import open_source

from .raw_outputs import check_tensors

pytest.importorskip("torch", reason="seeded weights are made with torch (the extra 'torch')")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded weights of the smallest video variant that find something; the name of the file says nothing."""
    import torch

    torch.manual_seed(0)
    network = find_model("yolact-edge-vid-resnet50").family().network("yolact-edge-vid-resnet50")
    with torch.no_grad():
        network.prediction_layers[0].conf_layer.weight *= 300
        network.prediction_layers[0].mask_layer.weight *= 30
    path = tmp_path_factory.mktemp("yolact") / "seeded.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def load(weights: Path, command_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Model]:
    """Loads the seeded model at 128x128 in fp32."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))

    def model(**choices: Any) -> Model:
        about_detections = {} if "head" in choices else {"min_score": 0.0, "max_detections": 5}
        given = {"size": 128, "precision": "fp32"} | about_detections | choices
        return load_model("yolact-edge-vid-resnet50", weights=weights, **given)

    return model


def lines(model: Model, clip: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    """The frames' lines of a run."""
    with model:
        run(clip, model=model, outputs=[out], frames=12, **options).wait()
    return [json.loads(line) for line in out.read_text().splitlines()[1:]]


def test_executors_and_batches_give_the_same_masks(load: Callable[..., Model], face_clip: Path, tmp_path: Path) -> None:
    serial = lines(load(), face_clip, tmp_path / "serial.jsonl", executor="serial")
    assert len(serial) == 12
    assert any("mask" in item for line in serial for item in line["objects"])
    assert lines(load(requests=2), face_clip, tmp_path / "threaded.jsonl") == serial
    assert lines(load(batch_non_key=True), face_clip, tmp_path / "batch_non_key.jsonl") == serial


def test_every_frame_a_key_frame_differs_from_the_published_interval(
    load: Callable[..., Model], face_clip: Path, tmp_path: Path
) -> None:
    by_five = lines(load(), face_clip, tmp_path / "five.jsonl")
    all_keys = lines(load(keyframes="all"), face_clip, tmp_path / "all.jsonl")
    same = [a == b for a, b in zip(by_five, all_keys, strict=True)]
    assert same[::5] == [True] * 3  # frames 0, 5, 10 are key frames either way
    assert not all(same)


@pytest.mark.parametrize(
    ("choices", "options"),
    [
        ({}, {}),
        ({"keyframes": "adaptive"}, {}),
        ({"keyframes": 3}, {"every": 2}),
        ({"batch_non_key": True}, {}),
    ],
)
def test_resumed(
    choices: dict[str, Any], options: dict[str, Any], load: Callable[..., Model], face_clip: Path, tmp_path: Path
) -> None:
    """Whatever frame it was stopped after, the file is in the end what it would have been."""
    out = tmp_path / "out.jsonl"
    options = {"frames": 12, "threads": 1, **options}
    with load(requests=1, threads=1, **choices) as model:  # as the runs have it, so that engines are opened once
        run(face_clip, model=model, outputs=[out], **options).wait()
        whole = out.read_text().splitlines(keepends=True)
        frames = [json.loads(line) for line in whole[1:]]
        assert len({frame["key_frame"] for frame in frames if "key_frame" in frame}) > 1
        for kept in (0, 1, 5, 8):
            out.write_text("".join(whole[: kept + 1]) + whole[kept + 1][:30])
            run(face_clip, model=model, outputs=[out], resume=True, **options).wait()
            assert out.read_text().splitlines(keepends=True) == whole, f"after {kept} frames"


def test_two_streams_resumed(load: Callable[..., Model], face_clip: Path, tmp_path: Path) -> None:
    """Streams that have come to different frames, in one file that was killed."""
    out, sources = tmp_path / "out.jsonl", [f"a={face_clip}", f"b={face_clip}"]
    with load() as model:
        run(sources, model=model, outputs=[out], frames=8).wait()
        header, *lines = out.read_text().splitlines(keepends=True)
        first = [line for line in lines if '"stream":"a"' in line][:7]
        second = [line for line in lines if '"stream":"b"' in line][:3]
        out.write_text("".join([header, *first, *second]))
        run(sources, model=model, outputs=[out], frames=8, resume=True).wait()
    assert sorted(out.read_text().splitlines(keepends=True)[1:]) == sorted(lines)


def test_raw_tensors_of_key_frames_and_of_those_between(load: Callable[..., Model], face_clip: Path) -> None:
    check_tensors(load(head="raw", threads=1), face_clip, 7)


def test_two_video_models_in_one_graph(load: Callable[..., Model], face_clip: Path) -> None:
    seen: list[tuple[int, int]] = []
    with load() as one, load(keyframes=2) as other:
        stages = [
            *one.stages(),
            *other.stages(prefix="other_", keys=ResultKeys(keys={DETECTIONS: Key("others", Detections)})),
        ]

        def note(packet: Packet) -> None:
            seen.append((packet[KEY_FRAME], packet[Key("other_key_frame", int)]))

        Graph(open_source(face_clip, frames=6), stages, [note]).run()
    assert seen == [(0, 0), (0, 0), (0, 2), (0, 2), (0, 4), (5, 4)]


def test_key_frames_may_be_others_than_the_model_was_loaded_with(load: Callable[..., Model], face_clip: Path) -> None:
    seen: list[int] = []
    with load() as model:
        stages = model.stages(policy=lambda stream: PhasedInterval(3, 2))
        Graph(open_source(face_clip, frames=7), stages, [lambda packet: seen.append(packet[KEY_FRAME])]).run()
    assert seen == [0, 1, 2, 2, 2, 5, 5]


def test_a_file_says_which_model_it_is(weights: Path, command_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))
    resolved = resolve_model(str(weights))
    name, row = resolved.name, resolved.built_in("it is one of ours")
    assert (row.folder, resolved.weights) == ("yolact_edge", weights)
    assert row is find_model(name)
    with load_model(str(weights), size=64) as model:
        assert (model.name, model.weights.path) == (name, weights)


def test_key_frames_unless_asked_otherwise() -> None:
    published, tiny = find_model("yolact-edge-vid-resnet50"), find_model("yolact-edge-tiny")
    assert propagation_of(published.family(), published, keyframes=None, batch_non_key=True) == Propagation(5, 4)
    assert propagation_of(tiny.family(), tiny, keyframes=None, batch_non_key=True) == Propagation(2, 1)
    assert propagation_of(tiny.family(), tiny, keyframes=7, batch_non_key=True) == Propagation(7, 6)


def test_image_models_have_no_key_frames() -> None:
    row = find_model("retinaface")
    with pytest.raises(UsageError, match="retinaface is no video model"):
        propagation_of(row.family(), row, keyframes=5, batch_non_key=False)
    assert propagation_of(row.family(), row, keyframes="all", batch_non_key=False) == Propagation(1)
