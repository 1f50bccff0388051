"""Where a model's weights are, and the exported network for an input size that is made of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..engines.cache import cache_root, cached_file, key_of
from ..pipeline.errors import CheckpointError, UsageError
from .checkpoint import sha256_of
from .onnx_export import EXPORT_VERSION, TEMPLATE_SIZE, check_exported, export_checkpoint, is_exported, resized
from .registry import ModelRow, WeightsFile, model_of_file


def pulled_path(row: ModelRow, weights: WeightsFile) -> Path:
    """Where ``vidgraph pull`` puts a file; it may not be there."""
    return cache_root() / "weights" / row.name / weights.file


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights that fits its model: a checkpoint, or a network exported before.

    Attributes:
        row: the model.
        path: the file.
        sha256: its hash, in hexadecimal.
    """

    row: ModelRow
    path: Path
    sha256: str

    @classmethod
    def find(cls, row: ModelRow, path: str | os.PathLike[str] | None) -> Weights:
        """The weights at ``path``, or (None) those that were pulled; checked against the model.

        The first use of a checkpoint exports it, which needs torch; afterwards it comes from the cache.

        Raises:
            UsageError: no path, and nothing was pulled.
            CheckpointError: the file is damaged or does not fit.
            MissingExtraError: a checkpoint that is not in the cache, and torch is not installed.
        """
        file = _pulled(row) if path is None else Path(path).expanduser()
        weights = cls(row, file, sha256_of(file))
        other = model_of_file(weights.sha256)
        if other is not None and other is not row:
            raise CheckpointError(
                f"{file} has the published weights of {other.name}, whose anchors and activations are not "
                f"those of {row.name}: use --model {other.name}={file}"
            )
        weights._template()
        return weights

    def network(self, size: tuple[int, int], batch: int = 1) -> bytes:
        """The ONNX file for an input of ``size`` (height, width)."""
        return resized(self.row, self._template(), size, batch)

    def network_file(self, size: tuple[int, int], batch: int = 1) -> Path:
        """The ONNX file for an input of ``size`` (height, width), from the cache or made now."""

        def build(path: Path) -> None:
            path.write_bytes(self.network(size, batch))

        return cached_file("models", f"{self._key()}-{size[1]}x{size[0]}-b{batch}.onnx", build)

    def _template(self) -> Path:
        """The exported network from which those of all sizes are made."""
        if is_exported(self.path):
            check_exported(self.row, self.path)
            return self.path

        def build(path: Path) -> None:
            path.write_bytes(export_checkpoint(self.row, self.path, TEMPLATE_SIZE))

        return cached_file("models", f"{self._key()}.onnx", build)

    def _key(self) -> str:
        settings = json.dumps(self.row.family().settings(self.row.name), sort_keys=True)
        return f"{self.row.name}-{key_of(self.sha256, settings, str(EXPORT_VERSION))[:24]}"


def _pulled(row: ModelRow) -> Path:
    """The pulled file of ``row``."""
    for each in row.weights:
        path = pulled_path(row, each)
        if path.is_file():
            return path
    give = f"give a file: {row.name}=PATH (Python: weights=PATH)"
    if any(each.address for each in row.weights):
        raise UsageError(f"{row.name} has no weights here; get them with: vidgraph pull {row.name}; or {give}")
    raise UsageError(f"{row.name} has no weights here, and no address to pull them from; {give}. Source: {row.source}")
