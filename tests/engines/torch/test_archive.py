"""Exported programs are read without running anything in them."""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import open_engine
from vidgraph.engines.spec import NetworkRefused
from vidgraph.pipeline.errors import EngineError

pytest.importorskip("torch", reason="needs the extra 'torch'")
import torch
from vidgraph.engines.torch.archive import read_program

from .programs import changed, rewritten, write, write_conv

GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
CONSTANTS, EXAMPLES = "data/constants/model_constants_config.json", "data/sample_inputs/model.pt"


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def program(conv: Any, tmp_path: Path) -> Path:
    return write_conv(conv, tmp_path / "net.pt2")


def test_a_program_is_read_with_its_metadata(program: Path) -> None:
    exported, metadata = read_program(program)
    assert metadata == {"inputs": ["image"], "outputs": ["features", "means"]}
    assert exported.graph_signature.user_inputs == ("image",)


def pickled_weight(value: dict[str, Any]) -> None:
    value["config"]["weight"] |= {"use_pickle": True}


def object_as_constant(value: dict[str, Any]) -> None:
    value["config"]["thing"] = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": False,
        "tensor_meta": None,
    }


@pytest.mark.parametrize(
    ("config", "change", "record"),
    [
        (WEIGHTS, pickled_weight, "data/weights/weight_0"),
        (CONSTANTS, object_as_constant, "data/constants/opaque_obj_0"),
    ],
)
def test_nothing_is_unpickled(config: str, change: Any, record: str, program: Path, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    bad = rewritten(program, tmp_path / "bad.pt2", {config: changed(change), record: pickle.dumps(Bomb(trap))})
    with pytest.raises(EngineError, match=r"^cannot open bad\.pt2: '\w+' is pickled, and could run code when it is"):
        read_program(bad)
    assert not trap.exists()


@pytest.mark.parametrize("kind", ["weights", "constants"])
def test_what_older_torch_pickled_is_not_read(kind: str, program: Path, tmp_path: Path) -> None:
    trap, content = tmp_path / "ran", io.BytesIO()
    torch.save({"weight": Bomb(trap)}, content)
    bad = rewritten(program, tmp_path / "bad.pt2", {f"data/{kind}/model.pt": content.getvalue()})
    with pytest.raises(
        EngineError, match=rf"^cannot open bad\.pt2: its {kind} are pickled, as torch before 2\.9 wrote"
    ):
        read_program(bad)
    assert not trap.exists()


def test_examples_of_inputs_are_not_read(program: Path, conv: Any, tmp_path: Path) -> None:
    trap, examples = tmp_path / "ran", io.BytesIO()
    torch.save((Bomb(trap),), examples)
    bad = rewritten(program, tmp_path / "examples.pt2", {EXAMPLES: examples.getvalue()})
    engine = open_engine(bad, engine="torch", precision="fp32")
    assert engine.run({"image": conv.image(0)})["features"].shape == conv.outputs[0].shape
    assert not trap.exists()


def test_the_trap_works(program: Path, tmp_path: Path) -> None:
    """What torch itself does with such a file: this is why it is not asked to."""
    trap, examples = tmp_path / "ran", io.BytesIO()
    torch.save((Bomb(trap),), examples)
    bad = rewritten(program, tmp_path / "examples.pt2", {EXAMPLES: examples.getvalue()})
    with suppress(TypeError):  # its warning that it did so has one value too few
        torch.export.load(bad)
    assert trap.exists()


def function_of_torch(graph: dict[str, Any]) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def operator_of_files(graph: dict[str, Any]) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def symbolic_shape(graph: dict[str, Any]) -> None:
    values = graph["graph_module"]["graph"]["tensor_values"]
    values["image"]["sizes"][0] = {"as_expr": {"expr_str": "__import__('os').getpid()", "hint": None}}


def code_as_name(graph: dict[str, Any]) -> None:
    graph["graph_module"]["signature"]["input_specs"][-1]["user_input"]["arg"]["as_tensor"]["name"] = "x): 1/0 #"


def code_as_argument_name(graph: dict[str, Any]) -> None:
    entry = next(each for each in graph["graph_module"]["module_call_graph"] if each["signature"])
    entry["signature"]["forward_arg_names"] = ["image=print('ran')"]


def enumeration_of_a_module(graph: dict[str, Any]) -> None:
    entry = next(each for each in graph["graph_module"]["module_call_graph"] if each["signature"])
    tree = '{"type": "builtins.dict", "context": "[{\\"__enum__\\": true}]", "children_spec": []}'
    entry["signature"]["in_spec"] = f"[1, {tree}]"


def graph_in_the_graph(graph: dict[str, Any]) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": "torch.os.system"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (function_of_torch, "it has 'torch.os.system', no operator of torch's own"),
        (operator_of_files, "it has 'torch.ops.aten.from_file.default', no operator of torch's own"),
        (symbolic_shape, "its shapes are open; export it without dynamic_shapes"),
        (code_as_name, "'x): 1/0 #' in it is no name that torch gives"),
        (code_as_argument_name, "is no name that torch gives"),
        (enumeration_of_a_module, "its inputs or outputs are in a builtins.dict"),
        (graph_in_the_graph, "it has an operator as an argument, which is not taken from a file"),
    ],
)
def test_what_could_become_code_is_refused(change: Any, said: str, program: Path, tmp_path: Path) -> None:
    bad = rewritten(program, tmp_path / "bad.pt2", {GRAPH: changed(change)})
    with pytest.raises(EngineError, match=r"^cannot open bad\.pt2: ") as caught:
        read_program(bad)
    assert said in str(caught.value)


def test_metadata_that_does_not_fit_is_refused(program: Path, tmp_path: Path) -> None:
    for given in (b'{"inputs": ["image", "flow"]}', b'{"inputs": 3}'):
        bad = rewritten(program, tmp_path / "bad.pt2", {"extra/vidgraph.json": given})
        with pytest.raises(EngineError, match=r"^cannot open bad\.pt2: its metadata does not name its 1 inputs$"):
            open_engine(bad, engine="torch")


def test_a_graph_that_makes_no_function_is_refused(program: Path, tmp_path: Path) -> None:
    def rename(graph: dict[str, Any]) -> None:
        for spec in graph["graph_module"]["signature"]["input_specs"]:
            for kind, about in spec.items():
                about["arg"] = {"as_tensor": {"name": "image"}} if kind == "user_input" else {"name": "image"}

    bad = rewritten(program, tmp_path / "bad.pt2", {GRAPH: changed(rename)})
    with pytest.raises(EngineError, match=r"^cannot open bad\.pt2: "):
        open_engine(bad, engine="torch")


def test_a_program_that_fails_prints_nothing(tmp_path: Path, capfd: Any) -> None:
    class Rows(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x[torch.tensor([5])]

    def smaller(graph: dict[str, Any]) -> None:
        for meta in graph["graph_module"]["graph"]["tensor_values"].values():
            if meta["sizes"] == [{"as_int": 9}, {"as_int": 2}]:
                meta["sizes"][0] = {"as_int": 3}

    path = write(Rows(), tmp_path / "rows.pt2", torch.zeros(9, 2))
    bad = rewritten(path, tmp_path / "bad.pt2", {GRAPH: changed(smaller)})
    engine = open_engine(bad, engine="torch")
    with pytest.raises(EngineError, match=r"^bad\.pt2: torch failed: index 5 is out of bounds"):
        engine.run({"x": np.zeros((3, 2), np.float32)})
    assert capfd.readouterr() == ("", "")


def test_guards_and_notes_of_a_file_are_dropped(program: Path, tmp_path: Path, capfd: Any) -> None:
    def add(graph: dict[str, Any]) -> None:
        graph["guards_code"] = ["print('ran') or True"]
        graph["graph_module"]["graph"]["nodes"][0]["metadata"]["stack_trace"] = "'''\nprint('ran')\n'''"

    noted = rewritten(program, tmp_path / "noted.pt2", {GRAPH: changed(add)})
    open_engine(noted, engine="torch").close()
    assert capfd.readouterr().out == ""


def test_compiled_code_is_refused(program: Path, tmp_path: Path) -> None:
    bad = rewritten(program, tmp_path / "bad.pt2", {"data/aotinductor/model/model.so": b"\x7fELF"})
    with pytest.raises(EngineError, match=r"^cannot open bad\.pt2: it has compiled code, which is not run"):
        read_program(bad)


def test_open_shapes_are_refused(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.ReLU())
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3),), dynamic_shapes=shapes), tmp_path / "open.pt2")
    with pytest.raises(NetworkRefused, match=r"^cannot open open\.pt2: its shapes are open"):
        read_program(tmp_path / "open.pt2")


@pytest.mark.parametrize("damage", ["missing", "a folder", "empty", "text", "cut short", "another zip"])
def test_a_file_that_is_no_program(damage: str, program: Path, tmp_path: Path, capfd: Any) -> None:
    path, whole = tmp_path / "broken.pt2", program.read_bytes()
    if damage == "a folder":
        path.mkdir()
    elif damage == "another zip":
        np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
        path.write_bytes((tmp_path / "arrays.npz").read_bytes())
    elif damage != "missing":
        path.write_bytes({"empty": b"", "text": b"no program\n" * 9}.get(damage, whole[:-99]))
    with pytest.raises(EngineError, match=r"^cannot open broken\.pt2: ") as caught:
        open_engine(path, engine="torch")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_constants_of_a_program_are_kept(tmp_path: Path) -> None:
    class Shifted(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(3.0), persistent=False)

        def forward(self, x: Any) -> Any:
            return {"sum": x + self.table, "constant": self.table * torch.tensor(2.0)}

    path = write(Shifted(), tmp_path / "shifted.pt2", torch.zeros(1, 3))
    got = open_engine(path, engine="torch").run({"x": np.ones((1, 3), np.float32)})
    assert [array.tolist() for array in got.values()] == [[[1, 2, 3]], [0, 2, 4]]
