"""A card that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import standin


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its streams are as late as may be."""
    with standin.plugged_in(monkeypatch) as plugged:
        yield plugged


@pytest.fixture(params=[(rtx, seed) for rtx in (False, True) for seed in (None, 0, 1, 2)], ids=str)
def any_card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Either library, and streams that work at any moment."""
    rtx, seed = request.param
    with standin.plugged_in(monkeypatch, seed, rtx=rtx) as plugged:
        yield plugged


@pytest.fixture
def rtx_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with standin.plugged_in(monkeypatch, rtx=True) as plugged:
        yield plugged
