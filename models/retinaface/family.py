"""What this folder gives to :mod:`..model`: networks, shapes and stages of all variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernels import queued
from ...kernels.device import Device
from ...pipeline.errors import UsageError
from ...pipeline.packet import Key
from ...pipeline.results.format import ResultKeys
from ...stages.inference.infer import RawOutputs
from ..formats import GraphShape, InputFormat, OutputSelector
from ..options import PostprocessOptions
from ..trainable import TrainableFamily, TrainingLayout
from .config import CLASS_NAMES, CONFIGS, MEAN_BGR, POINT_NAMES
from .postprocess import MIN_SCORE, DecodeFaces, SelectCandidates, priors_of

if TYPE_CHECKING:
    from torch import nn

Shapes = dict[str, tuple[int, ...]]
_OUTPUTS = {"loc": 4, "conf": 2, "landm": 10}


class RetinaFaceFamily(TrainableFamily):
    """See :class:`..family.Family`."""

    def network(self, name: str) -> nn.Module:
        """The torch network with fresh weights; imports torch."""
        from .network import build_network

        return build_network(CONFIGS[name])

    def settings(self, name: str) -> dict[str, object]:
        """Anchors, strides, variances and activation."""
        return CONFIGS[name].as_metadata()

    def input_format(self, name: str) -> InputFormat:
        """BGR minus the mean, 640 pixels on the longer side; uncovered pixels are the mean colour."""
        blue, green, red = (int(value) for value in MEAN_BGR)
        return InputFormat("image", MEAN_BGR, (1.0, 1.0, 1.0), bgr=True, pad=(red, green, blue), long_side=640)

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """One row per prior; the pyramid's two enlargements are to the exact size of the next level."""
        config = CONFIGS[name]
        count = config.prior_count(size)
        outputs: Shapes = {output: (batch, count, row) for output, row in _OUTPUTS.items()}
        enlarged = (16, 8) if config.channels else ()
        constants: Shapes = {
            f"fpn.size_at_{stride}": (batch, config.channels, *config.map_size(size, stride)) for stride in enlarged
        }
        return GraphShape({"image": (batch, 3, *size)}, outputs, constants)

    def class_names(self, name: str) -> tuple[str, ...]:
        """There is one class."""
        return CLASS_NAMES

    def point_names(self, name: str) -> tuple[str, ...]:
        """Eyes, nose, corners of the mouth."""
        return POINT_NAMES

    def postprocesses_on(self, device: Device) -> bool:
        """Where the kernels do that follow one another without a wait."""
        return queued.available(device)

    def select_outputs(self, name: str, choices: PostprocessOptions) -> OutputSelector:
        """The rows that score enough, best first."""
        return SelectCandidates(MIN_SCORE if choices.min_score is None else choices.min_score)

    def postprocess(
        self, name: str, choices: PostprocessOptions, *, raw: Key[RawOutputs], keys: ResultKeys, stage_name: str
    ) -> DecodeFaces:
        """Decode, map to the frame, suppress.

        Raises:
            UsageError: another suppression than the model's own is asked for.
        """
        if choices.nms is not None:
            raise UsageError(f"{name} has one kind of suppression; leave out nms (got {choices.nms!r})")
        return DecodeFaces.of(CONFIGS[name], choices, raw=raw, keys=keys, stage_name=stage_name)

    def start_from(self, network: nn.Module) -> None:
        """See :func:`.network.start_from`."""
        from .network import start_from

        start_from(network)

    def training_layout(self, name: str, size: tuple[int, int]) -> TrainingLayout:
        """Anchors alone."""
        config = CONFIGS[name]
        return TrainingLayout(priors_of(config, size), config.variances)


FAMILY = RetinaFaceFamily()
