"""Heads depth and matte: planted maps come out at the frame's pixels, in files beside the results, drawn and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import DEPTH, MATTE
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.hugging_face import from_folder
from vidgraph.models.run import draw
from vidgraph.pipeline.errors import EngineError, OutputError, ResultsError, UsageError
from vidgraph.pipeline.results.convert import convert
from vidgraph.pipeline.results.format import results_schema

from .planted import FRAMES, LANDSCAPE, PLACES, Place, picture, precision_of, write_network

SIZE, MAP = (64, 96), (16, 24)
SHAPES = {"[1, h, w]": (1, *MAP), "[1, 1, h, w]": (1, 1, *MAP), "[1, h, w, 1]": (1, *MAP, 1)}
SHARED = Path(__file__).resolve().parents[4] / "shared"


def planted_map(seed: int = 0) -> np.ndarray:
    """float32 [16, 24], exact in half precision."""
    return np.random.default_rng(seed).integers(0, 65, MAP).astype(np.float32) / 64


def resized(values: np.ndarray, frame: tuple[int, int], place: Place) -> np.ndarray:
    """A map at the pixels of a frame, bilinearly, pixel by pixel, in double precision: [H, W]."""
    (scale, offset), (height, width) = place, values.shape
    whole = np.zeros(frame)
    ys, xs = ((np.arange(length) + 0.5 - offset[axis]) / scale[axis] for axis, length in ((1, frame[0]), (0, frame[1])))
    down = np.clip(ys * height / SIZE[0] - 0.5, 0, height - 1)
    right = np.clip(xs * width / SIZE[1] - 0.5, 0, width - 1)
    for row, y in enumerate(down):
        for column, x in enumerate(right):
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            upper = values[y0, x0] * (1 - x + x0) + values[y0, x1] * (x - x0)
            lower = values[y1, x0] * (1 - x + x0) + values[y1, x1] * (x - x0)
            whole[row, column] = upper * (1 - y + y0) + lower * (y - y0)
    return whole


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("layout", list(SHAPES))
def test_depth_comes_out(layout: str, fit: str, engine: str, tmp_path: Path) -> None:
    values = 20 * planted_map()
    path = write_network(
        tmp_path / "my.onnx",
        {"predicted_depth": values.reshape(SHAPES[layout])},
        size=SIZE,
        toml=f'depth = "metres"\n[input]\nfit = "{fit}"\n',
    )
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES:
            result = model(picture(frame))
            assert result.depth is not None
            assert result.depth.metric
            np.testing.assert_allclose(result.depth.values, resized(values, frame, PLACES[fit](SIZE, frame)), atol=1e-4)
        assert "depth" in repr(result)
        assert " m;" in repr(result) or repr(result).endswith(" m)")


@pytest.mark.parametrize("layout", list(SHAPES))
def test_a_matte_comes_out(layout: str, tmp_path: Path) -> None:
    values = planted_map()
    path = write_network(
        tmp_path / "my.onnx", {"out": values.reshape(SHAPES[layout])}, size=SIZE, toml='head = "matte"\n'
    )
    with load_model(str(path), precision="fp32") as model:
        for frame in FRAMES:
            result = model(picture(frame))
            expected = 255 * resized(values, frame, PLACES["stretch"](SIZE, frame))
            assert result.matte is not None
            assert np.abs(result.matte.alpha - expected).max() <= 0.51
    path = write_network(
        tmp_path / "logits.onnx",
        {"out": (8 * values - 4).reshape(SHAPES[layout])},
        size=SIZE,
        toml='head = "matte"\nscores = "sigmoid"\n',
    )
    with load_model(str(path), precision="fp32") as model:
        alpha = model(picture(LANDSCAPE))[MATTE].alpha
        probabilities = 1 / (1 + np.exp(4 - 8 * values.astype(np.float64)))
        expected = 255 * resized(probabilities, LANDSCAPE, PLACES["stretch"](SIZE, LANDSCAPE))
        assert np.abs(alpha - expected).max() <= 0.51


def clip(folder: Path, count: int = 6) -> str:
    """Gray pictures, every one another."""
    from PIL import Image

    (folder / "frames").mkdir()
    for index in range(count):
        Image.new("RGB", (LANDSCAPE[1], LANDSCAPE[0]), (20 * index,) * 3).save(folder / "frames" / f"{index}.png")
    return str(folder / "frames")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file, valid by the schema."""
    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    validator = jsonschema.Draft202012Validator(results_schema())
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        validator.validate(line)
    return lines


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.array(Image.open(path))


@pytest.mark.parametrize("kind", ["depth", "matte"])
def test_results_are_written_read_drawn_and_converted(kind: str, tmp_path: Path) -> None:
    head = {"depth": "depth", "matte": "matte"}[kind]
    model = str(write_network(tmp_path / "my.onnx", {"out": planted_map()[None, None]}, size=SIZE))
    source, lines, drawn = clip(tmp_path), tmp_path / "out.jsonl", tmp_path / "drawn" / "%06d.png"
    options: dict[str, Any] = {"model": model, "head": head, "precision": "fp32", "every": 2}
    results: list[vidgraph.FrameResult] = []
    vidgraph.run(source, outputs=[lines, drawn, results.append], **options).wait()
    header, *frames = lines_of(lines)
    assert header["models"][0][kind] is True
    field, suffix = {"depth": ("depth", "npy"), "matte": ("mattes", "png")}[kind]
    named = [frame[field][0]["file"] for frame in frames]
    assert named == [f"out.{field}/{index // 2 * 2:06d}.{suffix}" for index in range(6)]  # held frames have no own
    assert sorted(path.name for path in (tmp_path / f"out.{field}").iterdir()) == [
        f"{i:06d}.{suffix}" for i in (0, 2, 4)
    ]
    key: Any = DEPTH if kind == "depth" else MATTE
    for record, result in zip(vidgraph.read_results(lines), results, strict=True):
        read, own = record.result(key), result[key]
        if kind == "depth":
            np.testing.assert_array_equal(read.values, own.values)
            assert (read.metric, read.limits) == (own.metric, own.limits)
        else:
            np.testing.assert_array_equal(read.alpha, own.alpha)
    if kind == "depth":
        np.testing.assert_array_equal(np.load(tmp_path / named[0]), results[0][DEPTH].values)
    assert "file" not in results[0].to_dict()[field][0]
    draw(source, lines, outputs=[tmp_path / "again" / "%06d.png"]).wait()
    for path in sorted((tmp_path / "drawn").iterdir()):
        np.testing.assert_array_equal(pixels(tmp_path / "again" / path.name), pixels(path))
    table = convert(lines, "csv", tmp_path / "t.csv").read_text("utf-8").splitlines()
    assert table[0].endswith(",file,depth_min,depth_max,depth_unit,depth_file" if kind == "depth" else ",matte_file")
    assert table[1].endswith(named[0])
    assert len(json.loads(convert(lines, "coco-results", tmp_path / "c.json").read_text("utf-8"))) == 6
    whole = lines.read_bytes()
    files = {path.name: path.read_bytes() for path in (tmp_path / f"out.{field}").iterdir()}
    lines.unlink()
    with pytest.raises(OutputError, match="exists already"):  # the files of the earlier run
        vidgraph.run(source, outputs=[lines], **options).wait()
    vidgraph.run(source, outputs=[lines], frames=3, overwrite=True, **options).wait()
    assert len(list((tmp_path / f"out.{field}").iterdir())) == 2
    vidgraph.run(source, outputs=[lines], resume=True, **options).wait()
    assert lines.read_bytes() == whole
    assert {path.name: path.read_bytes() for path in (tmp_path / f"out.{field}").iterdir()} == files


def test_streams_have_folders_of_their_own_and_standard_output_has_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = str(write_network(tmp_path / "my.onnx", {"depth": planted_map()[None]}, size=SIZE))
    source, lines = clip(tmp_path, 2), tmp_path / "out.jsonl"
    vidgraph.run([f"a={source}", f"b={source}"], model=model, outputs=[lines]).wait()
    assert {frame["depth"][0]["file"].rpartition("/")[0] for frame in lines_of(lines)[1:]} == {
        "out.depth/a",
        "out.depth/b",
    }
    vidgraph.run(source, model=model, outputs=["-"], frames=1).wait()
    frame = json.loads(capfd.readouterr().out.splitlines()[1])
    assert frame["depth"][0].keys() == {"min", "max", "unit"}
    (tmp_path / "o.jsonl").write_text(f"{json.dumps(lines_of(lines)[0])}\n{json.dumps(frame)}\n")
    with pytest.raises(ResultsError, match=r"damaged depth .it names no file, as lines on standard output"):
        next(iter(vidgraph.read_results(tmp_path / "o.jsonl"))).result(DEPTH)
    with pytest.raises(UsageError, match="cannot be rotated"):
        vidgraph.run(source, model=model, outputs=[tmp_path / "r.jsonl"], rotate="1MB")


def test_another_output_cannot_write_the_same_files(tmp_path: Path) -> None:
    model = str(write_network(tmp_path / "my.onnx", {"pha": planted_map()[None, None]}, size=SIZE))
    outputs = [tmp_path / "out.jsonl", tmp_path / "out.mattes" / "%06d.png"]
    with pytest.raises(OutputError, match=r"out\.mattes/%06d\.png would write the files beside .*out\.jsonl"):
        vidgraph.run(clip(tmp_path, 1), model=model, outputs=outputs).wait()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "cut off"),
        (lambda path: path.write_bytes(path.read_bytes() + b"0"), "too long"),
        (
            lambda path: np.save(path, np.zeros((3, 4), np.float32)),
            r"must be float32 \[108, 192\], got float32 \[3, 4\]",
        ),
        (lambda path: np.save(path, np.zeros(LANDSCAPE, object), allow_pickle=True), "got object"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535), "Header info length"),
        (lambda path: path.write_bytes(b"no"), "out.depth/000000.npy: "),
    ],
)
def test_files_that_do_not_fit_are_refused(change: Any, why: str, tmp_path: Path) -> None:
    model = str(write_network(tmp_path / "my.onnx", {"depth": planted_map()[None]}, size=SIZE))
    lines = tmp_path / "out.jsonl"
    vidgraph.run(clip(tmp_path, 1), model=model, outputs=[lines]).wait()
    change(tmp_path / "out.depth" / "000000.npy")
    with pytest.raises(ResultsError, match=why):
        next(iter(vidgraph.read_results(lines))).result(DEPTH)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.npy", "out.png", 5, "a/../../secret.npy"])
def test_files_elsewhere_are_not_read(name: Any, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    np.save(tmp_path / "secret.npy", np.zeros(LANDSCAPE, np.float32))
    model = str(write_network(tmp_path / "my.onnx", {"depth": planted_map()[None]}, size=SIZE))
    lines = folder / "out.jsonl"
    vidgraph.run(clip(tmp_path, 1), model=model, outputs=[lines]).wait()
    lines.write_text(lines.read_text().replace('"out.depth/000000.npy"', json.dumps(name)))
    with pytest.raises(ResultsError, match="damaged depth"):
        next(iter(vidgraph.read_results(lines))).result(DEPTH)


def test_a_matte_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    model = str(write_network(tmp_path / "my.onnx", {"pha": planted_map()[None, None]}, size=SIZE))
    lines = tmp_path / "out.jsonl"
    vidgraph.run(clip(tmp_path, 1), model=model, outputs=[lines]).wait()
    file = tmp_path / "out.mattes" / "000000.png"
    for content, why in ((b"no", "cannot identify"), (file.read_bytes()[:-300], "cannot read")):
        file.write_bytes(content)
        with pytest.raises(ResultsError, match=why):
            next(iter(vidgraph.read_results(lines))).result(MATTE)
    Image.new("RGB", (LANDSCAPE[1], LANDSCAPE[0])).save(file)
    with pytest.raises(ResultsError, match="must be gray 192x108, got RGB"):
        next(iter(vidgraph.read_results(lines))).result(MATTE)


def test_what_is_near_is_light_and_background_is_green(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, MAP[1], dtype=np.float32), MAP)
    gray = np.full((*LANDSCAPE, 3), 100, np.uint8)
    for toml, nearer in (("", -1), ('depth = "metres"\n', 0)):
        path = write_network(tmp_path / f"{nearer}.onnx", {"depth": ramp[None]}, size=SIZE, toml=toml)
        with load_model(str(path)) as model:
            shown = model(gray).draw()
            light = (shown[50] / 255.0) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
            assert light[nearer] > 0.7 > 0.05 > light[-1 - nearer]
            steps = np.diff(light)
            assert (steps >= -0.002).all() if nearer else (steps <= 0.002).all()
    path = write_network(tmp_path / "matte.onnx", {"pha": ramp[None, None]}, size=SIZE)
    with load_model(str(path)) as model:
        shown = model(gray).draw().astype(int)
        alpha = model(gray)[MATTE].alpha[50, :, None] / 255
        np.testing.assert_allclose(shown[50], 100 * alpha + np.array([0, 177, 64]) * (1 - alpha), atol=4)
        np.testing.assert_array_equal(shown[50, 0], (0, 177, 64))
        np.testing.assert_array_equal(shown[50, -1], (100, 100, 100))


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    values = planted_map()
    values[4, 4] = np.nan
    path = write_network(tmp_path / "my.onnx", {"depth": values[None]}, size=SIZE)
    with load_model(str(path)) as model:
        found = model(picture(LANDSCAPE))
        assert 0 < np.isnan(found[DEPTH].values).sum() < 250
        assert np.isfinite(found.to_dict()["depth"][0]["max"])
        gray = model(np.full((*LANDSCAPE, 3), 7, np.uint8))
        np.testing.assert_array_equal((gray.draw() == 7).all(axis=2), np.isnan(gray[DEPTH].values))
    path = write_network(tmp_path / "nan.onnx", {"depth": np.full((1, *MAP), np.nan, np.float32)}, size=SIZE)
    with load_model(str(path)) as model, pytest.raises(EngineError, match="'depth' has no finite number"):
        model(picture(LANDSCAPE))
    path = write_network(tmp_path / "flat.onnx", {"depth": np.ones((1, *MAP), np.float32)}, size=SIZE)
    with load_model(str(path)) as model:
        assert (model(picture(LANDSCAPE)).draw() < 100).all()


def spec(*shape: int, name: str = "out", dtype: Any = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "kind"),
    [
        ([spec(1, 518, 518, name="predicted_depth")], {}, "depth"),
        ([spec(1, 1, 518, 518, name="depth")], {}, "depth"),
        ([spec(1, 518, 518)], {"task": "depth"}, "depth"),
        ([spec(1, 64, 64), spec(1, 7, name="b")], {"head": "depth", "ignore": ("b",)}, "depth"),
        ([spec(1, 1, 64, 64, name="pha"), spec(1, 3, 64, 64, name="fgr")], {}, "matte"),
        ([spec(1, 64, 64, 1)], {"head": "matte"}, "matte"),
        ([spec(1, 1, 64, 64)], {"task": "matting"}, "matte"),
    ],
)
def test_recognised(outputs: list[TensorSpec], about: dict[str, Any], kind: str) -> None:
    head = recognise(outputs, Description(**about), (64, 64))
    assert (head.kind, head.reads) == (kind, {spec.name for spec in outputs} - {"b"})


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 1, 64, 64)], {}, "no head fits.*--head depth and --head matte read those"),
        ([spec(1, 64, 64)], {}, "no head fits"),
        ([spec(1, 64, 64, name="depth"), spec(1, 64, 64, name="confidence")], {}, "no head fits"),
        ([spec(1, 1, 64, 64, name="pha"), spec(1, 5, name="more")], {}, "no head fits"),
        ([spec(1, 64, 64), spec(1, 64, 64, name="b")], {"head": "depth"}, r"may each be the map; say which \(`depth`"),
        ([spec(1, 2, 64, 64)], {"head": "matte"}, r"must be one floating-point map"),
        ([spec(1, 64, 64, dtype=np.int64)], {"head": "depth"}, "must be one floating-point map"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise(outputs, Description(**about), (64, 64))


@pytest.mark.parametrize("choice", [{"min_score": 0.5}, {"nms_iou": 0.5}, {"max_detections": 3}])
def test_choices_that_mean_nothing_are_refused(choice: dict[str, Any], tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"depth": planted_map()[None]}, size=SIZE)
    with load_model(str(path), **choice) as model, pytest.raises(UsageError, match="for a network that gives depth"):
        model(picture(LANDSCAPE))


@pytest.mark.parametrize(
    ("config", "unit"),
    [({}, "relative"), ({"depth_estimation_type": "metric"}, "metres"), ({"model_type": "zoedepth"}, "metres")],
)
def test_hugging_face_says_what_depth_is(config: dict[str, str], unit: str, tmp_path: Path) -> None:
    known = {"architectures": ["DepthAnythingForDepthEstimation"], "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    (tmp_path / "config.json").write_text(json.dumps(known | config))
    about = from_folder(tmp_path)
    assert (about.task, about.depth, about.classes) == ("depth", unit, None)


def test_names_that_an_exporter_gives_a_network_without_classes_are_none(tmp_path: Path) -> None:
    """As Ultralytics does; those of the TOML are a mistake."""
    metadata = {"author": "Ultralytics", "stride": "32", "task": "depth", "names": "{0: '0'}"}
    path = write_network(tmp_path / "my.onnx", {"output0": planted_map()[None, None]}, size=SIZE, metadata=metadata)
    with load_model(str(path)) as model:
        assert model.class_names == ()
        assert model(picture(LANDSCAPE)).depth is not None
    path.with_suffix(".toml").write_text('classes = ["a"]\n')
    with pytest.raises(UsageError, match="names 1 classes, and the outputs have 0"):
        load_model(str(path))


def test_a_real_network_cuts_out_people(tmp_path: Path) -> None:
    network, photos = SHARED / "nets" / "mediapipe" / "selfie.onnx", SHARED / "media" / "two_people_1080p.mp4"
    if not network.exists() or not photos.exists():
        pytest.skip("needs shared/nets and shared/media")
    (tmp_path / "selfie.onnx").write_bytes(network.read_bytes())
    (tmp_path / "selfie.toml").write_text('head = "matte"\n')
    found: list[vidgraph.FrameResult] = []
    vidgraph.run(str(photos), model=str(tmp_path / "selfie.onnx"), outputs=[found.append], frames=1).wait()
    matte = found[0][MATTE]
    assert matte.alpha.shape == (1080, 1920)
    assert 0.05 < matte.share < 0.9
    assert ((matte.alpha < 16) | (matte.alpha > 239)).mean() > 0.7
