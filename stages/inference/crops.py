"""Networks that see parts of a frame: crops of it, or what another graph gives for parts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...engines import Engine
from ...kernels.device import HOST
from ...pipeline.packet import DETECTIONS, Key, Packet
from ...pipeline.types.affine import Affine
from ...pipeline.types.detections import Detections
from ...pipeline.types.picture import Size
from .engine_cache import Runner
from .infer import RawOutputs, copy_outputs
from .network_stage import NetworkStage
from .preprocess import Fit, Preprocess

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """What the network gets for N parts of a frame; N may be 0.

    Attributes:
        feeds: name of an input -> [N, …], row by row.
        affines: N, from pixels of each crop to frame pixels.
        size: height and width of the input that the engines are opened for.
    """

    feeds: Mapping[str, NDArray[Any]]
    affines: tuple[Affine, ...]
    size: Size


@dataclass(frozen=True)
class CropBoxes(NetworkStage):
    """Cut a crop out of the frame for every detection, and make the network's input of it.

    Reads ``boxes``, another model's results, and creates ``key``. A crop has the aspect of the network's input and the
    box in its middle; what lies outside of the frame has the colour of the padding. Frames that were dropped or that
    the network skips pass unchanged.

    Attributes:
        preprocess: gives size, colours and layout.
        input_name: of the network's input.
        margin: sides of a crop over those of the smallest one that holds its box.
    """

    preprocess: Preprocess
    input_name: str
    key: Key[Crops]
    boxes: Key[Detections] = DETECTIONS
    margin: float = 1.0
    name: str = "crop"

    @property
    def reads(self) -> frozenset[Key[Detections]]:
        """The boxes."""
        return frozenset({self.boxes})

    def added(self, packet: Packet) -> Packet:
        """Add the crops."""
        picture, boxes = packet.frame.picture.on(HOST), packet[self.boxes].boxes
        frame = (picture.height, picture.width)
        size = self.preprocess.size.fit(frame).size
        fits = [fit_box(box, size, frame, self.margin) for box in boxes.tolist()]
        shape = (*size, 3) if self.preprocess.layout == "nhwc" else (3, *size)
        tensor = np.empty((len(fits), *shape), self.preprocess.dtype)
        for row, fit in enumerate(fits):
            self.preprocess.fill(tensor[row : row + 1], picture, fit)
        crops = Crops({self.input_name: tensor}, tuple(fit.affine for fit in fits), size)
        return packet.with_item(self.key, crops)


def fit_box(box: list[float], size: Size, frame: Size, margin: float = 1.0) -> Fit:
    """How a box (x1, y1, x2, y2) of a frame of (height, width) ``frame`` lies in an input of ``size``."""
    x1, y1, x2, y2 = box
    height, width = size
    scale = margin * max((x2 - x1) / width, (y2 - y1) / height, 1.0 / max(size))  # an empty box has one pixel
    left, top = (x1 + x2 - scale * width) / 2, (y1 + y2 - scale * height) / 2
    inside = (
        max(ceil(-top / scale), 0),
        max(ceil(-left / scale), 0),
        min(floor((frame[0] - top) / scale), height),
        min(floor((frame[1] - left) / scale), width),
    )
    return Fit(size, Affine((scale, scale), (left, top)), inside)


class CropRunner(Runner, Protocol):
    """What answers for one crop; a ``QueueRunner``, or ``GraphRunners``."""

    @property
    def first(self) -> Engine:
        """For one crop."""


class CropRunners(Protocol):
    """Gives the runner of an input size."""

    def runner(self, size: Size) -> AbstractContextManager[CropRunner]: ...


@dataclass(frozen=True)
class InferCrops(NetworkStage):
    """Run the network on the crops of a frame, which may share batches with those of other frames and streams.

    Consumes ``crops`` and creates ``key``: one result for each frame, whose arrays have a row for each crop.
    Frames that were dropped or that the network skips pass unchanged.

    Attributes:
        select_outputs: what to keep of the outputs of all crops, [N, …], as arrays of their own; N may be 0.
    """

    engines: CropRunners
    crops: Key[Crops]
    key: Key[RawOutputs]
    select_outputs: Callable[[Mapping[str, NDArray[Any]]], Arrays] = copy_outputs
    name: str = "infer"

    @property
    def reads(self) -> frozenset[Key[Crops]]:
        """The network's inputs."""
        return frozenset({self.crops})

    def added(self, packet: Packet) -> Packet:
        """Replace the network's inputs by its outputs."""
        given = packet[self.crops]
        with self.engines.runner(given.size) as runner:
            arrays = self.select_outputs(_outputs(runner, given, packet.frame.stream_id))
        raw = RawOutputs(arrays, given.size, Affine((1.0, 1.0)), given.affines)
        return packet.without(self.crops).with_item(self.key, raw)


def _outputs(runner: CropRunner, crops: Crops, stream_id: str) -> Arrays:
    """The outputs for all crops, a row for each."""
    if not crops.affines:
        return {spec.name: np.zeros((0, *spec.shape[1:]), spec.dtype) for spec in runner.first.outputs}
    asked: list[Future[Mapping[str, Any]] | Mapping[str, Any]] = []
    for row in range(len(crops.affines)):
        answer = runner.submit({name: each[row : row + 1] for name, each in crops.feeds.items()}, stream_id=stream_id)
        asked.append(copy_outputs(answer.result()) if answer.done() else answer)  # a lease ends with the next run
    rows = [each.result() if isinstance(each, Future) else each for each in asked]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
