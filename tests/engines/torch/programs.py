"""Exported programs for tests, and what becomes of them when someone else has been at the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


class ConvRelu(torch.nn.Module):
    """That of the other engines' tests; ``own`` gives it a tensor that is no parameter, and a type of its own."""

    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(weight))
        self.bias = torch.nn.Parameter(torch.from_numpy(bias))

    def forward(self, image: Any) -> Any:
        features = torch.nn.functional.conv2d(image, self.weight, self.bias, padding=1).relu()
        return features, features.mean(dim=(2, 3), keepdim=True)


def write(module: Any, path: Path, *examples: Any, **options: Any) -> Path:
    """A file of ``torch.export.save``."""
    torch.export.save(torch.export.export(module.eval(), examples), path, **options)
    return path


def write_conv(conv: Any, path: Path) -> Path:
    """The network of a ``ConvRelu`` of the engines' tests, with its names."""
    names = {"inputs": ["image"], "outputs": [spec.name for spec in conv.outputs]}
    shape = conv.inputs[0].shape
    return write(
        ConvRelu(*conv.parameters()), path, torch.zeros(shape), extra_files={"vidgraph.json": json.dumps(names)}
    )


def rewritten(path: Path, target: Path, records: Mapping[str, bytes | Callable[[bytes], bytes]]) -> Path:
    """A copy with other or further records."""
    from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

    with PT2ArchiveReader(str(path)) as given, PT2ArchiveWriter(str(target)) as made:
        held = {name: given.read_bytes(name) for name in given.get_file_names()}
        for name, content in records.items():
            held[name] = content if isinstance(content, bytes) else content(held[name])
        for name, content in held.items():
            if name not in ("version", ".data/serialization_id", "byteorder", ".format_version", ".storage_alignment"):
                made.write_bytes(name, content)
    return target


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """A change of JSON, for :func:`rewritten`."""

    def apply(content: bytes) -> bytes:
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return apply
