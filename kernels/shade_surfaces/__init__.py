"""From a map of flat surfaces to a picture: how synthetic scenes get their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..scalars import LARGEST_SIDE_PX, UNLIMITED, check_extent, shown, whole
from ..twins import twin

__all__ = ("SurfaceTable", "shade_surfaces")

TEXTURE_SIDE = 256
"""Of a texture, in texels."""

_LARGEST_SQUARES = 1e30  # added up, so that no product of such numbers overflows on the way to a pixel


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceTable:
    """How each of S surfaces looks; in host memory.

    Attributes:
        colours: float32 [S, 3], RGB, 0..255.
        inverse: float32 [S, 3, 3], from pixels (x, y, 1) to texels, homogeneous.
        amplitude: float32 [S], how much the texture changes the colour; 1: between nothing and twice of it.
        fade: float32 [S]; above 0 the surface is seen in perspective, and its texture gets weaker where
            ``w ** 1.5 * fade`` is below 1, w being the third coordinate; otherwise w is taken as 1.
        texture: int32 [S], which one.
        shaded: uint8 [S], 1 where shadows fall.
        blur: int32 [S], radius of the motion blur along rows, pixels, 0 to 2^20.
    """

    colours: NDArray[np.float32]
    inverse: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    fade: NDArray[np.float32]
    texture: NDArray[np.int32]
    shaded: NDArray[np.uint8]
    blur: NDArray[np.int32]


def shade_surfaces(
    surfaces: NDArray[np.uint16],
    shadow: NDArray[np.uint8],
    table: SurfaceTable,
    textures: NDArray[np.uint8],
    *,
    noise: int = 0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Colour a map of surfaces.

    Each pixel has the colour of its surface times its texture and the shadow; then it is averaged along its row
    (motion blur), softened with weights 1, 2, 1 both ways, and given uniform noise.

    Args:
        surfaces: uint16 [H, W], rows of ``table``.
        shadow: uint8 [H, W], 255 is full light.
        textures: uint8 [T, 256, 256], which repeat; 128 changes nothing.
        noise: at most this much is added or taken away, 0 to 127.
        seed: of the noise.

    Returns:
        RGB, uint8 [H, W, 3]. On a device this waits for whether the map names a surface that is not there.

    Raises:
        ValueError: a dtype or shape does not fit the above, or a map names a surface or texture that is not there.

    Source: definition.
    """
    owner = "shade_surfaces"
    if not isinstance(table, SurfaceTable):
        raise ValueError(f"{owner}: table must be a SurfaceTable, got {shown(table)}")
    require(table.colours, "shade_surfaces: colours", np.float32, (None, 3), HOST)
    count = len(table.colours)
    device = require(surfaces, "shade_surfaces: surfaces", np.uint16, (None, None))
    check_extent(owner, "surfaces", *surfaces.shape)
    require(shadow, "shade_surfaces: shadow", np.uint8, surfaces.shape, device)
    require(textures, "shade_surfaces: textures", np.uint8, (None, TEXTURE_SIDE, TEXTURE_SIDE), device)
    require(table.inverse, "shade_surfaces: inverse", np.float32, (count, 3, 3), HOST)
    require(table.texture, "shade_surfaces: texture", np.int32, (count,), HOST)
    require(table.shaded, "shade_surfaces: shaded", np.uint8, (count,), HOST)
    require(table.blur, "shade_surfaces: blur", np.int32, (count,), HOST)
    require(table.amplitude, "shade_surfaces: amplitude", np.float32, (count,), HOST)
    require(table.fade, "shade_surfaces: fade", np.float32, (count,), HOST)
    if device is HOST and surfaces.size:
        check_surfaces(int(surfaces.max()), count)
    if count and not 0 <= int(table.texture.min()) <= int(table.texture.max()) < len(textures):
        raise ValueError(f"shade_surfaces: texture must be below {len(textures)}, got {int(table.texture.max())}")
    for name in ("colours", "inverse", "amplitude", "fade"):
        numbers = getattr(table, name)
        if not np.vdot(numbers, numbers) <= _LARGEST_SQUARES:  # nor where one is NaN or infinite
            raise ValueError(
                f"shade_surfaces: {name} must be finite and not huge, got {shown(numbers.ravel().tolist())}"
            )
    if count and not 0 <= int(table.blur.min()) <= int(table.blur.max()) <= LARGEST_SIDE_PX:
        raise ValueError(
            f"shade_surfaces: blur must be from 0 to {LARGEST_SIDE_PX}, "
            f"got {int(table.blur.min())} to {int(table.blur.max())}"
        )
    noise = whole(owner, "noise", noise, "must be from 0 to 127", low=0, high=127)
    seed = whole(owner, "seed", seed, "must be a whole number", low=-UNLIMITED) & 0xFFFFFFFF
    if device is not HOST:
        return twin(shade_surfaces, device)(surfaces, shadow, table, textures, noise=noise, seed=seed)
    out = np.empty((*surfaces.shape, 3), np.uint8)
    _native.shade_surfaces(
        surfaces, shadow, table.colours, table.inverse, table.amplitude, table.fade, table.texture, table.shaded,
        table.blur, textures, noise, seed, out,
    )  # fmt: skip
    return out


def check_surfaces(largest: int, count: int) -> None:
    """Refuse a map that names a surface which is not there.

    Raises:
        ValueError: ``largest``, of the numbers in the map, is not below ``count``.
    """
    if largest >= count:
        raise ValueError(f"shade_surfaces: surfaces must be below {count}, got {largest}")
