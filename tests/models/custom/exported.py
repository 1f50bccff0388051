"""Torch modules as both of torch's exporters write them, and their pictures made by torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .planted import Place


def export(
    torch: Any, network: Any, path: Path, names: Sequence[str], examples: Sequence[Any], exporter: str, toml: str
) -> Path:
    """A file with the outputs ``names``; its inputs are ``images`` and ``orig_target_sizes``.

    ``exporter`` is ``tracing`` (torch's older one, ``dynamo=False``) or ``capturing``.
    """
    if exporter == "capturing":
        pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript (the extra 'torch')")
    more = {"external_data": False, "verbose": False} if exporter == "capturing" else {}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's notes on its own exporter
        torch.onnx.export(
            network, tuple(examples), str(path), input_names=["images", "orig_target_sizes"][: len(examples)],
            output_names=list(names), dynamo=exporter == "capturing", opset_version=18 if more else 17, **more,
        )  # fmt: skip
    path.with_suffix(".toml").write_text(toml)
    return path


def seeded(torch: Any, build: Callable[[], Any], seed: int = 0) -> Any:
    """A module in evaluation mode with the weights that belong to a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def spotted(frame: tuple[int, int]) -> Any:
    """RGB, uint8 [H, W, 3], with coarse spots."""
    spots = np.random.default_rng(frame[0]).integers(0, 256, (-(-frame[0] // 12), -(-frame[1] // 12), 3), np.uint8)
    return np.ascontiguousarray(spots.repeat(12, 0).repeat(12, 1)[: frame[0], : frame[1]])


def given(torch: Any, image: np.ndarray, size: tuple[int, int], place: Place) -> Any:
    """The input float32 [1, 3, h, w] of values 0..1 for a picture that lies in it at ``place``, by torch."""
    (scale_x, scale_y), (offset_x, offset_y) = place
    height, width = round(image.shape[0] / scale_y), round(image.shape[1] / scale_x)
    y, x = round(-offset_y / scale_y), round(-offset_x / scale_x)
    values = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    whole = torch.full((1, 3, *size), 114.0)
    resized = torch.nn.functional.interpolate(values, (height, width), mode="bilinear", align_corners=False)
    whole[:, :, y : y + height, x : x + width] = resized
    return whole / 255
