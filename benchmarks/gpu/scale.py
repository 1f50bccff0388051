"""How large the inputs are, and what every part is given."""

from __future__ import annotations

from dataclasses import dataclass

from ...kernels.device import Device
from .clock import Clock

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of inputs and numbers of repetitions.

    Attributes:
        name: in the figures.
        frame: (height, width) of pictures.
        side: of a network's square input.
        priors, classes: rows and columns of raw outputs, the background included.
        candidates: rows that are above the threshold.
        detections: of a frame.
        proto: side of the prototypes, of ``channels`` each.
        labels: classes, height and width of a semantic network's logits.
        feature: channels, height and width of features.
        rounds: of a measurement.
        copied: bytes of a copy.
        network: (height, width) of the input of the network that engines run; None: its own.
        runs: of an engine.
        batches: pictures in one run of an engine.
        streams: videos at one time.
        frames: of all videos together.
    """

    name: str
    frame: Size
    side: int
    priors: int
    classes: int
    candidates: int
    detections: int
    proto: int
    channels: int
    labels: tuple[int, int, int]
    feature: tuple[int, int, int]
    rounds: int
    copied: int
    network: Size | None
    runs: int
    batches: tuple[int, ...]
    streams: tuple[int, ...]
    frames: int


FULL = Scale(
    "full", frame=(1080, 1920), side=550, priors=19248, classes=81, candidates=2000, detections=100, proto=138,
    channels=32, labels=(21, 65, 65), feature=(256, 35, 35), rounds=50, copied=1 << 28, network=None, runs=200,
    batches=(1, 4, 16), streams=(1, 8, 32), frames=480,
)  # fmt: skip
QUICK = Scale(
    "quick", frame=(72, 128), side=40, priors=300, classes=9, candidates=60, detections=5, proto=20, channels=8,
    labels=(5, 9, 17), feature=(8, 9, 9), rounds=2, copied=1 << 16, network=(96, 160), runs=3, batches=(1, 2),
    streams=(1, 2), frames=8,
)  # fmt: skip
"""Whether everything works; the times say nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part is given.

    Attributes:
        device: the card.
        clock: of its stream.
        scale: sizes.
        models: of whole runs; engines run the first one.
        engine, precision: of whole runs.
        parity_only: kernels are compared and not timed.
    """

    device: Device
    clock: Clock
    scale: Scale
    models: tuple[str, ...]
    engine: str = "auto"
    precision: str = "auto"
    parity_only: bool = False
