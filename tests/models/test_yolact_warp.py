"""The warp of features: the same as grid_sample, and exact where the network runs in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Tolerance = Callable[[str], float]
SIDE = 69


def grid_sampled(torch: Any, features: Any, flow: Any) -> Any:
    """The official formulation: normalised coordinates, and an eighth of the flow added to them."""
    height, width = features.shape[2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    grid = torch.stack([x, y], -1) + flow.permute(0, 2, 3, 1) / 8
    return torch.nn.functional.grid_sample(features, grid, padding_mode="zeros", align_corners=True)


@pytest.mark.parametrize("size", [(35, 35), (18, 18), (4, 9), (7, 2)])
@pytest.mark.parametrize("reach", [0.0, 0.4, 3.0, 40.0])
def test_same_as_grid_sample(size: tuple[int, int], reach: float, torch: Any, tolerance: Tolerance) -> None:
    """Also where it leads outside of the map, which counts as zero."""
    from vidgraph.models.yolact_edge.flow import WarpGrid, warp

    generator = torch.Generator().manual_seed(size[0])
    features = torch.randn((2, 5, *size), generator=generator)
    flow = reach * torch.randn((2, 2, *size), generator=generator)
    got, expected = warp(features, flow, WarpGrid.of(size, 2)), grid_sampled(torch, features, flow)
    if reach == 40.0:
        assert (expected == 0).float().mean() > 0.5
    assert (got - expected).abs().max() <= tolerance("warp against grid_sample") * max(size)


def network_of(torch: Any, sample: Callable[..., Any], offset_px: float) -> Any:
    """Two maps and a flow of ``offset_px`` along both axes, each through a convolution; then the warp, and one more."""

    class Warped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.Conv2d(2, 2, 1, bias=False)
            self.flow = torch.nn.Conv2d(2, 2, 1, bias=False)
            self.out = torch.nn.Conv2d(2, 2, 1, bias=False)
            same = torch.eye(2)[..., None, None]
            for conv, factor in ((self.features, 1.0), (self.flow, offset_px * 16 / (SIDE - 1)), (self.out, 1.0)):
                conv.weight.data = factor * same

        def forward(self, features: Any, ones: Any, *tables: Any) -> Any:
            return self.out(sample(self.features(features), self.flow(ones), *tables))

    return Warped().eval()


def position_error(torch: Any, path: Path, sample: Callable[..., Any], *, precision: str) -> float:
    """How far from where it should a warp by 1.3 px samples under OpenVINO, in pixels.

    The maps are 0 and 1 in turn along one axis, so that their values between two cells show the position.
    """
    from vidgraph.engines import open_engine
    from vidgraph.models.formats import GraphShape
    from vidgraph.models.weights.onnx_export import export_graph
    from vidgraph.models.yolact_edge.grid import grid_tables

    offset = 1.3
    shape = (1, 2, SIDE, SIDE)
    graph = GraphShape({"features": shape, "ones": shape}, {"out": shape}, tables=grid_tables((SIDE, SIDE), 1))
    path.write_bytes(export_graph(network_of(torch, sample, offset), graph, {}))
    cells = np.arange(SIDE)
    features = np.stack(np.broadcast_arrays(cells % 2, cells[:, None] % 2))[None].astype(np.float32)
    engine = open_engine(path, engine="openvino", precision=precision)
    try:
        out = engine.run({"features": features, "ones": np.ones(shape, np.float32)})["out"][0]
    finally:
        engine.close()
    inside = cells[: SIDE - 2]
    expected = np.interp(inside + offset, cells, cells % 2)
    along_x, along_y = out[0, : SIDE - 2, : SIDE - 2], out[1, : SIDE - 2, : SIDE - 2]
    return float(max(np.abs(along_x - expected).max(), np.abs(along_y - expected[:, None]).max()))


def gathered(features: Any, flow: Any, *tables: Any) -> Any:
    from vidgraph.models.yolact_edge.flow import WarpGrid, warp

    return warp(features, flow, WarpGrid(*tables))


def bf16_or_skip() -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs OpenVINO")
    if "bf16" not in openvino.available_precisions():
        pytest.skip("this processor does not compute bfloat16 natively")


def test_warp_by_a_fraction_of_a_pixel_in_fp32(tmp_path: Path, torch: Any) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO")
    assert position_error(torch, tmp_path / "warp.onnx", gathered, precision="fp32") < 1e-5


def test_warp_by_a_fraction_of_a_pixel_in_bf16(tmp_path: Path, torch: Any, tolerance: Tolerance) -> None:
    bf16_or_skip()
    error = position_error(torch, tmp_path / "warp.onnx", gathered, precision="bf16")
    print(f"{error:.4f} px")
    assert error <= tolerance("warp in bf16, px")


def test_absolute_coordinates_would_lose_it(tmp_path: Path, torch: Any, tolerance: Tolerance) -> None:
    """What the limit is good for: grid_sample in the same graph misses it."""
    bf16_or_skip()

    def sampled(features: Any, flow: Any, cells: Any, last: Any, *others: Any) -> Any:
        grid = 2 * cells / last - 1 + flow / 8
        return torch.nn.functional.grid_sample(
            features, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=True
        ) + 0 * sum(other.sum() for other in others)

    assert position_error(torch, tmp_path / "grid.onnx", sampled, precision="bf16") > 2 * tolerance("warp in bf16, px")
