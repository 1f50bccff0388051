"""Who imports whom: each layer only what is below it, from kernels up to the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import vidgraph

PACKAGE = Path(vidgraph.__file__).parent
LAYERS = ("kernels", "pipeline", "engines", "stages", "models", "training", "testing", "benchmarks", "cli")
MAY_REACH_UP = ("__init__.py",)  # the public names, inside functions only


def imports(tree: ast.AST, *, in_function: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import that runs, and whether it stands inside a function (or is for type checkers only)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, in_function
        inner = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        yield from imports(node, in_function=inner or typing_only)


def targets(node: ast.Import | ast.ImportFrom, file: str) -> Iterator[str]:
    """What an import names, as a dotted path from the root of the package; nothing for other packages."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        yield from (name.removeprefix("vidgraph.") for name in names if name.split(".")[0] == "vidgraph")
    elif node.level == 0:
        if (node.module or "").split(".")[0] == "vidgraph":
            yield "vidgraph"  # relative imports only: reported as such
    else:
        parents = Path(file).parent.parts
        base = parents[: len(parents) - node.level + 1]
        prefix = [*base, *(node.module.split(".") if node.module else [])]
        yield from (".".join([*prefix, alias.name]) for alias in node.names)


def violations(file: str, source: str) -> list[str]:
    """The imports of ``file`` (a path from the root of the package) that break a rule, as messages."""
    found = []
    own = file.split("/")[0]
    for node, in_function in imports(ast.parse(source)):
        for target in targets(node, file):
            place = f"{file}:{node.lineno} imports {target}"
            first = target.split(".")[0]
            if target == "vidgraph" or isinstance(node, ast.Import):
                found.append(f"{place}: imports inside the package are relative")
            elif file in MAY_REACH_UP:
                if first in LAYERS and not in_function:
                    found.append(f"{place} at module level; do it inside a function")
            elif first in LAYERS and own in LAYERS and is_above(first, own):
                found.append(f"{place}: {own} is below {first}")
    return found


def is_above(first: str, second: str) -> bool:
    return LAYERS.index(first) > LAYERS.index(second)


def package_files() -> list[Path]:
    return [PACKAGE / "__init__.py", *(path for folder in LAYERS for path in sorted((PACKAGE / folder).rglob("*.py")))]


def test_nobody_imports_upwards() -> None:
    files = package_files()
    assert {path.relative_to(PACKAGE).parts[0] for path in files} >= set(LAYERS) - {"benchmarks"}
    found = [
        line for path in files for line in violations(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("kernels/nms/__init__.py", "from ...pipeline import picture"),
        ("pipeline/graph.py", "from ..models.registry import MODELS"),
        ("pipeline/graph.py", "def f():\n    from .. import stages"),
        ("engines/open.py", "from vidgraph.kernels import nms"),
        ("stages/drawing/draw.py", "import vidgraph.kernels"),
        ("pipeline/graph.py", "from ..cli.terminal import say"),
        ("__init__.py", "from .models.run import run"),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str) -> None:
    assert violations(file, source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("models/retinaface/decode.py", "from ...kernels import nms"),
        ("models/retinaface/decode.py", "from .config import CONFIGS"),
        ("engines/open.py", "from ..pipeline.errors import EngineError"),
        ("cli/run.py", "from ..models.run import run"),
        ("__init__.py", "def name():\n    from .models.run import run"),
    ],
)
def test_a_right_import_is_left_alone(file: str, source: str) -> None:
    assert violations(file, source) == []
