"""CUDA kernels against their CPU twins, bit by bit, in the emulator: many orders of blocks and threads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import DEVICES, Device
from vidgraph.kernels.twins import TWINS

from .. import emulator
from .cuda_cases import CASES, cases_of, compare

SEEDS = 20

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


def test_every_source_has_cases() -> None:
    assert set(CASES) == {source.stem for source in emulator.SOURCES}
    for (kernel, kind), module in TWINS.items():
        assert kind == "cuda"
        assert module.split(".")[1] in CASES, kernel


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("stem", CASES)
def test_the_same_bits_in_every_order_of_threads(stem: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = emulator.EmulatedDriver(seed)
    monkeypatch.setattr(driver, "_drivers", [emulated])
    for case, wanted in cases_of(stem):
        compare(case, wanted)
    assert emulated.launches > 0


class Beside(emulator.EmulatedDriver):
    """Arrays of the host come to lie four bytes beside where new memory begins."""

    def upload(self, array: np.ndarray, device: Device) -> int:
        memory = np.concatenate([np.zeros(4, np.uint8), array])
        return super().upload(memory, device) + 4

    def free(self, pointer: int, device: Device) -> None:
        super().free(pointer - pointer % 16, device)

    def launch(self, kernel: str, grid: Any, block: Any, shared: int, values: Any, device: Device) -> None:
        text = Path(self._sources[kernel]).read_text()
        found = re.search(rf"\b{kernel}\(([^)]*)\)", text)
        assert found is not None
        for parameter, value in zip(found[1].split(","), values, strict=True):
            assert "float4" not in parameter or value.value % 16 == 0, parameter
        super().launch(kernel, grid, block, shared, values, device)


@pytest.mark.parametrize("stem", ["class_nms", "fast_nms", "nms"])
def test_boxes_may_lie_anywhere(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_drivers", [Beside()])
    for case, wanted in cases_of(stem):
        compare(case, wanted)


@pytest.mark.parametrize("stem", CASES)
def test_the_same_bits_on_a_card(stem: str) -> None:
    if not DEVICES["cuda"].count():
        pytest.skip("needs a CUDA device")
    for case, wanted in cases_of(stem):
        compare(case, wanted)
