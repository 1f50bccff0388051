"""Public names: each package that loads its names lazily has all of them, and the docs import nothing deeper."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("kernels", "pipeline", "engines", "stages", "models", "training", "testing", "cli")
LAZY = ("vidgraph", "vidgraph.stages")
PUBLIC = re.compile(r"vidgraph(\.[a-z]+)?")  # the package, or one of its folders
IMPORT = re.compile(r"^ *(?:from (vidgraph[\w.]*) import|import (vidgraph[\w.]*))", re.MULTILINE)
MENTION = re.compile(r"\bvidgraph(?:\.\w+)+")


def typed_names(package: str) -> Iterator[tuple[str, str]]:
    """What a package gives to type checkers: name, and module relative to it."""
    file = importlib.import_module(package).__file__
    assert file is not None
    for node in ast.parse(Path(file).read_text("utf-8")).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                yield from ((alias.name, "." * (line.level - 1) + str(line.module)) for alias in line.names)


@pytest.mark.parametrize("package", LAZY)
def test_what_is_public_is_all_that_is_public(package: str) -> None:
    module = importlib.import_module(package)
    assert dict(typed_names(package)) == module._HOME
    assert set(module.__all__) - {"__version__"} == set(module._HOME)
    for name, home in module._HOME.items():
        assert getattr(module, name) is getattr(importlib.import_module(f".{home}", package), name), name
    assert module.__dir__() == module.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["vidgraph.engines", "vidgraph.kernels", "vidgraph.models", "vidgraph.testing"])
def test_what_a_package_names_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    assert all(hasattr(module, name) for name in module.__all__)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_pages_import_what_is_public() -> None:
    found = [f"{page.name}: {a or b}" for page in PAGES for a, b in IMPORT.findall(page.read_text("utf-8"))]
    deep = [line for line in found if not PUBLIC.fullmatch(line.partition(": ")[2])]
    assert len(found) > 20
    assert not deep, deep


def test_names_on_the_pages_are_public() -> None:
    """What is called by the name of a folder is a name that the folder gives; programs of ``benchmarks`` are run."""
    mentions = {(page.name, mention) for page in PAGES for mention in MENTION.findall(page.read_text("utf-8"))}
    assert len(mentions) > 50
    wrong = []
    for page, mention in sorted(mentions):
        folder, *names = mention.split(".")[1:]
        if names and folder in FOLDERS and names[0] not in importlib.import_module(f"vidgraph.{folder}").__all__:
            wrong.append(f"{page}: {mention}")
    assert not wrong, wrong
