"""Where pictures differ: motion is seen; light, noise and a slight shift are not."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import changed_blocks
from vidgraph.kernels.changed_blocks.reference import changed_blocks_reference

from .cases import all_devices, to_device, to_host

ALL = np.ones((54, 96), np.bool_)


def scene(seed: int = 0, shape: tuple[int, int] = (54, 96)) -> np.ndarray:
    """Brightness of blocks, 60 to 190 steps of 8 bits, smooth but for an edge down the middle."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 100 + 20 * np.sin(x / 9) + 20 * np.cos(y / 7) + 50 * (x > shape[1] // 2) + random.uniform(-1, 1, shape)


def blocks(steps: np.ndarray) -> np.ndarray:
    return np.clip(steps * 256, 0, 65535).astype(np.uint16)


def noise(steps: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, steps, ALL.shape)


@pytest.mark.parametrize("device", all_devices("changed_blocks"))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("spread", [0, 100, 1000, 20000])
def test_matches_reference(device: str, share: float, spread: float) -> None:
    random = np.random.default_rng([int(share * 10), spread])
    changed = 0
    for _ in range(60 if device == "cpu" else 8):
        shape = tuple(random.integers(1, 40, 2))
        before = random.integers(0, 65536, shape).astype(np.uint16)
        now = before * random.uniform(0.4, 2.2) + random.normal(0, 3000) + random.normal(0, spread, shape)
        now = np.clip(now, 0, 65535).astype(np.uint16)
        y, x = random.integers(0, shape)
        now[y : y + 5, x : x + 4] = random.integers(0, 65536)
        counted = random.random(shape) < share
        found = to_host(changed_blocks(*(to_device(array, device) for array in (now, before, counted))))
        np.testing.assert_array_equal(found, changed_blocks_reference(now, before, counted), strict=True)
        changed += found.sum()
    assert changed or share < 0.9


def test_an_object_is_seen_where_it_is() -> None:
    before, now = scene(), scene()
    now[20:24, 30:33] += 15
    expected = np.zeros(ALL.shape, np.bool_)
    expected[20:24, 30:33] = True
    np.testing.assert_array_equal(changed_blocks(blocks(now), blocks(before), ALL), expected)


@pytest.mark.parametrize("steps", [2.9, 3.1])
def test_the_threshold_is_three_steps(steps: float) -> None:
    before, now = np.full(ALL.shape, 100.0), np.full(ALL.shape, 100.0)
    now[5, 5:8] += steps
    assert changed_blocks(blocks(now), blocks(before), ALL).sum() == (1 if steps > 3 else 0)


@pytest.mark.parametrize("count", [2, 3])
def test_three_blocks_together(count: int) -> None:
    """Of three in a row the middle one has all of them around it."""
    before, now = np.full(ALL.shape, 100.0), np.full(ALL.shape, 100.0)
    now[5, 5 : 5 + count] += 60
    now[40, ::6] += 60  # each alone
    assert changed_blocks(blocks(now), blocks(before), ALL).sum() == (1 if count == 3 else 0)


@pytest.mark.parametrize("steps", [0.5, 1.0, 1.9])
def test_noise_is_not_motion_and_hides_no_object(steps: float) -> None:
    """Noise of blocks, of which a pixel has several times as much; 200 pictures."""
    before = scene()
    reference = blocks(before + noise(steps, 0))
    for seed in range(1, 201):
        assert not changed_blocks(blocks(before + noise(steps, seed)), reference, ALL).any()
    now = before + noise(steps, 7)
    now[20:25, 10:14] += 40
    assert changed_blocks(blocks(now), reference, ALL).any()


@pytest.mark.parametrize(("gain", "offset"), [(1.25, 0), (0.8, 0), (1, 12), (1, -12), (1.1, -15), (0.7, 30)])
def test_light_is_not_motion_and_hides_no_object(gain: float, offset: float) -> None:
    before = scene()
    now = before * gain + offset
    assert not changed_blocks(blocks(now + noise(0.3)), blocks(before), ALL).any()
    now[20:25, 10:14] += 20
    found = changed_blocks(blocks(now), blocks(before), ALL)
    assert found[20:25, 10:14].all()
    assert found.sum() == 20


def test_a_slight_shift_is_not_motion_and_a_large_one_is() -> None:
    """An edge that moves by a part of a block changes the blocks that it lies in by that part of its contrast."""
    before = scene()
    slight, large = before.copy(), before.copy()
    slight[:, 48] = before[:, 48] + 0.2 * (before[:, 49] - before[:, 48])
    large[:, 48] = before[:, 48] + 0.5 * (before[:, 49] - before[:, 48])
    assert not changed_blocks(blocks(slight), blocks(before), ALL).any()
    assert changed_blocks(blocks(large), blocks(before), ALL)[:, 48].any()


def test_what_fills_the_picture_is_seen() -> None:
    """It takes the median for noise, which is why the threshold has an upper end."""
    before, now = scene(), scene()
    now[:, 20:90] = 30 + 60 * np.random.default_rng(3).random((54, 70))
    assert changed_blocks(blocks(now), blocks(before), ALL).sum() > 1000


def test_what_does_not_count_has_no_say() -> None:
    before, now, counted = scene(), scene(), ALL.copy()
    now[:, :80] += np.random.default_rng(4).normal(0, 60, (54, 80))
    counted[:, :80] = False
    assert not changed_blocks(blocks(now), blocks(before), counted).any()
    now[20:24, 90:94] += 10
    assert changed_blocks(blocks(now), blocks(before), counted).sum() == 16
    assert not changed_blocks(blocks(now), blocks(before), np.zeros_like(counted)).any()


def test_writes_where_it_is_told() -> None:
    now, before, out = blocks(scene()), blocks(scene(5) + 9), np.ones_like(ALL)
    assert changed_blocks(now, before, ALL, out=out) is out
    np.testing.assert_array_equal(out, changed_blocks(now, before, ALL))


def test_refuses_with_the_reason() -> None:
    grid, counted = np.zeros((4, 6), np.uint16), np.ones((4, 6), np.bool_)
    with pytest.raises(ValueError, match=r"changed_blocks: reference must be uint16 \[4, 6\], got uint16 \[3, 6\]"):
        changed_blocks(grid, grid[:3], counted)
    with pytest.raises(ValueError, match=r"changed_blocks: counted must be bool \[4, 6\], got uint8 \[4, 6\]"):
        changed_blocks(grid, grid, counted.view(np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"changed_blocks: current must be uint16 \[N, N\], got float32"):
        changed_blocks(grid.astype(np.float32), grid, counted)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"changed_blocks: out must not share memory with an input"):
        changed_blocks(grid, grid, counted, out=counted)
