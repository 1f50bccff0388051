"""An exported network with its convolutions in int8. The one module that imports ``nncf``.

The result is an ONNX file of pairs of QuantizeLinear and DequantizeLinear around what is computed in int8, with
weights stored as int8. Names, metadata and what depends on the input's size stay as they were, so that
:func:`..weights.onnx_export.resized` makes files of other sizes of it as of any export: scales do not depend on the
size.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from ...pipeline.errors import CheckpointError, MissingExtraError

Feeds = Mapping[str, NDArray[Any]]


def quantise(
    network: bytes, samples: Sequence[Feeds], *, keep: Sequence[str] = (), tables: Sequence[str] = ()
) -> bytes:
    """Quantise an ONNX file: weights per channel, activations per tensor with the ranges that ``samples`` show.

    Args:
        network: the file, of fixed shapes.
        samples: what the network is fed, at least one: input name -> array.
        keep: patterns (:func:`re.match`) of the names of nodes that stay as they are.
        tables: names of constants whose readers stay as they are, because the size of the input changes them.

    Raises:
        MissingExtraError: nncf or onnxruntime is not installed.
        CheckpointError: the network has nothing to quantise, or is quantised.
    """
    with _import_quietly() as nncf:
        import onnx

        model = onnx.load_from_string(network)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise CheckpointError("the network is quantised already; quantise the one it was made of")
        kept = [
            node.name
            for node in model.graph.node
            if any(re.match(pattern, node.name) for pattern in keep) or set(tables).intersection(node.input)
        ]
        quantised = nncf.quantize(
            model,
            nncf.Dataset(samples, dict),
            subset_size=len(samples),
            preset=nncf.QuantizationPreset.MIXED,  # LeakyReLU and sums are not symmetric
            target_device=nncf.TargetDevice.CPU,
            ignored_scope=nncf.IgnoredScope(names=kept, validate=False),
        )
        if not any(node.op_type == "QuantizeLinear" for node in quantised.graph.node):
            raise CheckpointError("the network has nothing that can be quantised")
        del quantised.graph.value_info[:]
        content: bytes = quantised.SerializeToString()
        return content


def add_metadata(network: bytes, entries: Mapping[str, str]) -> bytes:
    """The ONNX file with further ``metadata_props``."""
    import onnx

    model = onnx.load_from_string(network)
    known = {each.key: each.value for each in model.metadata_props}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**known, **entries})
    content: bytes = model.SerializeToString()
    return content


def nncf_version() -> str:
    """The version of nncf.

    Raises:
        MissingExtraError: it is not installed.
    """
    with _import_quietly() as nncf:
        return str(nncf.__version__)


@contextmanager
def _import_quietly() -> Iterator[ModuleType]:
    """NNCF without its telemetry, its class of loggers and its notes; its bars where a person looks at them."""
    name = "openvino_telemetry"
    absent_for_now = name not in sys.modules
    if absent_for_now:
        sys.modules[name] = None  # type: ignore[assignment]
    loggers = logging.getLoggerClass()
    shown = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(shown):
        warnings.simplefilter("ignore")
        try:
            import nncf
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("quantising a network", "int8") from error
        finally:
            logging.setLoggerClass(loggers)
            if absent_for_now:
                del sys.modules[name]
        logging.getLogger("nncf").setLevel(logging.ERROR)  # not set_log_level: that changes handlers of others, too
        yield nncf
