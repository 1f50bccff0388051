"""What the name of a model means: a model of the table, a file of weights of one, or a custom model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engines.network_file import IR, ONNX, PROGRAM, TITLES, WEIGHTS, is_network, kind_of
from ..engines.onnx_file import read_metadata
from ..pipeline.errors import CheckpointError, UsageError
from .default_model import default_model
from .registry import MODELS, find_model
from .variant import Variant
from .weights.find import pulled
from .weights.identify import identify
from .weights.onnx_export import is_exported


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """What a name means.

    Attributes:
        given: the name or file as the caller wrote it, without the weights.
        name: the name in results: of the row, or of a custom model its own or the stem of its file.
        row: the built-in model; None: a custom model, or a published network.
        weights: the file; None: what was pulled, or comes with the package.
        published: the row of a published network, which runs as a custom model.
    """

    given: str
    name: str
    row: Variant | None
    weights: Path | None
    published: Variant | None = None

    @property
    def kind(self) -> str:
        """The kind of file that engines are given unless they ask for another, a suffix."""
        if self.row is not None:
            return ONNX
        if self.weights is None and self.published is not None:
            return kind_of(Path(self.published.weights[0].file))
        return kind_of(self.file)

    @property
    def title(self) -> str:
        """What a custom model is, for messages: ``an ONNX file``."""
        return TITLES[self.kind]

    @property
    def file(self) -> Path:
        """The file of a custom model.

        Raises:
            UsageError: of a published network that was not pulled.
        """
        if self.weights is not None:
            return self.weights
        if self.published is None:
            raise AssertionError("a custom model is a file")
        return pulled(self.published)

    def built_in(self, refusal: str) -> Variant:
        """The row.

        Raises:
            UsageError: with ``refusal``: it is a custom model.
        """
        if self.row is None:
            raise UsageError(refusal)
        return self.row


def resolve_model(
    model: str | ResolvedModel | None,
    *,
    weights: str | os.PathLike[str] | None = None,
    sources: Sequence[str | os.PathLike[str]] = (),
) -> ResolvedModel:
    """The model that a name, ``NAME=FILE`` or a file alone means.

    Args:
        model: a name or alias; a checkpoint or an exported file, whose content says which model it is; a custom
            model. None: the default model of ``sources``. What was resolved before stays as it is.
        weights: the file, where ``model`` is a name alone. A network (``.onnx``, ``.xml``, ``.tflite``) with a name
            that no built-in model has is a custom model of that name.
        sources: addresses of what the model will see.

    Raises:
        UsageError: an unknown name, a folder, half of ``NAME=FILE``, weights given twice, or no model and no default.
        CheckpointError: a file is missing or damaged, or fits no model, or several.
        MissingExtraError: torch is needed to look into a checkpoint and not installed.
    """
    if isinstance(model, ResolvedModel):
        return model
    model = default_model(sources) if model is None else model
    if not isinstance(model, str):
        raise UsageError(f"model must be a name, NAME=FILE or a file as a string, or a loaded model, got {model!r:.80}")
    if not model:
        raise UsageError(f"no model was given; models are {', '.join(MODELS)}")
    name, file = _split(model)
    if file is not None and not (name and file):
        lacking = "file after" if name else "name before"
        raise UsageError(f"model {model!r} has no {lacking} the =; give NAME=FILE, or the name or the file alone")
    alone = _file_alone(name) if file is None and (weights is None or not _built_in(name)) else None
    if weights is not None and (alone is not None or file is not None):
        raise UsageError(f"weights are given twice: {file or name} with the model, and {os.fspath(weights)}")
    if alone is not None:
        return alone
    chosen = file if weights is None else weights
    path = None if chosen is None else Path(chosen).expanduser()
    if path is not None:
        _check_is_model(path)
    if path is not None and is_network(path) and not _built_in(name) and not written_by_vidgraph(path):
        return ResolvedModel(name, name, None, path)
    row = find_model(name)
    if row.settings is not None:
        if path is not None and not is_network(path):
            raise UsageError(f"{path} is no network; {row.name} takes a file such as {row.weights[0].file}")
        return ResolvedModel(name, row.name, None, path, row)
    if path is not None and is_network(path) and not is_exported(path):
        raise UsageError(
            f"{path} is {TITLES[kind_of(path)]}, and {row.name} takes a checkpoint or a file of vidgraph export; "
            f"as a custom model it has another name: mine={path}"
        )
    return ResolvedModel(name, row.name, row, path)


def written_by_vidgraph(path: Path) -> bool:
    """Whether a network is an ONNX file of ``vidgraph export``.

    Raises:
        CheckpointError: it is missing, or a damaged ONNX file.
    """
    if is_exported(path):
        return "vidgraph.model" in read_metadata(path)
    if not _is_file(path):
        raise CheckpointError(f"no such weights file: {path}")
    return False


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  Path.is_file raises where the text is too long for a name


def _check_is_model(path: Path) -> None:
    from ..engines.tensorrt.engine_file import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        raise UsageError(
            f"{path} is an engine: it is for one card, and does not say what its outputs mean. Give the ONNX file that "
            f"it was made of (Ultralytics: yolo export format=onnx); vidgraph build makes engines of that"
        )
    if path.suffix.lower() == WEIGHTS and _is_file(network := path.with_suffix(IR)):
        raise UsageError(f"{path} has the weights of {network.name}, no network; give that: {network}")
    if path.suffix.lower() == PROGRAM:
        raise UsageError(
            f"{path} is a program of torch, which vidgraph.engines.open_engine runs; a model of vidgraph runs in torch "
            f"with --model NAME=CHECKPOINT --engine torch, a network of yours as an ONNX file (torch.onnx.export)"
        )


def _split(text: str) -> tuple[str, str | None]:
    """``retinaface=weights.pth`` -> ``("retinaface", "weights.pth")``; a file whose name has a ``=`` stays whole."""
    name, equals, weights = text.partition("=")
    if not equals or os.path.isfile(text):  # noqa: PTH113  Path.is_file raises where the text is too long for a name
        return text, None
    return name, weights


def _file_alone(text: str) -> ResolvedModel | None:
    """The model of a file that is named alone, or None where it is no file."""
    path = Path(os.path.expanduser(text))  # noqa: PTH111  Path's raises for unknown users
    _check_is_model(path)
    if is_network(path) and not written_by_vidgraph(path):
        return ResolvedModel(text, path.stem, None, path)
    if _is_file(path) or path.suffix.lower() in (".pth", ".pt"):
        row = identify(path)
        return ResolvedModel(text, row.name, row, path)
    if os.path.isdir(path) and not _built_in(text):  # noqa: PTH112  Path.is_dir raises where the text is too long
        raise UsageError(f"{text} is a folder, no model; give the file of weights in it")
    return None


def _built_in(name: str) -> bool:
    try:
        find_model(name)
    except UsageError:
        return False
    return True
