"""From a map of flat surfaces to a picture: how the drawn world gets its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require

TEXTURE_SIDE = 256
"""Of a texture, in texels."""


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceTable:
    """How each of S surfaces looks.

    Attributes:
        colours: float32 [S, 3], RGB, 0..255.
        inverse: float32 [S, 3, 3], from pixels (x, y, 1) to texels, homogeneous.
        amplitude: float32 [S], how much the texture changes the colour; 1: between nothing and twice of it.
        fade: float32 [S]; above 0 the surface is seen in perspective, and its texture gets weaker where
            ``w ** 1.5 * fade`` is below 1, w being the third coordinate; otherwise w is taken as 1.
        texture: int32 [S], which one.
        shaded: uint8 [S], 1 where shadows fall.
        blur: int32 [S], radius of the motion blur along rows, pixels.
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
        RGB, uint8 [H, W, 3].

    Raises:
        ValueError: a dtype or shape does not fit the above, or a map names a surface or texture that is not there.

    Source: definition.
    """
    count = len(table.colours)
    require(surfaces, "shade_surfaces: surfaces", np.uint16, (None, None))
    require(shadow, "shade_surfaces: shadow", np.uint8, surfaces.shape)
    require(textures, "shade_surfaces: textures", np.uint8, (None, TEXTURE_SIDE, TEXTURE_SIDE))
    require(table.colours, "shade_surfaces: colours", np.float32, (count, 3))
    require(table.inverse, "shade_surfaces: inverse", np.float32, (count, 3, 3))
    require(table.texture, "shade_surfaces: texture", np.int32, (count,))
    require(table.shaded, "shade_surfaces: shaded", np.uint8, (count,))
    require(table.blur, "shade_surfaces: blur", np.int32, (count,))
    require(table.amplitude, "shade_surfaces: amplitude", np.float32, (count,))
    require(table.fade, "shade_surfaces: fade", np.float32, (count,))
    if int(surfaces.max(initial=0)) >= count and surfaces.size:
        raise ValueError(f"shade_surfaces: surfaces must be below {count}, got {int(surfaces.max())}")
    if count and not 0 <= int(table.texture.min()) <= int(table.texture.max()) < len(textures):
        raise ValueError(f"shade_surfaces: texture must be below {len(textures)}, got {int(table.texture.max())}")
    if count and int(table.blur.min()) < 0:
        raise ValueError(f"shade_surfaces: blur must be 0 or more, got {int(table.blur.min())}")
    if not 0 <= noise <= 127:
        raise ValueError(f"shade_surfaces: noise must be from 0 to 127, got {noise}")
    out = np.empty((*surfaces.shape, 3), np.uint8)
    _native.shade_surfaces(
        surfaces, shadow, table.colours, table.inverse, table.amplitude, table.fade, table.texture, table.shaded,
        table.blur, textures, noise, seed & 0xFFFFFFFF, out,
    )  # fmt: skip
    return out
