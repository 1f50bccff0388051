"""Running engines on the stand-in for a card."""

from __future__ import annotations

from typing import Any

import numpy as np
from vidgraph.engines import EngineOptions
from vidgraph.kernels.device import to_device, to_host

from .standin import CARD


def options(precision: str = "fp32", requests: int = 1) -> EngineOptions:
    return EngineOptions("cuda:0", precision, requests)


def put(array: np.ndarray) -> Any:
    return to_device(array, CARD)


def check(engine: Any, conv: Any, seed: int) -> Any:
    image = conv.image(seed)
    outputs = engine.run({"image": put(image)})
    for name, expected in conv.answer(image).items():
        np.testing.assert_allclose(to_host(outputs[name]), expected, atol=1e-5)
    return outputs
