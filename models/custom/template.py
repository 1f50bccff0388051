"""The TOML of a network, written: what is known filled in, the rest as comments with the choices."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...pipeline.claims import whole_file
from ...pipeline.errors import OutputError, UsageError, VidgraphError
from ...pipeline.types.picture import Size
from .defaults import ASSUMED
from .heads import HEADS
from .inspect import CustomNetwork, InspectedFile, inspect_file, parse_outputs
from .memory import StatePair
from .toml_file import KEYS, KeyRow, toml_path

MARK = "# ?"
"""Begins the line of a key of which nothing is known."""


def write_template(
    network: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    size: int | Size | None = None,
    head: str | None = None,
    force: bool = False,
) -> tuple[Path, int]:
    """Write the TOML of a custom model.

    Args:
        network: the file.
        path: where to; by default beside it, with the same stem, where it is read.
        size: of its input, where the file leaves it open.
        head: of its outputs, where they leave it open.
        force: replace an existing file.

    Returns:
        Where it was written, and how many keys are marked as unknown.

    Raises:
        OutputError: the file exists, or cannot be written.
        UsageError: ``path`` is no ``.toml``.
        CheckpointError, EngineError, UsageError: the network cannot be read.
    """
    target = toml_path(Path(network)) if path is None else Path(path)
    if target.suffix != ".toml":
        raise UsageError(f"a template is a .toml file, got {target}; leave out -o, or give {toml_path(target).name}")
    if target.exists() and not force:
        raise OutputError(f"{target} exists already; -y (overwrite) replaces it, or name another file")
    given = inspect_file(Path(network), size=size)
    problem = None
    try:
        given = parse_outputs(given, head)
    except UsageError as error:
        problem = error
    content = template(given, problem)
    with whole_file(target, overwrite=force) as part:
        part.write_text(content, encoding="utf-8")
    return target, content.count(f"\n{MARK}")


def template(given: InspectedFile, problem: VidgraphError | None = None) -> str:
    """The text of the TOML of a model that was inspected, its outputs parsed or not.

    Args:
        given: the network.
        problem: why its outputs were not parsed.
    """
    lines = [
        f"# How vidgraph runs {given.path.name}. What is said here wins over what the file says of itself.",
        f"# Lines that begin with {MARK!r} are not known: correct those that matter and take off the mark.",
        f"# Input:   {given.image.name} {given.image.dtype} {list(given.image.shape(given.size))}",
        *(f"# Output:  {spec.name} {spec.dtype} {list(spec.shape)}" for spec in given.outputs),
        *([f"# {problem}"] if problem is not None else []),
        "",
    ]
    known = known_values(given)
    for table, rows in _tables():
        written = [_line(row, known, given) for row in rows if _matters(row, given)]
        lines += ["", f"[{table}]", *written] if table and written else written
    state = [_state_line(pair, given) for pair in given.image.memory.pairs]
    lines += ["", "[state]", *state] if state else []
    return "\n".join(lines) + "\n"


def known_values(given: InspectedFile) -> dict[str, Any]:
    """Key -> value of everything that is known, or assumed."""
    about, made = given.about, given.about.input
    values: dict[str, Any] = {"head": given.head.kind if isinstance(given, CustomNetwork) else about.head}
    for row in KEYS:
        table, _, name = row.key.rpartition(".")
        if table == "input":
            values[row.key] = getattr(made, name)
        elif table == "outputs":
            values[row.key] = about.outputs.get(name)
        elif row.key != "head":
            values[row.key] = getattr(about, row.key)
    values["input.name"], values["input.layout"] = given.image.name, given.image.layout
    values["input.size"] = made.size  # None: frames come in their own
    if isinstance(given, CustomNetwork):
        values["classes"] = given.class_names or None
        for key in ("boxes", "scores", "objectness", "background"):
            values[key] = values[key] if values[key] is not None else _of_head(given, key)
        values["boxes_unit"] = values["boxes_unit"] or _of_head(given, "boxes_unit", "unit")
    return {key: value for key, value in values.items() if value is not None}


def _of_head(given: CustomNetwork, key: str, name: str | None = None) -> Any:
    """What the head itself has as ``name`` (None: as ``key``), where that is a value of the key."""
    value = getattr(given.head, name or key, None)
    row = next(row for row in KEYS if row.key == key)
    try:
        row.read(value, given.path.parent)
    except (ValueError, VidgraphError):
        return None
    return value


_FINISHED = ("mmdeploy", "rtmo", "torchvision", "detectron2")
_WITHOUT_CLASSES = ("raw", "depth", "matte", "picture", "embedding", "heatmaps", "simcc", "mesh")
_OF_HEADS: dict[str, tuple[str, ...]] = {
    "classes": tuple(kind for kind in HEADS if kind not in _WITHOUT_CLASSES),
    "task": ("yolo", "yolo-end2end", "obb"),
    "boxes": ("yolo", "yolo-end2end", "detr", "ssd", *_FINISHED),
    "boxes_unit": ("yolo", "yolo-end2end", "detr", "ssd", *_FINISHED),
    "scores": ("yolo", "detr", "ssd", "classify", "matte", "mesh", "centernet"),
    "objectness": ("yolo",),
    "background": ("detr", "ssd", "classify", "semantic", "mask-queries", "torchvision", "detectron2"),
    "end_to_end": ("yolo", "yolo-end2end", "detr", "obb"),
    "points": ("yolo", "yolo-end2end", "detr", "mesh"),
    "point_names": ("yolo", "yolo-end2end", "detr", "rtmo", "movenet", "heatmaps", "simcc", "mesh"),
    "variances": ("ssd",),
    "priors": ("ssd",),
    "prior_strides": ("ssd",),
    "prior_sizes": ("ssd",),
    "stuff": ("mask-queries",),
    "depth": ("depth",),
    "range": ("picture",),
}
"""Key -> heads that ask for it; keys that are not named are asked for by all."""


def _matters(row: KeyRow, given: InspectedFile) -> bool:
    """Whether the network's head asks for a key; all do where the head is not known."""
    if row.key == "input.previous":
        return given.image.memory.previous is not None
    if row.key == "input.downsample_ratio":
        return given.image.memory.ratio is not None
    if not isinstance(given, CustomNetwork):
        return True
    if row.key.startswith("outputs."):
        return row.key.removeprefix("outputs.") in given.about.outputs
    if row.key == "ignore":
        return given.about.ignore is not None
    if row.key == "input.crop":
        return given.about.input.fit == "crop"
    if row.key == "input.multiple":
        return given.about.input.multiple is not None
    if row.key == "input.pad":
        return given.about.input.fit in ("pad", "letterbox")
    return given.head.kind in _OF_HEADS.get(row.key, tuple(HEADS))


def _tables() -> Iterable[tuple[str, list[KeyRow]]]:
    for table in ("", "input", "outputs"):
        yield table, [row for row in KEYS if row.key.rpartition(".")[0] == table]


def _line(row: KeyRow, known: dict[str, Any], given: InspectedFile) -> str:
    name = row.key.rpartition(".")[2]
    if row.key not in known:
        outputs = " or ".join(f'"{spec.name}"' for spec in given.outputs)
        return f"{MARK} {name} = {outputs if row.key.startswith('outputs.') else row.wanted}"
    value = f"{name} = {_toml(row, known[row.key])}"
    source = given.about.sources.get(row.key, "the network")
    if isinstance(given, CustomNetwork) and source == ASSUMED.format(given.head.kind):
        return f"{MARK} {value}  # {source}; else {row.wanted}"
    if row.key == "classes" and row.key not in given.about.sources:
        return f"{MARK} {value}  # numbered; {row.wanted}"
    return f"{value}  # {source}"


def _state_line(pair: StatePair, given: InspectedFile) -> str:
    first = pair.first.relative_to(given.path.parent).as_posix() if isinstance(pair.first, Path) else pair.first
    source = given.about.sources["state"] if pair.input.name in (given.about.state or {}) else "the network"
    value = f"{{ output = {_quoted(pair.output.name)}, first = {_quoted(first)} }}"
    return f"{_quoted(pair.input.name)} = {value}  # {source}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _toml(row: KeyRow, value: Any) -> str:
    """A value as TOML writes it."""
    if row.key == "input.size":
        return f'"{value[1]}x{value[0]}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(row, each) for each in value) + "]"
    if isinstance(value, int):
        return str(value)
    return _quoted(str(value))
