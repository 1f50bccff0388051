"""What a network of the user's own gives to :mod:`..base`, and its weights: as a built-in model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...engines.spec import TensorSpec
from ...pipeline.errors import CheckpointError, UsageError
from ...pipeline.packet import Key
from ...stages.infer import RawOutputs
from ...stages.preprocess import Size
from ..checkpoint import sha256_of
from ..family import Arrays, Choices, Family, GraphShape, InputFormat, OutputKeys, Take
from ..registry import ModelRow
from ..weights import Weights
from .complete import completed
from .description import Description, from_one_source, merged
from .facts import NetworkFacts, read_facts
from .fixed import fixed_file
from .head import Head, seen_dtype
from .hugging_face import from_folder
from .picture import PictureInput, choose_size, picture_input
from .postprocess import DecodeOwn
from .recognise import recognise
from .toml_file import from_toml, toml_path
from .ultralytics import from_metadata, trained_on

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """A file of the user's own, looked through.

    Attributes:
        path: the file.
        facts: what it says of itself.
        about: what is known of it from anywhere, complete.
        picture: its input.
        size: (height, width) of that input.
        outputs: as heads see them.
        head: what its outputs are of.
        class_names: by class id.
    """

    path: Path
    facts: NetworkFacts
    about: Description
    picture: PictureInput
    size: Size
    outputs: tuple[TensorSpec, ...]
    head: Head
    class_names: tuple[str, ...]


def describe_file(path: Path, facts: NetworkFacts) -> Description:
    """All that is known besides the graph: the metadata, then Hugging Face's files, then the TOML, which wins.

    Raises:
        UsageError: the TOML has an unknown key or a value that does not fit.
        CheckpointError: a configuration beside the file is no JSON.
    """
    folder = path.parent.parent if path.parent.name == "onnx" else path.parent
    about = merged(from_metadata(facts.metadata), from_folder(folder))
    sizes = next((fact.name for fact in facts.inputs if fact.name in ("orig_target_sizes", "im_shape")), None)
    if sizes is not None:
        about = merged(about, from_one_source(f"the input {sizes!r}", {"boxes_unit": "pixels"}))
    return merged(about, from_toml(toml_path(path)))


def look_through(
    path: Path,
    *,
    size: int | Size | None = None,
    head: str | None = None,
    engine: str = "auto",
    labels: tuple[str, ...] | None = None,
) -> OwnNetwork:
    """Read a network, fix its axes, and find out what its outputs are of.

    Args:
        path: an ONNX file.
        size: of its input, a side or (height, width), where the file leaves it open.
        head: a name of ``HEADS``, before what the file and its TOML say.
        engine: the one to ask for shapes first.
        labels: names of the classes that the caller gives, in place of those that are known.

    Raises:
        UsageError: the size does not fit, or no head does, or several.
        CheckpointError: the file is damaged, or takes or gives what cannot be run.
        EngineError: no engine can read it.
    """
    facts = read_facts(path)
    about = describe_file(path, facts)
    picture = picture_input(path, facts, about.input)
    chosen = choose_size(path, picture, about.input, size)
    file = fixed_file(path, facts, picture, chosen, engine=engine)
    outputs = seen_outputs(path, facts if file == path else read_facts(file))
    if labels is not None:
        about = merged(about, from_one_source("the labels given", {"classes": labels}))
    found = recognise(outputs, about, chosen, name=path.name, head=head)
    about = completed(about, found, picture, path.name)
    return OwnNetwork(path, facts, about, picture, chosen, outputs, found, _class_names(path, about, found))


def seen_outputs(path: Path, facts: NetworkFacts) -> tuple[TensorSpec, ...]:
    """The outputs of a file whose shapes are fixed, with the dtypes that heads see.

    Raises:
        CheckpointError: one has a dtype that NumPy does not have.
    """
    seen = []
    for fact in facts.outputs:
        try:
            dtype = seen_dtype(np.dtype(fact.dtype))
        except TypeError as error:
            raise CheckpointError(
                f"{path}: output {fact} has a type that cannot be read; export it as float32"
            ) from error
        seen.append(TensorSpec(fact.name, dtype, tuple(int(length or 0) for length in fact.shape or ())))
    return tuple(seen)


def _class_names(path: Path, about: Description, head: Head) -> tuple[str, ...]:
    """Names by class id.

    Raises:
        UsageError: more or fewer are known than the outputs speak of, or none where these do not say how many.
    """
    named, count = about.classes, head.class_count
    if named is None:
        if count is None and head.kind != "raw":
            raise UsageError(
                f"{path}: the outputs of {head.kind} do not say how many classes there are; name them with --labels "
                f"(labels=), or classes in {toml_path(path).name}"
            )
        return tuple(f"class {index}" for index in range(count or 0))
    if count is not None and len(named) != count:
        source = about.sources.get("classes", "the description")
        raise UsageError(
            f"{path}: {source} names {len(named)} classes, and the outputs have {count} ({head.kind}); "
            f"correct classes in {toml_path(path).name} (or --labels), or say another head"
        )
    return named


@dataclass(frozen=True, slots=True)
class TakeSeen:
    """A head's ``take`` on outputs of the dtypes that it sees."""

    take: Take

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Arrays:
        return self.take({name: np.asarray(array, seen_dtype(array.dtype)) for name, array in outputs.items()})


@dataclass(frozen=True, slots=True)
class OwnFamily(Family):
    """Answers for the one network it was made of; see :class:`..family.Family`."""

    own: OwnNetwork

    def network(self, name: str) -> nn.Module:
        """There is none.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{self.own.path} is an ONNX file, which has no torch network")

    def settings(self, name: str) -> dict[str, object]:
        """None: it is not exported."""
        return {}

    def input_format(self, name: str) -> InputFormat:
        """As described."""
        made, picture = self.own.about.input, self.own.picture
        if made.mean is None or made.std is None or made.pad is None:
            raise AssertionError("the description of a looked-through network is complete")
        return InputFormat(
            picture.name, made.mean, made.std, made.color == "bgr", made.pad, max(self.own.size),
            dtype=picture.dtype, layout=picture.layout,
        )  # fmt: skip

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """Of the picture and the outputs."""
        outputs = {spec.name: spec.shape for spec in self.own.outputs}
        return GraphShape({self.own.picture.name: self.own.picture.shape(size, batch)}, outputs)

    def class_names(self, name: str) -> tuple[str, ...]:
        """As described, or numbered."""
        return self.own.class_names

    def point_names(self, name: str) -> tuple[str, ...]:
        """Of the head."""
        return self.own.head.point_names

    def take(self, name: str, choices: Choices) -> Take:
        """The head's."""
        return TakeSeen(self.own.head.take(choices))

    def gives(self, name: str, keys: OutputKeys) -> frozenset[Key[Any]]:
        """What the head gives."""
        return self.own.head.creates(keys)

    def postprocess(
        self, name: str, choices: Choices, *, raw: Key[RawOutputs], keys: OutputKeys, stage_name: str
    ) -> DecodeOwn:
        """The head's decode."""
        names = choices.labels or self.own.class_names
        return DecodeOwn(self.own.head, raw, choices, names, keys, stage_name)


@dataclass(frozen=True, slots=True)
class OwnWeights(Weights):
    """The file, and copies of it with fixed axes."""

    engine: str = "auto"

    @classmethod
    def of(cls, name: str, own: OwnNetwork, engine: str = "auto") -> OwnWeights:
        """As the weights of a model called ``name``."""
        family = OwnFamily(own)
        row = replace(_ROW, name=name, task=own.head.task, trained_on=trained_on(own.facts.metadata))
        return cls(row, own.path, sha256_of(own.path), family, engine)

    @property
    def own(self) -> OwnNetwork:
        """What was found out about it."""
        family = self.family
        if not isinstance(family, OwnFamily):
            raise AssertionError("made by OwnWeights.of")
        return family.own

    @property
    def precision(self) -> str:
        """Of the tensors: an engine says what it makes of a quantised file."""
        return "fp32"

    def check_precision(self, asked: str) -> None:
        """The engine's matter: a file of any precision may be given."""

    def network_file(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> Path:
        """The file for pictures of (height, width) ``size``."""
        own = self.own
        return fixed_file(self.path, own.facts, own.picture, size, batch=batch, engine=self.engine)

    def network(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> bytes:
        """Its bytes."""
        return self.network_file(size, batch, graph).read_bytes()


_ROW = ModelRow(
    name="",
    aliases=(),
    folder="own",
    task="",
    source="a file of your own",
    licence="",
    trained_on="",
    weights=(),
    verified=False,
    verification="a file of your own",
)
