"""Published networks: one TOML file each is all that one takes, and what runs is what was published."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph.models import MODELS, find_model, load_model, published, pull
from vidgraph.models.custom.toml_file import from_toml
from vidgraph.models.export.export import export
from vidgraph.models.known_classes import COCO
from vidgraph.models.registry import implemented
from vidgraph.models.resolve import resolve_model
from vidgraph.models.weights.find import pulled_path, weights_here
from vidgraph.pipeline.errors import UsageError

from .custom.planted import in_frame, letterboxed, picture, write_network

ROWS = [row for row in MODELS.values() if row.settings is not None]
FILES = {
    "deimv2-atto": "deimv2/deimv2_hgnetv2_atto_coco.onnx",
    "deimv2-femto": "deimv2/deimv2_hgnetv2_femto_coco.onnx",
    "deeplabv3": "deeplabv3/deeplab_v3_1_default_1.onnx",
    "nanodet-m": "nanodet_m/nanodet_m_320.onnx",
    "ultraface": "ultraface/version-RFB-320.onnx",
    "yolox-nano": "yolox_nano/yolox_nano_kazuhito.onnx",
    "yunet": "yunet/yunet_n_dynamic.onnx",
}
"""Where the networks are beside the checkout."""
SIZE = (64, 64)
BOX = (8.0, 16.0, 40.0, 48.0)
DUMMY = """\
finds = "boxes"
source = "github.com/somebody/networks @ 0123456789abcdef0123456789abcdef01234567"
licence = "MIT"
trained_on = "pets"
address = "{address}"
sha256 = "{sha256}"
bytes = {bytes}
aliases = ["pet"]

[[accuracy]]
figure = "box AP"
value = 0.5
data = "pets, validation"

[network]
head = "yolo"
classes = ["cat", "dog"]

[network.input]
fit = "letterbox"
color = "bgr"
mean = [0, 0, 0]
std = [255, 255, 255]
"""


def test_every_file_is_whole() -> None:
    assert {row.name for row in ROWS} == set(FILES)
    for row in ROWS:
        assert row.settings is not None
        (weights,) = row.weights
        repository, commit = re.fullmatch(r"github\.com/(\S+/\S+) @ ([0-9a-f]{40})", row.source).groups()  # type: ignore[union-attr]
        assert weights.address is not None
        assert weights.address.startswith(f"https://raw.githubusercontent.com/{repository}/{commit}/")
        assert weights.address.endswith(f"/{weights.file}")
        assert re.fullmatch(r"[0-9a-f]{64}", weights.sha256 or "")
        assert 10_000 < weights.largest_bytes < 50_000_000
        assert row.licence in ("Apache-2.0", "MIT")
        assert all(0 < each.value < 1 for each in row.published)
        about = from_toml(row.settings, published.SETTINGS)
        assert None not in (about.head, about.classes, about.input.fit, about.input.color)
        assert row.status == "as published"
        assert row not in implemented()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_file_beside_the_checkout_is_the_one_that_is_pinned(row: Any, shared: Callable[[str], Path]) -> None:
    data = shared(f"nets/{FILES[row.name]}").read_bytes()
    assert hashlib.sha256(data).hexdigest() == row.weights[0].sha256
    assert len(data) == row.weights[0].largest_bytes


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("deimv2-femto", "000000000724", "stop sign"),
        ("deimv2-atto", "000000000724", "stop sign"),
        ("yolox-nano", "000000000724", "stop sign"),
        ("nanodet-m", "000000000724", "stop sign"),
    ],
)
def test_detectors_find_what_is_there(name: str, image: str, expected: str, shared: Callable[[str], Path]) -> None:
    (file,) = (shared("data/coco_val128/images")).glob(f"{image}.*")
    with load_model(name, weights=shared(f"nets/{FILES[name]}")) as model:
        found = model(file).detections
        info = model.describe()
    assert expected in [row.class_name for row in found if row.score > 0.6]
    assert (info.name, info.trained_on, info.class_names) == (name, "COCO 2017", COCO)


@pytest.mark.parametrize("name", ["yunet", "ultraface"])
def test_detectors_of_faces_find_a_face(name: str, shared: Callable[[str], Path]) -> None:
    (file,) = (shared("data/coco_val128/images")).glob("000000001296.*")  # a woman, near
    with load_model(name, weights=shared(f"nets/{FILES[name]}")) as model:
        result = model(file)
    best = result.detections.boxes[0]
    assert result.detections.scores[0] > 0.9
    np.testing.assert_allclose(best, [145, 92, 292, 302], atol=12)
    assert (result.landmarks is None) == (name == "ultraface")


def test_a_semantic_network_of_channels_last_gives_a_class_for_every_pixel(shared: Callable[[str], Path]) -> None:
    (file,) = (shared("data/coco_val128/images")).glob("000000000785.*")  # a woman on skis
    with load_model("deeplabv3", weights=shared(f"nets/{FILES['deeplabv3']}")) as model:
        result = model(file)
    areas = {each.class_name: each.area_px for each in result.panoptic.segments}
    assert max(areas, key=lambda name: areas[name]) == "background"
    assert 0.03 < areas["person"] / sum(areas.values()) < 0.5


def test_the_classes_are_the_callers_where_labels_are_given(shared: Callable[[str], Path]) -> None:
    with load_model("ultraface", weights=shared(f"nets/{FILES['ultraface']}"), labels=["visitor"]) as model:
        assert model.class_names == ("visitor",)


def test_what_is_not_here_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"^deimv2-femto has no weights here; get them with: vidgraph pull deimv2-fem"):
        load_model("deimv2-femto")
    with pytest.raises(UsageError, match=r"no model was given .*to begin with: vidgraph pull deimv2-femto\."):
        vidgraph.run("in.mp4")
    assert resolve_model("DEIMv2_femto").name == "deimv2-femto"
    with pytest.raises(UsageError, match=r"mine\.pth is no network; deimv2-femto takes a file such as deimv2_.*onnx$"):
        resolve_model("deimv2-femto=mine.pth")
    with pytest.raises(UsageError, match=r"^deimv2-femto is an ONNX file already"):
        export("deimv2-femto", size=SIZE, path=tmp_path / "out.onnx")


@pytest.fixture
def dummy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A published network ``dummy``: its TOML in a folder of such files, and its file on a server on this machine."""
    rows = np.zeros((1, 6, 84), np.float32)
    rows[0, :4, 0] = ((BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2, BOX[2] - BOX[0], BOX[3] - BOX[1])
    rows[0, 5, 0] = 0.75
    folder = tmp_path / "server"
    folder.mkdir()
    network = write_network(folder / "pets.onnx", {"output0": rows}, size=SIZE, toml='head = "classify"\n')

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *parts: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    described = tmp_path / "published" / "dummy.toml"
    described.parent.mkdir()
    data = network.read_bytes()
    address = f"http://127.0.0.1:{server.server_port}/pets.onnx"
    digest = hashlib.sha256(data).hexdigest()
    described.write_text(DUMMY.format(address=address, sha256=digest, bytes=len(data)))
    for row in published.read_rows(described.parent):
        monkeypatch.setitem(MODELS, row.name, row)
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    yield network
    server.shutdown()
    server.server_close()
    thread.join()


def test_one_file_is_all_that_a_network_takes(dummy: Path) -> None:
    row = find_model("pet")
    assert (row.name, row.task, row.trained_on) == ("dummy", "boxes", "pets")
    assert row.published[0].value == 0.5
    assert weights_here(row) is None
    got = pull("dummy")
    assert (got.path, got.licence, got.was_there) == (pulled_path(row, row.weights[0]), "MIT", False)
    assert pull("dummy").was_there
    frame = (32, 128)
    with load_model("dummy") as model:
        found = model(picture(frame)).detections
        assert model.describe().trained_on == "pets"
    np.testing.assert_allclose(found.boxes, in_frame(np.array([BOX]), letterboxed(SIZE, frame), frame), atol=1e-3)
    assert [row.class_name for row in found] == ["dog"]


def test_a_file_given_is_read_as_published_whatever_lies_beside_it(dummy: Path) -> None:
    with load_model("dummy", weights=dummy) as model:
        assert model.class_names == ("cat", "dog")
    assert resolve_model(f"dummy={dummy}").published is MODELS["dummy"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("licence = ", "license = "), r"dummy\.toml: unknown key 'license', no key 'licence'"),
        (("[network.input]", "[input]"), r"dummy\.toml: unknown key 'input'"),
        (("[[accuracy]]", "[[accuracy"), r"."),
    ],
)
def test_a_file_that_says_something_else_is_refused(dummy: Path, change: tuple[str, str], line: str) -> None:
    path = dummy.parent.parent / "published" / "dummy.toml"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ValueError, match=line):
        published.read_rows(path.parent)
