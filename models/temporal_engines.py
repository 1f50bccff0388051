"""The engines of a video network for one input size, as the temporal stage runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine
from ..stages.infer import copy_all

Arrays = Mapping[str, NDArray[Any]]


class TemporalEngines:
    """Key and non-key graphs that share weights; a ``TemporalRunner``. Safe from several threads.

    Args:
        key: from the picture to outputs and state.
        non_key: from pictures and state to outputs, by batch size; 1 is one of them.

    Attributes:
        first: the engine of key frames.
    """

    def __init__(self, key: Engine, non_key: Mapping[int, Engine]) -> None:
        self.first, self._non_key = key, dict(non_key)
        (self._input,) = (spec.name for spec in key.inputs)
        self._state = [spec.name for spec in non_key[1].inputs if spec.name != self._input]

    def key(self, image: NDArray[np.float32]) -> tuple[Arrays, Arrays]:
        """Outputs and state of a key frame, leases of the calling thread; image float32 [1, 3, h, w]."""
        outputs = self.first.run({self._input: image})
        state = {name: outputs[name] for name in self._state}
        return {name: array for name, array in outputs.items() if name not in state}, state

    def non_key(self, images: NDArray[np.float32], state: Arrays) -> Arrays:
        """Outputs of frames [B, 3, h, w] that share ``state``; one run where there is a graph for B, else B runs."""
        count = len(images)
        if count in self._non_key:
            return self._run(count, images, state)
        single = [copy_all(self._run(1, images[row : row + 1], state)) for row in range(count)]
        return {name: np.concatenate([one[name] for one in single]) for name in single[0]}

    def close(self) -> None:
        """Close the engines."""
        for engine in (self.first, *self._non_key.values()):
            engine.close()

    def _run(self, count: int, images: NDArray[np.float32], state: Arrays) -> Arrays:
        shared = state if count == 1 else {name: np.repeat(array, count, axis=0) for name, array in state.items()}
        return self._non_key[count].run({self._input: images, **shared})
