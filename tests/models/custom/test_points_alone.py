"""Heads of points alone (movenet, heatmaps, simcc) and of embeddings: planted outputs come out of the whole picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import EMBEDDING, LANDMARKS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads.heatmaps import peaks
from vidgraph.models.run import draw
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.results.convert import convert
from vidgraph.pipeline.results.format import results_schema

from .planted import FRAMES, LANDSCAPE, letterboxed, picture, precision_of, stretched, write_network

SIZE = (64, 96)
POINTS = 17
SHARED = Path(__file__).resolve().parents[4] / "shared"


def planted_points(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) in pixels of the input, whole multiples of four, [17, 2], and scores [17]."""
    random = np.random.default_rng(seed)
    points = 4 * random.integers((4, 4), (SIZE[1] // 4 - 4, SIZE[0] // 4 - 4), (POINTS, 2))
    return points.astype(np.float32), (random.integers(20, 65, POINTS) / 64).astype(np.float32)


def as_planted(kind: str) -> dict[str, np.ndarray]:
    points, scores = planted_points()
    if kind == "movenet":
        rows = np.stack([points[:, 1] / SIZE[0], points[:, 0] / SIZE[1], scores], axis=1)
        return {"Identity:0": rows[None, None].astype(np.float32)}
    if kind == "simcc":
        x, y = np.full((1, POINTS, 2 * SIZE[1]), 0.01), np.full((1, POINTS, 2 * SIZE[0]), 0.01)
        x[0, np.arange(POINTS), 2 * points[:, 0].astype(int)] = scores
        y[0, np.arange(POINTS), 2 * points[:, 1].astype(int)] = scores + 0.125
        return {"simcc_x": x.astype(np.float32), "simcc_y": y.astype(np.float32)}
    maps = np.zeros((1, POINTS, SIZE[0] // 4, SIZE[1] // 4), np.float32)
    maps[0, np.arange(POINTS), points[:, 1].astype(int) // 4, points[:, 0].astype(int) // 4] = scores
    return {"heatmaps": maps}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", ["movenet", "simcc", "heatmaps"])
def test_points_of_the_whole_picture(kind: str, engine: str, tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", as_planted(kind), size=SIZE)
    head = None if kind == "movenet" else kind  # so small an input has maps with as many places as there are bins
    points, scores = planted_points()
    with load_model(str(path), engine=engine, precision=precision_of(engine), head=head) as model:
        for frame in FRAMES:
            result = model(picture(frame))
            scale, offset = letterboxed(SIZE, frame)
            expected = points * scale + offset
            assert result.landmarks is not None
            assert len(result.landmarks) == 1
            np.testing.assert_allclose(result.landmarks.points[0], expected, atol=0.02)
            np.testing.assert_allclose(result.landmarks.scores[0], scores, atol=1e-6)
            assert result.landmarks.names[:2] == ("nose", "left_eye")
            inside = np.clip(expected, 0, (frame[1], frame[0]))
            np.testing.assert_allclose(result.landmarks.boxes[0], [*inside.min(axis=0), *inside.max(axis=0)], atol=0.02)
            assert len(result.detections) == 0
            (item,) = result.to_dict()["objects"]
            assert item.keys() == {"box", "points"}


def people(count: int = 3) -> np.ndarray:
    """float32 [1, 6, 56], as MoveNet gives several persons; the others score nothing."""
    table = np.zeros((1, 6, 56), np.float32)
    for row in range(count):
        points, scores = planted_points(row)
        numbers = np.stack([points[:, 1] / SIZE[0], points[:, 0] / SIZE[1], scores], axis=1)
        table[0, row, :51] = numbers.reshape(-1)
        table[0, row, 51:] = 0.25, 0.125 * (row + 1), 0.75, 0.75, 0.375 + 0.125 * row
    return table


def test_several_people(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"out": people()}, size=SIZE)
    with load_model(str(path), precision="fp32") as model:
        assert model.class_names == ("person",)
        for frame in FRAMES:
            result = model(picture(frame))
            scale, offset = letterboxed(SIZE, frame)
            np.testing.assert_allclose(result.detections.scores, [0.625, 0.5, 0.375])
            for rank, row in enumerate((2, 1, 0)):
                points, _ = planted_points(row)
                box = np.array([0.125 * (row + 1) * SIZE[1], 0.25 * SIZE[0], 0.75 * SIZE[1], 0.75 * SIZE[0]])
                expected = np.clip(box * (scale * 2) + offset * 2, 0, (frame[1], frame[0]) * 2)
                np.testing.assert_allclose(result.detections.boxes[rank], expected, atol=0.02)
                assert result.landmarks is not None
                np.testing.assert_allclose(result.landmarks.points[rank], points * scale + offset, atol=0.02)
            assert result.landmarks.detection_rows.tolist() == [0, 1, 2]
    for choice, count in (({"min_score": 0.4}, 2), ({"max_detections": 1}, 1), ({"labels": ["human"]}, 3)):
        with load_model(str(path), **choice) as model:  # type: ignore[arg-type]
            assert len(model(picture(LANDSCAPE)).detections) == count
    with load_model(str(path), nms_iou=0.5) as model, pytest.raises(UsageError, match="nms_iou cannot be given"):
        model(picture(LANDSCAPE))


def test_points_that_score_little_are_nobody_s(tmp_path: Path) -> None:
    rows = as_planted("movenet")["Identity:0"].copy()
    rows[..., 2] = 0.15
    path = write_network(tmp_path / "my.onnx", {"out": rows}, size=SIZE)
    with load_model(str(path)) as model:
        assert len(model(picture(LANDSCAPE))[LANDMARKS]) == 0
    with load_model(str(path), min_score=0.1) as model:
        assert len(model(picture(LANDSCAPE))[LANDMARKS]) == 1
    rows[0, 0, 3, 0] = np.nan
    path = write_network(tmp_path / "nan.onnx", {"out": rows}, size=SIZE)
    with load_model(str(path), min_score=0.1) as model:
        assert len(model(picture(LANDSCAPE))[LANDMARKS]) == 0
    path = write_network(tmp_path / "none.onnx", {"out": np.full_like(rows, np.nan)}, size=SIZE)
    with load_model(str(path)) as model, pytest.raises(EngineError, match="no finite number"):
        model(picture(LANDSCAPE))


def test_a_point_lies_a_quarter_towards_its_higher_neighbour() -> None:
    maps = np.zeros((4, 5, 7), np.float32)
    maps[0, 2, 3], maps[0, 2, 4], maps[0, 1, 3] = 1.0, 0.5, 0.25
    maps[1, 0, 0], maps[1, 0, 1] = 1.0, 0.9  # at the border it stays
    maps[2, 4, 6] = 0.5
    maps[3] = 0.125
    places, values = peaks(maps)
    np.testing.assert_array_equal(places, [(3.25, 1.75), (0, 0), (6, 4), (0, 0)])
    np.testing.assert_array_equal(values, [1, 1, 0.5, 0.125])


def test_maps_of_vitpose_end_at_the_outer_pixels(tmp_path: Path) -> None:
    known = {"architectures": ["VitPoseForPoseEstimation"], "id2label": {"0": "nose"}}
    (tmp_path / "config.json").write_text(json.dumps(known))
    maps = np.zeros((1, 2, SIZE[0] // 4, SIZE[1] // 4), np.float32)
    maps[0, 0, 0, 0] = maps[0, 1, -1, -1] = 1
    path = write_network(tmp_path / "my.onnx", {"heatmaps": maps}, size=SIZE, toml='[input]\nfit = "stretch"\n')
    with load_model(str(path), precision="fp32") as model:
        found = model(picture(SIZE))[LANDMARKS].points[0]
    np.testing.assert_allclose(found, [(0, 0), (SIZE[1] - 1, SIZE[0] - 1)], atol=1e-4)


def test_an_embedding_is_written_read_and_converted(tmp_path: Path) -> None:
    from PIL import Image

    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    values = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    for name, head in (("embedding", None), ("out", "embedding")):
        path = write_network(tmp_path / f"{name}.onnx", {name: values[..., None, None]}, size=SIZE)
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 48)).save(tmp_path / name / "in.png")
        lines = tmp_path / f"{name}.jsonl"
        found: list[vidgraph.FrameResult] = []
        vidgraph.run(
            str(tmp_path / name), model=str(path), head=head, precision="fp32", outputs=[lines, found.append]
        ).wait()
        expected = values[0].astype(np.float64) / np.linalg.norm(values[0].astype(np.float64))
        np.testing.assert_allclose(found[0].embedding, expected, atol=1e-6)
        assert "an embedding of 64" in repr(found[0])
        validator = jsonschema.Draft202012Validator(results_schema())
        for line in lines.read_text().splitlines():
            validator.validate(json.loads(line))
        read = next(iter(vidgraph.read_results(lines))).result(EMBEDDING)
        np.testing.assert_array_equal(read.values, found[0].embedding)
        table = convert(lines, "csv", tmp_path / f"{name}.csv").read_text().splitlines()
        assert table[0].endswith("file,embedding.1," + ",".join(f"embedding.{i}" for i in range(2, 65)))
        assert float(table[1].split(",")[-1]) == pytest.approx(expected[-1], abs=1e-6)
        with pytest.raises(UsageError, match=r"nothing can be drawn \(embeddings\)"):
            vidgraph.run(str(tmp_path / name), model=str(path), head=head, outputs=[tmp_path / "no.mp4"])


@pytest.mark.parametrize("value", [0.0, np.inf])
def test_an_embedding_without_a_direction_is_an_error(value: float, tmp_path: Path) -> None:
    values = np.zeros((1, 8), np.float32)
    values[0, 3] = value
    path = write_network(tmp_path / "my.onnx", {"embeddings": values}, size=SIZE)
    with load_model(str(path)) as model, pytest.raises(EngineError, match=r"of length (0|inf), which has no direction"):
        model(picture(LANDSCAPE))


def spec(*shape: int, name: str = "out", dtype: Any = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "kind"),
    [
        ([spec(1, 1, 17, 3)], {}, "movenet"),
        ([spec(1, 6, 56)], {}, "movenet"),
        ([spec(1, 1, 33, 3)], {"head": "movenet"}, "movenet"),
        ([spec(1, 133, 384, name="simcc_x"), spec(1, 133, 512, name="simcc_y")], {}, "simcc"),
        ([spec(1, 17, 64, 48)], {"head": "heatmaps"}, "heatmaps"),
        ([spec(1, 512, name="image_embeds")], {}, "embedding"),
        ([spec(1, 512)], {"head": "embedding"}, "embedding"),
        ([spec(1, 512), spec(1, 7, 5, name="b")], {"head": "embedding", "ignore": ("b",)}, "embedding"),
        ([spec(1, 512, name="embedding")], {"classes": tuple(f"c{i}" for i in range(512))}, "classify"),
    ],
)
def test_recognised(outputs: list[TensorSpec], about: dict[str, Any], kind: str) -> None:
    assert recognise(outputs, Description(**about), (256, 192)).kind == kind


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 17, 384, name="simcc_x"), spec(1, 17, 400, name="simcc_y")], {}, "as many bins for each pixel"),
        (
            [spec(1, 17, 384, name="simcc_x"), spec(1, 16, 512, name="simcc_y")],
            {},
            r"must be floating-point rows \[1, 17",
        ),
        ([spec(1, 1, 17, 3)], {"head": "movenet", "point_names": ("a",)}, "17 points, but 1 names"),
        ([spec(1, 17, 3)], {"head": "movenet"}, r"must be \[1, 1, K, 3\] or \[1, N, 3 K \+ 5\]"),
        ([spec(1, 17, 64, 48), spec(1, 17, 64, 48, name="b")], {"head": "heatmaps"}, r"say which \(`points`"),
        ([spec(1, 17, 64, 48)], {"head": "heatmaps", "points": (16, 3)}, "17 points, but 16 are said"),
        ([spec(1, 512), spec(1, 512, name="b")], {"head": "embedding"}, "may each be the embedding"),
        ([spec(1, 7, 512)], {"head": "embedding"}, r"must be a floating-point vector \[1, D\]"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise(outputs, Description(**about), (256, 192))


@pytest.mark.parametrize("head", ["heatmaps", "movenet", "simcc", "embedding"])
def test_choices_that_mean_nothing_are_refused(head: str, tmp_path: Path) -> None:
    planted = {"embedding": np.ones((1, 8), np.float32)} if head == "embedding" else as_planted(head)
    path = write_network(tmp_path / "my.onnx", planted, size=SIZE)
    with load_model(str(path), head=head, nms_iou=0.5) as model, pytest.raises(UsageError, match="nms_iou cannot be"):
        model(picture(LANDSCAPE))


def test_points_are_drawn_from_results(tmp_path: Path) -> None:
    from PIL import Image

    path = write_network(tmp_path / "my.onnx", as_planted("movenet"), size=SIZE, toml='[input]\nfit = "stretch"\n')
    Image.new("RGB", (LANDSCAPE[1], LANDSCAPE[0])).save(tmp_path / "in.png")
    lines, shown = tmp_path / "out.jsonl", [tmp_path / name / "%06d.png" for name in ("drawn", "again")]
    vidgraph.run(str(tmp_path / "in.png"), model=str(path), outputs=[lines, shown[0]]).wait()
    draw(str(tmp_path / "in.png"), lines, outputs=[shown[1]]).wait()
    first, second = (np.array(Image.open(path.parent / "000000.png")) for path in shown)
    np.testing.assert_array_equal(first, second)
    points, _ = planted_points()
    scale, _ = stretched(SIZE, LANDSCAPE)
    for x, y in points * scale:
        assert first[int(y), int(x)].max() > 60


def test_a_real_network_tells_people_apart(tmp_path: Path) -> None:
    network, clip = SHARED / "nets" / "reid" / "person-reidentification-retail-0288.onnx", SHARED / "media"
    if not network.exists() or not (clip / "two_people_1080p.mp4").exists():
        pytest.skip("needs shared/nets and shared/media")
    (tmp_path / "my.onnx").write_bytes(network.read_bytes())
    (tmp_path / "my.toml").write_text('[input]\nfit = "stretch"\ncolor = "bgr"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n')
    found: list[np.ndarray] = []
    run = vidgraph.run(str(clip / "two_people_1080p.mp4"), model=str(tmp_path / "my.onnx"), head="embedding", frames=3)
    for result in run:
        assert result.embedding is not None
        found.append(result.embedding)
    noise = load_model(str(tmp_path / "my.onnx"), head="embedding")
    other = noise(picture((256, 128)))[EMBEDDING].values
    noise.close()
    assert found[0] @ found[1] > 0.95 > found[0] @ other
