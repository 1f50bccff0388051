"""Maps of surfaces become pictures as the definition says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import SurfaceTable, shade_surfaces
from vidgraph.kernels.shade_surfaces.reference import shade_surfaces_reference

from .cases import all_devices, to_device, to_host

Case = tuple[np.ndarray, np.ndarray, SurfaceTable, np.ndarray]


def random_case(height: int, width: int, count: int, seed: int) -> Case:
    """Blocks of surfaces, affine and in perspective, some with motion blur."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, count, (-(-height // 4), -(-width // 5)), dtype=np.uint16)
    surfaces = np.ascontiguousarray(blocks.repeat(4, axis=0).repeat(5, axis=1)[:height, :width])
    inverse = random.normal(0, 2, (count, 3, 3)).astype(np.float32)
    inverse[:, 2] = (0, 0.01, 0.5)
    table = SurfaceTable(
        random.uniform(0, 255, (count, 3)).astype(np.float32),
        inverse,
        random.uniform(0, 1.5, count).astype(np.float32),
        random.choice(np.array([0, 0, 0.5, 3.0], np.float32), count),
        random.integers(0, 3, count, dtype=np.int32),
        random.integers(0, 2, count, dtype=np.uint8),
        random.choice(np.array([0, 0, 1, 7], np.int32), count),
    )
    shadow = random.integers(0, 256, (height, width), dtype=np.uint8)
    return surfaces, shadow, table, random.integers(0, 256, (3, 256, 256), dtype=np.uint8)


def shaded(case: Case, device: str, **options: Any) -> np.ndarray:
    """Shaded there."""
    surfaces, shadow, table, textures = case
    maps = to_device((surfaces, shadow), device)
    return to_host(shade_surfaces(maps[0], maps[1], table, to_device(textures, device), **options))


@pytest.mark.parametrize("device", all_devices("shade_surfaces"))
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (33, 41)])
@pytest.mark.parametrize("noise", [0, 20])
@pytest.mark.parametrize("seed", range(3))
def test_matches_reference(device: str, size: tuple[int, int], noise: int, seed: int) -> None:
    case = random_case(*size, 12, seed)
    got = shaded(case, device, noise=noise, seed=seed)
    np.testing.assert_array_equal(got, shade_surfaces_reference(*case, noise=noise, seed=seed))


@pytest.mark.parametrize("device", all_devices("shade_surfaces"))
@pytest.mark.parametrize("blur", [0, 3])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_surface_that_is_not_there_is_refused_everywhere(device: str, blur: int, count: int) -> None:
    surfaces, shadow, table, textures = random_case(20, 70, max(count, 1), 3)
    fields = {name: getattr(table, name)[:count] for name in SurfaceTable.__dataclass_fields__}
    few = replace(SurfaceTable(**fields), blur=np.full(count, blur, np.int32))
    surfaces[4, 9], surfaces[19, 69] = 65535, count
    with pytest.raises(ValueError, match=rf"^shade_surfaces: surfaces must be below {count}, got 65535$"):
        shaded((surfaces, shadow, few, textures), device)
    if count:
        surfaces[4, 9] = count - 1
        with pytest.raises(ValueError, match=rf"^shade_surfaces: surfaces must be below {count}, got {count}$"):
            shaded((surfaces, shadow, few, textures), device)


@pytest.mark.parametrize("device", all_devices("shade_surfaces"))
@pytest.mark.parametrize("size", [(0, 0), (0, 7), (7, 0)])
def test_an_empty_map_gives_an_empty_picture(device: str, size: tuple[int, int]) -> None:
    surfaces, shadow, table, textures = random_case(8, 8, 2, 0)
    case = (np.empty(size, surfaces.dtype), np.empty(size, shadow.dtype), table, textures)
    assert shaded(case, device).shape == (*size, 3)


def test_a_plain_surface_has_its_colour_and_nothing_else() -> None:
    surfaces, shadow, table, textures = random_case(6, 6, 1, 0)
    nothing = np.zeros(1, np.float32)
    plain = replace(table, amplitude=nothing, shaded=np.zeros(1, np.uint8), fade=nothing)
    colour = np.array([[10, 200, 255]], np.float32)
    got = shade_surfaces(surfaces, shadow, replace(plain, colours=colour), textures)
    np.testing.assert_array_equal(got, np.broadcast_to(np.array([10, 200, 255], np.uint8), (6, 6, 3)))


def test_noise_keeps_the_mean() -> None:
    surfaces, shadow, table, textures = random_case(64, 64, 1, 0)
    plain = replace(table, amplitude=np.zeros(1, np.float32), shaded=np.zeros(1, np.uint8))
    grey = replace(plain, colours=np.full((1, 3), 128, np.float32))
    got = shade_surfaces(surfaces, shadow, grey, textures, noise=30, seed=5).astype(float)
    assert abs(got.mean() - 128) < 1
    assert got.min() >= 98
    assert got.max() <= 158


def test_what_does_not_fit_is_refused() -> None:
    surfaces, shadow, table, textures = random_case(8, 8, 2, 0)
    with pytest.raises(ValueError, match="surfaces must be below 2, got 9"):
        shade_surfaces(surfaces + np.uint16(9) - surfaces, shadow, table, textures)
    with pytest.raises(ValueError, match="texture must be below 1"):
        shade_surfaces(surfaces, shadow, replace(table, texture=np.full(2, 1, np.int32)), textures[:1])
    with pytest.raises(ValueError, match="shadow must be uint8"):
        shade_surfaces(surfaces, shadow[:4], table, textures)
    with pytest.raises(ValueError, match="noise must be from 0 to 127"):
        shade_surfaces(surfaces, shadow, table, textures, noise=128)


@pytest.mark.parametrize("device", all_devices("shade_surfaces"))
@pytest.mark.parametrize("radius", [3, 12, 511, 512, 2000])
def test_wide_motion_blur_is_exact(device: str, radius: int) -> None:
    surfaces, shadow, table, textures = random_case(3, 1100, 5, 7)
    blurred = replace(table, blur=np.array([radius, 0, radius, radius, 1], np.int32))
    got = shaded((surfaces, shadow, blurred, textures), device, noise=127, seed=9)
    expected = shade_surfaces_reference(surfaces, shadow, blurred, textures, noise=127, seed=9)
    np.testing.assert_array_equal(got, expected)
