"""The order of the tests: what comes in real time first, and undisturbed."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScheduling

WITH_A_PEER = (
    "tests/acceptance/test_camera",
    "tests/acceptance/test_sockets",
    "tests/benchmarks/test_cameras",
    "tests/cli/test_cameras",
    "tests/models/config/test_cameras",
    "tests/models/test_live",
    "tests/stages/sinks/test_mjpeg",
    "tests/stages/sinks/test_publish",
    "tests/stages/sources/camera/",
    "tests/testing/",
)
"""Tests of what cameras and viewers send in real time. A machine that stands still for a moment makes them fail: they
are tried once more then, and the summary names them."""

IN_REAL_TIME = (*WITH_A_PEER, "tests/pipeline/execution/", "tests/pipeline/test_cancel")
"""Tests of what comes in real time: those that leave no processor free would make them late."""


class InRealTimeFirst(LoadScheduling):
    """Hands out tests in real time a few at a time, so that no worker begins with others before they are done."""

    def check_schedule(self, node: Any, duration: float = 0.0) -> None:
        """Give ``node`` further tests."""
        if node.shutting_down or not self._is_in_real_time():
            super().check_schedule(node, duration)
        elif len(self.node2pending[node]) < 2:  # it runs one only when it knows the next
            self._send_tests(node, 2)

    def schedule(self) -> None:
        """Give all workers their first tests."""
        if self.collection is None:
            self.maxschedchunk = 2
        super().schedule()
        self.maxschedchunk = len(self.collection or ())

    def _is_in_real_time(self) -> bool:
        return bool(self.pending and self.collection) and self.collection[self.pending[0]].startswith(IN_REAL_TIME)
