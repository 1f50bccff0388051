"""Checkpoints: what fits is loaded, and each way not to fit is told in one line."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.models import find_model, load_model
from vidgraph.models.weights.checkpoint import compare_shapes, load_network, read_state_dict
from vidgraph.pipeline.errors import CheckpointError, MissingExtraError, UsageError

Make = Callable[[str], Path]


def refused(model: str, path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_model(model, weights=path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_wrappers_and_prefixes_are_removed(seeded_checkpoint: Make, tmp_path: Path, torch: Any) -> None:
    state = torch.load(seeded_checkpoint("retinaface-slim"), weights_only=True)
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 250}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    assert list(read_state_dict(tmp_path / "wrapped.pth")) == list(state)


def test_old_format_without_counters(seeded_checkpoint: Make, tmp_path: Path, torch: Any) -> None:
    state = torch.load(seeded_checkpoint("retinaface-slim"), weights_only=True)
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    network = load_network(find_model("retinaface-slim"), tmp_path / "old.pth")
    assert torch.equal(network.state_dict()["conv1.0.weight"], state["conv1.0.weight"])
    assert not network.training


@pytest.mark.parametrize(
    ("model", "other"),
    [("retinaface", "retinaface-slim"), ("retinaface-slim", "retinaface-rfb"), ("retinaface-rfb", "retinaface-slim")],
)
def test_another_model(model: str, other: str, seeded_checkpoint: Make) -> None:
    message = refused(model, seeded_checkpoint(other))
    assert f"does not fit {model}" in message
    assert f"it fits {other}: use --model {other}=" in message
    assert re.search(r"missing|unknown", message)


def test_published_weights_of_the_other_family(
    shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, golden: Any
) -> None:
    """Keys and shapes fit, so only the hash tells them apart."""
    from vidgraph.models import registry
    from vidgraph.models.variant import Variant, WeightsFile
    from vidgraph.models.weights.checkpoint import sha256_of

    path = golden("retinaface-1mb").folder / "state_dict.pth"
    weights = WeightsFile("x.pth", sha256_of(path), None)
    row = registry.MODELS["retinaface-1mb"]
    changed = Variant(**{name: getattr(row, name) for name in row.__slots__} | {"weights": (weights,)})
    monkeypatch.setitem(registry.MODELS, "retinaface-1mb", changed)
    assert "published weights of retinaface-1mb" in refused("retinaface", path)


def test_truncated(seeded_checkpoint: Make, tmp_path: Path) -> None:
    data = seeded_checkpoint("retinaface-slim").read_bytes()
    for share in (0.1, 0.5, 0.999):
        path = tmp_path / f"cut{share}.pth"
        path.write_bytes(data[: int(len(data) * share)])
        assert "damaged or truncated" in refused("retinaface-slim", path)


def test_truncated_old_format(seeded_checkpoint: Make, tmp_path: Path, torch: Any) -> None:
    state = torch.load(seeded_checkpoint("retinaface-slim"), weights_only=True)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "old.pth").read_bytes()
    for share in (0.001, 0.02, 0.5, 0.999):
        path = tmp_path / f"cut{share}.pth"
        path.write_bytes(data[: int(len(data) * share)])
        assert "damaged" in refused("retinaface-slim", path)


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_malicious_pickle_is_not_run(tmp_path: Path, torch: Any, zipped: bool) -> None:
    trace = tmp_path / "was_here"
    path = tmp_path / "malicious.pth"
    torch.save({"conv1": Malicious(trace)}, path, _use_new_zipfile_serialization=zipped)
    message = refused("retinaface", path)
    assert "it would run code (posix.mkdir)" in message
    assert not trace.exists()


def test_malicious_plain_pickle_is_not_run(tmp_path: Path, torch: Any) -> None:
    trace = tmp_path / "was_here"
    path = tmp_path / "plain.pth"
    path.write_bytes(pickle.dumps({"conv1": Malicious(trace)}, protocol=2))
    refused("retinaface", path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Not a checkpoint, but a text.\n", "not a PyTorch checkpoint"),
        (b"", "not a PyTorch checkpoint"),
        (b"PK\x03\x04 and nothing more", "damaged or truncated"),
    ],
)
def test_no_checkpoint_at_all(content: bytes, message: str, tmp_path: Path, torch: Any) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert message in refused("retinaface", path)


def test_a_tensor_alone(tmp_path: Path, torch: Any) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    assert "holds no state dict" in refused("retinaface", tmp_path / "tensor.pth")


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such weights file" in refused("retinaface", tmp_path / "missing.pth")
    assert "cannot read" in refused("retinaface", tmp_path)


def test_no_weights_names_the_command() -> None:
    with pytest.raises(UsageError, match=r"vidgraph pull retinaface-1mb; or give a file: retinaface-1mb=PATH"):
        load_model("retinaface-1mb")
    with pytest.raises(UsageError, match=r"no address to pull them from; give a file: retinaface=PATH"):
        load_model("retinaface")


def test_differences_are_named() -> None:
    expected = {"a": (1, 2), "b": (3,), "c": (4,), "n.num_batches_tracked": ()}
    assert compare_shapes(expected, {"a": (1, 2), "b": (3,), "c": (4,)}) == ""
    message = compare_shapes(expected, {"a": (2, 2), "d": (1,)})
    assert "2 of 4 tensors are missing (b, …)" in message
    assert "1 are unknown (d)" in message
    assert "a must be [1, 2], got [2, 2]" in message


def test_without_torch_the_extra_is_named(seeded_checkpoint: Make, tmp_path: Path) -> None:
    """In a process of its own, where torch cannot be imported; once exported, the same call works there."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from vidgraph.models import load_model\n"
        f"load_model('retinaface-rfb', weights={str(seeded_checkpoint('retinaface-rfb'))!r}).input_size((48, 64))\n"
        "assert 'torch' not in {name.split('.')[0] for name, module in sys.modules.items() if module is not None}\n"
    )
    env = {**os.environ, "VIDGRAPH_CACHE": str(tmp_path)}

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    first = run()
    assert first.returncode != 0
    assert "pip install 'vidgraph[torch]'" in first.stderr
    assert MissingExtraError.__name__ in first.stderr
    os.environ["VIDGRAPH_CACHE"] = str(tmp_path)  # restored by the fixture of the cache
    load_model("retinaface-rfb", weights=seeded_checkpoint("retinaface-rfb")).close()
    second = run()
    assert second.returncode == 0, second.stderr
