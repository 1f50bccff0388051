"""Any Python function as an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...pipeline.packet import Key, Packet
from ...pipeline.results.format import ResultKeys, first_keys
from ...pipeline.results.frame_result import FrameResult
from ...pipeline.stage import Sink
from ..drawing.draw import draw_rgb

ResultCallback = Callable[[FrameResult], object]


class Callback(Sink):
    """Calls a function with every frame's result, in order, on the output's own thread.

    Args:
        function: gets a :class:`FrameResult`; what it returns is not used, what it raises ends the run.
        keys: where the results are, one entry for each model.
        needs: keys that a stage must have created; default: the first of each model.
        result_of: makes the result of a packet; default: a ``FrameResult`` that draws in the default style.
    """

    def __init__(
        self,
        function: ResultCallback,
        *,
        keys: Sequence[ResultKeys] = (ResultKeys(),),
        needs: frozenset[Key[Any]] | None = None,
        result_of: Callable[[Packet], FrameResult] | None = None,
    ) -> None:
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self.reads: frozenset[Key[Any]] = first_keys(keys) if needs is None else needs
        self._function, self._keys = function, tuple(keys)
        self._result_of = result_of or self._plain_result

    def write(self, packet: Packet) -> None:
        """Call the function.

        Raises:
            Exception: whatever it raises.
        """
        self._function(self._result_of(packet))

    def _plain_result(self, packet: Packet) -> FrameResult:
        return FrameResult(packet, self._keys, draw_rgb)
