"""The package as it is installed: light to import, one import name, nothing missing from the wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
import vidgraph

HEAVY = ("av", "openvino", "onnxruntime", "onnx", "torch", "cv2", "PIL", "matplotlib", "supervision")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, timeout=60, check=False)


def wheel_files() -> list[PurePosixPath]:
    """The files that the installed wheel has a record of; skips where vidgraph was not installed from one."""
    try:
        files = metadata.files("vidgraph")
    except metadata.PackageNotFoundError:
        files = None
    if not files or not any(str(file) == "vidgraph/__init__.py" for file in files):
        pytest.skip("vidgraph is not installed from a wheel here")
    return [PurePosixPath(str(file)) for file in files]


def test_import_loads_no_engine() -> None:
    code = f"import sys, json, vidgraph; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    run = python("-c", code)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []


@pytest.mark.parametrize(
    ("arguments", "limit_s"), [(("-c", "import vidgraph"), 0.3), (("-m", "vidgraph", "--version"), 0.5)]
)
def test_starts_quickly(arguments: tuple[str, ...], limit_s: float) -> None:
    """In CPU time, best of three: wall time on a busy machine says nothing. Compiled Python files are at hand then."""
    spent = []
    for _ in range(3):
        before = os.times()
        assert python(*arguments).returncode == 0
        after = os.times()
        spent.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(spent) < limit_s


def test_every_public_name_is_there_and_documented() -> None:
    assert vidgraph.__all__
    for name in vidgraph.__all__:
        assert getattr(vidgraph, name) is not None
        if not name.startswith("__") and not name.isupper():
            assert getattr(vidgraph, name).__doc__, f"vidgraph.{name} has no docstring"


@pytest.mark.parametrize("command", [(), ("run",), ("bench",), ("draw",)])
def test_help_is_short(command: tuple[str, ...]) -> None:
    run = python("-m", "vidgraph", *command, "--help")
    assert run.returncode == 0, run.stderr
    assert 10 < len(run.stdout.splitlines()) < 64
    assert run.stderr == ""


def test_version() -> None:
    run = python("-m", "vidgraph", "--version")
    assert run.returncode == 0, run.stderr
    assert vidgraph.__version__ in run.stdout


def test_version_of_the_distribution_is_that_of_the_package() -> None:
    wheel_files()
    assert metadata.version("vidgraph") == vidgraph.__version__


def test_one_import_name() -> None:
    tops = {file.parts[0] for file in wheel_files() if ".." not in file.parts}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vidgraph"}


def test_the_wheel_has_what_the_checkout_has() -> None:
    files = {file.as_posix() for file in wheel_files()}
    root = Path(__file__).resolve().parent.parent
    folders = ("kernels", "pipeline", "engines", "stages", "models")
    missing = [
        path.relative_to(root).as_posix()
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", ".json"} and f"vidgraph/{path.relative_to(root).as_posix()}" not in files
    ]
    assert not missing
    assert "vidgraph/py.typed" in files
    assert any(file.endswith(".schema.json") for file in files), "the results schema is not in the wheel"
    assert any(file.endswith(("/vidgraph", "/vidgraph.exe")) for file in files), "no vidgraph command"
    assert not any(file.startswith("vidgraph/tests/") for file in files)


def test_the_licence_is_in_the_wheel() -> None:
    assert any(file.name == "LICENSE" for file in wheel_files())
    about = metadata.metadata("vidgraph")
    assert about["License-Expression"] == "Apache-2.0"


def test_torch_is_not_a_dependency() -> None:
    wheel_files()
    required = [line for line in metadata.requires("vidgraph") or [] if "extra ==" not in line]
    names = {line.split(";")[0].split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip() for line in required}
    assert {"numpy", "av", "onnx", "openvino"} <= names
    assert not names & {"torch", "opencv-python", "opencv-python-headless"}


def test_source_that_hides_the_package_says_so(tmp_path: Path) -> None:
    """As a clone does beside a program of the user's."""
    (tmp_path / "vidgraph" / "kernels").mkdir(parents=True)
    for file in ("__init__.py", "_version.py", "kernels/__init__.py"):
        shutil.copy(Path(vidgraph.__file__).parent / file, tmp_path / "vidgraph" / file)
    program = tmp_path / "program.py"
    program.write_text("import vidgraph.kernels\n")
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "is vidgraph's source, which is not compiled" in run.stderr.splitlines()[-1]
    assert "python -P" in run.stderr.splitlines()[-1]
