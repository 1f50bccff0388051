"""Where a model's weights are, and the exported network for an input size that is made of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ...engines.cache import cache_root, cached_file, key_of
from ...engines.network_file import ONNX, PROGRAM
from ...engines.onnx_file import read_metadata
from ...pipeline.errors import CheckpointError, UsageError
from ..family import Family
from ..registry import model_of_file
from ..variant import Variant, WeightsFile
from .checkpoint import sha256_of
from .onnx_export import EXPORT_VERSION, TEMPLATE_SIZE, check_exported, export_checkpoint, is_exported, resized
from .program_export import PROGRAM_VERSION, export_program


def pulled_path(row: Variant, weights: WeightsFile) -> Path:
    """Where ``vidgraph pull`` puts a file, or where the package has it; it may not be there."""
    if weights.pretrained:
        return Path(__file__).parent.parent / row.folder / "pretrained" / weights.file
    return cache_root() / "weights" / row.name / weights.file


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights that fits its model: a checkpoint, or a network exported before.

    Attributes:
        row: the model.
        path: the file.
        sha256: its hash, in hexadecimal.
        family: the implementation, with the classes of the file.
    """

    row: Variant
    path: Path
    sha256: str
    family: Family

    @classmethod
    def find(cls, row: Variant, path: str | os.PathLike[str] | None) -> Weights:
        """The weights at ``path``, or (None) those that were pulled; checked against the model.

        The first use of a checkpoint exports it, which needs torch; afterwards it comes from the cache.

        Raises:
            UsageError: no path, and nothing was pulled.
            CheckpointError: the file is damaged or does not fit.
            MissingExtraError: a checkpoint that is not in the cache, and torch is not installed.
        """
        file = pulled(row) if path is None else Path(path).expanduser()
        weights = cls(row, file, sha256_of(file), row.family())
        other = model_of_file(weights.sha256)
        if other is not None and other is not row:
            raise CheckpointError(
                f"{file} has the published weights of {other.name}, whose anchors and activations are not "
                f"those of {row.name}: use --model {other.name}={file}"
            )
        families = [check_exported(row, weights._template(graph), graph) for graph in weights.graphs]
        return replace(weights, family=families[0])

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the exported graphs; the first needs nothing but the picture."""
        return self.family.graphs(self.row.name)

    @property
    def kind(self) -> str:
        """The kind of file, a suffix, that engines are given unless they ask for another: ONNX."""
        return ONNX

    @property
    def precision(self) -> str:
        """``int8`` where the file was quantised, else ``fp32``: of the tensors; engines may compute in less."""
        return read_metadata(self.path).get("vidgraph.precision", "fp32") if is_exported(self.path) else "fp32"

    def check_precision(self, asked: str) -> None:
        """Raise where these weights cannot be run in ``asked`` on any machine.

        Raises:
            UsageError: int8 of weights that are not quantised (with the command that does it), or the reverse.
        """
        if asked == "int8" and self.precision != "int8":
            name = self.row.name
            raise UsageError(
                f"{self.path} is not quantised, which precision int8 needs; make a file that is with: "
                f"vidgraph export {name}={self.path} -o {name}-int8.onnx --precision int8 --calibrate VIDEO"
            )
        if asked not in ("auto", "int8") and self.precision == "int8":
            raise UsageError(
                f"{self.path} is quantised and runs in int8; for precision {asked} give the weights it was made of"
            )

    def network(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> bytes:
        """The ONNX file of a graph (None: the first) for an input of ``size`` (height, width)."""
        graph = self.graphs[0] if graph is None else graph
        return resized(self._template(graph), self.family.graph_shape(self.row.name, size, batch, graph))

    def check_program(self) -> None:
        """Raise where no program of torch can be made of these weights.

        Raises:
            UsageError: they are an ONNX file.
        """
        if is_exported(self.path):
            raise UsageError(
                f"{self.path} is an ONNX file, and a program of torch is made of a checkpoint; "
                f"give that: {self.row.name}=CHECKPOINT, or choose an engine of ONNX files"
            )

    def program(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> bytes:
        """The exported program of torch of a graph (None: the first) for an input of ``size`` (height, width).

        Raises:
            UsageError: as :meth:`check_program`.
            MissingExtraError: torch is not installed.
        """
        self.check_program()
        return export_program(self.row, self.path, size, batch, self.graphs[0] if graph is None else graph)

    def network_file(self, size: tuple[int, int], batch: int = 1, graph: str | None = None, kind: str = ONNX) -> Path:
        """A graph from the cache, or made now, as the ``kind`` of file that an engine takes: ``.onnx`` or ``.pt2``."""
        make, version = (self.program, f"-p{PROGRAM_VERSION}") if kind == PROGRAM else (self.network, "")

        def build(path: Path) -> None:
            path.write_bytes(make(size, batch, graph))

        name = Path(f"{self.key}{version}-{size[1]}x{size[0]}-b{batch}{kind}")
        return cached_file("models", graph_file(name, self.graphs[0] if graph is None else graph).name, build)

    def _template(self, graph: str) -> Path:
        """The exported graph from which those of all sizes are made."""
        if is_exported(self.path):
            return self._exported(graph)

        def build(path: Path) -> None:
            path.write_bytes(export_checkpoint(self.row, self.path, TEMPLATE_SIZE, graph=graph))

        return cached_file("models", graph_file(Path(f"{self.key}.onnx"), graph).name, build)

    def _exported(self, graph: str) -> Path:
        """The exported file of ``graph``, beside the one that was given.

        Raises:
            CheckpointError: it is not there, or was made of other weights.
        """
        given = read_metadata(self.path)
        own = given.get("vidgraph.graph", "")
        if own == graph or own not in self.graphs:
            return self.path
        name = self.path.stem.removesuffix(f"-{own}") + self.path.suffix
        other = graph_file(self.path.with_name(name), graph)
        if not other.is_file():
            raise CheckpointError(f"{self.path} is one graph of {self.row.name}; it needs {other.name} beside it")
        beside = read_metadata(other)
        if beside.get("vidgraph.weights_sha256") != given.get("vidgraph.weights_sha256"):
            raise CheckpointError(f"{other} was exported from other weights than {self.path}; export them again")
        if beside.get("vidgraph.calibration") != given.get("vidgraph.calibration"):
            raise CheckpointError(f"{other} and {self.path} were not quantised together; export them again")
        return other

    @property
    def key(self) -> str:
        """The model, and a hash of everything that its exported graphs depend on; a file name."""
        settings = json.dumps(self.row.family().settings(self.row.name), sort_keys=True)
        return f"{self.row.name}-{key_of(self.sha256, settings, str(EXPORT_VERSION))[:24]}"


def graph_file(path: Path, graph: str) -> Path:
    """``path`` with the name of a graph at its end, where it has one."""
    return path.with_name(f"{path.stem}-{graph}{path.suffix}") if graph else path


def weights_here(row: Variant) -> Path | None:
    """The file that is taken for ``row`` where none is named, or None where there is none on this machine."""
    return next((path for each in row.weights if (path := pulled_path(row, each)).is_file()), None)


def pulled(row: Variant) -> Path:
    """The pulled file of ``row``, or the one that comes with the package.

    Raises:
        UsageError: there is none; the message says how to get one.
    """
    path = weights_here(row)
    if path is not None:
        return path
    give = f"give a file: {row.name}=PATH (Python: weights=PATH)"
    for each in row.weights:
        if each.pretrained:
            missing = pulled_path(row, each)
            raise UsageError(f"{row.name} comes with the package, but {missing} is missing; install again, or {give}")
    if any(each.address for each in row.weights):
        raise UsageError(f"{row.name} has no weights here; get them with: vidgraph pull {row.name}; or {give}")
    raise UsageError(f"{row.name} has no weights here, and no address to pull them from; {give}. Source: {row.source}")
