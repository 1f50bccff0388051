"""Inspecting a custom model: what is known about it, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engines.network_file import TFLITE, NetworkInfo, kind_of
from ...engines.spec import TensorSpec
from ...pipeline.errors import CheckpointError, UsageError, VidgraphError
from ...pipeline.types.picture import Size
from ...stages.inference.recurrent import Memory
from ..known_classes import COCO, at_coco_ids
from .defaults import completed
from .description import Description, from_one_source, merged
from .detect_head import recognise
from .graph_end import ends_of
from .head import Head, seen_dtype
from .hugging_face import from_folder
from .image_input import ImageInput, find_image_input
from .inside import INSIDE, SOFTMAX, ends_in_softmax
from .memory import find_memory, memory_of
from .mmdeploy_files import from_mmdeploy
from .network import ReadNetwork, read_info, read_network
from .own_size import any_size, as_placed, check_own_size, first_size, settled
from .rf_detr import from_rf_detr
from .static_shapes import with_static_shapes
from .toml_file import from_toml, toml_path
from .ultralytics import EXPORTER, from_metadata, from_names

_SIZES = ("orig_target_sizes", "im_shape", "scale_factor")
"""Inputs of which boxes come in pixels."""


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """A file with fixed axes whose outputs are not parsed yet.

    Attributes:
        path: the file.
        info: what it says of itself.
        about: what else is known of it, from anywhere.
        image: its input.
        size: (height, width) of that input.
        file: the file or a copy, with fixed axes, for a batch of one.
        outputs: with the dtypes that heads see.
        memory: what its inputs besides the picture are given of the frame before; None: nothing.
    """

    path: Path
    info: NetworkInfo
    about: Description
    image: ImageInput
    size: Size
    file: Path
    outputs: tuple[TensorSpec, ...]
    memory: Memory | None

    @property
    def shown(self) -> tuple[TensorSpec, ...]:
        """The outputs without those that are state and nothing else."""
        return tuple(spec for spec in self.outputs if spec.name not in self.image.memory.hidden)


@dataclass(frozen=True, slots=True)
class CustomNetwork(InspectedFile):
    """A model whose outputs are parsed.

    Attributes:
        about: complete.
        head: what its outputs are of.
        class_names: by class id.
    """

    head: Head
    class_names: tuple[str, ...]


def inspect_model(
    path: Path,
    *,
    size: int | Size | None = None,
    head: str | None = None,
    engine: str = "auto",
    labels: tuple[str, ...] | None = None,
    said: Description | None = None,
) -> CustomNetwork:
    """Read a model, fix its axes, and find the head that its outputs belong to.

    Args:
        path: an ONNX file, an OpenVINO IR or a TensorFlow Lite file.
        size: of its input, a side or (height, width), where the file leaves it open.
        head: a name of ``HEADS``, before what the file and its TOML say.
        engine: the one to ask for shapes first.
        labels: names of the classes that the caller gives, in place of those that are known.
        said: of a published network, in place of the TOML beside the file.

    Raises:
        UsageError: the size does not fit, or no head does, or several.
        CheckpointError: the file is damaged, or takes or gives what cannot be run.
        EngineError: no engine can read it.
    """
    return parse_outputs(inspect_file(path, size=size, engine=engine, labels=labels, said=said), head)


def inspect_file(
    path: Path,
    *,
    size: int | Size | None = None,
    engine: str = "auto",
    labels: tuple[str, ...] | None = None,
    said: Description | None = None,
) -> InspectedFile:
    """The first half of :func:`inspect_model`: everything but the outputs."""
    network = read_network(path)
    info, about = network.info, describe_file(path, network, said)
    del network  # and the weights with it
    if labels is not None:
        about = merged(about, from_one_source("the labels given", {"classes": labels}))
    image = find_image_input(path, info, about.input, find_memory(path, info, about))
    chosen, is_open = first_size(path, image, about.input, size), any_size(image, about.input, size)
    source = about.sources.get("input.size", "")
    if source == toml_path(path).name and size is None and about.input.size != chosen:
        raise UsageError(f"{source} says another size than {path} has, {chosen[1]}x{chosen[0]}; correct or remove it")
    if not is_open and (about.input.size != chosen or size is not None):
        source = "the network" if None not in image.size else "the size given"
        about = merged(about, from_one_source(source, {"input.size": chosen}))
    try:
        file = with_static_shapes(path, info, image, chosen, engine=engine)
    except VidgraphError as error:
        check_own_size(path, image, about, None, because=error)
        raise
    fixed = info if file == path else read_info(file)
    memory = memory_of(path, image.memory, fixed)
    return InspectedFile(path, info, about, image, chosen, file, seen_outputs(path, fixed), memory)


def remembers(path: Path) -> bool:
    """Whether a network is given its own outputs, or the picture of the frame before.

    Raises:
        CheckpointError, UsageError: as :func:`inspect_model`.
    """
    info = read_info(path)
    memory = find_memory(path, info, from_toml(toml_path(path)))
    return bool(memory.pairs) or memory.previous is not None


def parse_outputs(given: InspectedFile, head: str | None = None) -> CustomNetwork:
    """The second half of :func:`inspect_model`: which head the outputs belong to, and the names of its classes.

    Raises:
        UsageError: no head fits, or several, or the classes do not; or too little is known of the picture.
    """
    if not given.shown:
        raise UsageError(
            f"{given.path}: all its outputs are state; name under [outputs] in {toml_path(given.path).name} what is a "
            f'result too, such as logits = "{given.outputs[0].name}"'
        )
    try:
        return _parsed(given, head)
    except UsageError:
        for spread in _at_coco_ids(given.about):
            with suppress(UsageError):
                return _parsed(replace(given, about=spread), head)
        raise


def _parsed(given: InspectedFile, head: str | None) -> CustomNetwork:
    path, image, about = given.path, given.image, given.about
    try:
        found = recognise(given.shown, about, given.size, name=path.name, head=head, inputs=given.info.inputs)
    except UsageError as error:
        check_own_size(path, image, about, None, because=error)
        raise
    check_own_size(path, image, about, found)
    about = as_placed(about, image, found, lambda size: _outputs_at(given, size))
    about = completed(about, found, image, path.name)
    found = settled(found, about, image)
    names = _class_names(given.path, about, found)
    return CustomNetwork(
        given.path, given.info, about, given.image, given.size, given.file, given.outputs, given.memory, found, names
    )


def _at_coco_ids(about: Description) -> Iterator[Description]:
    """``about`` with as many names as COCO has classes at the ids of its files, from 0 on, and from 1 on."""
    if about.classes is None or len(about.classes) != len(COCO):
        return
    names = at_coco_ids(about.classes)
    source = f"{about.sources.get('classes', 'the description')}, at the ids of COCO"
    for first in (0, 1):
        yield merged(about, from_one_source(source, {"classes": names[first:]}))


def _outputs_at(given: InspectedFile, size: Size) -> tuple[TensorSpec, ...]:
    """The outputs for an input of (height, width) ``size``; errors as of :func:`.static_shapes.with_static_shapes`."""
    file = with_static_shapes(given.path, given.info, given.image, size)
    return seen_outputs(given.path, read_info(file))


def describe_file(path: Path, network: ReadNetwork, said: Description | None = None) -> Description:
    """All that is known: the metadata, the files that exporters keep beside it, the graph; the TOML wins.

    Args:
        path: of the file.
        network: what it holds.
        said: in place of the TOML beside it.

    Raises:
        UsageError: the TOML has an unknown key, or a value or name that does not fit.
        CheckpointError: a configuration beside the file or in it is no JSON.
    """
    info = network.info
    folder = path.parent.parent if path.parent.name == "onnx" else path.parent
    about = merged(merged(from_names(info.metadata), from_metadata(info.metadata)), from_folder(folder))
    for beside in (from_mmdeploy(path), from_rf_detr(info.metadata, path)):
        about = merged(about, beside)
    if network.graph is not None and ends_in_softmax(network.graph):
        about = merged(from_one_source(SOFTMAX, {"scores": "given"}), about)
    if kind_of(path) == TFLITE and EXPORTER in about.sources.values():
        about = merged(about, from_one_source(EXPORTER, {"boxes_unit": "relative"}))
    last = from_toml(toml_path(path)) if said is None else said
    if network.normalised - find_memory(path, info, last).names:
        about = merged(about, from_one_source(INSIDE, {"input.mean": (0.0, 0.0, 0.0), "input.std": (1.0, 1.0, 1.0)}))
    sizes = next((each.name for each in info.inputs if each.name in _SIZES), None)
    if sizes is not None:
        about = merged(about, from_one_source(f"the input {sizes!r}", {"boxes_unit": "pixels"}))
    if network.graph is not None:
        about = replace(about, ends=ends_of(network.graph))
    return merged(about, last)


def seen_outputs(path: Path, info: NetworkInfo) -> tuple[TensorSpec, ...]:
    """The outputs of a file whose shapes are fixed, with the dtypes that heads see.

    Raises:
        CheckpointError: one has a dtype that NumPy does not have.
    """
    seen = []
    for each in info.outputs:
        try:
            dtype = seen_dtype(np.dtype(each.dtype))
        except TypeError as error:
            raise CheckpointError(
                f"{path}: output {each} has a type that cannot be read; export it as float32"
            ) from error
        seen.append(TensorSpec(each.name, dtype, tuple(int(length or 0) for length in each.shape or ())))
    return tuple(seen)


def _class_names(path: Path, about: Description, head: Head) -> tuple[str, ...]:
    """Names by class id.

    Raises:
        UsageError: more or fewer are known than the outputs speak of, or none where these do not say how many.
    """
    named, count = about.classes, head.class_count
    if count == 0 and about.sources.get("classes") not in ("the labels given", toml_path(path).name):
        return ()  # exporters name classes of networks that have none
    if named is None:
        if count is None and head.kind != "raw":
            problem = "" if about.names_problem is None else f" ({about.names_problem})"
            raise UsageError(
                f"{path}: the outputs of {head.kind} do not say how many classes there are{problem}; name them with "
                f"--labels (labels=), or classes in {toml_path(path).name}"
            )
        own: tuple[str, ...] = getattr(head, "class_names", ())
        return own or tuple(f"class {index}" for index in range(count or 0))
    if count is not None and len(named) != count:
        source = about.sources.get("classes", "the description")
        raise UsageError(
            f"{path}: {source} names {len(named)} classes, and the outputs have {count} ({head.kind}); "
            f"correct classes in {toml_path(path).name} (or --labels), or say another head"
        )
    return named
