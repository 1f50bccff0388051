"""``benchmarks/gpu`` with a stand-in for the card: shape, parity and JSON; its times say nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vidgraph.benchmarks.gpu import (
    __main__ as command,
    machine,
    part_beside,
    part_chain,
    part_copies,
    part_engines,
    part_kernels,
    part_pipeline,
    part_sanitizer,
    plan,
    render,
)
from vidgraph.benchmarks.gpu.kernel_cases import CASES
from vidgraph.benchmarks.gpu.report import Report
from vidgraph.benchmarks.gpu.scale import FULL, QUICK, Bench
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import Device
from vidgraph.kernels.twins import TWINS

from .. import emulator
from ..emulator import card
from .host_clock import HostClock

CARD = Device("cuda", 0)

needs_emulator = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, command_cache: Path) -> Bench:
    """Small inputs, emulated kernels, and an engine in place of TensorRT."""
    card.plug_in(monkeypatch)
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))
    monkeypatch.setattr(command, "EventClock", HostClock)
    monkeypatch.setattr(machine, "card_facts", lambda _: {"card": "a stand-in", "capability": "9.0"})
    monkeypatch.setattr(part_sanitizer, "find", lambda: None)
    return Bench(CARD, HostClock(CARD), QUICK, command.MODELS, card.ENGINE)


def made_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel subtracts where it should multiply."""
    (source,) = (source for source in emulator.SOURCES if source.stem == "warp_features")
    text = source.read_text()
    wrong = text.replace("value *= scale", "value -= scale")
    assert wrong != text
    monkeypatch.setattr(driver, "_drivers", [emulator.EmulatedDriver(0, {source: wrong})])


def test_every_twin_has_a_case() -> None:
    assert set(CASES) == {kernel for kernel, kind in TWINS if kind == "cuda"}


@needs_emulator
def test_every_kernel_is_compared_and_timed(bench: Bench) -> None:
    report = Report()
    part_kernels.measure(bench, report)
    assert report.wrong == []
    assert [row["kernel"] for row in report.rows] == list(CASES)
    for row in report.rows:
        assert row["same"] == row["of"] > 0, row
        assert row["launches"] >= len(row["by_kernel"]) >= 1, row
        assert row["bytes"] > 0, row
        assert row["share_of_copy"] >= 0, row
        assert min(row["kernels_ms"], row["call_ms"], row["queued_ms"]) > 0, row
    json.dumps(report.figures(), allow_nan=False)


@needs_emulator
def test_a_kernel_that_is_wrong_is_told_and_the_others_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made_wrong(monkeypatch)
    monkeypatch.setattr(part_kernels, "CASES", {name: CASES[name] for name in ("top_scores", "warp_features", "nms")})
    outcome = plan.run_here("kernels", bench)
    assert outcome["state"] == "wrong"
    (line,) = outcome["wrong"]
    assert line.startswith("warp_features: ")
    assert [row["kernel"] for row in outcome["rows"]] == ["top_scores", "warp_features", "nms"]


@needs_emulator
def test_a_kernel_that_fails_is_told_and_the_others_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Any:
        raise RuntimeError("an illegal address")

    monkeypatch.setattr(part_kernels, "CASES", {"nms": broken, "top_scores": CASES["top_scores"]})
    outcome = plan.run_here("kernels", bench)
    assert (outcome["state"], outcome["wrong"]) == ("wrong", ["nms failed: RuntimeError: an illegal address"])
    assert [row["kernel"] for row in outcome["rows"]] == ["top_scores"]


@needs_emulator
def test_copies_and_post_processing_are_measured(bench: Bench) -> None:
    copies, chain = Report(), Report()
    part_copies.measure(bench, copies)
    assert len(copies.rows) == 7
    assert all(row["gb_per_s"] > 0 for row in copies.rows)
    part_chain.measure(bench, chain)
    assert chain.wrong == []
    assert (chain.facts["detections"], chain.facts["same"]) == (QUICK.detections, chain.facts["of"])
    boxes, whole = chain.rows
    assert whole["launches"] > boxes["launches"] > 0
    assert set(whole["by_kernel"]) > set(boxes["by_kernel"])
    assert set(chain.rows[-1]["within_target"]) == {"kernels_ms", "call_ms", "queued_ms"}


@needs_emulator
def test_torch_computes_the_same(bench: Bench) -> None:
    torch = pytest.importorskip("torch", reason="the other side is written in torch")
    report = Report()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        part_beside.compare(bench, report, torch, "cpu")
    torch.set_num_threads(threads)
    ours = [row["task"] for row in report.rows if row["name"] == "vidgraph"]
    assert len(ours) == 5
    single = {row["task"]: row for row in report.rows if row["name"] == "torch float32"}
    assert list(single) == ours
    assert {row["name"] for row in report.rows} == {"vidgraph", "torch float32", "torch float16"}
    for row in single.values():
        assert row["agrees"] > 0.99, row
        assert row["x_call_ms"] > 0, row


def test_torch_without_a_card_is_left_out_with_the_reason(bench: Bench) -> None:
    torch = pytest.importorskip("torch", reason="that a card is needed is said where torch is there")
    if torch.cuda.is_available():
        pytest.skip("torch finds a card here")
    outcome = plan.run_here("beside", bench)
    assert (outcome["state"], outcome["rows"]) == ("skipped", [])
    assert outcome["reason"].endswith("finds no card")


@needs_emulator
def test_engines_are_compared_and_timed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report()
    part_engines.measure(bench, report)
    assert report.wrong == []
    ours = [row for row in report.rows if row["engine"] == card.ENGINE]
    assert [(row["precision"], row["batch"]) for row in ours] == [("fp32", 1), ("fp32", 2)]
    assert all(0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p99"] for row in ours)
    assert all(row["pictures_per_s"] > 0 for row in ours)
    left_out = {each["what"] for each in report.skipped}
    assert f"{card.ENGINE} in fp16, batch 1" in left_out
    monkeypatch.setattr(part_engines, "BOUNDS", {"fp32": -1.0, "fp16": -1.0})
    wrong = Report()
    part_engines.measure(bench, wrong)
    assert len(wrong.wrong) == len(QUICK.batches)
    assert "of its largest magnitude, more than -1" in wrong.wrong[0]


@needs_emulator
def test_whole_runs_are_measured(bench: Bench) -> None:
    report = Report()
    part_pipeline.measure(bench, report)
    for name in command.MODELS:
        found = report.facts[f"overhead {name}"]
        assert (found["engine"], found["device"]) == (card.ENGINE, "cuda:0")
        assert found["share"] == pytest.approx(found["run_ms"] / found["engine_ms"] - 1, rel=0.01, abs=0.01)
        assert found["within_target"] == (found["share"] <= part_pipeline.MOST_OVERHEAD)
    measured = [(row["model"], row["batch"], row["streams"]) for row in report.rows]
    assert measured == [(model, b, s) for model in command.MODELS for b in (1, 2) for s in (1, 2)]
    assert {row["decoder"] for row in report.rows} == {"cpu"}  # where FFmpeg finds no card
    assert not report.skipped
    for row in report.rows:
        assert row["frames"] == QUICK.frames
        assert row["fps"] > 0
        assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p99"]


@needs_emulator
def test_an_engine_that_fails_is_told_and_the_others_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, feeds: object) -> Any:
        raise RuntimeError("an illegal address")

    monkeypatch.setattr(card.OnCard, "run", broken)
    engines, runs = plan.run_here("engines", bench), plan.run_here("pipeline", bench)
    name = f"{card.ENGINE} in fp32"
    assert engines["wrong"] == [f"{name}, batch {n} failed: RuntimeError: an illegal address" for n in QUICK.batches]
    assert (engines["state"], runs["state"]) == ("wrong", "wrong")
    assert [line.partition(" failed: ")[0] for line in runs["wrong"]] == [
        *(f"{model}, every frame" for model in command.MODELS),
        *(f"{model}, batch {n}" for model in command.MODELS for n in QUICK.batches),
    ]  # fmt: skip


@needs_emulator
def test_the_command_writes_all_parts_and_they_go_into_the_page(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "gpu.json", tmp_path / "page.md"
    assert command.main(["--here", "--quick", "--engine", card.ENGINE, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    record = json.loads(out.read_text())
    parts = record["figures"]["parts"]
    assert list(parts) == list(plan.PARTS)
    assert {name: part["state"] for name, part in parts.items() if part["state"] != "done"} == {
        "beside": "skipped", "sanitizer": "skipped",
    }  # fmt: skip
    assert record["figures"]["scale"] == "quick"
    assert {"machine", "versions", "commit", "measured_at"} <= record.keys()
    assert "kernels: done after " in said

    page.write_text(f"# Page\n\n{render.BEGIN}\nfigures of before\n{render.END}\n\nrest\n")
    render.main([str(out), str(page)])
    text = page.read_text()
    assert text.startswith(f"# Page\n\n{render.BEGIN}\n\na stand-in (compute capability 9.0)")
    assert text.endswith(f"{render.END}\n\nrest\n")
    assert "figures of before" not in text
    assert f"Kernels: {len(CASES)} of {len(CASES)} give what the CPU gives" in text
    assert "these times say nothing" in text
    assert "- sanitizer: skipped: compute-sanitizer is not found" in text
    assert text.count("| preprocess | ") == 1


@needs_emulator
def test_the_command_fails_where_parity_fails(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_wrong(monkeypatch)
    monkeypatch.setattr(part_kernels, "CASES", {"warp_features": CASES["warp_features"]})
    words = ["--here", "--quick", "--parity-only", "--part", "kernels", "-o", str(tmp_path / "gpu.json")]
    assert command.main(words) == 1
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["figures"]["parts"]["kernels"]["rows"]
    assert "kernels_ms" not in row


def test_without_a_card_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse() -> Any:
        raise RuntimeError("there is no NVIDIA driver here")

    monkeypatch.setattr(command, "driver", refuse)
    assert command.main(["-o", str(tmp_path / "gpu.json")]) == 2
    assert capsys.readouterr().err == "vidgraph.benchmarks.gpu: there is no NVIDIA driver here\n"
    assert command.main(["--device", "cpu"]) == 2
    assert capsys.readouterr().err == "vidgraph.benchmarks.gpu: device must be cuda or cuda:N, got 'cpu'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_marks_and_a_file_without_figures_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, page = tmp_path / "other.json", tmp_path / "page.md"
    figures.write_text('{"kind": "kernels", "figures": []}')
    page.write_text("nothing\n")
    with pytest.raises(SystemExit):
        render.main([str(figures), str(page)])
    assert "other.json has no figures of a card" in capsys.readouterr().err
    with pytest.raises(render.UsageError, match="the page has no lines"):
        render.replaced("nothing\n", "text")


def test_full_inputs_are_those_of_the_requirements() -> None:
    assert (FULL.frame, FULL.priors, FULL.classes, FULL.detections) == ((1080, 1920), 19248, 81, 100)
    assert (FULL.batches, FULL.streams) == ((1, 4, 16), (1, 8, 32))
