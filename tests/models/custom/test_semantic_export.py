"""A DeepLab of random weights, exported by torch, in both engines: equal to torch with plain post-processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model

from .exported import export, given, seeded, spotted
from .planted import letterboxed, precision_of, stretched

SIZE, CLASSES = (96, 128), ("road", "sky", "tree", "water")
STRETCHED, LETTERBOXED = (120, 90), (192, 128)
"""Frames; the second is twice the picture that it becomes, 96 x 64, in the middle of the input."""
TOML = f"classes = {list(CLASSES)}\n[input]\nmean = [0, 0, 0]\nstd = [255, 255, 255]\npad = [114, 114, 114]\n"


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from . import semantic_nets

    return semantic_nets


def spread(torch: Any, network: Any, images: Any) -> None:
    """Make every class the best one somewhere, which random weights alone do not."""
    end, network.end = network.end, ""
    with torch.no_grad():
        maps = network(images)[0].flatten(1)
        mean, deviation = maps.mean(1), maps.std(1)
        network.classify.weight /= deviation[:, None, None, None]
        network.classify.bias.copy_((network.classify.bias - mean / 4) / deviation)
    network.end = end


def compare(found: Any, logits: np.ndarray) -> None:
    """The map of a frame against logits [C, H, W] at its pixels; where two classes are as good, either is right."""
    ordered = np.sort(logits, axis=0)
    clear = ordered[-1] - ordered[-2] > 2e-3
    assert clear.mean() > 0.97
    np.testing.assert_array_equal(found.segment_ids[clear], logits.argmax(axis=0)[clear] + 1)
    assert len(found.segments) >= 3
    assert [segment.class_name for segment in found.segments] == [CLASSES[each.class_id] for each in found.segments]
    assert sum(segment.area_px for segment in found.segments) == found.segment_ids.size


@pytest.mark.parametrize(("exporter", "end"), [("tracing", ""), ("tracing", "whole"), ("capturing", "whole")])
def test_logits(torch: Any, nets: Any, exporter: str, end: str, tmp_path: Path) -> None:
    network = seeded(torch, lambda: nets.DeepLab(len(CLASSES), end=end), seed=2)
    frame = LETTERBOXED if end else STRETCHED
    place = (letterboxed if end else stretched)(SIZE, frame)
    image, example = spotted(frame), torch.zeros(1, 3, *SIZE)
    images = given(torch, image, SIZE, place)
    spread(torch, network, images)
    with torch.no_grad():
        logits = network(images)
        if end:  # the part of the picture, and what lies beside it, twice as large
            logits = torch.nn.functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            logits = logits[:, :, :, 64:192]
        else:
            logits = torch.nn.functional.interpolate(logits, frame, mode="bilinear", align_corners=False)
    said = TOML + f'fit = "{"letterbox" if end else "stretch"}"\n'
    path = export(torch, network, tmp_path / "own.onnx", ["out"], [example], exporter, said)
    for engine in ("openvino", "onnxruntime"):
        with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
            compare(model(image).panoptic, logits[0].numpy())


def test_labels(torch: Any, nets: Any, tmp_path: Path) -> None:
    network = seeded(torch, lambda: nets.DeepLab(len(CLASSES), end="labels"), seed=2)
    image = spotted(SIZE)
    images = given(torch, image, SIZE, stretched(SIZE, SIZE))
    spread(torch, network, images)
    with torch.no_grad():
        labels = network(images)[0].numpy()
    path = export(torch, network, tmp_path / "own.onnx", ["out"], [torch.zeros(1, 3, *SIZE)], "tracing",
                  TOML + 'fit = "stretch"\n')  # fmt: skip
    for engine in ("openvino", "onnxruntime"):
        with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
            found = model(image).panoptic
        assert found is not None
        assert (found.segment_ids == labels + 1).mean() > 0.995
        assert len(np.unique(labels)) >= 3
