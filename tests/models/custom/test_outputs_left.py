"""Every output counts: one that no head reads is an error, unless it is ignored or the head is named."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.check import check
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import HEADS, fitting
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.pipeline.errors import UsageError

from .planted import picture, write_network
from .test_inspect import table

SIZE = (64, 64)


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


def more(folder: Path, toml: str = "") -> Path:
    """A YOLO with one object, and two outputs more."""
    outputs = {"output0": table(), "depth": np.zeros((1, 1, 8, 8), np.float32), "aux": np.zeros((1, 7), np.float32)}
    return write_network(folder / "my.onnx", outputs, size=SIZE, toml=toml)


def test_an_output_that_nothing_reads_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        inspect_model(more(tmp_path))
    said = str(caught.value)
    assert re.search(r"my.onnx: yolo does not read depth \(float32 \[1, 1, 8, 8\]\), aux \(float32 \[1, 7\]\); ", said)
    assert 'say ignore = ["depth", "aux"] in my.toml, or --head yolo; ' in said
    assert "its outputs are output0 (float32 [1, 7, 84]), depth (" in said
    assert said.endswith("its inputs are images (float32 [1, 3, 64, 64])")
    assert "\n" not in said


def test_the_head_in_the_toml_alone_does_not_settle_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="yolo does not read depth"):
        inspect_model(more(tmp_path, 'head = "yolo"\n'))


def test_what_is_ignored_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = more(tmp_path, 'ignore = ["depth", "aux"]\n')
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path)) as model:
        assert len(model(picture(SIZE)).detections) == 1
    assert "left out" not in caplog.text
    with pytest.raises(UsageError, match=r"yolo does not read aux .*ignore = \["):
        inspect_model(more(tmp_path, 'ignore = ["depth"]\n'))


def test_the_named_head_leaves_out_the_rest_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = more(tmp_path)
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path), head="yolo") as model:
        assert len(model(picture(SIZE)).detections) == 1
    assert "my.onnx has outputs that yolo does not read, and that are left out: depth, aux" in caplog.text
    assert "aux float32 [1, 7], left out" in check(path, head="yolo", runs=1).text()


@pytest.mark.parametrize(
    ("names", "why"),
    [(["deepth"], "my.toml ignores the output 'deepth', which it does not have"),
     (["output0", "depth", "aux"], "my.toml ignores all of its outputs")],
)  # fmt: skip
def test_ignoring_what_is_not_there_or_everything(names: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{why}; correct ignore; its outputs are output0"):
        inspect_model(more(tmp_path, f"ignore = {names}\n"))


@pytest.mark.parametrize("shape", [(), (1,), (1, 2, 3, 4, 5)])
def test_shapes_that_no_head_reads_are_refused_in_one_line(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"odd": np.ones(shape, np.float32)}, size=SIZE)
    with pytest.raises(UsageError, match="no head fits its outputs"):
        inspect_model(path)
    for head in HEADS:
        if head != "raw":
            with pytest.raises(UsageError, match=f"my.onnx is not {head} "):
                inspect_model(path, head=head)


def test_raw_reads_everything(tmp_path: Path) -> None:
    with load_model(str(more(tmp_path)), head="raw") as model:
        tensors = model(picture(SIZE)).tensors
    assert tensors is not None
    assert set(tensors) == {"output0", "depth", "aux"}


def test_raw_reads_an_output_without_axes(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"odd": np.float32(3.5).reshape(())}, size=SIZE)
    with load_model(str(path), head="raw", precision="fp32") as model:
        tensors = model(picture(SIZE)).tensors
    assert tensors is not None
    assert tensors["odd"].reshape(-1).tolist() == [3.5]


def test_a_template_names_what_is_ignored(tmp_path: Path) -> None:
    path = more(tmp_path, 'ignore = ["depth", "aux"]\n')
    text = write_template(path, tmp_path / "new.toml")[0].read_text()
    assert 'ignore = ["depth", "aux"]  # my.toml' in text


LAYOUTS: list[tuple[str, list[TensorSpec], dict[str, Any]]] = [
    ("yolo", [spec("o", 1, 116, 8400), spec("p", 1, 32, 160, 160)], {}),
    ("yolo-end2end", [spec("o", 1, 300, 38), spec("p", 1, 32, 160, 160)], {"task": "segment"}),
    ("yolo-end2end", [spec("o", 1, 300, 6)], {}),
    ("detr", [spec("logits", 1, 9, 4), spec("pred_boxes", 1, 9, 4)], {"scores": "sigmoid"}),
    ("detr", [spec("labels", 1, 9, dtype=np.int64), spec("boxes", 1, 9, 4), spec("scores", 1, 9)], {}),
    ("ssd", [spec("b", 1, 9, 4), spec("s", 1, 9, 3)], {"scores": "given", "boxes_unit": "pixels"}),
    ("semantic", [spec("m", 1, 5, 160, 160)], {}),
    ("classify", [spec("r", 1, 5)], {"scores": "given"}),
]


@pytest.mark.parametrize(("kind", "outputs", "known"), LAYOUTS)
def test_what_heads_read(kind: str, outputs: list[TensorSpec], known: dict[str, Any]) -> None:
    """All of their own outputs, and one more is an error."""
    head: Any = fitting(kind)(outputs, Description(**known), (640, 640))
    assert head.reads == {each.name for each in outputs}
    named = Description(**known, head=kind)
    extra = spec("extra", 1, 3, 3, 3, 3)
    assert recognise(outputs, named, (640, 640)).reads == head.reads
    with pytest.raises(UsageError, match=rf"{kind} does not read extra \(float32 \[1, 3, 3, 3, 3\]\)"):
        recognise([*outputs, extra], named, (640, 640))
    assert recognise([*outputs, extra], named, (640, 640), head=kind).reads == head.reads


def test_every_head_says_what_it_reads() -> None:
    assert {kind for kind, *_ in LAYOUTS} | {"raw"} <= set(HEADS)
    raw: Any = fitting("raw")([spec("a", 1, 2), spec("b", 3)], Description(head="raw"), SIZE)
    assert raw.reads == {"a", "b"}


NETS = {
    "deeplabv3/deeplab_v3_1_default_1": "may have its classes last; name them",
    "reid/person-reidentification-retail-0288": "may be features of the picture .*, or scores of 256 classes",
    "mediapipe/selfie": "is one map: of one class, if `classes` or `head` say so",
}


@pytest.mark.parametrize("name", NETS)
def test_real_networks_of_which_nothing_is_said_are_not_guessed(
    name: str, tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    path = tmp_path / "my.onnx"
    shutil.copy(shared(f"nets/{name}.onnx"), path)
    with pytest.raises(UsageError, match=NETS[name]) as caught:
        inspect_model(path)
    assert "; its inputs are " in str(caught.value)
    assert "\n" not in str(caught.value)
