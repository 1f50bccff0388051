"""Loading a model and using it: names, choices, sizes, streams, batches, two in one graph."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS, Detections, Frame, Key, Landmarks, Packet, Picture
from vidgraph.models import MODELS, Model, ResultKeys, find_model, load_model
from vidgraph.models.registry import implemented
from vidgraph.pipeline.errors import CheckpointError, MissingExtraError, UsageError

STATUSES = {"verified against golden outputs", "unverified"}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (48, 80, 3), np.uint8)


@pytest.fixture
def load(exported: Path) -> Callable[..., Model]:
    """Loads ``retinaface-slim``, small and in fp32."""
    return lambda **more: load_model("retinaface-slim", weights=exported, **{"size": 96, "precision": "fp32", **more})


@pytest.mark.parametrize("name", ["retinaface-1mb", "RetinaFace_1MB", "retinaface_mobilenet_1mb", " retinaface-1mb "])
def test_names_are_read_kindly(name: str) -> None:
    assert find_model(name).name == "retinaface-1mb"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("retinafce", "did you mean retinaface"),
        ("retinaface-resnet", "retinaface-resnet50"),
        ("zebra", "known: retinaface, retinaface-resnet50, retinaface-1mb, retinaface-tiny, retinaface-slim"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown model '{name}'") as caught:
        load_model(name)
    assert hint in str(caught.value)


def test_a_missing_file_is_no_unknown_model() -> None:
    with pytest.raises(CheckpointError, match=r"no such weights file: sub/no\.pth"):
        load_model("sub/no.pth")


def test_every_row_is_complete() -> None:
    names = [each for row in MODELS.values() for each in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    for row in implemented():
        family = row.family()
        assert len(set(family.class_names(row.name))) == len(family.class_names(row.name)) > 0
        assert row.status in STATUSES
        assert row.weights
        assert row.licence
        readme = Path(__import__(family.__module__, fromlist=["x"]).__file__).parent / "README.md"
        assert f"`{row.name}`" in readme.read_text("utf-8")
        for weights in row.weights:
            assert weights.sha256 is None or weights.sha256 in readme.read_text("utf-8")
    assert not MODELS["retinaface-tiny"].verified
    assert MODELS["retinaface"].verified


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_score": 1.5}, "min_score must be a number from 0 to 1, got 1.5"),
        ({"nms_iou": -0.1}, "nms_iou must be a number from 0 to 1, got -0.1"),
        ({"max_detections": 0}, "max_detections must be a whole number from 1, got 0"),
        ({"classes": ["fase"]}, "has no class 'fase'; did you mean face?"),
        ({"classes": [1]}, "has no class '1'"),
        ({"labels": ["a", "b"]}, r"has 1 classes \(face\), got 2 labels"),
        ({"labels": "no_such_file.txt"}, "cannot read labels 'no_such_file.txt': No such file"),
        ({"engine": "openvin"}, "unknown engine 'openvin'; did you mean openvino"),
        ({"precision": "fp31"}, "unknown precision 'fp31'; did you mean fp32"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"size": 0}, r"size must be a longer side like 640 or a \(height, width\)"),
        ({"size": (64,)}, "size must be a longer side"),
        ({"size": "640"}, "size must be a longer side"),
        ({"requests": 0}, "requests must be a whole number from 1, got 0"),
        ({"batch": 0}, "batch must be a whole number from 1, got 0"),
    ],
)
def test_impossible_choices(wrong: dict[str, Any], message: str, load: Callable[..., Model]) -> None:
    with pytest.raises(UsageError, match=message):
        load(**wrong)


def test_choices_reach_the_results(load: Callable[..., Model], image: np.ndarray, tmp_path: Path) -> None:
    with load(min_score=0.3) as model:
        everything = model(image).detections
    assert len(everything) > 3
    assert (everything.scores > 0.3).all()
    middle = float(np.median(everything.scores))
    with load(min_score=middle) as model:
        assert len(model(image).detections) == (everything.scores > np.float32(middle)).sum()
    with load(min_score=0.3, max_detections=2) as model:
        np.testing.assert_array_equal(model(image).detections.boxes, everything.boxes[:2])
    with load(min_score=0.3, nms_iou=1.0) as model:
        assert len(model(image).detections) > len(everything)
    (tmp_path / "labels.txt").write_text("visitor\n\n", "utf-8")
    for labels in (["visitor"], tmp_path / "labels.txt"):
        with load(min_score=0.3, labels=labels, classes=["visitor"]) as model:
            assert {row.class_name for row in model(image).detections} == {"visitor"}
            assert model.describe().class_names == ("visitor",)
    with load(min_score=0.3, classes=[]) as model:
        result = model(image)
        assert len(result.detections) == 0
        assert len(result[LANDMARKS]) == 0


def test_landmarks_belong_to_their_detections(load: Callable[..., Model], image: np.ndarray) -> None:
    with load(min_score=0.3) as model:
        result = model(image)
    landmarks = result.landmarks
    assert landmarks is not None
    np.testing.assert_array_equal(landmarks.boxes, result.detections.boxes)
    np.testing.assert_array_equal(landmarks.detection_rows, np.arange(len(result.detections)))
    assert landmarks.names == ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def test_describe_says_what_runs(load: Callable[..., Model], exported: Path) -> None:
    import hashlib

    with load() as model:
        info = model.describe((48, 80))
        assert info.name == "retinaface-slim"
        assert info.trained_on == "WIDER FACE, at 300 pixels"
        assert (info.precision, info.device) == ("fp32", "cpu")
        assert info.engine in ("openvino", "onnxruntime")
        assert info.input_size == (58, 96)
        assert info.weights == exported.name
        assert info.weights_sha256 == hashlib.sha256(exported.read_bytes()).hexdigest()
        assert model.describe() == info
        assert model.describe((80, 48)).input_size == (96, 58)


def test_sizes(load: Callable[..., Model], image: np.ndarray) -> None:
    with load(size=None) as model:
        assert model.input_size((1080, 1920)) == (360, 640)
    with load(size=(64, 96)) as model:
        assert model.input_size((1080, 1920)) == (64, 96)
        model(image)
        assert model.describe().input_size == (64, 96)


def test_two_geometries_and_back(load: Callable[..., Model], image: np.ndarray) -> None:
    with load(min_score=0.3) as model:
        first = model(image)
        turned = model(np.ascontiguousarray(image.transpose(1, 0, 2)))
        again = model(image)
    assert turned.detections.boxes.shape != first.detections.boxes.shape or not np.array_equal(
        turned.detections.boxes, first.detections.boxes
    )
    np.testing.assert_array_equal(again.detections.boxes, first.detections.boxes)


def test_wrong_pictures(load: Callable[..., Model]) -> None:
    with load() as model:
        with pytest.raises(ValueError, match=r"must be uint8 \[H, W, 3\], got float32"):
            model(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]


def test_streams_count_their_frames(load: Callable[..., Model], image: np.ndarray) -> None:
    with load() as model:
        stream = model.stream("door")
        results = [stream(image, time_s=number / 25) for number in range(3)]
        stream.close()
    assert [result.index for result in results] == [0, 1, 2]
    assert {result.stream for result in results} == {"door"}
    assert results[2].time_s == pytest.approx(0.08)
    assert results[0].to_dict()["stream"] == "door"
    assert results[0].draw().shape == image.shape


def test_two_models_in_one_packet(load: Callable[..., Model], image: np.ndarray) -> None:
    own = ResultKeys(keys={DETECTIONS: Key("sure.detections", Detections), LANDMARKS: Key("sure.landmarks", Landmarks)})
    with load(min_score=0.3) as unsure, load(min_score=0.5) as sure:
        stages = [*unsure.stages(), *sure.stages(prefix="sure.", keys=own)]
        assert len({stage.name for stage in stages}) == 6
        created = [key for stage in stages for key in getattr(stage, "creates", ())]
        assert len(set(created)) == len(created)
        packet = Packet(Frame("one", 0, 0, 0, 0, Picture.from_rgb(image)))
        for stage in stages:
            (packet,) = stage.process(packet)
    assert len(packet[DETECTIONS]) > len(packet[own.to(DETECTIONS)])
    assert {str(key) for key in packet.items} == {"detections", "landmarks", "sure.detections", "sure.landmarks"}
    assert sure.result_keys(own).get(DETECTIONS) is own.get(DETECTIONS)


def test_dropped_frames_pass(load: Callable[..., Model], image: np.ndarray) -> None:
    packet = Packet(Frame("one", 0, 0, 0, 0, Picture.from_rgb(image))).dropped("mailbox_full")
    with load() as model:
        for stage in model.stages():
            assert list(stage.process(packet)) == [packet]


def test_many_threads_share_a_model(load: Callable[..., Model]) -> None:
    """Answers do not depend on who else asks; pictures of two sizes at once."""
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, shape, np.uint8) for shape in ((48, 80, 3), (80, 48, 3), (48, 80, 3))]
    with load(min_score=0.3, requests=2, threads=2) as model:
        expected = [model(picture).detections.boxes for picture in pictures]
        failures: list[int] = []

        def work(number: int) -> None:
            for turn in range(10):
                which = (number + turn) % 3
                if not np.array_equal(model(pictures[which]).detections.boxes, expected[which]):
                    failures.append(which)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_batches_across_streams(load: Callable[..., Model], image: np.ndarray) -> None:
    """Three cameras at once give what each gives alone, and runs of several pictures did happen."""
    with load(min_score=0.3) as alone:
        expected = alone(image).detections
    with load(min_score=0.3, batch=3) as model:
        results: list[Detections] = []

        def work(name: str) -> None:
            stream = model.stream(name)
            results.extend(stream(image).detections for _ in range(5))

        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with model._cache.runner(model.input_size(image.shape[:2])) as runner:
            assert runner.queue.batches[3] >= 1  # type: ignore[attr-defined]
    assert len(results) == 15
    for found in results:
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)


def test_tuned_copies_have_engines_of_their_own(load: Callable[..., Model], image: np.ndarray) -> None:
    with load(min_score=0.3) as model:
        expected = model(image).detections.boxes
        with model.tuned(requests=2, threads=2) as tuned:
            assert (tuned.engine_choice.requests, tuned.engine_choice.precision) == (2, "fp32")
            np.testing.assert_allclose(tuned(image).detections.boxes, expected, atol=1e-3)
        np.testing.assert_array_equal(model(image).detections.boxes, expected)


def test_closed_models_say_so(load: Callable[..., Model], image: np.ndarray) -> None:
    model = load()
    model.close()
    with pytest.raises(UsageError, match="the model is closed"):
        model(image)


def test_the_torch_network_is_at_hand(
    seeded_checkpoint: Callable[[str], Path], load: Callable[..., Model], torch: Any
) -> None:

    with load_model("retinaface-slim", weights=seeded_checkpoint("retinaface-slim")) as model:
        assert isinstance(model.network(), torch.nn.Module)
    with load() as model, pytest.raises(CheckpointError, match=r"slim\.onnx is an exported file"):
        model.network()


def test_a_missing_engine_names_its_extra(load: Callable[..., Model], monkeypatch: pytest.MonkeyPatch) -> None:
    from vidgraph.engines import open as engines_open

    monkeypatch.setattr(engines_open.EngineRow, "installed", property(lambda row: False))
    with pytest.raises(MissingExtraError, match=r"pip install 'vidgraph\[onnxruntime\]'"):
        with load(engine="onnxruntime") as model:
            model.describe((48, 80))
