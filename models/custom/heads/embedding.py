"""An embedding: a vector that says what the whole picture looks like, for comparing it with others.

Scores of classes have the same shape: only the output's name, the TOML or ``--head`` say that it is an embedding.

Source: definition; networks of appearance (re-identification, faces, CLIP) are compared by the cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.errors import EngineError
from ....pipeline.packet import EMBEDDING
from ....pipeline.types.embedding import Embedding
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .choices import refuse_choices
from .yolo_rows import shown

NAMES = ("embedding", "embeddings", "image_embeds", "image_embeddings", "image_features")


@dataclass(frozen=True, slots=True)
class EmbeddingHead:
    """The vector, divided by its length.

    Attributes:
        output: its name: float32 [1, D], or [1, D, 1, 1].
    """

    output: str
    kind: str = "embedding"
    task: str = "an embedding of the whole picture"

    class_count = 0
    point_names = ()
    gives = (EMBEDDING,)
    device_outputs = ()

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The vector as it is.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives embeddings")

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            check_finite(self.output, outputs[self.output])
            return {"values": np.array(outputs[self.output], np.float32).reshape(-1)}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The vector of length 1.

        Raises:
            EngineError: it has no direction: all of it is 0, or some of it is not finite.
        """
        values = raw.arrays["values"].astype(np.float64)
        length = float(np.sqrt(np.square(values).sum()))
        if not 0 < length < np.inf:
            raise EngineError(
                f"output {self.output!r} is an embedding of length {length:g}, which has no direction; check the "
                "weights, or run it with precision fp32"
            )
        return {EMBEDDING: Embedding((values / length).astype(np.float32))}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for a vector by one of the names, or where it is said to be an embedding; see :mod:`..head`."""
    said, named = "embedding" in (about.head, about.task), about.outputs.get("embedding")
    if about.classes is not None and not said:
        return None
    names = NAMES if named is None else (named,)
    chosen = [spec for spec in outputs if spec.name in names]
    if not chosen and said and named is None:
        chosen = list(outputs)
    if not chosen or (not said and len(outputs) > 1):
        return None
    if len(chosen) > 1:
        return f"{', '.join(map(shown, chosen))} may each be the embedding; say which (`embedding` of `outputs`)"
    spec = chosen[0]
    if spec.dtype.kind != "f" or len(spec.shape) < 2 or spec.shape[0] != 1 or set(spec.shape[2:]) - {1}:
        return f"{shown(spec)} must be a floating-point vector [1, D]"
    return EmbeddingHead(spec.name)
