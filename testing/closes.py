"""What cameras, proxies and publishers have in common: they end with their ``with`` block."""

from __future__ import annotations

from typing import Self


class Closes:
    """Closed at the end of a ``with`` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        raise NotImplementedError
