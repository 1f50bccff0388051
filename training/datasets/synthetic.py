"""Synthetic scenes as a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...pipeline.packet import Frame
from ...pipeline.types.picture import Picture
from ...stages.sources.clock import NANOSECONDS
from ...stages.sources.synthetic.render import SceneRenderer
from ...stages.sources.synthetic.settings import STUFF, THINGS, VERSION, SyntheticSettings, parse_synthetic
from ...stages.sources.synthetic.truth import render_with_truth
from .dataset import Clip, DataSample


@dataclass(frozen=True, slots=True)
class SyntheticDataset:
    """Every frame of it is annotated."""

    settings: SyntheticSettings

    class_names = THINGS
    stuff_names = STUFF
    version = VERSION

    @property
    def name(self) -> str:
        """The address that stands for it."""
        return self.settings.address

    @property
    def clips(self) -> tuple[Clip, ...]:
        """In order, each with a name that no other has."""
        settings = self.settings
        return tuple(
            Clip(f"{settings.name}-{number}", settings.frames, settings.size, settings.rate)
            for number in range(settings.first, settings.first + settings.clips)
        )

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        """The frames of a clip, in order."""
        number = int(clip.name.rpartition("-")[2])
        for index in range(clip.frames):
            yield self.sample(number, index)

    def sample(self, clip: int, index: int) -> DataSample:
        """One frame of the clip with this number."""
        rendered, truth = render_with_truth(SceneRenderer(self.settings, clip), index, flow=self.settings.flow)
        step = NANOSECONDS / self.settings.rate
        picture = Picture.from_rgb(rendered.picture())
        name = f"{self.settings.name}-{clip}"
        return DataSample(Frame(name, index, 0, round(index * step), round(step), picture), truth)


def open_synthetic(address: str) -> SyntheticDataset:
    """The data set that an address such as ``synth:street?split=hard`` means.

    Raises:
        UsageError: there is no such scene, or an option is wrong.
    """
    return SyntheticDataset(parse_synthetic(address))
