"""The README and docs: blocks run or say what they need, links lead somewhere, generated pages are current."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import vidgraph
from vidgraph.cli import build_parser, main
from vidgraph.cli.options import COMMANDS
from vidgraph.engines.cache import cache_root
from vidgraph.models import MODELS
from vidgraph.models.weights.find import pulled_path

from .material import make_clip, make_custom_models, make_photo, make_queries, make_weights, plain_environment

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
RUN = {"bash", "python"}  # executed, unless a comment before the block says what it needs
SHOWN = {"text", "mermaid", "json", "csv", "toml", "cmake", "cpp"}  # not commands
NEEDS = re.compile(r"<!-- needs: (?P<what>.+?) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page; ``needs`` is what its marker says, or None."""

    page: Path
    line: int
    language: str
    text: str
    needs: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    lines = page.read_text("utf-8").splitlines()
    start, before = None, ""
    for number, line in enumerate(lines):
        fence = re.match(r"\s*```(.*)", line)
        if fence and start is None:
            start, language = number, fence[1].strip()
        elif fence and start is not None:
            marker = NEEDS.search(before)
            text = "\n".join(lines[start + 1 : number]) + "\n"
            yield Block(page, start + 1, language, text, marker["what"] if marker else None)
            start, before = None, ""
        elif start is None and line.strip():
            before = line
    assert start is None, f"{page.name}: the block at line {(start or 0) + 1} is not closed"


def test_pages_are_there() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert names >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
    pages = ("quickstart", "recipes", "cli", "api", "results", "models", "performance", "troubleshooting")
    more = ("coming-from", "architecture", "adding", "custom-models", "datasets")
    assert names >= {f"docs/{name}.md" for name in (*pages, *more)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [f"{block}: {block.language!r}" for block in blocks(page) if block.language not in RUN | SHOWN]
    assert not unknown, f"blocks that neither run nor are plain text: {unknown}"
    useless = [str(block) for block in blocks(page) if block.needs and block.language not in RUN]
    assert not useless, f"blocks that would not run anyway: {useless}"


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.language == "json" for b in blocks(p))], ids=lambda p: p.name
)
def test_json_is_json(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            lines = block.text.splitlines() if block.text.startswith('{"') else [block.text]
            for line in filter(None, lines):
                json.loads(line)


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.language in RUN and not b.needs for b in blocks(p))],
                         ids=lambda p: p.name)  # fmt: skip
def test_blocks_run(page: Path, docs_folder: Path, docs_environment: dict[str, str]) -> None:
    """The blocks of one page, in order, in one folder that has a video, photos and weights."""
    for block in blocks(page):
        if block.language not in RUN or block.needs:
            continue
        command = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-P", "-c"]
        run = subprocess.run(
            [*command, block.text],
            cwd=docs_folder,
            env=docs_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, f"{block} ended with {run.returncode}\n{block.text}\n{run.stdout}\n{run.stderr}"


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    broken = []
    for link in re.findall(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)", text):
        address = next(filter(None, link))
        if re.match(r"[a-z]+:", address):
            continue
        path, _, anchor = address.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(address)
    assert not broken, f"{page.name}: {broken}"


def test_generated_pages_are_current() -> None:
    command = [sys.executable, "-P", str(ROOT / "docs" / "generate.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


def test_every_option_has_an_example_that_parses() -> None:
    for option in (option for command in COMMANDS for option in command.options):
        program, *words = shlex.split(option.example)
        assert program == "vidgraph"
        build_parser().parse_args(words)
        spelled = any(flag in words or any(w.startswith(f"{flag}=") for w in words) for flag in option.flags)
        assert spelled or not option.flags[0].startswith("-"), f"{option.flags}: not in its example"


def test_examples_name_models_that_can_be_had() -> None:
    """Without a file of weights, a model in a command is one that is pulled or comes with the package."""
    texts = [page.read_text("utf-8") for page in PAGES if page.name != "CHANGELOG.md"]
    texts += [vidgraph.__doc__ or "", build_parser().epilog or "", *(c.example for c in COMMANDS)]
    named = re.compile(r"""(?:--model |vidgraph export |model=["'])([a-z][a-z0-9-]*)(?![\w.=*-])""")
    models = {name for text in texts for name in named.findall(text)} & set(MODELS)
    assert len(models) > 3
    yolact = {name for name in models if "yolact" in name}  # weights of theirs are given by a file, as the pages say
    assert not [name for name in models - yolact if not any(w.address or w.pretrained for w in MODELS[name].weights)]


EXAMPLES = sorted({option.example for command in COMMANDS for option in command.options})
ELSEWHERE = ("vidgraph pull", "vidgraph bench", "vidgraph eval")  # a network; long, in blocks of pages; data sets
VIDEO_MODELS = "yolact"  # large networks: tests/models/test_yolact_run.py runs these options on smaller input
CAMERA = "rtsp://"  # there is none at the address


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if not e.startswith(ELSEWHERE) and VIDEO_MODELS not in e and CAMERA not in e]
)
def test_examples_of_options_run(
    example: str, docs_folder: Path, docs_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command line's page gives as an example works, in a folder that has what it names."""
    monkeypatch.chdir(docs_folder)
    monkeypatch.setenv("VIDGRAPH_CACHE", docs_environment["VIDGRAPH_CACHE"])
    words = shlex.split(example)[1:]
    if words[0] in ("draw", "convert") or "--resume" in words:
        assert main(["run", "in.mp4", "--model", "retinaface-1mb", "-o", "out.jsonl", "-q", "--frames", "6"]) == 0
    if words[0] == "build":
        pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX (the extra 'tensorrt-rtx')")
    if "--candidate-model" in words:
        pytest.importorskip("nncf", reason="needs nncf to quantise (the extra 'int8')")
        calibrated = ["--precision", "int8", "--calibrate", "in.mp4", "--frames", "2", "--size", "160x120"]
        assert main(["export", "retinaface-1mb", "-o", words[-1], *calibrated]) == 0
    assert main(words) == 0


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n<!-- needs: a camera -->\n```bash\nfalse\n```\n\n```bash\nfalse\n```\n", "utf-8")
    first, second = blocks(page)
    assert (first.needs, second.needs) == ("a camera", None)
    assert second.line == 8


@pytest.fixture(scope="module")
def docs_environment(material: Path) -> dict[str, str]:
    """The environment of a reader: this interpreter's commands first, a cache that has the weights."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return plain_environment() | {"PATH": path, "VIDGRAPH_CACHE": str(material / "cache")}


@pytest.fixture
def docs_folder(tmp_path: Path, material: Path) -> Path:
    """A reader's folder: what the pages take for granted."""
    shutil.copytree(material / "folder", tmp_path / "folder")
    return tmp_path / "folder"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``folder`` has videos, photos and weights under the names that the pages use; ``cache`` has weights."""
    pytest.importorskip("torch", reason="seeded weights for the examples are made with torch")
    root = tmp_path_factory.mktemp("docs")
    folder = root / "folder"
    for name in ("clips", "photos"):
        (folder / name).mkdir(parents=True)
    for name in ("in.mp4", "clips/door.mp4", "clips/door.mkv"):
        make_clip(folder / name)
    for name in ("photo.jpg", "photos/a.jpg", "photos/b.jpg"):
        make_photo(folder / name)
    make_photo(folder / "mask.png")
    make_custom_models(folder)
    (folder / "cams.toml").write_text('[cameras.door]\naddress = "in.mp4"\nmodel = "retinaface-tiny"\n')
    for model in ("retinaface", "retinaface-1mb"):
        pulled = root / "cache" / "weights" / model / "mobilenet0.25_Final.pth"
        pulled.parent.mkdir(parents=True)
        make_weights(model, pulled)
    pulled = pulled_path(MODELS["deimv2-femto"], MODELS["deimv2-femto"].weights[0])
    pulled = root / "cache" / pulled.relative_to(cache_root())
    pulled.parent.mkdir(parents=True)
    make_queries(pulled)
    shutil.copy(root / "cache" / "weights" / "retinaface" / "mobilenet0.25_Final.pth", folder)
    return root
