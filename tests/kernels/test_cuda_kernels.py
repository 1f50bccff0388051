"""CUDA kernels against their CPU twins, bit by bit, in the emulator: many orders of blocks and threads."""

from __future__ import annotations

import pytest
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import DEVICES
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


@pytest.mark.parametrize("stem", CASES)
def test_the_same_bits_on_a_card(stem: str) -> None:
    if not DEVICES["cuda"].count():
        pytest.skip("needs a CUDA device")
    compare(stem)
