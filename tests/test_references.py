"""References in docstrings, such as ``:func:`..load.load_model```, name what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import vidgraph

PACKAGE = Path(vidgraph.__file__).parent
FOLDERS = ("kernels", "pipeline", "engines", "stages", "models", "training", "testing", "benchmarks", "cli")
REFERENCE = re.compile(r":(?:func|class|mod|meth|attr|data):`~?(\.+)([\w.]+)`")


def names_in(tree: ast.AST) -> set[str]:
    """All that a module defines or imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in (PACKAGE / folder).rglob("*.py")
}


def wrong_references(text: str, folder: tuple[str, ...]) -> list[str]:
    """The relative references in the text of a module of ``folder`` that name no module and nothing of one."""
    wrong = []
    for dots, name in REFERENCE.findall(text):
        parts = [*folder[: len(folder) - len(dots) + 1], *name.split(".")]
        module = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in MODULES), "")
        rest = parts[len(module.split(".")) :]
        if not module or (rest and rest[0] not in names_in(ast.parse(MODULES[module].read_text("utf-8")))):
            wrong.append(dots + name)
    return wrong


def test_references_name_what_is_there() -> None:
    found = []
    for module, path in MODULES.items():
        folder = path.relative_to(PACKAGE).parent.parts
        found += [f"{module}: {wrong}" for wrong in wrong_references(path.read_text("utf-8"), folder)]
    assert len(MODULES) > 200
    assert not found, "\n".join(found)


def test_a_wrong_reference_is_found() -> None:
    text = "See :func:`..load.load_model`, :class:`..base.Model` and :func:`..load.unload_model`."
    assert wrong_references(text, ("models", "custom")) == ["..base.Model", "..load.unload_model"]
