"""Devices and engines are chosen from their tables: what serves what, and what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from vidgraph.engines import ENGINES, EngineRow, open_engine
from vidgraph.engines.info import device_info, engine_packages
from vidgraph.engines.open import choose_device, choose_engine, place_of_arrays
from vidgraph.kernels import HOST, Device
from vidgraph.kernels.device import DEVICES
from vidgraph.pipeline.environment import noted_packages
from vidgraph.pipeline.errors import EngineError, MissingExtraError, UsageError

from .. import standin

pytestmark = pytest.mark.usefixtures("cpu_engines_alone")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug_in(monkeypatch)


def prefer(kind: str, monkeypatch: pytest.MonkeyPatch, count: int = 1) -> None:
    """Make ``auto`` ask for this kind of device first, of which the machine has ``count``."""
    first = {kind: replace(DEVICES[kind], count=lambda: count)}
    others = {name: row for name, row in DEVICES.items() if name != kind}
    monkeypatch.setattr("vidgraph.engines.open.DEVICES", first | others)


def test_auto_takes_a_device_that_is_there_and_served(device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    prefer("standin", monkeypatch)
    assert choose_device("auto") == "standin:0"
    prefer("standin", monkeypatch, count=0)
    assert choose_device("auto") == "cpu"
    prefer("standin", monkeypatch)
    monkeypatch.setitem(ENGINES, "standin", replace(ENGINES["standin"], package="no_such_package"))
    assert choose_device("auto") == "cpu"


def test_a_device_that_no_engine_serves_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking the driver is not for a process that runs on the CPU."""

    def count() -> int:
        raise AssertionError

    monkeypatch.setitem(DEVICES, "cuda", replace(DEVICES["cuda"], count=count))
    assert choose_device("auto") == "cpu"


def test_auto_takes_an_engine_that_serves_the_device(device: None) -> None:
    first = next(row for row in ENGINES.values() if row.installed)
    assert choose_engine("auto").name == first.name
    assert choose_engine("auto", "standin:1").name == "standin"
    assert choose_engine("auto", "cuda:0").name == first.name
    assert open_engine(Path("net.onnx"), device="standin:1").device == "standin:1"


def test_an_engine_that_does_not_run_on_the_cpu_is_asked_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a card, and without the engine: it says what it needs, and not that the CPU is no card."""
    monkeypatch.setitem(DEVICES, "cuda", replace(DEVICES["cuda"], count=lambda: 0))
    row = EngineRow("of-cards", ".none", package="no_such_package", extra="of-cards", devices=("cuda",))
    monkeypatch.setitem(ENGINES, row.name, row)
    assert choose_device("auto", "of-cards") == "cuda:0"
    assert choose_device("auto", "openvino") == choose_device("auto", "onnxruntime") == "cpu"
    with pytest.raises(MissingExtraError, match=r"^engine 'of-cards' needs an optional package; .*\[of-cards\]'$"):
        open_engine(Path("net.onnx"), engine="of-cards")


def test_names_of_devices_are_those_of_the_table(device: None) -> None:
    assert choose_device("standin") == "standin:0"
    assert choose_device("STANDIN:3") == "standin:3"
    for wrong in ("cpu:0", "cuda:", "cuda:x", "cuda:-1", "stand"):
        with pytest.raises(UsageError, match=rf"^unknown device '{wrong}'.*known: auto, cpu, cuda:0, standin:0$"):
            choose_device(wrong)


def test_an_engine_that_does_not_serve_the_device(device: None) -> None:
    for options, message in (
        (
            {"device": "standin", "engine": "onnxruntime"},
            "on standin:0: engine 'onnxruntime' needs device cpu or cuda; engine 'st",
        ),
        (
            {"device": "cpu", "engine": "standin"},
            "on cpu: engine 'standin' needs device standin; engine 'openvino' runs",
        ),
        (
            {"device": "cuda:1", "engine": "standin"},
            "on cuda:1: engine 'standin' needs device standin; no CUDA engine is",
        ),
    ):
        with pytest.raises(EngineError, match=rf"^cannot run net\.onnx {message}"):
            open_engine(Path("net.onnx"), **options)


def test_a_build_for_cards_is_told_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported; which of two packages wrote the files that both write is not asked."""
    folder = tmp_path / "engine_with_parts"
    (folder / "capi").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    row = replace(ENGINES["onnxruntime"], package=folder.name)
    monkeypatch.setitem(ENGINES, "onnxruntime", row)
    prefer("cuda", monkeypatch)
    assert [row.installed_for(device) for device in ("cpu", "cuda:0")] == [True, False]
    assert [row.extra_for(device) for device in ("cpu", "cuda:0")] == ["onnxruntime", "onnxruntime-gpu"]
    assert choose_device("auto") == choose_device("auto", "onnxruntime") == "cpu"
    (folder / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"")
    assert row.installed_for("cuda:0")
    assert choose_device("auto") == choose_device("auto", "onnxruntime") == "cuda:0"
    assert choose_device("auto", "openvino") == "cpu"
    assert choose_engine("auto", "cuda:0") is row


def test_where_arrays_lie_is_said_by_the_row(device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of_arrays("auto", "standin:1") == Device("standin", 1)
    assert place_of_arrays("standin", "cpu") == place_of_arrays("auto", "cpu") == HOST
    monkeypatch.setitem(ENGINES, "standin", replace(ENGINES["standin"], wants="host"))
    assert place_of_arrays("standin", "standin:1") == HOST


def test_info_and_versions_follow_from_the_rows(device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_info() == {
        "cuda": "no engine for it is installed; pip install 'vidgraph[onnxruntime-gpu]'",
        "standin": "1 found; engines: standin",
    }
    assert engine_packages() == ("openvino", "onnxruntime", "numpy")
    assert open_engine(Path("net.onnx"), device="standin").name == "net.onnx"
    assert "numpy" in noted_packages()
    monkeypatch.setitem(ENGINES, "standin", replace(ENGINES["standin"], package="no_such_package"))
    assert device_info()["standin"] == "no engine for it is installed; pip install 'vidgraph[standin]'"
