"""A card that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import standin


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with standin.plugged_in(monkeypatch) as plugged:
        yield plugged


@pytest.fixture
def rtx_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with standin.plugged_in(monkeypatch, rtx=True) as plugged:
        yield plugged
