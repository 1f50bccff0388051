"""The command line before anything runs: names, options, help, versions. Errors are one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from vidgraph import __version__
from vidgraph.cli.options import COMMANDS

from ..conftest import Command, Ended

Main = Callable[..., Ended]

RUN = ("run", "in.mp4", "--model", "retinaface", "-o", "out.jsonl")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ["which command?", "run, models, pull", "see: vidgraph --help"]),
        (("rnu",), ["unknown command 'rnu'", "did you mean run?", "see: vidgraph --help"]),
        (("zebra",), ["unknown command 'zebra'; see: vidgraph --help"]),
        (("--vresion",), ["unknown option --vresion", "did you mean --version?"]),
        ((*RUN, "--min-scor", "0.5"), ["unknown option --min-scor", "did you mean --min-score", "vidgraph run --help"]),
        ((*RUN, "--min-scor=0.5"), ["unknown option --min-scor", "did you mean --min-score"]),
        ((*RUN, "--detreministic"), ["unknown option --detreministic", "did you mean --deterministic?"]),
        ((*RUN, "--threshold", "0.5"), ["unknown option --threshold; see: vidgraph run --help"]),
        ((*RUN, "--confidence", "0.5"), ["unknown option --confidence; see: vidgraph run --help"]),
        ((*RUN, "--qqq"), ["unknown option --qqq; see: vidgraph run --help"]),
        ((*RUN, "--frame", "3"), ["unknown option --frame", "--frames"]),
        (
            ("bench", "--sourc", "x", "--source", "in.mp4"),
            ["unknown option --sourc", "--source", "vidgraph bench --help"],
        ),
        (("info", "more"), ["unexpected argument 'more'; see: vidgraph info --help"]),
        (("run",), ["no source was given", "vidgraph run synth:street -o out.mp4"]),
        (("run", "-o", "x.jsonl"), ["no source was given", "vidgraph run synth:street -o out.mp4"]),
        (("run", "in.mp4", "-o", "x.jsonl"), ["no model was given", "--model NAME", "vidgraph models"]),
        (("run", "synth:street"), ["no output was given", "-o out.mp4"]),
        (("run", "in.mp4", "--model", "retinaface"), ["no output was given", "-o out.mp4"]),
        ((*RUN, "--min-score", "1.5"), ["--min-score", "a number from 0 to 1, got '1.5'"]),
        ((*RUN, "--min-score", "nan"), ["--min-score", "a number from 0 to 1, got 'nan'"]),
        ((*RUN, "--threads", "0"), ["--threads", "a whole number from 1, got '0'"]),
        ((*RUN, "--frames", "many"), ["--frames", "a whole number from 1, got 'many'"]),
        ((*RUN, "--size", "0"), ["--size", "640 (longer side) or 1280x720, got '0'"]),
        ((*RUN, "--size", "1x2x3"), ["--size", "got '1x2x3'"]),
        ((*RUN, "--start", "soon"), ["--start", "[hours:]minutes:seconds, got 'soon'"]),
        ((*RUN, "--when", "always"), ["--when", "expected 'motion', got 'always'"]),
        ((*RUN, "--skipped", "all"), ["--skipped", "expected hold or none, got 'all'"]),
        ((*RUN, "--ignore-motion", "door=,b.png"), ["--ignore-motion", "expected an image, or NAME=IMAGE,NAME=IMAGE"]),
        ((*RUN, "--max-fps", "0"), ["--max-fps", "frames per second above 0, got '0'"]),
        ((*RUN, "-o"), ["-o/--output", "expected one argument"]),
    ],
)
def test_wrong_words(words: tuple[str, ...], parts: list[str], vidgraph: Main) -> None:
    ended = vidgraph(*words)
    assert ended.code == 2
    assert ended.out == ""
    for part in parts:
        assert part in ended.line


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--model", "retinafce"), ["unknown model 'retinafce'", "did you mean retinaface"]),
        (("--model", "=w.pth"), ["model '=w.pth' has no name before the =", "NAME=FILE"]),
        (("--model", "="), ["model '=' has no name before the ="]),
        (("--model", "retinaface="), ["model 'retinaface=' has no file after the =", "NAME=FILE"]),
        (("--model", "."), [". is a folder, no model; give the file of weights in it"]),
        (("--model", "zebra"), ["unknown model 'zebra'", "known: retinaface, retinaface-resnet50"]),
        (("--engine", "openvin"), ["unknown engine 'openvin'", "did you mean openvino?"]),
        (("--precision", "fp61"), ["unknown precision 'fp61'", "did you mean fp16"]),
        (("--preset", "veryfats"), ["unknown preset 'veryfats'", "veryfast"]),
        (("--device", "gpu"), ["unknown device 'gpu'", "cpu"]),
        (("--classes", "fase"), ["has no class 'fase'", "did you mean face?"]),
        (("--labels", "a,b"), ["has 1 classes (face), got 2 labels"]),
        (("--labels", "no_such.txt"), ["cannot read labels 'no_such.txt'"]),
        (("--every", "2", "--max-fps", "5"), ["every or max_fps, not both"]),
        (("--start", "2", "--end", "1"), ["end"]),
        (("-o", "out.avi"), ["unknown suffix '.avi' of output 'out.avi'", ".mp4"]),
        (("-o", "out.csv"), ["unknown suffix '.csv' of output 'out.csv'", "vidgraph convert makes .csv"]),
        (("-o", "out"), ["unknown address of output 'out'"]),
        (("-o", "frames/x.png"), ["needs one frame number", "frames/x-%06d.png"]),
        (("-o", "ftp://host/out.mp4"), ["of output 'ftp://host/out.mp4'"]),
        (("-o", "in.mp4", "-y"), ["would write in.mp4, the file of source 'in'"]),
        (("-o", "./in.mp4", "-y"), ["the file of source 'in'"]),
        (("-o", "a.jsonl", "-o", "a.jsonl"), ["output 'a.jsonl' is given twice"]),
        (("-o", "a.jsonl", "-o", "./a.jsonl"), ["the file of output 'a.jsonl'"]),
        (("--resume",), ["--resume", ".jsonl"]),
    ],
)
def test_wrong_names(
    words: tuple[str, ...], parts: list[str], vidgraph: Main, face_weights: Path, face_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.mp4").symlink_to(face_clip)
    model = () if "--model" in words else ("--model", f"retinaface={face_weights}")
    output = () if "-o" in words else ("-o", "out.mp4")
    ended = vidgraph("run", "in.mp4", *model, *output, *words)
    assert ended.code == 2
    assert ended.out == ""
    for part in parts:
        assert part in ended.line
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_underscores_are_dashes(vidgraph: Main, face_weights: Path, face_clip: Path) -> None:
    words = ("--min_score=0.6", "--max_detections", "2", "--nms_iou", "0.5", "--size", "160", "--frames", "2", "-q")
    ended = vidgraph("run", face_clip, "--model", f"RetinaFace={face_weights}", "-o", "a_b.jsonl", *words)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert Path("a_b.jsonl").is_file()


@pytest.mark.parametrize("name", ["", *(command.name for command in COMMANDS)])
def test_help_fits_on_a_screen(name: str, vidgraph: Main) -> None:
    ended = vidgraph(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) < 60
    for command in COMMANDS:
        if not name:
            assert f"{command.name} " in ended.out
        if name == command.name:
            assert all(flag in ended.out for option in command.options for flag in option.flags if flag.startswith("-"))
            assert command.example in " ".join(ended.out.split())


def test_every_option_is_explained() -> None:
    for command in COMMANDS:
        for option in command.options:
            assert option.help, option.flags
            assert option.example.startswith("vidgraph "), option.flags


def test_version_is_quick(command: Command) -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        ended = command("--version")
        times.append(time.perf_counter() - started)
        assert (ended.code, ended.out, ended.err) == (0, f"vidgraph {__version__}\n", "")
    assert min(times) < 0.5


def test_import_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import vidgraph, vidgraph.cli;"
        "took = time.perf_counter() - start;"
        "heavy = {'av', 'openvino', 'onnxruntime', 'torch', 'PIL', 'cv2', 'numpy'} & set(sys.modules);"
        "print(took); sys.exit(' '.join(heavy) or 0)"
    )
    program = [sys.executable, "-P", "-c", script]
    runs = [subprocess.run(program, check=True, timeout=60, capture_output=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.3, "a busy machine may be slow once"


def test_both_ways_to_say_it(command: Command, tmp_path: Path) -> None:
    for module in ("vidgraph", "vidgraph.cli"):
        run = subprocess.run(
            [sys.executable, "-P", "-m", module, "run"], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.count("\n") == 1


def test_models_are_listed_and_explained(vidgraph: Main) -> None:
    ended = vidgraph("models")
    assert (ended.code, ended.err) == (0, "")
    assert "retinaface-1mb" in ended.out
    assert "unverified" in ended.out
    ended = vidgraph("models", "retinaface_1MB")
    assert "ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1" in ended.out
    assert "MIT" in ended.out
    ended = vidgraph("models", "retinafase")
    assert ended.code == 2
    assert "did you mean retinaface" in ended.line
