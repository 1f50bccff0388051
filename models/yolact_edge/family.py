"""What this folder gives to :mod:`..model`: networks, graphs, shapes and stages of all variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...kernels import queued
from ...kernels.device import Device
from ...pipeline.packet import Key
from ...pipeline.results.format import ResultKeys
from ...pipeline.types.picture import Size
from ...stages.inference.infer import RawOutputs
from ..family import Family
from ..formats import GraphShape, InputFormat, OutputSelector
from ..key_frames import KeyFrameFamily
from ..options import PostprocessOptions
from ..trainable import TrainableFamily, TrainingLayout
from .config import CONFIGS, SIZE, VARIANCES, YolactConfig, map_size
from .grid import FLOW_UNIT, grid_tables
from .postprocess import MIN_CONFIDENCE, MIN_SCORE, DecodeInstances, SelectRows
from .priors import priors_of

if TYPE_CHECKING:
    from torch import nn

Shapes = dict[str, tuple[int, ...]]

KEY, NON_KEY = "key", "non_key"
"""The graphs of a video model; the state goes from the first to the second."""

_CLASSES = "prediction_layers.0.conf_layer.bias"

# What quantising leaves alone; nodes without a folder belong to no layer: the grid, the evidence, the sum of P3.
_FLOW = (r"/flow_net", r"/warp(_\d+)?/", r"/spa/", r"/[A-Z]\w*$")


@dataclass(frozen=True)
class YolactFamily(KeyFrameFamily, TrainableFamily):
    """See :class:`..family.Family`; ``classes`` is the number of foreground classes where it is not the model's own."""

    classes: int | None = None

    def config(self, name: str) -> YolactConfig:
        """The variant, with the classes of the file."""
        config = CONFIGS[name]
        return config if self.classes is None else config.with_classes(self.classes)

    def graphs(self, name: str) -> tuple[str, ...]:
        """One, or key and non-key frames."""
        return (KEY, NON_KEY) if self.key_frames(name) else ("",)

    def key_frames(self, name: str) -> bool:
        """Those with a flow network."""
        return CONFIGS[name].flow

    def rename_key(self, key: str) -> str | None:
        """YOLACT's own names, which have one pyramid where YolactEdge has two halves; remains of training are left out.

        Files of YOLACT 1.0 have one convolution more above P5 than the network, and those made from an
        ImageNet backbone may have its layers twice.
        """
        if key.startswith("backbone.layer") and not key.startswith("backbone.layers"):
            return None
        for pyramid in ("fpn.", "fpn_phase_2."):
            index = key.removeprefix(f"{pyramid}downsample_layers.").partition(".")[0]
            if index.isdigit() and int(index) >= 2:
                return None
        if key.startswith("fpn.lat_layers."):
            return f"fpn_phase_1.{key.removeprefix('fpn.')}"
        if key.startswith("fpn."):
            return f"fpn_phase_2.{key.removeprefix('fpn.')}"
        return key

    def unused(self, name: str) -> tuple[str, ...]:
        """The semantic head, and what no frame's outputs depend on."""
        config = CONFIGS[name]
        stages = ("backbone.layers.7.", "backbone.layers.8.") if config.backbone == "mobilenetv2" else ()
        whole = config.flow and not config.compact
        flow = ("flow_net.pred1.", "flow_net.upfeat2.", "flow_net.upflow2.") if whole else ()
        return ("semantic_seg_conv.", *stages, *flow)

    def for_shapes(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> Family:
        """With as many classes as the file has logits."""
        (columns,) = shapes.get(_CLASSES, (0,))
        classes, odd = divmod(columns, len(CONFIGS[name].aspects))
        if odd or classes < 2 or classes == CONFIGS[name].columns:
            return FAMILY
        return YolactFamily(classes - 1)

    def for_settings(self, name: str, settings: Mapping[str, Any]) -> Family:
        """With as many classes as the exported file says."""
        classes = settings.get("class_names")
        own = len(CONFIGS[name].class_names)
        return YolactFamily(classes) if isinstance(classes, int) and 0 < classes != own else FAMILY

    def identifiable_by_shapes(self, name: str) -> bool:
        """Not where only the anchors are others, which no tensor tells."""
        config = CONFIGS[name]
        return config.compact or config.usual_anchors

    def rank_candidates(self, names: list[str], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """YOLACT and YolactEdge give the pyramid different names; other anchors may have classes of their own."""
        edge = not any(key.startswith("fpn.") for key in shapes)

        def possible(name: str) -> bool:
            own_classes = self.for_shapes(name, shapes) is FAMILY
            return self.identifiable_by_shapes(name) or (own_classes and CONFIGS[name].side == SIZE)

        names = [name for name in names if possible(name)]
        return [name for name in names if name.startswith("yolact-edge") == edge] or names

    def traced(self, network: nn.Module, graph: str) -> nn.Module:
        """The network itself, or one of its two graphs."""
        from .network import KeyGraph, NonKeyGraph, YolactVideo

        if not isinstance(network, YolactVideo):
            return network
        return KeyGraph(network) if graph == KEY else NonKeyGraph(network)

    def network(self, name: str) -> nn.Module:
        """The torch network with fresh weights; imports torch."""
        from .network import build_network

        return build_network(self.config(name))

    def settings(self, name: str) -> dict[str, object]:
        """Backbone, classes, anchors, and how frames are propagated."""
        return self.config(name).as_metadata()

    def input_format(self, name: str) -> InputFormat:
        """Normalised RGB, of one shape (most: square) whatever the aspect of the frame."""
        config = CONFIGS[name]
        size = None if config.height is None else config.size
        mean, std = config.normalisation
        return InputFormat(
            "image", mean, std, bgr=False, pad=(0, 0, 0), long_side=config.side, stretch=True,
            torch_resize=not config.compact, size=size,
        )  # fmt: skip

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """One row per prior; resizes go to the exact size of a level."""
        config = self.config(name)
        channels, coefficients, protos = config.channels, config.coefficients, config.proto_size(size)
        at_8, at_16, at_32 = (map_size(size, stride) for stride in (8, 16, 32))
        count = config.prior_count(size, config.slim_levels if graph == NON_KEY else None)
        inputs: Shapes = {"image": (batch, 3, *size)}
        outputs: Shapes = {"loc": (batch, count, 4), "logits": (batch, count, config.columns)}
        outputs |= {"coeff": (batch, count, coefficients), "proto": (batch, *protos, coefficients)}
        state: Shapes = {"state_p4": (batch, channels, *at_16), "state_p5": (batch, channels, *at_32)}
        state |= {"state_pre": (batch, config.flow_widths[0], *(at_16 if config.compact else at_8))}
        if config.carry_protos:
            state |= {"state_proto": outputs["proto"]}
        pyramid: Shapes = {"fpn.size_at_16": (batch, channels, *at_16), "fpn.size_at_8": (batch, channels, *at_8)}
        mixed = (config.widths[1], *map_size(size, 4)) if config.compact else (channels, *protos)
        proto: Shapes = {"proto.size": (batch, *mixed)}
        if graph != NON_KEY:
            return GraphShape(inputs, outputs | (state if graph == KEY else {}), pyramid | proto)
        constants = _flow_sizes(config, batch, at_16) | {"fpn.size_at_8": pyramid["fpn.size_at_8"]}
        if config.spa:
            constants |= {f"spa.size_at_{stride}": (batch, channels, *map_size(size, stride)) for stride in (16, 32)}
        warped = {"p4": at_16, "p5": at_32}
        if config.carry_protos:
            proto = {"proto.size": (batch, 2, *protos)}
            warped |= {"proto": protos}
        tables = {
            f"warp_{level}.{field}": table
            for level, maps in warped.items()
            for field, table in grid_tables(maps, batch).items()
        }
        return GraphShape(inputs | state, outputs | {"evidence": (batch,)}, constants | proto, tables)

    def int8_excluded_nodes(self, name: str) -> tuple[str, ...]:
        """Flow, warp and refinement; measured in the README of the folder."""
        return _FLOW

    def class_names(self, name: str) -> tuple[str, ...]:
        """Of the data set, or numbered where the file has another number of classes."""
        return self.config(name).class_names

    def point_names(self, name: str) -> tuple[str, ...]:
        """There are none."""
        return ()

    def postprocesses_on(self, device: Device) -> bool:
        """Where the kernels do that follow one another without a wait."""
        return queued.available(device)

    def select_outputs(self, name: str, choices: PostprocessOptions) -> OutputSelector:
        """The rows that score enough, and the prototypes."""
        return SelectRows(max(MIN_CONFIDENCE, MIN_SCORE if choices.min_score is None else choices.min_score))

    def postprocess(
        self, name: str, choices: PostprocessOptions, *, raw: Key[RawOutputs], keys: ResultKeys, stage_name: str
    ) -> DecodeInstances:
        """Decode, suppress, assemble masks."""
        return DecodeInstances.of(self.config(name), choices, raw=raw, keys=keys, stage_name=stage_name)

    def for_classes(self, name: str, count: int) -> YolactFamily:
        """With as many classes."""
        return self if count == len(self.class_names(name)) else YolactFamily(count)

    def start_from(self, network: nn.Module) -> None:
        """See :func:`.compact.start_from`."""
        from .compact import start_from

        start_from(network)

    def part_of_frame(self, name: str, size: Size) -> float:
        """Of compact variants, whose anchors have the same pixels in any input: things are as large as in their own."""
        config = CONFIGS[name]
        return min(size[1] / config.side, 1.0) if config.compact else 1.0

    def training_layout(self, name: str, size: Size) -> TrainingLayout:
        """Anchors, prototypes, and flow at the stride of P4."""
        config = self.config(name)
        return TrainingLayout(
            priors_of(config, size),
            VARIANCES,
            config.proto_size(size),
            map_size(size, 8),
            map_size(size, 16),
            FLOW_UNIT,
        )


def _flow_sizes(config: YolactConfig, batch: int, at_16: Size) -> Shapes:
    compared, deep = config.flow_widths[0], config.flow_widths[3]
    channels = {"features": deep, "flow": 2} | ({} if config.compact else {"target": compared, "key": compared})
    return {f"flow.{name}_size": (batch, count, *at_16) for name, count in channels.items()}


FAMILY = YolactFamily()
