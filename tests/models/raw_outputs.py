"""What a model's engines give for the frames of a clip, without the stages that are tested."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import vidgraph
from numpy.typing import NDArray
from vidgraph.models.model import Model
from vidgraph.pipeline.packet import KEY_FRAME, TENSORS, Packet

Arrays = dict[str, NDArray[Any]]


def engine_outputs(model: Model, packets: list[Packet]) -> list[Arrays]:
    """Of each frame: its graph run by itself, with the state that the graph of its key frame left."""
    preprocess = model.stages()[0]
    state: Arrays = {}
    found = []
    with ExitStack() as opened:
        engines = {graph: model.open_engine(model.input_size((240, 320)), graph=graph) for graph in model.graphs}
        for engine in engines.values():
            opened.callback(engine.close)
        for packet in packets:
            (prepared,) = preprocess.process(Packet(packet.frame))
            (given,) = prepared.items.values()
            is_key = packet.get(KEY_FRAME) in (None, packet.frame.index)
            engine = engines[model.graphs[0 if is_key else -1]]
            feeds = {spec.name: state.get(spec.name, given.tensor) for spec in engine.inputs}
            outputs = {name: array.copy() for name, array in engine.run(feeds).items()}
            if is_key:
                state = {name: outputs.pop(name) for name in list(outputs) if name.startswith("state")}
            found.append(outputs)
    return found


def check_tensors(model: Model, clip: Path, frames: int) -> None:
    """The tensors of a run are those of the engine, one after the other, and stay what they are."""
    with model:
        results = list(vidgraph.run(clip, model=model, frames=frames))
        wanted = engine_outputs(model, [result.packet for result in results])
        assert len(results) == frames
        for result, expected in zip(results, wanted, strict=True):
            assert result.tensors is not None
            assert set(result.tensors) == set(expected)
            assert result[TENSORS].input_size == model.input_size((240, 320))
            for name, array in result.tensors.items():
                np.testing.assert_array_equal(array, expected[name], err_msg=f"frame {result.index} {name}")
            assert len(result.detections) == 0
            assert result.landmarks is None
