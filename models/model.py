"""A model that is ready to run: weights, engines by input size, and the stages of a graph."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..engines import Engine, open_engine
from ..engines.open import EngineRow, choose_engine, first_that_takes, place_of_arrays
from ..kernels.device import HOST
from ..pipeline.errors import CheckpointError, UsageError
from ..pipeline.packet import TENSORS, Frame, Key, Packet
from ..pipeline.results.format import ModelInfo, ResultKeys
from ..pipeline.results.frame_result import FrameResult
from ..pipeline.results.result_types import RESULT_TYPES
from ..pipeline.stage import EndReason, Stage, through
from ..pipeline.types.picture import Size
from ..stages.drawing.draw import draw_rgb
from ..stages.inference.engine_cache import EngineCache
from ..stages.inference.infer import RawOutputs, copy_outputs
from ..stages.inference.key_frames import PolicyOf
from ..stages.inference.preprocess import BufferPool, InputSize, Preprocess
from ..stages.inference.raw_tensors import RawTensors
from ..stages.inference.recurrent import Memory
from .given_image import ImageLike, given_image
from .inference import Inference, Propagation
from .options import RAW, PostprocessOptions
from .variant import Variant
from .weights.find import Weights
from .weights.onnx_export import is_exported

if TYPE_CHECKING:
    from torch import nn

NOMINAL_FRAME = (1080, 1920)
"""The frame that a model describes itself for where none is known."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What runs the network; see :func:`..engines.open_engine`. ``batch`` is the most pictures in one run."""

    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    requests: int = 1
    threads: int = 1
    deterministic: bool = False
    batch: int = 1

    def __post_init__(self) -> None:
        if self.deterministic and self.batch > 1:
            raise UsageError(
                f"deterministic runs have batch 1, got {self.batch}, as which frames run together depends on time"
            )

    @property
    def at_once(self) -> int:
        """Frames that have to be in the network at one time so that nothing of it is idle."""
        return max(self.requests, self.batch)


class Model:
    """A loaded model: call it on an image, or put its :meth:`stages` into a graph.

    Engines are opened when the first frame of a geometry comes and are shared by all uses of the
    model. Safe from any thread. ``close`` (or leaving the ``with``) frees them.
    """

    def __init__(
        self,
        row: Variant,
        weights: Weights,
        size: InputSize,
        engine: EngineChoice,
        choices: PostprocessOptions,
        *,
        propagation: Propagation | None = None,
        head: str | None = None,
    ) -> None:
        self.row, self.weights, self.size, self.engine_choice, self.choices = row, weights, size, engine, choices
        self.propagation, self.head = propagation or Propagation(), head
        self._family = weights.family
        self._cache: EngineCache[Any] = EngineCache(self._open_runner)
        self._described: ModelInfo | None = None
        self._pool = BufferPool()

    @property
    def name(self) -> str:
        """The name in commands and results."""
        return self.row.name

    @property
    def settings(self) -> dict[str, Any]:
        """The options that its results depend on, by their names in the table of options; None is the default."""
        keyframes = None if self.propagation == Propagation(1) else str(self.propagation.keyframes)
        return {**asdict(self.choices), "head": self.head, "keyframes": keyframes}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by class id: the caller's labels, or the model's own."""
        return self.choices.labels or self._family.class_names(self.name)

    def tuned(self, *, requests: int, threads: int, deterministic: bool | None = None) -> Model:
        """This model with other threads; it has engines of its own, and is closed by itself."""
        same = self.engine_choice.deterministic if deterministic is None else deterministic
        engine = replace(self.engine_choice, requests=requests, threads=threads, deterministic=same)
        return Model(
            self.row, self.weights, self.size, engine, self.choices, propagation=self.propagation, head=self.head
        )

    def stages(
        self, *, prefix: str = "", keys: ResultKeys | None = None, ahead: int = 0, policy: PolicyOf | None = None
    ) -> list[Stage]:
        """The model as stages of a graph: preprocess, infer, postprocess.

        Args:
            prefix: before the names of stages and inner items, so that two models fit into one graph.
            keys: where the results go; None: each under the key of its type, ``DETECTIONS``, ``LANDMARKS``, …
            ahead: frames of a stream that a video model may hold back, so that key frames to come fill what
                waiting for one would leave idle; 0: every frame is waited for.
            policy: of a video model: its key frames, in place of those it was loaded with.
        """
        results, raw, name = keys or ResultKeys(), Key(f"{prefix}raw", RawOutputs), f"{prefix}postprocess"
        select = copy_outputs if self.head == RAW else self._family.select_outputs(self.name, self.choices)
        chosen = self.engine_choice
        place = place_of_arrays(chosen.engine, chosen.device)
        outputs_on = place if self.head != RAW and self._family.postprocesses_on(place) else HOST
        inference = Inference(
            self._cache, self.size, select, raw, results, self.propagation, prefix, self._pool,
            place, chosen.at_once, ahead, policy, outputs_on,
        )  # fmt: skip
        return [*self._family.infer(self.name, inference), self._postprocess(raw, results, name)]

    def _postprocess(self, raw: Key[RawOutputs], keys: ResultKeys, name: str) -> Stage:
        if self.head == RAW:
            return RawTensors(raw, keys.to(TENSORS), name=name)
        return self._family.postprocess(self.name, self.choices, raw=raw, keys=keys, stage_name=name)

    def preprocess(self) -> Preprocess:
        """The stage that makes the network's input of a whole frame.

        Raises:
            UsageError: the network looks at parts of frames.
        """
        first = self.stages()[0]
        if not isinstance(first, Preprocess):
            raise UsageError(f"{self.name} looks at parts of frames, which other models find; this needs whole frames")
        return first

    def __call__(self, image: ImageLike) -> FrameResult:
        """What is in one picture. Keeps nothing for the next call.

        Args:
            image: RGB (not BGR), uint8 [H, W, 3]; the path of an image file; a Pillow image; or a picture. Files
                and Pillow images are turned as their Exif data says.

        Raises:
            ValueError: the array is something else.
            SourceError: the file cannot be read.
            UsageError: it is no image: a list, a folder, a video, …
        """
        return self.stream("image")(image)

    def stream(self, stream_id: str = "stream") -> ModelStream:
        """A callable for the pictures of one camera, in order, with whatever state the model keeps of it."""
        return ModelStream(self, stream_id)

    def input_size(self, frame: Size) -> Size:
        """Height and width of the network's input for a frame of (height, width) ``frame``."""
        return self.size.fit(frame).size

    def network_file(self, frame: Size, batch: int = 1, graph: str | None = None) -> Path:
        """The ONNX file of a graph (None: the first) for frames of (height, width) ``frame``."""
        return self.weights.network_file(self.input_size(frame), batch, graph)

    def network(self) -> nn.Module:
        """The torch network with the weights, in evaluation mode.

        Raises:
            CheckpointError: the weights are an exported file.
            MissingExtraError: torch is not installed.
        """
        from .weights.checkpoint import load_network

        if is_exported(self.weights.path):
            raise CheckpointError(
                f"{self.weights.path} is an exported file, which has no torch network; load the checkpoint"
            )
        return load_network(self.row, self.weights.path)

    def describe(self, frame: Size | None = None) -> ModelInfo:
        """What runs here, for the first line printed and for the header of results; opens the engine.

        Args:
            frame: (height, width) of the frames to come; without it, of those seen last or of 1920x1080.
        """
        if frame is None and self._described is not None:
            return self._described
        with self._cache.runner(self.input_size(frame or NOMINAL_FRAME)):
            pass
        if self._described is None:
            raise AssertionError("an opened engine describes itself")
        return replace(self._described, input_size=self.input_size(frame or NOMINAL_FRAME))

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the network's graphs; the first needs nothing but the picture."""
        return self._family.graphs(self.name)

    @property
    def key_frames(self) -> bool:
        """Whether it is a video model: frames between key frames are computed from these."""
        return self._family.key_frames(self.name)

    @property
    def memory(self) -> Memory | None:
        """What of the frames before it the outputs of a frame depend on, besides a key frame; None: nothing."""
        return self._family.memory(self.name)

    def requests_for(self, streams: int, most: int) -> int:
        """Runs of the network at one time, of ``most``, that are of use for so many streams.

        With memory, each frame needs the one before it, so there are no more than streams.
        """
        return most if self.memory is None else min(most, max(1, math.ceil(streams / self.engine_choice.batch)))

    @property
    def lookahead(self) -> int:
        """Frames of a file that :meth:`stages` had best be allowed to hold back."""
        return self.propagation.lookahead(self.engine_choice.at_once) if self.key_frames else 0

    def result_keys(self, keys: ResultKeys | None = None) -> ResultKeys:
        """Where results of this model are in a packet, for writers of results; ``keys`` as for :meth:`stages`."""
        chosen = keys or ResultKeys()
        created = self._postprocess(Key("raw", RawOutputs), chosen, "postprocess").creates
        return ResultKeys(self.name, {kind: chosen.to(kind) for kind in RESULT_TYPES if chosen.to(kind) in created})

    def close(self) -> None:
        """Free the engines; what runs is finished first."""
        self._cache.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open_engine(
        self, input_size: Size, batch: int = 1, graph: str | None = None, *, engine: str | None = None
    ) -> Engine:
        """An engine of its own for a graph (None: the first) and an input of (height, width); the caller closes it.

        ``engine`` is in place of the one that the model was loaded with.
        """
        chosen = asdict(self.engine_choice)
        del chosen["batch"]  # it is in the network
        chosen["engine"] = engine or chosen["engine"]
        kind = choose_engine(chosen["engine"]).network
        return open_engine(self.weights.network_file(input_size, batch, graph, kind), **chosen)

    def _open_runner(self, input_size: Size) -> Any:
        chosen = self.engine_choice

        def open_all(row: EngineRow) -> Any:
            def open_one(batch: int, graph: str) -> Engine:
                return self.open_engine(input_size, batch, graph, engine=row.name)

            return self._family.open_runner(
                self.name, open_one, batch=chosen.batch, requests=chosen.requests, propagation=self.propagation
            )

        runner = first_that_takes(
            chosen.engine, chosen.device, self.weights.path.name, open_all, self.weights.kind
        )  # all graphs in one engine
        single = runner.first
        self._described = ModelInfo(
            self.name,
            self.row.trained_on,
            self.weights.path.name,
            self.weights.sha256,
            single.engine,
            single.precision,
            single.device,
            input_size,
            self.class_names,
            self._family.point_names(self.name),
            "" if self.row.folder else self.row.task,
        )
        return runner


class ModelStream:
    """Calls a model on the pictures of one camera, one after the other."""

    def __init__(self, model: Model, stream_id: str) -> None:
        self.model, self.stream_id = model, stream_id
        self._stages = model.stages()
        self._indices = itertools.count()

    def __call__(self, image: ImageLike, *, time_s: float = 0.0, epoch: int = 0) -> FrameResult:
        """What is in the next picture.

        Args:
            image: RGB, uint8 [H, W, 3]; the path of an image file; a Pillow image; or a picture. Files and Pillow
                images are turned as their Exif data says.
            time_s: when it is shown, in seconds from the start of the stream.
            epoch: another number than before drops what the model remembers of the stream.

        Raises:
            ValueError: the array is something else.
            SourceError: the file cannot be read.
            UsageError: it is no image: a list, a folder, a video, …
        """
        given = given_image(image)
        frame = Frame(
            stream_id=self.stream_id,
            index=next(self._indices),
            epoch=epoch,
            pts_ns=round(time_s * 1e9),
            duration_ns=0,
            picture=given.picture,
            damaged=given.damaged,
            file=given.file,
        )
        return FrameResult(through(self._stages, Packet(frame))[-1], (self.model.result_keys(),), draw_rgb)

    def close(self) -> None:
        """Forget the stream."""
        for stage in self._stages:
            list(stage.end_stream(self.stream_id, EndReason.FINISHED))
