"""What a network computes in int8 must be in ranges that real frames show: the frames, and the quantised files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engines.cache import cached_file, key_of
from ...engines.spec import Engine
from ...kernels.device import to_host
from ...pipeline.errors import SourceError, UsageError
from ...pipeline.packet import Frame, Packet
from ...pipeline.redaction import redact_address
from ...pipeline.stage import Stage
from ...pipeline.types.picture import Size
from ...stages.inference.key_frames import PUBLISHED_INTERVAL
from ...stages.sources.camera.options import FEW_FRAMES
from ...stages.sources.registry import open_sources
from ..load import load_model
from ..weights.find import Weights, graph_file
from ..weights.onnx_export import resized

CALIBRATION_FRAMES = 64
"""Frames that ranges are taken from where no number is named."""

LOOKED_AT = 3000
"""Frames of a source that the ones to calibrate with are chosen from."""

Image = NDArray[np.float32]
Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a network is calibrated with.

    Attributes:
        source: the address, for messages.
        size: height and width of the input.
        key_images: float32 [1, 3, h, w] each.
        other_images: of each of them, a frame that follows within a key interval; empty for image models.
    """

    source: str
    size: Size
    key_images: tuple[Image, ...]
    other_images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all images."""
        digest = hashlib.sha256(repr(self.size).encode())
        for image in (*self.key_images, *self.other_images):
            digest.update(image.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Quantised:
    """The quantised graphs of a model, from which files of all sizes are made.

    Attributes:
        weights: of the fp32 network.
        files: graph -> file in the cache.
        frames: how many frames it was calibrated with.
    """

    weights: Weights
    files: dict[str, Path]
    frames: int

    def network(self, size: Size, batch: int, graph: str) -> bytes:
        """As :meth:`..weights.find.Weights.network`."""
        weights = self.weights
        return resized(self.files[graph], weights.family.graph_shape(weights.row.name, size, batch, graph))


def quantised(
    weights: Weights, source: str | os.PathLike[str], size: Size, frames: int = CALIBRATION_FRAMES
) -> Quantised:
    """Quantise a model, or take from the cache what was quantised with the same frames.

    Args:
        weights: of the fp32 network.
        source: what ``vidgraph run`` takes: frames like those that the model will see.
        size: height and width of the input to calibrate at.
        frames: at most so many, spread evenly.

    Raises:
        UsageError: the weights are quantised already, or ``frames`` is below 1.
        SourceError: the source cannot be read, or has no frames.
        MissingExtraError: nncf is not installed.
    """
    from .quantise import nncf_version

    if weights.precision == "int8":
        raise UsageError(f"{weights.path} is quantised already; give the weights it was made of to calibrate again")
    if frames < 1:
        raise UsageError(f"calibration needs at least 1 frame, got {frames}")
    version = nncf_version()
    calibration = collect(weights, source, size, frames)
    keep = weights.family.int8_excluded_nodes(weights.row.name)
    settings = {"images": calibration.digest, "keep": keep, "nncf": version, "network": weights.key}
    digest = key_of(json.dumps(settings, sort_keys=True))[:24]
    about = {"frames": len(calibration.key_images), "source": Path(calibration.source).name, "digest": digest}
    entries = {"vidgraph.precision": "int8", "vidgraph.calibration": json.dumps(about)}
    files = {}
    for graph in weights.graphs:

        def build(path: Path, graph: str = graph) -> None:
            path.write_bytes(_quantised_graph(weights, calibration, graph, entries))

        name = graph_file(Path(f"{weights.row.name}-int8-{digest}.onnx"), graph).name
        files[graph] = cached_file("models", name, build)
    return Quantised(weights, files, len(calibration.key_images))


def collect(weights: Weights, source: str | os.PathLike[str], size: Size, frames: int) -> Calibration:
    """Inputs of the network from at most ``frames`` frames of a source (of video models: and one after each).

    Raises:
        SourceError: the source cannot be read, or has no frames.
    """
    address, video = redact_address(os.fspath(source)), weights.family.key_frames(weights.row.name)
    sources = open_sources([source], frames=LOOKED_AT, camera=FEW_FRAMES)
    share = -(-frames // len(sources))
    spots: list[list[Image]] = []
    with load_model(weights.row.name, weights=weights.path, size=size) as model:
        preprocess = model.preprocess()
        for each in sources:
            each.open()
            try:
                spots += _spread(each.frames(), preprocess, share, follow=video)
            finally:
                each.close()
    if not spots:
        raise SourceError(f"{address} has no frames to calibrate with")
    spots = spots[:frames]
    others = tuple(spot[-1] for spot in spots) if len(weights.graphs) > 1 else ()
    return Calibration(address, size, tuple(spot[0] for spot in spots), others)


def _spread(frames: Iterable[Frame], preprocess: Stage, count: int, *, follow: bool) -> list[list[Image]]:
    """At most ``count`` evenly spread frames of a source, and where ``follow`` one behind each, within a key interval.

    The number of frames is not known beforehand: whenever there are too many, every second is let go.
    """
    stride = PUBLISHED_INTERVAL if follow else 1
    offsets = np.random.default_rng(0)
    spots: list[list[Image]] = []
    following = -1
    for index, frame in enumerate(frames):
        if index % stride == 0:
            spots.append([_image(frame, preprocess)])
            following = index + int(offsets.integers(1, PUBLISHED_INTERVAL)) if follow else -1
            if len(spots) > count:
                following = following if count % 2 == 0 else -1  # the newest goes where their number is even
                spots, stride = spots[::2], 2 * stride
        elif index == following:
            spots[-1].append(_image(frame, preprocess))
    return spots


def _image(frame: Frame, preprocess: Stage) -> Image:
    (packet,) = preprocess.process(Packet(frame))
    (given,) = packet.items.values()
    image: Image = given.tensor.copy()
    given.release()
    return image


def _quantised_graph(weights: Weights, calibration: Calibration, graph: str, entries: dict[str, str]) -> bytes:
    from .quantise import add_metadata, quantise

    name, family = weights.row.name, weights.family
    shape = family.graph_shape(name, calibration.size, 1, graph)
    samples = list(_feeds(weights, calibration, graph))
    network = weights.network(calibration.size, 1, graph)
    content = quantise(network, samples, keep=family.int8_excluded_nodes(name), tables=tuple(shape.tables))
    return add_metadata(content, entries)


def _feeds(weights: Weights, calibration: Calibration, graph: str) -> Iterator[Feeds]:
    """What ``graph`` is fed: the frames; and behind the first graph, what that one gives for real frames.

    Raises:
        UsageError: the graph takes something else.
    """
    first, name = weights.graphs[0], weights.family.input_format(weights.row.name).name
    if graph == first:
        yield from ({name: image} for image in calibration.key_images)
        return
    wanted = weights.family.graph_shape(weights.row.name, calibration.size, 1, graph).inputs
    with ExitStack() as opened:
        model = opened.enter_context(
            load_model(weights.row.name, weights=weights.path, size=calibration.size, precision="fp32")
        )
        engine: Engine = model.open_engine(calibration.size, graph=first)
        opened.callback(engine.close)
        for key, other in zip(calibration.key_images, calibration.other_images, strict=True):
            known = {**engine.run({name: key}), name: other}
            missing = [each for each in wanted if each not in known]
            if missing:
                raise UsageError(
                    f"{weights.row.name} cannot be quantised: its graph {graph} takes {', '.join(missing)}, which no "
                    "graph gives"
                )
            yield {each: to_host(known[each]).copy() for each in wanted}
