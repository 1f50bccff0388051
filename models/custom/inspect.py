"""Inspecting a custom ONNX model: what is known about it, and what its outputs mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...engines.onnx_file import OnnxInfo, info_of, read_info, read_model
from ...engines.spec import TensorSpec
from ...pipeline.errors import CheckpointError, UsageError
from ...pipeline.types.picture import Size
from .defaults import completed
from .description import Description, from_one_source, merged
from .detect_head import recognise
from .head import Head, seen_dtype
from .hugging_face import from_folder
from .image_input import ImageInput, choose_size, find_image_input
from .inside import INSIDE, takes_bytes
from .static_shapes import with_static_shapes
from .toml_file import from_toml, toml_path
from .ultralytics import from_metadata, from_names

if TYPE_CHECKING:
    from onnx import GraphProto


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
        outputs: as heads see them.
    """

    path: Path
    info: OnnxInfo
    about: Description
    image: ImageInput
    size: Size
    file: Path
    outputs: tuple[TensorSpec, ...]


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
) -> CustomNetwork:
    """Read a model, fix its axes, and find the head that its outputs belong to.

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
    return parse_outputs(inspect_file(path, size=size, engine=engine, labels=labels), head)


def inspect_file(
    path: Path, *, size: int | Size | None = None, engine: str = "auto", labels: tuple[str, ...] | None = None
) -> InspectedFile:
    """The first half of :func:`inspect_model`: everything but the outputs."""
    model = read_model(path)
    info = info_of(model, path)
    about = describe_file(path, info, model.graph)
    del model  # and the weights with it
    if labels is not None:
        about = merged(about, from_one_source("the labels given", {"classes": labels}))
    image = find_image_input(path, info, about.input)
    chosen = choose_size(path, image, about.input, size)
    said = about.sources.get("input.size", "")
    if said == toml_path(path).name and size is None and about.input.size != chosen:
        raise UsageError(f"{said} says another size than {path} has, {chosen[1]}x{chosen[0]}; correct or remove it")
    if about.input.size != chosen or size is not None:
        source = "the network" if None not in image.size else "the size given"
        about = merged(about, from_one_source(source, {"input.size": chosen}))
    file = with_static_shapes(path, info, image, chosen, engine=engine)
    outputs = seen_outputs(path, info if file == path else read_info(file))
    return InspectedFile(path, info, about, image, chosen, file, outputs)


def parse_outputs(given: InspectedFile, head: str | None = None) -> CustomNetwork:
    """The second half of :func:`inspect_model`: which head the outputs belong to, and the names of its classes.

    Raises:
        UsageError: no head fits, or several, or the classes do not; or too little is known of the picture.
    """
    found = recognise(given.outputs, given.about, given.size, name=given.path.name, head=head)
    about = completed(given.about, found, given.image, given.path.name)
    names = _class_names(given.path, about, found)
    return CustomNetwork(
        given.path, given.info, about, given.image, given.size, given.file, given.outputs, found, names
    )


def describe_file(path: Path, info: OnnxInfo, graph: GraphProto) -> Description:
    """All that is known: the metadata, then Hugging Face's files, then the graph, then the TOML, which wins.

    Raises:
        UsageError: the TOML has an unknown key or a value that does not fit.
        CheckpointError: a configuration beside the file is no JSON.
    """
    folder = path.parent.parent if path.parent.name == "onnx" else path.parent
    about = merged(merged(from_names(info.metadata), from_metadata(info.metadata)), from_folder(folder))
    pictures = [each.name for each in info.inputs if each.shape is not None and len(each.shape) == 4]
    if any(takes_bytes(graph, name) for name in pictures):
        about = merged(about, from_one_source(INSIDE, {"input.mean": (0.0, 0.0, 0.0), "input.std": (1.0, 1.0, 1.0)}))
    sizes = next((each.name for each in info.inputs if each.name in ("orig_target_sizes", "im_shape")), None)
    if sizes is not None:
        about = merged(about, from_one_source(f"the input {sizes!r}", {"boxes_unit": "pixels"}))
    return merged(about, from_toml(toml_path(path)))


def seen_outputs(path: Path, info: OnnxInfo) -> tuple[TensorSpec, ...]:
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
    if named is None:
        if count is None and head.kind != "raw":
            problem = "" if about.names_problem is None else f" ({about.names_problem})"
            raise UsageError(
                f"{path}: the outputs of {head.kind} do not say how many classes there are{problem}; name them with "
                f"--labels (labels=), or classes in {toml_path(path).name}"
            )
        return tuple(f"class {index}" for index in range(count or 0))
    if count is not None and len(named) != count:
        source = about.sources.get("classes", "the description")
        raise UsageError(
            f"{path}: {source} names {len(named)} classes, and the outputs have {count} ({head.kind}); "
            f"correct classes in {toml_path(path).name} (or --labels), or say another head"
        )
    return named
