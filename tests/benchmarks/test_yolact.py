"""Both sides of the comparison with plain torch find the same instances, and a difference is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import load_model
from vidgraph.benchmarks import bench_yolact
from vidgraph.models.registry import find_model
from vidgraph.pipeline.types.masks import Masks

torch = pytest.importorskip("torch", reason="needs torch, which the other side is written in")
for package in ("onnx", "pycocotools"):
    pytest.importorskip(package, reason=f"the comparison needs {package}")

COUNT, SIDE = 5, 128


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded weights that find large things."""
    torch.manual_seed(0)
    network = find_model(bench_yolact.MODEL).family().network(bench_yolact.MODEL)
    head = network.prediction_layers[0]
    with torch.no_grad():
        head.conf_layer.weight *= 300
        head.mask_layer.weight *= 30
        head.mask_layer.bias += 1
        head.bbox_layer.bias.view(-1, 4)[:, 2:] += 8
    path = tmp_path_factory.mktemp("yolact") / "seeded.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def own_cache(command_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))


def test_rows_have_both_sides_and_their_ratio(weights: Path, face_clip: Path) -> None:
    (row,) = bench_yolact.bench([face_clip], weights, frames=6, passes=1, counts=(COUNT,), size=SIDE, threads=1)
    assert (row["clip"], row["detections"], row["frame"]) == ("in.mp4", COUNT, [240, 320])
    assert row["worst_mask_iou"] > bench_yolact.MASK_IOU
    eager = row["sides"]["torch fp32"]
    assert {"decode", "preprocess", "key", "non_key", "detect", "masks", "rle"} == eager["parts_ms"].keys()
    ours = row["sides"]["vidgraph fp32"]
    assert row["times_torch"]["vidgraph fp32"] == pytest.approx(ours["fps"] / eager["fps"], rel=0.02, abs=0.01)
    assert row["torch_beside_official"].keys() == {"key", "non_key"}  # not 100 masks of 1080p
    assert "x torch" in bench_yolact.report([row])
    json.dumps(row)


def test_bench_measures_video_models_as_they_would_run(
    vidgraph: Callable[..., Any], weights: Path, face_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidgraph.benchmarks.parts.PASSES", 1)
    words = ("bench", "--model", f"{bench_yolact.MODEL}={weights}", "--source", face_clip, "--frames", 6)
    chosen = ("--nms", "cross-class", "--keyframes", 3, "--batch-non-key", "--max-detections", COUNT, "--min-score", 0)
    ended = vidgraph(*words, *chosen, "--size", SIDE, "-o", "bench.json")
    assert ended.code == 0, ended.err
    figures = json.loads(Path("bench.json").read_text())["figures"]
    about = {name: figures["about"][name] for name in ("nms", "keyframes", "batch", "max_detections", "min_score")}
    assert about == {"nms": "cross-class", "keyframes": "3", "batch": 2, "max_detections": COUNT, "min_score": 0.0}
    assert figures["parts"]["infer"]["cpu_ms"] > 0
    assert figures["whole"]["json"]["fps"] > 0


@pytest.fixture(scope="module")
def both(weights: Path, face_clip: Path, command_cache: Path) -> Any:
    """What vidgraph and torch find in the first frame."""
    from vidgraph.benchmarks import eager_yolact

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setenv("VIDGRAPH_CACHE", str(command_cache))
        choices: dict[str, Any] = {"size": SIDE, "precision": "fp32", "min_score": 0.0, "max_detections": COUNT}
        with load_model(bench_yolact.MODEL, weights=weights, **choices) as model:
            (picture,) = eager_yolact.frames_of(face_clip, 1)
            eager = eager_yolact.EagerYolact(model.network(), COUNT, (SIDE, SIDE))
            theirs = eager_yolact.frame_of(eager, picture, eager_yolact.Times(), key=True)
            ours = model(np.ascontiguousarray(picture[:, :, ::-1])).detections
    return ours, theirs


def emptied(masks: Masks) -> Masks:
    """The same boxes without a pixel."""
    return replace(masks, bits=np.zeros_like(masks.bits))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda found: replace(found, class_ids=(found.class_ids + 1) % 40), "no counterpart within"),
        (lambda found: replace(found, boxes=found.boxes + np.float32(2)), "no counterpart within"),
        (lambda found: replace(found, masks=emptied(found.masks)), "IoU of the masks is 0.0000"),
    ],
    ids=["class", "box", "mask"],
)
def test_a_difference_is_noticed(both: Any, change: Callable[[Any], Any], text: str) -> None:
    ours, theirs = both
    assert all(ours.masks.full(row).sum() > bench_yolact.MASK_PX for row in range(COUNT))
    assert bench_yolact.check_same(ours, theirs) > bench_yolact.MASK_IOU
    with pytest.raises(AssertionError, match=text):
        bench_yolact.check_same(change(ours), theirs)


def test_a_frame_with_too_few_detections_is_noticed(tmp_path: Path) -> None:
    found = {"mask": {"size": [2, 2], "counts": "04"}}
    lines = [{"format": "a header"}, {"frame": 0, "objects": [found] * 2}, {"frame": 1, "objects": [found]}]
    path = tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(AssertionError, match="frame 1 has 1 detections, expected 2"):
        bench_yolact.check_counts(path, 2, 2)
    with pytest.raises(AssertionError, match="has 2 frames, expected 3"):
        bench_yolact.check_counts(path, 3, 1)
