"""Checkpoints of tensors that are no weights, or that unpack to far more than they are: one line, and no memory."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.models import find_model, load_model
from vidgraph.models.weights.checkpoint import load_network
from vidgraph.pipeline.errors import CheckpointError

Make = Callable[[str], Path]
MODEL, KEY = "retinaface-slim", "conv1.0.weight"


@pytest.fixture
def state(seeded_checkpoint: Make, torch: Any) -> dict[str, Any]:
    """The tensors of a checkpoint that fits."""
    return dict(torch.load(seeded_checkpoint(MODEL), weights_only=True))


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(MODEL, weights=path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def quantised(torch: Any, tensor: Any) -> Any:
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


def nested(torch: Any, tensor: Any) -> Any:
    return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


KINDS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "meta": (lambda torch, t: t.to("meta"), "must be a plain one, got meta: it has a shape and no values"),
    "sparse": (lambda torch, t: t.to_sparse(), "must be a plain one, got sparse_coo"),
    "csr": (lambda torch, t: t.reshape(len(t), -1).to_sparse_csr(), "must be a plain one, got sparse_csr"),
    "quantised": (quantised, "must be a plain one, got qint8"),
    "complex": (lambda torch, t: t.to(torch.complex64), "must be a plain one, got complex64"),
    "nested": (nested, "must be a plain one, got nested"),
    "int8": (lambda torch, t: t.to(torch.int8), f"{KEY} must be floating point, got int8"),
    "bool": (lambda torch, t: t.bool(), f"{KEY} must be floating point, got bool"),
    "nan": (lambda torch, t: t.clone().index_fill_(0, torch.tensor(0), float("nan")), "NaN or infinite in 27 of "),
    "infinite": (lambda torch, t: torch.full_like(t, float("inf")), "is NaN or infinite in 432 of 432 places"),
    "terabytes": (lambda torch, t: torch.zeros(1).expand(10**6, 10**6), "more values than the file has"),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_that_are_no_weights(
    state: dict[str, Any], tmp_path: Path, torch: Any, kind: str, zipped: bool
) -> None:
    make, says = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state[KEY] = make(torch, state[KEY])
        torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    refusal = refused(tmp_path / "x.pth")
    # The old format keeps addresses of memory where a nested tensor has its sizes: torch may not read it at all.
    assert says in refusal or (kind == "nested" and not zipped and "is damaged or truncated" in refusal)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_another_width_are_read(state: dict[str, Any], tmp_path: Path, torch: Any, dtype: str) -> None:
    other = {key: value.to(getattr(torch, dtype)) for key, value in state.items()}
    torch.save(other, tmp_path / "x.pth")
    network = load_network(find_model(MODEL), tmp_path / "x.pth")
    assert torch.equal(network.state_dict()[KEY], other[KEY].float())


def test_classes_without_end(state: dict[str, Any], tmp_path: Path, torch: Any) -> None:
    """A network of as many would be made: one value may stand for all weights of a layer."""
    for key in [key for key in state if key.startswith("conf.")] or [key for key in state if "Class" in key]:
        shape = (len(state[key]) * 10**6, *state[key].shape[1:])
        state[key] = torch.zeros(1).expand(shape)
    torch.save(state, tmp_path / "x.pth")
    assert "more values than the file has" in refused(tmp_path / "x.pth")


def repacked(path: Path, out: Path, *, large: str = "", extra: int = 0) -> Path:
    """The zip file ``path`` with compressed parts; those that end in ``large`` are so many zeros."""
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as write:
        for name in read.namelist():
            write.writestr(name, bytes(1 << 26) if large and name.endswith(large) else read.read(name))
        for number in range(extra):
            write.writestr(f"archive/extra/{number}", bytes(1 << 24))
    return out


@pytest.mark.parametrize("large", ["data.pkl", "/data/0"])
def test_a_packed_part_that_is_much_larger(seeded_checkpoint: Make, tmp_path: Path, large: str) -> None:
    path = repacked(seeded_checkpoint(MODEL), tmp_path / "x.pth", large=large)
    assert "unpacks to" in refused(path)


def test_many_packed_parts(seeded_checkpoint: Make, tmp_path: Path) -> None:
    assert "unpacks to" in refused(repacked(seeded_checkpoint(MODEL), tmp_path / "x.pth", extra=4))


def test_weights_that_were_packed_are_read(seeded_checkpoint: Make, tmp_path: Path, state: dict[str, Any]) -> None:
    network = load_network(find_model(MODEL), repacked(seeded_checkpoint(MODEL), tmp_path / "x.pth"))
    assert network.state_dict()[KEY].equal(state[KEY])


@pytest.mark.parametrize(("name", "says"), [("pth_meta", "got meta"), ("pth_sparse", "got sparse_coo")])
def test_files_that_were_met(shared: Callable[[str], Path], torch: Any, name: str, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        load_network(find_model("retinaface"), shared(f"cases/hostile/{name}.pth.pth"))
