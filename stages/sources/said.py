"""What the log is told of one stream: each thing once, however often the stream is opened."""

from __future__ import annotations

import logging

log = logging.getLogger("vidgraph")


class Said:
    """Lines in the log about one stream, each once.

    Args:
        name: what the log calls the stream.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._texts: set[str] = set()

    def say(self, text: str, level: int = logging.WARNING) -> None:
        """A line, unless it was said before."""
        if text not in self._texts:
            self._texts.add(text)
            log.log(level, "%s: %s", self.name, text)
