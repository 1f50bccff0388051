"""Head picture: what a network makes of a frame is shown in its own size, with sound and timing, in a video of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import PICTURE
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads.picture import PictureHead
from vidgraph.models.custom.template import write_template
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.run import draw
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs
from vidgraph.stages.inference.preprocess import InputSize

from .picture_nets import write_picture_net
from .planted import FRAMES, LANDSCAPE, picture, precision_of

SHARED = Path(__file__).resolve().parents[4] / "shared"


SAID = 'head = "picture"\n'
RANGES = {
    "0..1": "",
    "0..255": "[input]\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n",
    "-1..1": "[input]\nmean = [127.5, 127.5, 127.5]\nstd = [127.5, 127.5, 127.5]\n",
    "bgr": '[input]\ncolor = "bgr"\n',
    "said": "range = [1, 0]\n[input]\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n",
}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", list(RANGES))
def test_a_picture_of_any_size_comes_back(kind: str, last: bool, engine: str, tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx", last=last, negative=kind == "said", toml=SAID + RANGES[kind])
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES[:3]:
            image = picture(frame)
            found = model(image).picture
            assert found is not None
            np.testing.assert_array_equal(found.rgb(), image)


@pytest.mark.parametrize("times", [2, 4])
def test_a_larger_picture_is_as_many_times_as_large(times: int, tmp_path: Path) -> None:
    """Nothing says that it is one but its size, and the padding of the input is no part of it."""
    path = write_picture_net(tmp_path / "my.onnx", times=times)
    with load_model(str(path), precision="fp32") as model:
        for frame in FRAMES[:3]:
            image = picture(frame)
            result = model(image)
            np.testing.assert_array_equal(result[PICTURE].rgb(), image.repeat(times, 0).repeat(times, 1))
            assert f"a picture of {times * frame[1]}x{times * frame[0]}" in repr(result)
            assert result.to_dict()["pictures"] == [{"size": [times * frame[1], times * frame[0]]}]
            np.testing.assert_array_equal(result.draw(), result[PICTURE].rgb())


@pytest.mark.parametrize("multiple", [1, 4, 32])
def test_lengths_of_the_input_are_multiples(multiple: int, tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx", toml=f"{SAID}[input]\nmultiple = {multiple}\n")
    with load_model(str(path), precision="fp32") as model:
        for frame in FRAMES[:3]:
            given = model.input_size(frame)
            assert [length % multiple for length in given] == [0, 0]
            assert all(0 <= length - own < multiple for length, own in zip(given, frame, strict=True))
            image = picture(frame)
            np.testing.assert_array_equal(model(image)[PICTURE].rgb(), image)


@pytest.mark.parametrize("halvings", [0, 1, 2, 3])
def test_lengths_are_multiples_of_what_the_network_needs(halvings: int, tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx", times=2, halvings=halvings)
    with load_model(str(path), precision="fp32") as model:
        least = 2**halvings
        assert model.input_size((101, 61)) == (-(-101 // least) * least, -(-61 // least) * least)
        found = model(np.full((101, 61, 3), 70, np.uint8))[PICTURE]
        assert (found.height, found.width) == (202, 122)
        assert (found.rgb() == 70).all()


def test_a_fixed_input_gives_the_frame_s_aspect(tmp_path: Path) -> None:
    """Of its own size the frame's size; larger, as much larger as the network makes the more enlarged side."""
    gray = np.full((100, 300, 3), 90, np.uint8)
    for times, size, shown in ((1, (40, 40), (100, 300)), (2, (40, 40), (80, 240)), (2, (50, 150), (100, 300))):
        path = write_picture_net(tmp_path / f"{times}-{size[0]}.onnx", times=times, size=size, toml=SAID)
        with load_model(str(path), precision="fp32") as model:
            found = model(gray)[PICTURE]
            assert (found.height, found.width) == shown
            assert (found.rgb() == 90).all()
    path = write_picture_net(
        tmp_path / "letterbox.onnx", times=2, size=(60, 60), toml=f'{SAID}[input]\nfit = "letterbox"\n'
    )
    with load_model(str(path), precision="fp32") as model:
        found = model(gray)[PICTURE]
        assert (found.height, found.width) == (40, 120)
        assert (found.rgb() == 90).all()  # nothing of the padding
    path = write_picture_net(tmp_path / "dynamic.onnx", times=2)
    with load_model(str(path), precision="fp32", size=(50, 150)) as model:
        assert (model(gray)[PICTURE].height, model(gray)[PICTURE].width) == (100, 300)


@pytest.mark.parametrize("last", [False, True])
def test_a_network_of_the_luma_keeps_the_colours(last: bool, tmp_path: Path) -> None:
    from PIL import Image

    path = write_picture_net(tmp_path / "my.onnx", times=2, channels=1, last=last, toml=SAID)
    smooth = np.asarray(Image.fromarray(picture((9, 16))).resize((192, 108), Image.Resampling.BICUBIC))
    with load_model(str(path), precision="fp32") as model:
        found = model(smooth)[PICTURE].rgb()
    assert found.shape == (216, 384, 3)
    expected = smooth.repeat(2, 0).repeat(2, 1)
    luma, wanted = (values @ np.array([0.299, 0.587, 0.114]) for values in (found, expected))
    inside = ((found > 0) & (found < 255)).all(axis=2)
    assert inside.mean() > 0.8
    assert np.abs(luma - wanted)[inside].max() < 2.5
    assert np.abs(found.astype(int) - expected)[inside].mean() < 3


def test_one_channel_of_a_colour_network_is_gray() -> None:
    head = PictureHead("out", last=False, channels=1, levels=(0.0, 1.0))
    values = np.linspace(-0.5, 1.5, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    values[0, 0, 0, 0] = np.nan
    arrays = head.select_outputs(PostprocessOptions())({"out": values})
    found = head.decode(RawOutputs(arrays, (8, 8), Affine((1.0, 1.0))), (8, 8), PostprocessOptions(), ())[PICTURE].rgb()
    expected = np.rint(np.nan_to_num(values[0, 0]).clip(0, 1) * 255)
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))
    with pytest.raises(EngineError, match="no finite number"):
        head.select_outputs(PostprocessOptions())({"out": np.full_like(values, np.nan)})


def make_video(path: Path, frames: int = 12, failing: bool = False) -> Path:
    """96x64, 12 frames a second, with a tone."""
    import av

    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("libx264", 12), file.add_stream("aac", 48000)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 * index, np.uint8), "rgb24")
            file.mux(video.encode(frame))
        for start in range(0, 48000 * frames // 12, 1024):
            wave = np.sin(2 * np.pi * 440 * (start + np.arange(1024)) / 48000).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            sound.sample_rate, sound.pts = 48000, start
            file.mux(audio.encode(sound))
        file.mux(video.encode())
        file.mux(audio.encode())
    return path


def test_a_video_of_pictures_has_their_size_the_sound_and_the_timing(tmp_path: Path) -> None:
    import av

    source = make_video(tmp_path / "in.mp4")
    model = str(write_picture_net(tmp_path / "my.onnx", times=4))
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    vidgraph.run(str(source), model=model, outputs=[video, lines, tmp_path / "p" / "%06d.png"]).wait()
    with av.open(str(video)) as made, av.open(str(source)) as given:
        stream, own = made.streams.video[0], given.streams.video[0]
        assert (stream.width, stream.height) == (4 * 96, 4 * 64)
        assert len(made.streams.audio) == 1
        times = [frame.time for frame in made.decode(stream)]
        expected = [frame.time for frame in given.decode(own)]
        np.testing.assert_allclose(times, expected, atol=1e-3)
    assert not (tmp_path / "out.part2.mp4").exists()
    header, *frames = [json.loads(line) for line in lines.read_text().splitlines()]
    assert header["models"][0]["picture"] is True
    assert all(frame["pictures"] == [{"size": [384, 256]}] for frame in frames)
    with pytest.raises(UsageError, match="gave pictures, and does not have them: they are in the video"):
        draw(str(source), lines, outputs=[tmp_path / "no.mp4"])


def test_a_frame_without_a_picture_is_fitted_into_the_others(tmp_path: Path) -> None:
    """It has the size of the source; the video does not go on in another file for it."""
    import av
    from vidgraph.stages import EncodeVideo, VideoSource

    source = make_video(tmp_path / "in.mp4")
    model = load_model(str(write_picture_net(tmp_path / "my.onnx", times=2)))

    def fail(packet: vidgraph.Packet) -> vidgraph.Packet:
        if packet.frame.index == 5:
            raise ValueError("planted")
        return packet

    fail.reads = frozenset({PICTURE})  # type: ignore[attr-defined]
    fail.creates = frozenset()  # type: ignore[attr-defined]
    from vidgraph.stages import Draw

    graph = vidgraph.Graph(
        [VideoSource(str(source))],
        [*model.stages(), fail, Draw([model.result_keys()])],
        [EncodeVideo({"in": tmp_path / "out.mp4"})],
    )
    graph.run()
    model.close()
    assert not (tmp_path / "out.part2.mp4").exists()
    with av.open(str(tmp_path / "out.mp4")) as made:
        frames = [frame.to_ndarray(format="rgb24") for frame in made.decode(video=0)]
    assert len(frames) == 12
    assert {frame.shape for frame in frames} == {(128, 192, 3)}
    assert abs(frames[5].mean() - 100) < 6


def spec(*shape: int, name: str = "out", dtype: Any = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 3, 64, 96)], {}, r'may be a picture, or maps of 3 classes.*if so, say head = "picture"'),
        ([spec(1, 5, 64, 96)], {"head": "picture"}, r"must be a picture \[1, 3, h, w\]"),
        ([spec(1, 3, 64, 96), spec(1, 3, 64, 96, name="b")], {"head": "picture"}, "may each be the picture"),
        ([spec(3, 64)], {"head": "picture"}, "must be a picture"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise(outputs, Description(**about), (64, 96))


@pytest.mark.parametrize(
    ("outputs", "about", "kind"),
    [
        ([spec(1, 3, 64, 96)], {"classes": ("a", "b", "c")}, "semantic"),
        ([spec(1, 3, 16, 24)], {}, "semantic"),
        ([spec(1, 3, 256, 384)], {}, "picture"),
        ([spec(1, 64, 96, 3, dtype=np.int64)], {"head": "picture"}, "picture"),
        ([spec(1, 3, 64, 96), spec(1, 7, name="b")], {"head": "picture", "ignore": ("b",)}, "picture"),
    ],
)
def test_recognised(outputs: list[TensorSpec], about: dict[str, Any], kind: str) -> None:
    assert recognise(outputs, Description(**about), (64, 96)).kind == kind


def test_what_is_black_has_to_be_known(tmp_path: Path) -> None:
    imagenet = "[input]\nmean = [123.675, 116.28, 103.53]\nstd = [58.395, 57.12, 57.375]\n"
    path = write_picture_net(tmp_path / "my.onnx", toml=SAID + imagenet)
    with pytest.raises(UsageError, match=r"which of its numbers are black and white is not known: .*range = \[0, 1\]"):
        load_model(str(path))
    path.with_suffix(".toml").write_text(f"{SAID}range = [3, 3]\n")
    with pytest.raises(UsageError, match=r"range must be \[black, white\]"):
        load_model(str(path))


def test_a_template_does_not_fix_the_size(tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx", times=2, halvings=1)
    written, _ = write_template(path)
    text = written.read_text()
    assert '# ? size = "WIDTHxHEIGHT"' in text
    assert "multiple = 2  # the network takes any size" in text
    with load_model(str(path), precision="fp32") as model:
        assert model.input_size((101, 61)) == (102, 62)


def test_a_gray_input_has_one_mean(tmp_path: Path) -> None:
    imagenet = "[input]\nmean = [123.675, 116.28, 103.53]\nstd = [58.395, 57.12, 57.375]\n"
    path = write_picture_net(tmp_path / "my.onnx", channels=1, toml=SAID + "range = [0, 1]\n" + imagenet)
    with pytest.raises(UsageError, match=r"takes one channel, and mean .* \(my.toml\) are of three; say three times"):
        load_model(str(path))


def test_the_size_is_asked_for_where_it_is_open_and_no_picture_comes(tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx")
    with pytest.raises(UsageError, match=r"leaves the size .* open; .* looked at with 320x256: .*may be a picture"):
        load_model(str(path))
    with pytest.raises(UsageError, match=r"leaves the size of its input open; give one"):
        load_model(str(path), head="semantic")
    with load_model(str(path), size=64, head="semantic") as model:
        assert model.input_size((10, 10)) == (64, 64)


@pytest.mark.parametrize("choice", [{"min_score": 0.5}, {"classes": ["a"]}])
def test_choices_that_mean_nothing_are_refused(choice: dict[str, Any], tmp_path: Path) -> None:
    path = write_picture_net(tmp_path / "my.onnx", times=2)
    with pytest.raises(UsageError, match=r"gives pictures|no class"), load_model(str(path), **choice) as model:
        model(picture(LANDSCAPE))


def test_the_frame_s_own_size() -> None:
    fit = InputSize(own=8).fit((100, 61))
    assert (fit.size, fit.content, fit.affine) == ((104, 64), (0, 0, 100, 61), Affine((1.0, 1.0)))
    assert str(InputSize(own=8)) == "the frame's own size"
    with pytest.raises(ValueError, match="own"):
        InputSize(own=8, fixed=(4, 4))


REAL = {
    "realesrgan_x4/animevideov3-x4.onnx": (4, ""),
    "superres/ESPCN_x2.onnx": (2, SAID),
    "superres/FSRCNN_x2.onnx": (2, SAID),
    "style_wave/wave.onnx": (1, f"{SAID}[input]\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"),
}


@pytest.mark.parametrize("name", list(REAL))
def test_real_networks(name: str, tmp_path: Path) -> None:
    from PIL import Image

    photos = sorted((SHARED / "data" / "coco_val128").rglob("*.jpg"))
    if not (SHARED / "nets" / name).exists() or not photos:
        pytest.skip("needs shared/nets and shared/data")
    times, toml = REAL[name]
    path = tmp_path / "my.onnx"
    path.write_bytes((SHARED / "nets" / name).read_bytes())
    if toml:
        path.with_suffix(".toml").write_text(toml)
    photo = Image.open(photos[0]).convert("RGB").resize((96, 70), Image.Resampling.LANCZOS)
    with load_model(str(path), precision="fp32") as model:
        found = model(np.asarray(photo))[PICTURE].rgb()
    assert found.shape == (70 * times, 96 * times, 3)
    if times > 1:  # it is the same picture, only larger
        small = np.asarray(Image.fromarray(found).resize((96, 70), Image.Resampling.BOX)).astype(int)
        assert np.abs(small - np.asarray(photo)).mean() < 12
    else:
        assert found.std() > 20 and np.abs(found.astype(int) - np.asarray(photo)).mean() > 12  # noqa: PT018
