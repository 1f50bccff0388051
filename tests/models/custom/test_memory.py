"""Custom networks with memory: what they give is what a loop in ONNX Runtime gives, frame by frame."""

from __future__ import annotations

import itertools
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.onnx_file import read_info
from vidgraph.models import load_model
from vidgraph.models.custom.check import check
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.pipeline.errors import CheckpointError, UsageError
from vidgraph.pipeline.packet import MATTE, SKIPPED, TENSORS, Frame, Packet
from vidgraph.pipeline.stage import EndReason

from ...tolerances import TOLERANCES
from .memory_nets import (
    QUERIES,
    QUERIES_TOML,
    SIZE,
    Loop,
    check_equal,
    flow,
    frame,
    given_by,
    inputs_of,
    matting,
    matting_loop,
    pictures,
    queries,
    tensors_of,
)
from .test_inspect import edited

RECURRENT_ATOL, _ = TOLERANCES["state in another engine"]
RAW: dict[str, Any] = {"head": "raw", "engine": "onnxruntime"}


@pytest.fixture(autouse=True)
def _needs_onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")


def frames_of(count: int, **where: Any) -> list[Frame]:
    return [frame(picture, index, **where) for index, picture in enumerate(pictures(count))]


def packets_of(frames: list[Frame]) -> list[Packet]:
    return [Packet(one) for one in frames]


@pytest.mark.parametrize("sides", [SIZE, ("height", "width")])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_pairs_rNi_rNo_are_state(tmp_path: Path, sides: Any, engine: str) -> None:
    """Held against the file as it is, with the first values [1, 1, 1, 1] that its authors give."""
    path = matting(tmp_path / "matting.onnx", sides=sides, batch="batch")
    frames = frames_of(5)
    precision = "fp32" if engine == "openvino" else "auto"
    with load_model(str(path), size=SIZE, head="raw", engine=engine, precision=precision) as model:
        want = matting_loop(path)(inputs_of(model, frames))
        got = [tensors_of(packet) for packet in given_by(model.stages(), packets_of(frames))]
    if engine == "onnxruntime":
        check_equal(got, want, ("fgr", "pha"))
    for ours, theirs in zip(got, want, strict=True):
        for name in ("fgr", "pha"):
            np.testing.assert_allclose(ours[name], theirs[name], atol=RECURRENT_ATOL)
    assert np.abs(want[-1]["pha"] - want[0]["pha"]).max() > 100 * RECURRENT_ATOL


def test_open_axes_of_state_are_fixed_as_those_of_the_outputs(tmp_path: Path) -> None:
    path = matting(tmp_path / "matting.onnx", sides=("height", "width"), batch="batch")
    custom = inspect_model(path, size=(32, 64), head="raw")
    assert [str(each) for each in read_info(custom.file).inputs] == [
        "src (float32 [1, 3, 32, 64])", "r1i (float32 [1, 4, 16, 32])", "r2i (float32 [1, 5, 8, 16])",
    ]  # fmt: skip
    assert [spec.name for spec in custom.shown] == ["fgr", "pha"]


def test_the_mattes_of_a_network_with_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """``pha`` is one; neither ``fgr`` nor the state is left out. Such a network is of one size."""
    toml = '[input]\nfit = "stretch"\ncolor = "rgb"\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n'
    path = matting(tmp_path / "matting.onnx", sides=("height", "width"), toml=toml)
    with pytest.raises(UsageError, match="leaves the size of its input open; give one"):
        inspect_model(path)
    frames = frames_of(3)
    with (
        caplog.at_level(logging.WARNING, "vidgraph"),
        load_model(str(path), size=(32, 48), engine="onnxruntime") as model,
    ):
        want = matting_loop(path)(inputs_of(model, frames))
        got = [packet[MATTE].alpha for packet in given_by(model.stages(), packets_of(frames))]
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_array_equal(ours, np.rint(theirs["pha"][0, 0] * np.float32(255)))
    assert "left out" not in caplog.text
    assert "left out" not in check(path, size=(32, 48), engine="onnxruntime", runs=1).text()


@pytest.mark.parametrize(("toml", "ratio"), [("", 0.25), ("[input]\ndownsample_ratio = 0.5\n", 0.5)])
def test_the_ratio_is_filled_in(tmp_path: Path, toml: str, ratio: float, caplog: pytest.LogCaptureFixture) -> None:
    path = matting(tmp_path / f"ratio{ratio:g}.onnx", sides=("height", "width"), ratio=True, toml=toml)
    frames = frames_of(3)
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path), size=(64, 96), **RAW) as model:
        want = matting_loop(path, downsample_ratio=np.array([ratio], np.float32))(inputs_of(model, frames))
        got = [tensors_of(packet) for packet in given_by(model.stages(), packets_of(frames))]
    check_equal(got, want, ("fgr", "pha"))
    said = [record.getMessage() for record in caplog.records if "downsample_ratio" in record.getMessage()]
    assert len(said) == (0 if toml else 1)


def test_a_second_picture_is_the_frame_before(tmp_path: Path) -> None:
    path = flow(tmp_path / "flow.onnx")
    frames = frames_of(4)
    with load_model(str(path), **RAW) as model:
        images = inputs_of(model, frames)
        got = [tensors_of(packet) for packet in given_by(model.stages(), packets_of(frames))]
    want = Loop(path, "image2", {}, {}, previous="image1")(images)
    check_equal(got, want, ["flow"])
    still = Loop(path, "image2", {}, {}, fed={"image1": images[0]})(images[:1])
    check_equal(got[:1], still, ["flow"])
    with pytest.raises(UsageError, match="may be optical flow, or maps of 2 classes; if so, name the"):
        load_model(str(path))
    with load_model(str(path), labels=["still", "moving"]) as model:
        assert model.describe().task == "a class for every pixel"


def test_queries_are_carried_over_frames_to_a_head(tmp_path: Path) -> None:
    path = queries(tmp_path / "queries.onnx")
    frames = frames_of(6)
    learned = np.load(tmp_path / "learned.npy")[None]
    first = {"queries": learned, "seen": np.ones(1, np.int64)}
    loop = Loop(path, "pixel_values", {"queries": "queries.next", "seen": "seen.next"}, first)
    with load_model(str(path), engine="onnxruntime", min_score=0.0, max_detections=3) as model:
        want = loop(inputs_of(model, frames))
        got = given_by(model.stages(), packets_of(frames))
        (key,) = model.result_keys().all()
        assert model.class_names == ("a", "b", "c")
    for packet, answer in zip(got, want, strict=True):
        found = packet[key]
        by_class = np.zeros(3, np.float32)
        by_class[found.class_ids] = found.scores
        np.testing.assert_array_equal(by_class, answer["probabilities"][0])
    assert want[-1]["seen.next"] == [7]


def test_an_output_may_be_state_and_a_result(tmp_path: Path) -> None:
    """The TOML names it as both: here probabilities that a wrapper would feed back."""
    toml = '[state]\nr1i = "r1o"\n[outputs]\nmasks = "r2o"\n'
    path = matting(tmp_path / "both.onnx", toml=toml)
    frames = frames_of(3)
    with load_model(str(path), **RAW) as model:
        got = [tensors_of(packet) for packet in given_by(model.stages(), packets_of(frames))]
        want = matting_loop(path)(inputs_of(model, frames))
    check_equal(got, want, ["fgr", "pha", "r2o"])


def test_a_network_of_state_alone_says_which_is_a_result(tmp_path: Path) -> None:
    path = matting(tmp_path / "my.onnx")
    edited(path, lambda model: [model.graph.output.remove(each) for each in list(model.graph.output)[:2]])
    with pytest.raises(UsageError, match=r"all its outputs are state; .* in my\.toml .*such as logits = \"r1o\""):
        inspect_model(path, head="raw")
    path.with_suffix(".toml").write_text('[outputs]\nlogits = "r2o"\n')
    assert [spec.name for spec in inspect_model(path, head="raw").shown] == ["r2o"]


def interleaved(seed: int) -> list[Packet]:
    """Frames of three streams with seeks; some were dropped, or are not to be run."""
    chance = random.Random(seed)
    images = itertools.cycle(pictures(11, seed))
    packets, state = [], {stream: [0, 0] for stream in "abc"}
    for _ in range(60):
        stream = chance.choice("abc")
        index, epoch = state[stream]
        epoch += chance.random() < 0.1
        one = Packet(frame(next(images), index, stream=stream, epoch=epoch))
        fate = chance.random()
        packets.append(
            one.dropped("mailbox_full") if fate < 0.1 else one.with_item(SKIPPED, True) if fate < 0.25 else one
        )
        state[stream] = [index + chance.randint(1, 3), epoch]
    return packets


@pytest.mark.parametrize("kind", ["matting", "flow"])
def test_streams_interleaved_with_seeks_and_drops(tmp_path: Path, kind: str) -> None:
    """Each epoch of each stream is a loop of its own, over the frames on which the network ran."""
    path = (matting if kind == "matting" else flow)(tmp_path / f"{kind}.onnx")
    loop = matting_loop(path) if kind == "matting" else Loop(path, "image2", {}, {}, previous="image1")
    packets = interleaved(3)
    with load_model(str(path), **RAW) as model:
        stages = model.stages()
        out = given_by(stages, packets)
        ran = [one.frame for one in packets if one.drop_cause is None and not one.get(SKIPPED)]
        assert [one.frame for one in out if TENSORS in one] == ran
        segments = {(one.stream_id, one.epoch): [f for f in ran if (f.stream_id, f.epoch) == (one.stream_id, one.epoch)]
                    for one in ran}  # fmt: skip
        assert len(segments) > 4
        for (stream, epoch), frames in segments.items():
            got = [tensors_of(p) for p in out
                   if TENSORS in p and (p.frame.stream_id, p.frame.epoch) == (stream, epoch)]  # fmt: skip
            check_equal(got, loop(inputs_of(model, frames)), [n for n in loop.names if n not in loop.state.values()])
        for stage in stages:
            for stream in "abc":
                list(stage.end_stream(stream, EndReason.FINISHED))


def test_a_picture_alone_is_a_first_frame(tmp_path: Path) -> None:
    path = matting(tmp_path / "matting.onnx")
    frames = frames_of(2)
    with load_model(str(path), **RAW) as model:
        images = inputs_of(model, frames)
        alone = [model(picture).tensors for picture in pictures(2)]
        camera = model.stream()
        in_order = [camera(picture).tensors for picture in pictures(2)]
        camera.close()
        again = camera(pictures(1)[0]).tensors
    loop = matting_loop(path)
    check_equal([each for each in alone if each], [loop(images[:1])[0], loop(images[1:])[0]], ("fgr", "pha"))
    check_equal([each for each in in_order if each], loop(images), ("fgr", "pha"))
    check_equal([again or {}], loop(images[:1]), ("fgr", "pha"))


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[state]\nhidden = "r1o"\n',
            r"state names the input 'hidden', which the network has not; it has src \(float32",
        ),
        ('[state]\nr1i = "out"\n', r"state\.r1i names the output 'out', which the network has not; it has fgr"),
        ('[state]\nr1i = "pha"\n', r"input r1i \(.*\) is given output pha .*must have its type and shape"),
        ("[state]\nr1i = 3\n", r"state\.r1i must be the name of an output such as"),
        ('[state]\nr1i = { first = "ones" }\n', r"state\.r1i must be the name of an output such as"),
        ('[state]\nr1i = { output = "r1o", last = 1 }\n', r"state\.r1i must be the name of an output such as"),
        ('[state]\nr1i = { output = "r1o", first = "none.npy" }\n', r"no such file: .*none\.npy"),
        ('[state]\nr1i = { output = "r1o", first = "../f.npy" }\n', r"names a file that is not beside it"),
        ('[input]\nprevious = "image"\n', r"input\.previous names the input 'image', which the network has not"),
        (
            '[input]\nprevious = "r1i"\n',
            r"input r1i \(.*\) takes the frame before, and must have the type and shape of",
        ),
        ("[input]\ndownsample_ratio = 0\n", r"input\.downsample_ratio must be a share above 0"),
    ],
)
def test_a_toml_that_does_not_fit(tmp_path: Path, toml: str, message: str) -> None:
    path = matting(tmp_path / "my.onnx", sides=(32, 32), toml=toml)

    def of_fixed_shape(model: Any) -> None:
        for dim, length in zip(model.graph.input[1].type.tensor_type.shape.dim, (1, 4, 16, 16), strict=True):
            dim.dim_value = length

    with pytest.raises((CheckpointError, UsageError), match=message):
        inspect_model(edited(path, of_fixed_shape), head="raw")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(QUERIES), r"must be float32 \[1, 3, 4\]; .*they are float64 \[3, 4\]"),
        (np.zeros((2, 3, 4), np.float32), r"must be float32 \[1, 3, 4\]; cannot take .*learned\.npy"),
        (None, r"must be float32 \[1, 3, 4\]; cannot take .*learned\.npy"),
    ],
)
def test_first_values_that_do_not_fit(tmp_path: Path, values: Any, message: str) -> None:
    path = queries(tmp_path / "queries.onnx")
    if values is None:
        (tmp_path / "learned.npy").write_bytes(b"\x93NUMPY\x01\x00")
    else:
        np.save(tmp_path / "learned.npy", values)
    with pytest.raises(UsageError, match=message):
        inspect_model(path)


def test_what_may_be_state_or_the_frame_before_is_said(tmp_path: Path) -> None:
    path = queries(tmp_path / "queries.onnx", toml=QUERIES_TOML.partition("[state]")[0])
    with pytest.raises(CheckpointError) as caught:
        inspect_model(path)
    assert 'under [state] in queries.toml which output it is given: "queries" = "queries.next"' in str(caught.value)
    assert '"seen" = "seen.next"' in str(caught.value)
    path = flow(tmp_path / "flow.onnx", toml="")
    with pytest.raises(CheckpointError, match=r'image1 or image2 .*\[input\] in flow\.toml: previous = "image1"'):
        inspect_model(path, head="raw")
    path.with_suffix(".toml").write_text('[input]\nname = "image1"\n')
    with pytest.raises(CheckpointError, match=r'if image2 takes the frame before, .*: previous = "image2"'):
        inspect_model(path, head="raw")
    path.with_suffix(".toml").write_text('[input]\nprevious = "image2"\n')
    assert inspect_model(path, head="raw").image.name == "image1"


def test_state_has_a_limit(tmp_path: Path) -> None:
    path = matting(tmp_path / "my.onnx")

    def huge(model: Any) -> None:
        for tensor in (model.graph.input[1], model.graph.output[2]):
            for dim, length in zip(tensor.type.tensor_type.shape.dim, (1, 4, 2**14, 2**14), strict=True):
                dim.dim_value = length
        for tensor in (model.graph.input[2], model.graph.output[3]):
            for dim, length in zip(tensor.type.tensor_type.shape.dim, (1, 5, 4, 6), strict=True):
                dim.dim_value = length

    with pytest.raises(CheckpointError, match=r"state r1i \(.*16384\]\) is larger than 1024 MiB"):
        inspect_model(edited(path, huge), head="raw")


def test_pairs_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = matting(tmp_path / "my.onnx")
    edited(path, lambda model: setattr(model.graph.output[2].type.tensor_type, "elem_type", 10))
    with pytest.raises(
        CheckpointError, match=r"input r1i \(float32 .*\) is given output r1o \(float16 .*must have its"
    ):
        inspect_model(path, head="raw")


def test_state_of_one_picture_has_no_batches(tmp_path: Path) -> None:
    path = matting(tmp_path / "my.onnx", batch="batch")

    def of_one(model: Any) -> None:
        for dim, length in zip(model.graph.input[1].type.tensor_type.shape.dim, (1, 4, 8, 12), strict=True):
            dim.dim_value = length

    with pytest.raises(
        UsageError, match=r"its state r1i \(float32 \[1, 4, 8, 12\]\) is that of one picture; leave out b"
    ):
        load_model(str(edited(path, of_one)), head="raw", batch=2)


def test_key_frames_are_of_other_models(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="my has no key frames: every frame goes on from the one before it"):
        load_model(str(matting(tmp_path / "my.onnx")), head="raw", keyframes=5)


def test_what_is_known_of_its_memory_is_said_and_written(tmp_path: Path) -> None:
    path = queries(tmp_path / "queries.onnx")
    text = check(path, engine="onnxruntime", runs=1).text()
    assert "queries: queries.next of the frame before, at first learned.npy" in text
    assert "two pictures of noise, one after the other, went through" in text
    written, _ = write_template(path, force=True)
    assert '"queries" = { output = "queries.next", first = "learned.npy" }  # queries.toml' in written.read_text()
    assert "previous" not in written.read_text()
    again = inspect_model(path)
    assert [(each.input, each.output) for each in again.memory.states] == [
        ("queries", "queries.next"), ("seen", "seen.next"),
    ]  # fmt: skip
    path = flow(tmp_path / "flow.onnx")
    assert "image1: the frame before" in check(path, head="raw", engine="onnxruntime", runs=1).text()
    assert 'previous = "image1"  # flow.toml' in write_template(path, head="raw", force=True)[0].read_text()
    path = matting(tmp_path / "ratio.onnx", sides=(64, 64), ratio=True)
    text = check(path, head="raw", engine="onnxruntime", runs=1).text()
    assert "r1i: r1o of the frame before, at first zeros" in text
    assert "downsample_ratio: 0.25" in text
