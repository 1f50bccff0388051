"""What lies beside a network: a TOML, names, priors, weights; only what is beside it is read, and within limits."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines.onnx_file import external_files, network_digest, read_info, read_model, read_network
from vidgraph.models.custom.heads import fitting
from vidgraph.models.custom.hugging_face import from_folder
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.static_shapes import hold_weights
from vidgraph.models.custom.toml_file import from_toml
from vidgraph.models.custom.ultralytics import from_metadata
from vidgraph.pipeline.beside import beside
from vidgraph.pipeline.errors import CheckpointError, EngineError, UsageError, VidgraphError

from .planted import write_network


def wrong_toml(folder: Path, content: str | bytes) -> str:
    """The one line with which a TOML is refused."""
    path = folder / "my.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        from_toml(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1500
    return message


DEEP = {
    "brackets": "a=" + "[" * 25_000,
    "inline tables": "a=" + "{a=" * 10_000,
    "dotted": "a." * 20_000 + "a=1",
    "quoted and dotted": '"a" . ' * 20_000 + "a=1",
    "dotted headers": "[" + "a." * 20_000 + "a]",
    "many dotted": "\n".join("a." * 15 + f"b{number}=1" for number in range(5000)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_a_toml_of_great_depth(tmp_path: Path, kind: str) -> None:
    """tomllib takes the square of the depth of a dotted key: 19 s for 40 KB."""
    started = time.perf_counter()
    assert "nested too deeply" in wrong_toml(tmp_path, DEEP[kind])
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("#" * (2**20 + 1), "it has more than 1 MiB"),
        (b'head = "\xff"', "cannot read"),
        ("points = [1" + "0" * 5000 + ", 3]", "cannot read"),
        ('[input]\nsize = "1000000x1000000"', "input.size must be"),
        ("classes = 2020-01-01", "classes must be"),
        ("variances = [nan, inf]", "variances must be"),
        ("head = [" + '"yolo",' * 50_000 + "]", "head must be"),
        ("k" * 100_000 + " = 1", "has an unknown key"),
        ('head = "yolo"\nhead = "yolo"', "cannot read"),
        ('classes = "a\\u0000b"', "names a file that is not beside it"),
    ],
)  # fmt: skip
def test_a_toml_that_cannot_be(tmp_path: Path, content: str | bytes, says: str) -> None:
    assert says in wrong_toml(tmp_path, content)


def test_texts_and_comments_with_dots_are_no_depth(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("# ....... a.b.c.d.e.f.g\nclasses = [\"a.b.c.d.e.f\", '1.2.3.4.5.6']\n")
    assert from_toml(tmp_path / "my.toml").classes == ("a.b.c.d.e.f", "1.2.3.4.5.6")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.txt", "below/../../secret.txt", "link.txt", "folder/secret.txt"]
)
@pytest.mark.parametrize("key", ["classes", "priors"])
def test_a_toml_names_only_files_beside_it(tmp_path: Path, key: str, name: str) -> None:
    (tmp_path / "secret.txt").write_text("secret\n")
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "link.txt").symlink_to("../secret.txt")
    (folder / "folder").symlink_to("..")
    message = wrong_toml(folder, f'{key} = "{name}"')
    assert "names a file that is not beside it" in message
    assert "outside of its folder" in message


def test_files_beside_and_below_are_read(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "names.txt").write_text("cat\ndog\n")
    (tmp_path / "link.txt").symlink_to("lists/names.txt")
    for name in ("lists/names.txt", "link.txt", "./lists/names.txt"):
        (tmp_path / "my.toml").write_text(f'classes = "{name}"\n')
        assert from_toml(tmp_path / "my.toml").classes == ("cat", "dog")


def test_files_of_a_store_are_beside_each_other(tmp_path: Path) -> None:
    """As downloads are kept whose folder has links to files named after their hashes."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    for name, text in (("my.toml", 'classes = "names.txt"\n'), ("names.txt", "cat\n")):
        (tmp_path / "blobs" / f"hash-{name}").write_text(text)
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/hash-{name}")
    assert from_toml(tmp_path / "snapshot" / "my.toml").classes == ("cat",)


def test_links_that_go_round_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ValueError, match="is no file that can be read"):
        beside(tmp_path / "my.toml", "a")


def test_names_have_a_limit(tmp_path: Path) -> None:
    with (tmp_path / "names.txt").open("wb") as file:
        file.truncate(1 << 40)
    assert "it has more than 4 MiB" in wrong_toml(tmp_path, 'classes = "names.txt"')


def ssd(folder: Path, **known: Any) -> str:
    """What the head of an SSD says to these priors."""
    from vidgraph.engines.spec import TensorSpec
    from vidgraph.models.custom.description import from_one_source

    outputs = [
        TensorSpec("boxes", np.dtype(np.float32), (1, 60, 4)),
        TensorSpec("scores", np.dtype(np.float32), (1, 60, 3)),
    ]
    answer = fitting("ssd")(outputs, from_one_source("test", {"scores": "given", "head": "ssd"} | known), (64, 96))
    assert isinstance(answer, str)
    return answer


def test_priors_that_announce_more_than_they_are(tmp_path: Path) -> None:
    path = tmp_path / "p.npy"
    np.save(path, np.zeros((60, 4), np.float32))
    whole = path.read_bytes()
    for shape in (b"(60000000000, 4), }", b"(60, 4), [         "):
        path.write_bytes(whole.replace(b"(60, 4), }         ", shape, 1))
        assert "cannot read the priors" in ssd(tmp_path, priors=path)


def test_priors_without_end_are_not_made(tmp_path: Path) -> None:
    many = tuple(float(side) for side in range(1, 100_000))
    assert "give 614393856" in ssd(tmp_path, prior_strides=(1,), prior_sizes=(many,))


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", "[" * 200_000, "cannot read"),
        ("config.json", '{"num_labels": 1000000000}', "num_labels must be at most 65536"),
        ("config.json", '{"architectures": 5}', "is damaged"),
        ("preprocessor_config.json", '{"rescale_factor": 0, "image_mean": [1, 1, 1]}', "is damaged"),
        ("preprocessor_config.json", '{"rescale_factor": "x"}', "is damaged"),
        ("preprocessor_config.json", '{"do_center_crop": true, "crop_size": 224, "size": 0}', "is damaged"),
    ],
)
def test_configurations_beside_a_network(tmp_path: Path, file: str, content: str, says: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(CheckpointError, match=says):
        from_folder(tmp_path)


def test_metadata_of_great_length_is_not_read() -> None:
    names = "{" + ", ".join(f"{number}: 'c'" for number in range(400_000)) + "}"
    assert from_metadata({"names": names, "stride": "32"}).classes is None


def with_initialiser(path: Path, dims: tuple[int, ...], values: bytes = bytes(12), **external: str | int) -> Path:
    """A network with one further initial value, whose dims are these; ``external`` says where its values are."""
    model = onnx.load(write_network(path, {"raw": np.zeros((1, 3), np.float32)}, size=(8, 8)))
    tensor = model.graph.initializer.add(name="more", data_type=1, dims=dims, raw_data=values)
    for key, value in external.items():
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("dims", [(10**6, 10**6), (2**62, 4), (-3,)])
def test_weights_that_announce_more_than_they_are(tmp_path: Path, dims: tuple[int, ...]) -> None:
    assert read_info(with_initialiser(tmp_path / "fits.onnx", (3,))).parameters >= 3
    with pytest.raises(CheckpointError, match="its tensor 'more' is larger than what holds it"):
        read_info(with_initialiser(tmp_path / "a.onnx", dims))


@pytest.mark.parametrize("name", ["../w.bin", "ABSOLUTE", "link.bin", "/dev/zero"])
def test_weights_in_files_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(12))
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "link.bin").symlink_to("../w.bin")
    name = str(tmp_path / "w.bin") if name == "ABSOLUTE" else name
    path = with_initialiser(folder / "a.onnx", (3,), b"", location=name)
    said = rf"a\.onnx: its weights file '{re.escape(name)}' is outside of its folder; export the network again$"
    with pytest.raises(CheckpointError, match=said):
        read_info(path)
    with pytest.raises(EngineError, match=said):
        network_digest(path, external_files(read_network(path)))


@pytest.mark.parametrize(
    "numbers", [{"offset": 8}, {"offset": -4}, {"length": 1 << 60}, {"offset": 1 << 60}, {"length": -1}]
)
def test_weights_beyond_their_file(tmp_path: Path, numbers: dict[str, int]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(12))
    whole = {"offset": 0, "length": 12}
    path = with_initialiser(tmp_path / "a.onnx", (3,), b"", location="w.bin", **(whole | numbers))
    if numbers == {"offset": 8}:
        numbers |= {"length": 12}
    with pytest.raises(CheckpointError, match=r"cannot read weights in w\.bin"):
        hold_weights(read_model(path).graph, path)


def test_an_input_without_end(tmp_path: Path) -> None:
    path = write_network(tmp_path / "a.onnx", {"raw": np.zeros((1, 3), np.float32)}, size=(8, 8))
    model = onnx.load(path)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1_000_000
    path.write_bytes(model.SerializeToString())
    with pytest.raises(VidgraphError, match="an input of 1000000x1000000 cannot be run"):
        inspect_model(path)


@pytest.mark.parametrize("name", ["deep_brackets", "deep_dotted"])
def test_files_that_were_met(shared: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    assert "nested too deeply" in wrong_toml(tmp_path, shared(f"cases/hostile/{name}.toml").read_bytes())


def test_classes_of_a_file_of_passwords(tmp_path: Path, vidgraph: Callable[..., Any]) -> None:
    write_network(tmp_path / "a.onnx", {"raw": np.zeros((1, 3), np.float32)}, size=(8, 8))
    (tmp_path / "a.toml").write_text('classes = "/etc/passwd"\n')
    ended = vidgraph("check", "a.onnx")
    assert ended.code == 2
    assert "names a file that is not beside it" in ended.line
    assert "root" not in json.dumps([ended.out, ended.err])


@pytest.mark.parametrize("version", [1001, 10**9, 2**64 - 1])
def test_a_version_of_operators_that_there_cannot_be(tmp_path: Path, version: int) -> None:
    """OpenVINO looks through all versions below it: with 10^9 for minutes."""
    path = write_network(tmp_path / "net.onnx", {"output0": np.zeros((1, 7, 84), np.float32)}, size=(64, 64))
    model = onnx.load(path)
    model.opset_import[0].version = version if version < 2**63 else version - 2**64
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=rf"net\.onnx: it asks for version {version} of the operators"):
        read_network(path)


def test_more_than_a_message_can_have(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(CheckpointError, match=r"net\.onnx is damaged or no ONNX file \(it is larger than 2 GiB"):
        read_info(path)
    with pytest.raises(EngineError, match=r"^cannot open net\.onnx: it is larger than 2 GiB"):
        read_network(path)


def nested(depth: int) -> onnx.ModelProto:
    """A network of graphs in graphs; the innermost has a tensor in another file."""
    model = onnx.ModelProto(ir_version=8)
    graph = model.graph
    for _ in range(depth):
        graph = graph.node.add(op_type="If").attribute.add(name="then_branch").g
    tensor = graph.node.add(op_type="Constant").attribute.add(name="value").t
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../w.bin")
    return model


def test_weights_of_inner_graphs_lie_beside_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(nested(10).SerializeToString())
    with pytest.raises(EngineError, match="outside of its folder"):
        network_digest(path, external_files(read_network(path)))


def test_graphs_in_graphs_without_end(tmp_path: Path) -> None:
    """Written by hand: protobuf writes no message that it would not read."""
    path = tmp_path / "net.onnx"
    message = b""
    for _ in range(2_000):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            message = tag + onnx_length(len(message)) + message
    path.write_bytes(b"\x08\x08\x3a" + onnx_length(len(message)) + message)
    with pytest.raises(CheckpointError, match="damaged or no ONNX file"):
        read_info(path)
    with pytest.raises(EngineError, match="the file is cut short or damaged"):
        read_network(path)


def onnx_length(value: int) -> bytes:
    """As protobuf writes one: seven bits a byte, the last without the eighth."""
    return bytes([value & 0x7F | 0x80]) + onnx_length(value >> 7) if value > 0x7F else bytes([value])


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx", {"raw": np.zeros((1, 3), np.float32)}, size=(8, 8))
    path.write_bytes(path.read_bytes().replace(b"images", b"imag\xff\xff"))
    with pytest.raises(CheckpointError, match="a name that is no text"):
        read_info(path)
    with pytest.raises(VidgraphError, match=r"net\.onnx"):
        inspect_model(path)


def network_of(nodes: list[Any]) -> bytes:
    """A network of x and the condition k, which gives c."""
    ports = [onnx.helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in
             (("x", 1, [1, 3, 8, 8]), ("k", 9, []), ("c", 1, [1, 3, 8, 8]))]  # fmt: skip
    graph = onnx.helper.make_graph(nodes, "cyclic", ports[:2], ports[2:])
    data: bytes = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]).SerializeToString()
    return data


def branch(nodes: list[Any]) -> Any:
    return onnx.helper.make_graph(nodes, "branch", [], [onnx.helper.make_tensor_value_info("y", 1, None)])


NODE = onnx.helper.make_node
BESIDE = branch([NODE("Relu", ["x"], ["y"])])


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([NODE("Add", ["x", "b"], ["b"]), NODE("Relu", ["b"], ["c"])], "Add b"),
        ([NODE("Add", ["x", "c"], ["b"]), NODE("Relu", ["b"], ["c"])], "(Add b, Relu c|Relu c, Add b)"),
        (
            [NODE("If", ["k"], ["c"], then_branch=branch([NODE("Relu", ["c"], ["y"])]), else_branch=BESIDE)],
            "If c",
        ),
        (
            [NODE("If", ["k"], ["c"], then_branch=branch([NODE("Relu", ["y"], ["y"])]), else_branch=BESIDE)],
            "Relu y",
        ),
    ],
    ids=["itself", "one another", "from outside", "inside"],
)
def test_nodes_that_need_one_another(nodes: list[Any], says: str, tmp_path: Path) -> None:
    """OpenVINO runs the second, on something."""
    path = tmp_path / "cyclic.onnx"
    path.write_bytes(network_of(nodes))
    with pytest.raises(EngineError, match=rf"^cannot open cyclic\.onnx: its nodes need one another: {says}; export"):
        read_network(path)
    with pytest.raises(CheckpointError, match=rf"its nodes need one another: {says}\)$"):
        read_model(path)


def test_nodes_in_any_order_and_names_of_branches_are_no_cycle(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(network_of([NODE("Relu", ["b"], ["c"]), NODE("Neg", ["x"], ["b"])]))
    assert len(read_network(path).graph.node) == 2
    inner = branch([NODE("Relu", ["x"], ["c"]), NODE("Neg", ["c"], ["y"])])  # a c of its own
    path.write_bytes(network_of([NODE("If", ["k"], ["c"], then_branch=inner, else_branch=BESIDE)]))
    assert len(read_network(path).graph.node) == 1
