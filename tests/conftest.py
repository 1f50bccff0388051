"""What every test has at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A file or folder beside the checkout that is not part of the project; skips where it is missing."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not on this machine")
        return path

    return find
