"""The driver of CUDA for a test that says ``device``."""

from __future__ import annotations

import pytest
from vidgraph.kernels.cuda import driver

from .. import emulator


@pytest.fixture(autouse=True)
def on_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated kernels where the parameter ``device`` is ``emulated``, in the order of the parameter ``shuffle``."""
    call = getattr(request.node, "callspec", None)
    if call is None or call.params.get("device") != "emulated":
        return
    if emulator.compiler() is None:
        pytest.skip("needs a C++ compiler, which compiles the CUDA kernels for the CPU")
    monkeypatch.setattr(driver, "_drivers", [emulator.EmulatedDriver(call.params.get("shuffle", 0))])
