"""The two libraries of one API, and what differs between them. The one module that imports either.

TensorRT builds for the card of the machine, by timing what it might run. TensorRT-RTX builds without a card, for all
architectures at once, and compiles the rest on the card of the user; its kernels come out of a cache the next time.
Neither is imported before it is used: they are large, and TensorRT cannot be imported where its libraries are missing.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

from ...pipeline.errors import EngineError
from ..card import ON_THE_CPU

LOG = logging.getLogger("vidgraph")
_CUDA_MAJORS = (14, 13, 12, 11)
_SAID = 50  # the last errors that are kept


@dataclass(frozen=True)
class Flavour:
    """One of the libraries.

    Attributes:
        name: of its row in ``ENGINES``.
        title: its name in messages.
        modules: what is imported, one after the other; the last has the API.
        distribution: of the wheel with its libraries, without the number of the CUDA that it is made for.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    distribution: str

    @cached_property
    def api(self) -> ModuleType:
        """Its module.

        Raises:
            EngineError: it is installed and cannot be imported.
        """
        found = None
        for name in self.modules:
            try:
                found = import_module(name)
            except (ImportError, OSError) as error:  # OSError: a library of it is missing
                raise EngineError(
                    f"{self.title} cannot be imported ({error}): its libraries are missing or of another version; "
                    f"install it again. {ON_THE_CPU}"
                ) from error
        if found is None:
            raise AssertionError("a flavour has a module")
        return found

    @property
    def version(self) -> str:
        """As the library says it, such as ``10.13.2.6``."""
        return str(self.api.__version__)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Compute capabilities (``8.6``) that one engine can be built for without a card; empty: for the card only."""
        known = getattr(self.api, "ComputeCapability", None)
        if known is None or not hasattr(self.api.IBuilderConfig, "set_compute_capability"):
            return ()
        numbers = sorted(int(name[2:]) for name in known.__members__ if name.startswith("SM"))
        return tuple(f"{number // 10}.{number % 10}" for number in numbers)

    @property
    def cuda(self) -> int:
        """The version of CUDA that the installed wheel is made for, such as 13; 0: it does not say."""
        for major in _CUDA_MAJORS:
            try:
                metadata.distribution(f"{self.distribution}_cu{major}_libs")
            except metadata.PackageNotFoundError:
                continue
            return major
        return 0

    @cached_property
    def said(self) -> Said:
        """What the library says; there is one logger in a process, whoever asks."""
        return Said(self.api)

    @cached_property
    def runtime(self) -> Any:
        """What reads engines; it has to outlive them."""
        return self.api.Runtime(self.said.logger)


class Said:
    """The logger that a library is given, and who listens to the errors that come through it."""

    def __init__(self, api: ModuleType) -> None:
        self._listening: dict[int, deque[str]] = {}  # by thread
        severity = api.ILogger

        def log(this: Any, level: Any, message: str) -> None:
            if level <= severity.ERROR:
                own = self._listening.get(threading.get_ident())
                for heard in [*self._listening.values()] if own is None else [own]:
                    heard.append(message)
            LOG.debug("%s", message)

        def make(this: Any) -> None:
            severity.__init__(this)

        self.logger = type("Logger", (severity,), {"__init__": make, "log": log})()

    @contextmanager
    def listening(self) -> Iterator[deque[str]]:
        """The last errors that come meanwhile: those of this thread, and those of threads of the library's own."""
        thread, heard = threading.get_ident(), deque[str](maxlen=_SAID)
        before = self._listening.get(thread)
        self._listening[thread] = heard
        try:
            yield heard
        finally:
            if before is None:
                del self._listening[thread]
            else:
                self._listening[thread] = before


STANDARD = Flavour("tensorrt", "TensorRT", ("tensorrt",), "tensorrt")
RTX = Flavour("tensorrt-rtx", "TensorRT-RTX", ("tensorrt_rtx_libs", "tensorrt_rtx_bindings"), "tensorrt_rtx")
