"""An engine of recorded answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from ..kernels.device import Tensor
from ..pipeline.errors import EngineError
from .spec import Array, TensorSpec, check_feeds


class ReplayEngine:
    """Answers with recorded outputs, in order: for testing stages without a network.

    Checks feeds exactly as the real engines do, so a stage that passes its tests
    on this one has sent the right names, dtypes and shapes.

    Raises (from ``run``):
        EngineError: the feeds do not fit ``inputs``, or the engine is closed.
        IndexError: ``run`` is called more often than it was recorded.
    """

    engine = "replay"
    device = "cpu"
    precision = "fp32"

    def __init__(
        self,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        recorded: Iterable[dict[str, Array]],
        *,
        name: str = "replay",
    ) -> None:
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self._recorded = iter(recorded)
        self._lock = threading.Lock()
        self._closed = False

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Array]:
        """Check ``feeds`` and give the next recorded outputs."""
        check_feeds(self.name, self.inputs, feeds)  # the one check all engines share
        with self._lock:
            if self._closed:
                raise EngineError(f"{self.name}: run() after close()")
            try:
                return next(self._recorded)
            except StopIteration:
                raise IndexError(f"{self.name}: run() called more often than it was recorded") from None

    def close(self) -> None:
        """Refuse further runs; may be called twice."""
        with self._lock:
            self._closed = True
