"""The commands besides ``run``: draw, convert, compare, export, bench, info, models, pull."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from ..conftest import Command, Ended
from ..material import make_clip, make_photo

Main = Callable[..., Ended]

BLOCKER = """
import sys
for name in ("torch", "onnxscript"):
    sys.modules[name] = None
from vidgraph.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def results(vidgraph: Main, face_weights: Path, face_clip: Path) -> Path:
    """Results of ``face_clip`` in 160 pixels: out.jsonl, and out.mp4 beside it."""
    words = ("--model", f"retinaface={face_weights}", "--size", "160", "--precision", "fp32", "-q")
    assert vidgraph("run", face_clip, *words, "-o", "out.jsonl", "-o", "out.mp4").code == 0
    return Path("out.jsonl")


def frames_of(path: Path) -> list[tuple[float | None, int]]:
    """Time and size of each frame of a video."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.width) for frame in container.decode(video=0)]


def test_draw(vidgraph: Main, results: Path, face_clip: Path, tmp_path: Path) -> None:
    """From the results alone: no weights, no network."""
    ended = vidgraph("draw", face_clip, results, "-o", "drawn.mp4", "-o", "f/%02d.png", "--preset", "ultrafast")
    assert (ended.code, ended.out) == (0, ""), ended.err
    assert "40 frames in" in ended.err.splitlines()[-1]
    assert frames_of(tmp_path / "drawn.mp4") == frames_of(tmp_path / "out.mp4")
    assert len(list((tmp_path / "f").iterdir())) == 40
    assert vidgraph("draw", face_clip, results, "-o", "drawn.mp4", "-y", "-q").err == ""
    assert vidgraph("draw", face_clip, results).code == 2
    assert vidgraph("draw", face_clip, results, "-o", "drawn.mp4").code == 1


@pytest.mark.parametrize(
    ("video", "file", "parts"),
    [
        ("in.mp4", "missing.jsonl", ["cannot read results missing.jsonl"]),
        ("in.mp4", "text.jsonl", ["text.jsonl is not a vidgraph results file"]),
        ("missing.mp4", "out.jsonl", ["no such file: missing.mp4"]),
        ("other.mp4", "out.jsonl", ["out.jsonl"]),
        ("in.mp4", "damaged.jsonl", ["damaged.jsonl, line 5: not JSON"]),
    ],
)
def test_draw_refuses(
    video: str, file: str, parts: list[str], vidgraph: Main, results: Path, face_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.mp4").symlink_to(face_clip)
    make_clip(tmp_path / "other.mp4", 50, rate=10)
    (tmp_path / "text.jsonl").write_text("no results\n")
    lines = results.read_text("ascii").splitlines(keepends=True)
    (tmp_path / "damaged.jsonl").write_text("".join([*lines[:4], "{oops\n", *lines[5:]]))
    ended = vidgraph("draw", video, file, "-o", "drawn.mp4", "-q")
    assert ended.code == 1
    for part in parts:
        assert part in ended.line


def test_convert(vidgraph: Main, results: Path) -> None:
    lines = [json.loads(line) for line in results.read_text("ascii").splitlines()][1:]
    count = sum(len(line["objects"]) for line in lines)
    ended = vidgraph("convert", results, "--to", "csv")
    assert (ended.code, ended.out.strip()) == (0, "out.csv")
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert len([row for row in rows if row.get("score")]) == count
    ended = vidgraph("convert", results, "--to", "coco", "-o", "made.json")
    assert (ended.code, ended.out.strip()) == (0, "made.json")
    coco = json.loads(Path("made.json").read_text())
    assert len(coco["images"]) == 40
    assert len(coco["annotations"]) == count
    ended = vidgraph("convert", results, "--to", "coco", "-o", "made.json")
    assert ended.code == 1
    assert "made.json: it exists" in ended.line
    assert vidgraph("convert", results, "--to", "coco", "-o", "made.json", "-y").code == 0
    ended = vidgraph("convert", results, "--to", "coca")
    assert ended.code == 2
    assert "coco" in ended.line
    assert vidgraph("convert", "missing.jsonl", "--to", "csv").code == 1


def test_compare(vidgraph: Main, face_weights: Path, face_clip: Path) -> None:
    words = ("compare", "--source", face_clip, "--model", f"retinaface={face_weights}", "--size", "160")
    ended = vidgraph(*words, "--frames", 3, "--candidate", "openvino:fp32")
    assert ended.code == 0, ended.err
    for part in ("(onnxruntime, fp32, cpu)", "(openvino, fp32, cpu)", "loc ", "conf ", "landm "):
        assert part in ended.out
    assert "worst of 3 frames" in ended.err
    engines = (("--reference", "openvin"), ("--candidate", "openvino:fp31"))
    for wrong in (*engines, ("--model", "zebra"), ("--source", "*.mp4")):
        ended = vidgraph(*words, *wrong)
        assert ended.code in (1, 2)
        assert ended.line


def test_export_and_run_without_torch(
    command: Command, vidgraph: Main, face_weights: Path, face_clip: Path, tmp_path: Path
) -> None:
    seeded = face_weights.parent / "seeded.pth"
    ended = vidgraph("export", f"retinaface={seeded}", "-o", "face.onnx", "--size", "160x120")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "face.onnx: retinaface, input 160x120, batch 1, fp32\n"
    assert vidgraph("export", f"retinaface={seeded}", "-o", "face.onnx").code == 1, "it exists"
    ended = vidgraph("export", f"retinaface={seeded}", "-o", "other.onnx", "--size", "640")
    assert ended.code == 2
    assert "both sides of the input" in ended.line
    (tmp_path / "blocked.py").write_text(BLOCKER)
    without_torch = (sys.executable, "-P", "blocked.py")
    for size in ("160", "200"):
        words = ("--size", size, "--precision", "fp32", "-q")
        assert vidgraph("run", face_clip, "--model", f"retinaface={seeded}", *words, "-o", f"a{size}.jsonl").code == 0
        run = ("run", face_clip, "--model", "retinaface=face.onnx", *words, "-o", f"b{size}.jsonl")
        assert command(*run, program=without_torch) == Ended(0, "", "")
        lines = [Path(f"{which}{size}.jsonl").read_text("ascii").splitlines() for which in "ab"]
        assert lines[0][1:] == lines[1][1:]
    command.environment["VIDGRAPH_CACHE"] = str(tmp_path / "empty")
    run = ("run", face_clip, "--model", f"retinaface={seeded}", "--size", "96", "-o", "no.jsonl")
    ended = command(*run, program=without_torch)
    assert ended.code == 1
    assert "pip install 'vidgraph[torch]'" in ended.line


def test_bench(vidgraph: Main, face_weights: Path, face_clip: Path) -> None:
    words = ("bench", "--model", f"retinaface={face_weights}", "--source", face_clip, "--size", "160")
    ended = vidgraph(*words, "--frames", 5, "-o", "bench.json")
    assert ended.code == 0, ended.err
    figures = json.loads(Path("bench.json").read_text())
    assert figures["kind"] == "vidgraph bench"
    assert figures["machine"]["cores"] >= 1
    assert figures["versions"]["av"]
    parts = figures["figures"]["parts"]
    assert set(parts) >= {"decode", "preprocess", "infer", "postprocess", "draw", "encode"}
    assert all(part["cpu_ms"] >= 0 and part["wall_ms"] > 0 for part in parts.values())
    assert set(figures["figures"]["whole"]) == {"json", "video"}
    assert "fps" in ended.out
    ended = vidgraph(*words, "-o", "bench.json")
    assert ended.code == 1
    assert "bench.json exists already" in ended.line


def test_info(vidgraph: Main) -> None:
    ended = vidgraph("info", "--json")
    assert (ended.code, ended.err) == (0, "")
    facts = json.loads(ended.out)
    assert facts["processor"]["cores"] >= 1
    assert facts["vidgraph"]["kernels"]
    assert "openvino" in facts["engines"]
    assert "h264" in facts["video"]["decoders"]
    assert "libx264" in facts["video"]["encoders"]
    ended = vidgraph("info")
    assert ended.code == 0
    for section in facts:
        assert section in ended.out


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("retinafase",), 2, ["unknown model", "retinaface"]),
        (("retinaface",), 2, ["no download address is known for retinaface", "Pytorch_Retinaface", "--from"]),
        (("retinaface-1mb", "--from", "http://nowhere.invalid/w.pth"), 2, ["https"]),
        (("retinaface", "--from", "https://127.0.0.1:9/w.pth"), 2, ["--trust"]),
        (("retinaface-1mb", "--from", "https://user:hunter2@127.0.0.1:9/w.pth", "--trust"), 1, ["127.0.0.1:9"]),
    ],
)
def test_pull_refuses(
    words: tuple[str, ...], code: int, parts: list[str], vidgraph: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    ended = vidgraph("pull", *words)
    assert ended.code == code, ended.err
    assert ended.out == ""
    for part in parts:
        assert part in ended.line
    assert "hunter2" not in ended.err
    assert not list((tmp_path / "cache").rglob("*.pth"))


def test_pull_offline_says_what_to_fetch_and_where_to_put_it(
    vidgraph: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib.error
    import urllib.request

    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", offline)
    ended = vidgraph("pull", "retinaface-1mb")
    assert ended.code == 1
    for part in ("https://", "mobilenet0.25_Final.pth", str(tmp_path / "cache")):
        assert part in ended.line


def test_a_model_without_weights_says_how_to_get_them(
    vidgraph: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    make_photo(tmp_path / "photo.jpg")
    ended = vidgraph("run", "photo.jpg", "--model", "retinaface-1mb", "-o", "out.jsonl")
    assert ended.code == 2
    assert "vidgraph pull retinaface-1mb" in ended.line
    assert not (tmp_path / "out.jsonl").exists()
