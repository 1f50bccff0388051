"""int8: made from frames, said by the file, run by both engines, resized, compared, refused where it does not fit."""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.benchmarks.compare_engines import compare_engines
from vidgraph.engines import open_engine
from vidgraph.engines.onnx_file import read_metadata
from vidgraph.engines.processor import processor
from vidgraph.models import find_model, load_model
from vidgraph.models.export import calibrate
from vidgraph.models.export.export import export
from vidgraph.models.weights.find import Weights
from vidgraph.pipeline.errors import CheckpointError, EngineError, MissingExtraError, UsageError
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.types.picture import Picture

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def nncf() -> None:
    """Skips where networks cannot be quantised."""
    for package in ("nncf", "onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package} to quantise (the extra 'int8')")


@pytest.fixture(scope="module")
def faces8(nncf: None, face_weights: Path, face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``face_weights`` in int8, at 120x160."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDGRAPH_CACHE", str(tmp_path_factory.mktemp("cache8")))
        path = tmp_path_factory.mktemp("int8") / "faces8.onnx"
        return export(
            "retinaface", face_weights, (120, 160), path=path, precision="int8", calibrate=face_clip, frames=8
        )


def outputs(path: Path, feeds: dict[str, np.ndarray], **choices: Any) -> dict[str, np.ndarray]:
    engine = open_engine(path, **choices)
    try:
        return {name: array.copy() for name, array in engine.run(feeds).items()}
    finally:
        engine.close()


def noise(got: np.ndarray, expected: np.ndarray) -> float:
    """Root of the mean squared difference, over the spread of what was expected."""
    return float(np.sqrt(np.mean((got - expected) ** 2)) / expected.std())


def test_the_file_says_what_it_is(faces8: Path, face_weights: Path) -> None:
    metadata, before = read_metadata(faces8), read_metadata(face_weights)
    assert metadata["vidgraph.precision"] == "int8"
    calibration = json.loads(metadata["vidgraph.calibration"])
    assert calibration["source"] == "in.mp4"
    assert 4 <= calibration["frames"] <= 8
    assert {key: metadata[key] for key in before} == before
    assert faces8.stat().st_size < face_weights.stat().st_size / 2
    assert logging.getLoggerClass() is logging.Logger
    assert "openvino_telemetry" not in sys.modules or sys.modules["openvino_telemetry"] is not None


@pytest.mark.parametrize("engine", ENGINES)
def test_both_engines_run_it_as_int8(
    engine: str, faces8: Path, face_weights: Path, tmp_path: Path, face_clip: Path, tolerance: Callable[[str], float]
) -> None:
    images = calibrate.collect(
        Weights.find(find_model("retinaface"), face_weights), face_clip, (120, 160), 3
    ).key_images
    plain = export("retinaface", face_weights, (120, 160), path=tmp_path / "plain.onnx")
    for precision in ("auto", "int8"):
        opened = open_engine(faces8, engine=engine, precision=precision)
        assert opened.precision == "int8"
        opened.close()
    for image in images:
        expected = outputs(plain, {"image": image}, precision="fp32")
        got = outputs(faces8, {"image": image}, engine=engine)
        for name in ("loc", "landm"):
            assert 0 < noise(got[name], expected[name]) <= tolerance("int8, noise to signal")


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_refuse_other_precisions_of_it(engine: str, faces8: Path, face_weights: Path) -> None:
    with pytest.raises(EngineError, match=r"^faces8\.onnx is quantised and computes in int8; precision 'fp32' needs"):
        open_engine(faces8, engine=engine, precision="fp32")
    with pytest.raises(EngineError, match=r"'int8' needs a quantised network.*make one with: vidgraph export"):
        open_engine(face_weights, engine=engine, precision="int8")


def test_it_is_loaded_like_any_file_and_at_other_sizes(faces8: Path, face_clip: Path) -> None:
    with load_model("retinaface", weights=faces8, size=(240, 320), precision="int8") as model:
        about = model.describe()
    assert (about.precision, about.input_size) == ("int8", (240, 320))


def test_what_does_not_fit_is_one_line(faces8: Path, face_weights: Path, face_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    make = r"make a file that is with: vidgraph export retinaface=\S+ -o retinaface-int8\.onnx --precision int8"
    with pytest.raises(UsageError, match=make):
        load_model("retinaface", weights=face_weights, precision="int8")
    with pytest.raises(UsageError, match=make):
        export("retinaface", face_weights, path=out, precision="int8")
    with pytest.raises(UsageError, match=r"faces8\.onnx is quantised and runs in int8; for precision bf16 give"):
        load_model("retinaface", weights=faces8, precision="bf16")
    with pytest.raises(UsageError, match="is quantised already"):
        export("retinaface", faces8, path=out, precision="int8", calibrate=face_clip)
    with pytest.raises(UsageError, match="for precision int8, which was not asked for"):
        export("retinaface", face_weights, path=out, calibrate=face_clip)
    with pytest.raises(UsageError, match="writes fp32 or int8, got precision 'bf16'"):
        export("retinaface", face_weights, path=out, precision="bf16")
    with pytest.raises(UsageError, match="at least 1 frame, got 0"):
        export("retinaface", face_weights, path=out, precision="int8", calibrate=face_clip, frames=0)
    assert not out.exists()


def test_the_same_frames_are_not_calibrated_with_twice(
    nncf: None, exported: Path, face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidgraph.models.export import quantise

    given = {"precision": "int8", "calibrate": face_clip, "frames": 2}
    first = export("retinaface-slim", exported, (32, 48), path=tmp_path / "first.onnx", **given)
    monkeypatch.setattr(quantise, "quantise", None)
    again = export("retinaface-slim", exported, (32, 48), path=tmp_path / "again.onnx", **given)
    assert again.read_bytes() == first.read_bytes()
    resized = export("retinaface-slim", first, (64, 96), 2, path=tmp_path / "resized.onnx")
    assert outputs(resized, {"image": np.zeros((2, 3, 64, 96), np.float32)})["loc"].shape[0] == 2


def test_a_network_is_quantised_once(faces8: Path) -> None:
    from vidgraph.models.export.quantise import quantise

    with pytest.raises(CheckpointError, match="is quantised already"):
        quantise(faces8.read_bytes(), [{"image": np.zeros((1, 3, 120, 160), np.float32)}])


def test_without_nncf_the_extra_is_named(
    exported: Path, face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match=r"vidgraph\[int8\]"):
        export("retinaface-slim", exported, path=tmp_path / "x.onnx", precision="int8", calibrate=face_clip)


def test_compare_shows_outputs_and_detections(faces8: Path, face_weights: Path, face_clip: Path) -> None:
    compared = compare_engines(
        face_clip, "retinaface", weights=face_weights, candidate_model=str(faces8), size=(120, 160), frames=4
    )
    assert "(onnxruntime, fp32, cpu)" in compared.table
    assert "(openvino, int8, cpu)" in compared.table
    assert [row.output for row in compared.rows] == ["loc", "conf", "landm"]
    assert all(row.worst > 0 for row in compared.rows)
    results = compared.results
    assert results is not None
    assert results.frames == compared.frames == 4
    assert results.pairs <= min(results.reference, results.other)
    same = compare_engines(face_clip, "retinaface", weights=face_weights, candidate="openvino:fp32", frames=2).results
    assert same is not None
    assert 0 < same.pairs == same.reference == same.other
    assert max(same.box_px) < 1e-2


def numbered(count: int) -> list[Frame]:
    black = Picture.from_rgb(np.zeros((2, 2, 3), np.uint8))
    return [Frame("a", index, 0, index, 0, black) for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 64])
@pytest.mark.parametrize("frames", [1, 2, 7, 64, 65, 1000])
def test_frames_are_spread_evenly(frames: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "_image", lambda frame, preprocess: frame.index)
    chosen = [spot[0] for spot in calibrate._spread(numbered(frames), None, count, follow=False)]
    steps = {b - a for a, b in itertools.pairwise(chosen)}
    assert chosen[0] == 0
    assert len(steps) <= 1
    assert min(frames, -(-count // 2)) <= len(chosen) <= count


@pytest.mark.parametrize("count", [1, 3, 4, 64])
@pytest.mark.parametrize("frames", [1, 6, 40, 1000])
def test_every_key_frame_has_a_follower_within_its_interval(
    frames: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "_image", lambda frame, preprocess: frame.index)
    spots = calibrate._spread(numbered(frames), None, count, follow=True)
    assert 1 <= len(spots) <= count
    for spot in spots[:-1]:
        assert len(spot) == 2
    distances = {spot[-1] - spot[0] for spot in spots if len(spot) == 2}
    assert distances <= {1, 2, 3, 4}
    assert len(spots) < 10 or distances == {1, 2, 3, 4}


@pytest.fixture(scope="module")
def video8(
    nncf: None,
    seeded_checkpoint: Callable[[str], Path],
    face_clip: Path,
    cache_of_the_session: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Both graphs of ``yolact-edge-vid-resnet50`` with seeded weights in int8, at 96x96."""
    name, path = "yolact-edge-vid-resnet50", tmp_path_factory.mktemp("video8") / "vid8.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDGRAPH_CACHE", str(cache_of_the_session))
        given = {"precision": "int8", "calibrate": face_clip, "frames": 2}
        return export(name, seeded_checkpoint(name), (96, 96), path=path, **given)


def test_a_video_model_is_quantised_as_its_key_frames_feed_it(video8: Path, face_clip: Path) -> None:
    import onnx

    name = "yolact-edge-vid-resnet50"
    assert video8.name == "vid8-key.onnx"
    for graph in ("key", "non_key"):
        nodes = onnx.load(video8.with_name(f"vid8-{graph}.onnx"), load_external_data=False).graph.node
        makers = {each: node for node in nodes for each in node.output}
        quantised = {
            node.name
            for node in nodes
            if any(given in makers and makers[given].op_type == "DequantizeLinear" for given in node.input)
        }
        convolutions = {node.name for node in nodes if node.op_type == "Conv"}
        assert "/backbone/layers.1/layers.1.0/conv2/Conv" in quantised
        assert len(quantised & convolutions) > 0.6 * len(convolutions)
        assert not [each for each in quantised if re.match(r"/(warp|flow_net|spa)", each)]
    with load_model(name, weights=video8, size=96) as model:
        assert model.describe().precision == "int8"
        frames = [model.stream()(np.full((90, 120, 3), grey, np.uint8)) for grey in (80, 90)]
    assert len(frames) == 2


def test_int8_graphs_of_a_video_model_stay_near_fp32(
    video8: Path, seeded_checkpoint: Callable[[str], Path], face_clip: Path, tolerance: Callable[[str], float]
) -> None:
    name = "yolact-edge-vid-resnet50"
    compared = compare_engines(
        face_clip, name, weights=seeded_checkpoint(name), candidate_model=str(video8), size=96, frames=2
    )
    rows = {row.output: row for row in compared.rows}
    assert {output.partition("/")[0] for output in rows} == {"key", "non_key"}
    assert all(row.non_finite == (0, 0) for row in rows.values())
    for output in ("key/state_p4", "key/state_pre", "non_key/evidence"):  # the last shows whether the warp is right
        assert rows[output].relative <= tolerance("int8, worst of a seeded YolactEdge"), output


def test_graphs_of_two_calibrations_do_not_mix(video8: Path, tmp_path: Path) -> None:
    from vidgraph.models.export.quantise import add_metadata

    key = Path(shutil.copy(video8, tmp_path / "vid8-key.onnx"))
    other = add_metadata(video8.with_name("vid8-non_key.onnx").read_bytes(), {"vidgraph.calibration": "{}"})
    (tmp_path / "vid8-non_key.onnx").write_bytes(other)
    with pytest.raises(CheckpointError, match="were not quantised together"):
        load_model("yolact-edge-vid-resnet50", weights=key)


def test_trained_faces_survive(
    nncf: None, checkpoint: Callable[[str], Path], shared: Any, tmp_path: Path, tolerance: Callable[[str], float]
) -> None:
    clip, weights = shared("media/faces_1080p.mp4"), checkpoint("retinaface")
    given = {"precision": "int8", "calibrate": clip, "frames": 16}
    faces = export("retinaface", weights, (180, 320), path=tmp_path / "faces.onnx", **given)
    results = compare_engines(
        clip, "retinaface", weights=weights, candidate_model=str(faces), size=320, frames=12
    ).results
    assert results is not None
    assert results.reference >= 15
    vnni = processor().flags & {"avx_vnni", "avx512_vnni", "amx_int8", "i8mm"}
    kept = tolerance(f"int8, trained faces found again{'' if vnni else ', without VNNI'}")
    assert results.pairs >= kept * max(results.reference, results.other)
    assert np.mean(results.box_px) < 2.0  # of 1920 x 1080, that is a third of a pixel of the input
