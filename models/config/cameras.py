"""``vidgraph.live_from``: the cameras of a file, with a hub for each model, until all are over."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import TracebackType

from ...pipeline.errors import UsageError, VidgraphError
from ...pipeline.execution.stats import RunStats
from ...pipeline.execution.threads import available_cores
from ...pipeline.results.format import ModelInfo
from ...pipeline.results.frame_result import FrameResult
from ...pipeline.stage import Sink
from ...stages.sinks.kinds import kind_of
from ...stages.sinks.registry import Output
from ..live import Hub, live
from ..run import several
from .camera_set import CameraConfig, CameraSet
from .follow import Follower
from .loop import MergedLoop
from .read import read_cameras

log = logging.getLogger("vidgraph")

POLL_S = 0.1
REMOVE_S = 10.0


def live_from(
    file: str | os.PathLike[str],
    *,
    outputs: Sequence[Output] | Output = (),
    overwrite: bool | None = None,
    follow: bool = True,
) -> Cameras:
    """The cameras of a TOML file, at work with their models.

    ::

        with vidgraph.live_from("cams.toml") as cameras:
            for result in cameras:
                print(result.stream_id, len(result.detections))

    Args:
        file: with a table for each camera; a page of the documentation has all keys.
        outputs: for all cameras, besides those of the file.
        overwrite: replace existing outputs; None: as the file says.
        follow: when the file changes, apply what it says then. One with mistakes is refused, and they are logged.

    Raises:
        ConfigError: the file has mistakes: each with its line and key.
        VidgraphError: as :func:`vidgraph.live` and ``Hub.add``.
    """
    cameras = Cameras(read_cameras(file), outputs=outputs, overwrite=overwrite)
    try:
        if follow:
            cameras.follow()
        return cameras
    except BaseException:
        cameras.close()
        raise


class Cameras:
    """Cameras at work, as a file says. Every method may be called from any thread; leaving the ``with`` ends all in
    order.

    Cameras whose models have the same settings share one hub, and so its engine.
    """

    def __init__(
        self, cameras: CameraSet, *, outputs: Sequence[Output] | Output = (), overwrite: bool | None = None
    ) -> None:
        self._shared = dict(cameras.shared)
        if overwrite is not None:
            self._shared["overwrite"] = overwrite
        listed = [*self._shared.pop("outputs", ()), *several(outputs)]
        self._of_each = [one for one in listed if isinstance(one, str | os.PathLike) and "{stream}" in os.fspath(one)]
        self._of_all = [_in_turn(one, threading.Lock()) for one in listed if one not in self._of_each]
        self._at_first = cameras
        self._hubs: dict[str, Hub] = {}
        self._there: dict[str, CameraConfig] = {}
        self._added: Counter[str] = Counter()
        self._left_out: set[str] = set()
        self._lock = threading.RLock()
        self._loop = MergedLoop()
        self._follower: Follower | None = None
        self._closed = False
        try:
            models = _models(cameras)
            for camera in cameras.cameras.values():
                self._hub(camera, len(models))
            for camera in cameras.cameras.values():
                self._add(camera, len(models))
        except BaseException:
            self.close()
            raise

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """What runs, one for each hub."""
        return tuple(info for hub in self._all() for info in hub.models)

    @property
    def has_outputs(self) -> bool:
        """Whether every camera has an output."""
        alone = [camera.options.get("outputs") for camera in self._there.values()]
        return bool(self._of_all or self._of_each or all(alone))

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras that are at work, in the order in which they came; one whose stream has ended is none."""
        with self._lock:
            there = {name for hub in self._hubs.values() for name in hub.cameras}
            return tuple(name for name in self._there if name in there)

    @property
    def stats(self) -> tuple[RunStats, ...]:
        """The statistics of each hub so far; its cameras that are over are among them."""
        return tuple(_with_ended(hub) for hub in self._all())

    def _all(self) -> list[Hub]:
        with self._lock:
            return list(self._hubs.values())

    def follow(self) -> None:
        """From now on, apply what the file says whenever it changes.

        Raises:
            MissingExtraError: watchfiles is not installed.
        """
        self._follower = self._follower or Follower(self._at_first, self.apply)

    def apply(self, cameras: CameraSet | str | os.PathLike[str]) -> None:
        """Have the cameras as a file says: others are added and removed; those that are the same are not touched.

        A camera whose settings have changed is removed and added again; its files then go on in further ones,
        ``door-2.jsonl``. One that cannot be added is logged, and left out. What holds for the whole run stays as it
        was at the start.

        Raises:
            ConfigError: the file has mistakes; nothing changes.
            UsageError: the cameras are closed.
        """
        cameras = cameras if isinstance(cameras, CameraSet) else read_cameras(cameras)
        with self._lock:
            if self._closed:
                raise UsageError("the cameras are closed; open them again")
            if cameras.shared != self._at_first.shared:
                log.warning("%s: what has changed in [run] holds from the next start on", cameras.file)
            for name, camera in list(self._there.items()):
                if cameras.cameras.get(name) != camera:
                    self._remove(name)
            models = _models(cameras)
            for key in [key for key in self._hubs if key not in models]:
                self._hubs.pop(key).close()
            self._left_out.clear()
            for name, camera in cameras.cameras.items():
                if name not in self._there:
                    self._try_to_add(camera, len(models))

    def _hub(self, camera: CameraConfig, models: int) -> Hub:
        """The hub of a camera's model, which is one of so many that share the threads."""
        key = repr(camera.model)
        if key not in self._hubs:
            alone = [one for one in self._of_all if isinstance(one, str | os.PathLike | Sink)]
            if models > 1 and alone:
                shown = os.fspath(alone[0]) if isinstance(alone[0], str | os.PathLike) else alone[0].name
                raise UsageError(
                    f"output {shown!r} holds the results of one model, and the cameras have {models}; "
                    "put {stream} into it, or name it with the cameras"
                )
            threads = max(1, (self._shared.get("threads") or available_cores()) // models)
            hub = live(**camera.model, **{**self._shared, "threads": threads}, outputs=self._of_all)
            self._hubs[key] = hub
            self._loop.add(hub)
        return self._hubs[key]

    def _try_to_add(self, camera: CameraConfig, models: int) -> None:
        try:
            self._add(camera, models)
        except VidgraphError as error:
            self._left_out.add(camera.name)
            log.error("camera %s cannot be added: %s", camera.name, error)

    def _add(self, camera: CameraConfig, models: int) -> None:
        again = self._added[camera.name] > 0
        options = dict(camera.options)
        outputs = [*self._of_each, *options.pop("outputs", ())]
        named = [_free(output, camera.name) if again else output for output in outputs]
        self._hub(camera, models).add(camera.name, camera.address, outputs=named, **options)
        self._there[camera.name] = camera
        self._added[camera.name] += 1
        if again:
            log.info("camera %s is there again", camera.name)

    def _remove(self, name: str) -> None:
        camera = self._there.pop(name)
        try:
            self._hubs[repr(camera.model)].remove(name, REMOVE_S)
        except UsageError:
            log.debug("camera %s had ended before it was removed", name)
        except TimeoutError as error:
            log.warning("camera %s: %s", name, error)

    def __iter__(self) -> Iterator[FrameResult]:
        """The results of all cameras, of each in order, until they are closed or over; as for ``Hub``.

        Raises:
            VidgraphError: what ended a hub, if it was an error.
        """
        with self._lock:
            results = self._loop.results(self._all(), self._over)
        yield from results
        self.wait()

    def _over(self) -> bool:
        """Every camera has left, and none may come back with another file; or one of the hubs has ended."""
        with self._lock:  # cameras that change are away for a moment
            hubs = self._hubs.values()
            waits = bool(self._left_out) and self._follower is not None
            gone = not waits and not any(hub.cameras for hub in hubs)
            return self._closed or gone or any(hub.done for hub in hubs)

    def wait(self, timeout_s: float | None = None) -> tuple[RunStats, ...]:
        """Wait until every camera is over, or all were cancelled, or one of the hubs failed: then all are ended.

        Raises:
            VidgraphError: what ended a hub, if it was an error.
            TimeoutError: they are not over after ``timeout_s``; they go on.
        """
        until = None if timeout_s is None else monotonic() + timeout_s
        pause = threading.Event()
        while not self._over():
            if until is not None and monotonic() >= until:
                raise TimeoutError(f"the cameras are not over after {timeout_s:g} s")
            pause.wait(POLL_S)
        self.cancel()
        errors = []
        for hub in self._all():
            try:
                hub.wait()
            except VidgraphError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return self.stats

    def cancel(self, now: bool = False) -> None:
        """Ask for the end; returns at once, also from a signal handler. :meth:`wait` or :meth:`close` waits for it."""
        for hub in list(self._hubs.values()):
            hub.cancel(now)

    def close(self) -> None:
        """End all cameras in order and free everything; a loop ends."""
        if self._follower is not None:
            self._follower.stop()
        self._loop.stop()
        with self._lock:
            self._closed = True
            self.cancel()
            for hub in self._hubs.values():
                hub.close()

    def __enter__(self) -> Cameras:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _models(cameras: CameraSet) -> set[str]:
    """The models, as keys of hubs."""
    return {repr(camera.model) for camera in cameras.cameras.values()}


def _in_turn(output: Output, lock: threading.Lock) -> Output:
    """A function that several hubs may call: one after the other."""
    if isinstance(output, str | os.PathLike | Sink):
        return output
    function: Callable[[FrameResult], object] = output

    def call(result: FrameResult) -> object:
        with lock:
            return function(result)

    return call


def _with_ended(hub: Hub) -> RunStats:
    stats = hub.stats
    return replace(stats, streams=(*hub.ended, *stats.streams))


def _free(output: Output, stream: str) -> Output:
    """The first of ``door.jsonl``, ``door-2.jsonl``, … that no file has, of a camera that wrote the first before."""
    if not isinstance(output, str | os.PathLike):
        return output
    address = os.fspath(output).replace("{stream}", stream)
    if not kind_of(address).suffixes:
        return output
    path, number = Path(address), 2
    while (other := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    return other
