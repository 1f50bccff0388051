"""What a model's folder gives to the rest: one object that answers for all names of the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..kernels.device import HOST, Device
from ..pipeline.packet import Key
from ..pipeline.results.format import ResultKeys
from ..pipeline.stage import Stage
from ..stages.inference.infer import Infer, RawOutputs
from ..stages.inference.recurrent import Memory, RecurrentInfer
from ..stages.inference.runners import GraphRunners, OpenEngine, QueueRunner
from ..stages.inference.temporal import MOST_STREAMS
from .formats import GraphShape, InputFormat, OutputSelector
from .options import PostprocessOptions

if TYPE_CHECKING:
    from torch import nn

    from .inference import Inference, Propagation


class Family(Protocol):
    """The implementation of one folder of models; a class that inherits this has the defaults given here.

    Each of its names has one graph, named ``""``, unless :meth:`graphs` says otherwise.
    """

    def graphs(self, name: str) -> tuple[str, ...]:
        """Names of the exported graphs; the first needs nothing but the picture."""
        return ("",)

    def key_frames(self, name: str) -> bool:
        """Whether it is a video model, see :class:`.key_frames.KeyFrameFamily`."""
        return False

    def memory(self, name: str) -> Memory | None:
        """What of the frames before it a frame's outputs depend on, besides a key frame; None: nothing."""
        return None

    def open_runner(
        self, name: str, open_engine: OpenEngine, *, batch: int, requests: int, propagation: Propagation
    ) -> Any:
        """What runs the graphs for one input size: ``close`` and ``first``, an engine, besides what the stages want.

        By default the graphs run one after the other, each on what those before it give and it takes.

        Args:
            name: of the model.
            open_engine: opens the engine of a batch size and a graph.
            batch: inputs in one run, at most.
            requests: runs at one time.
            propagation: of a model with key frames.
        """
        graphs = self.graphs(name)
        if len(graphs) == 1:
            return QueueRunner.open(open_engine, graphs[0], batch=batch, requests=requests)
        return GraphRunners.open(open_engine, graphs, batch=batch, requests=requests)

    def infer(self, name: str, given: Inference) -> list[Stage]:
        """The stages from a frame to what is kept of the network's outputs; by default it sees the whole frame."""
        form, memory = self.input_format(name), self.memory(name)
        if memory is not None:
            recurrent = RecurrentInfer(
                given.engines, form.name, given.input_key, given.key, memory=memory,
                select_outputs=given.select_outputs, name=f"{given.prefix}infer", device=given.outputs_on,
                most_streams=None if given.device == HOST else MOST_STREAMS,
            )  # fmt: skip
            return [given.preprocess(form), recurrent]
        infer = Infer(
            given.engines, form.name, given.input_key, given.key, given.select_outputs,
            name=f"{given.prefix}infer", device=given.outputs_on,
        )  # fmt: skip
        return [given.preprocess(form), infer]

    def postprocesses_on(self, device: Device) -> bool:
        """Whether :meth:`select_outputs` and :meth:`postprocess` work on a device; if not, outputs come to the host."""
        return device == HOST

    def rename_key(self, key: str) -> str | None:
        """What the network calls the tensor that a published file calls ``key``; None: not needed, ignored."""
        return key

    def unused(self, name: str) -> tuple[str, ...]:
        """Beginnings of the names of tensors that no graph reads, so that a file may lack them."""
        return ()

    def for_shapes(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> Family:
        """This family for a file with these tensors: the number of classes may be another."""
        return self

    def for_settings(self, name: str, settings: Mapping[str, Any]) -> Family:
        """This family for an exported file with these settings."""
        return self

    def identifiable_by_shapes(self, name: str) -> bool:
        """Whether a file with the tensors of this model is taken for it; else its name, or the caller, must say so."""
        return True

    def rank_candidates(self, names: list[str], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Of ``names`` that all fit a file, those that its tensors, with their own names, speak for."""
        return names

    def traced(self, network: nn.Module, graph: str) -> nn.Module:
        """What is exported as ``graph``: takes and gives its tensors in the order of :meth:`graph_shape`."""
        return network

    def network(self, name: str) -> nn.Module:
        """The torch network in evaluation mode with fresh weights; imports torch."""

    def settings(self, name: str) -> dict[str, object]:
        """What must be the same in an exported file for it to mean the same thing; plain JSON values."""

    def input_format(self, name: str) -> InputFormat:
        """How the network wants its picture."""

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """The shapes of ``graph`` for an input of ``size`` (height, width)."""

    def class_names(self, name: str) -> tuple[str, ...]:
        """Names of the classes."""

    def point_names(self, name: str) -> tuple[str, ...]:
        """Names of the points of each object; empty where the model gives none."""

    def int8_excluded_nodes(self, name: str) -> tuple[str, ...]:
        """Patterns (:func:`re.match`) of the names of nodes in exported graphs that quantising leaves as they are."""
        return ()

    def select_outputs(self, name: str, choices: PostprocessOptions) -> OutputSelector:
        """What to keep of the engine's outputs (batch of one), as arrays of their own."""

    def postprocess(
        self, name: str, choices: PostprocessOptions, *, raw: Key[RawOutputs], keys: ResultKeys, stage_name: str
    ) -> Stage:
        """The stage that makes results in displayed pixels of what :meth:`select_outputs` kept."""
