"""What the emulator of CUDA finds: each kernel here has one fault, and is said to be wrong or gives what is wrong."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.cuda.memory import from_host
from vidgraph.kernels.device import DeviceArray

from .. import emulator
from .cases import CUDA

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")

Run = Callable[..., np.ndarray]
COUNT = 100

PROLOGUE = """
#define CUDA_KERNEL(threads) extern "C" __global__ void
namespace vidgraph {}
"""


def probe(folder: Path, body: str) -> Path:
    """The source of a kernel ``probe(in, count, out)``."""
    source = folder / f"probe_{zlib.crc32(body.encode())}.cu"
    head = "CUDA_KERNEL(128) probe(const float* in, int count, float* out)"
    source.write_text(f"{PROLOGUE}\n{head} {{\n{body}\n}}\n")
    return source


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a kernel ``probe(in, count, out)`` of the given body on the numbers 0 to 99, in blocks of 128 threads."""

    def run(body: str, seed: int = 0, blocks: int = 1) -> np.ndarray:
        emulated = emulator.EmulatedDriver(seed, extra=(probe(tmp_path, body),))
        monkeypatch.setattr(driver, "_drivers", [emulated])
        numbers = from_host(np.arange(COUNT, dtype=np.float32), CUDA)
        out = from_host(np.zeros(COUNT, np.float32), CUDA)
        driver.launch("probe", CUDA, 128, blocks, numbers, ctypes.c_int(COUNT), out)
        return out.to_host()

    return run


REVERSE = """
  __shared__ float held[128];
  const int i = threadIdx.x;
  held[i] = i < count ? in[i] : 0.f;
  {barrier}
  if (i < count) out[i] = held[count - 1 - i];
"""


@pytest.mark.parametrize("seed", range(20))
def test_a_barrier_is_one_and_a_missing_one_shows(run: Run, seed: int) -> None:
    expected = np.arange(COUNT)[::-1]
    np.testing.assert_array_equal(run(REVERSE.replace("{barrier}", "__syncthreads();"), seed), expected)
    assert not np.array_equal(run(REVERSE.replace("{barrier}", "(void)warpSize;"), seed), expected)


def test_orders_are_those_of_the_seed(run: Run) -> None:
    """Who comes last wins: with another seed another thread, with the same one the same."""
    body = "for (int i = 0; i < count; ++i) out[i] = in[0] + threadIdx.x + 1000 * blockIdx.x;"
    answers = [run(body, seed, blocks=50)[0] for seed in (0, 0, 1, 2, 3)]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("if (threadIdx.x < 64) __syncthreads();\nout[0] = in[0] + count;", "never reach: they have ended"),
        ("if (threadIdx.x % 32) __syncwarp();\nout[0] = in[0] + count;", "for lanes of its warp, which others"),
        ("out[0] = in[0] + count + __shfl_sync(0xffffu, 1.f, 3);", "whose mask leaves it out"),
        ("if (threadIdx.x < 16) out[0] = in[0] + count + __shfl_sync(0xffffu, 1.f, 20);", "takes no part"),
        (
            "if (threadIdx.x < 32) __syncwarp(); else __syncthreads(); if (threadIdx.x < 32) __syncwarp(0xff);"
            " out[0] = in[0] + count;",
            "whose mask leaves it out",
        ),
    ],
)  # fmt: skip
def test_threads_that_wait_in_vain(run: Run, body: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        run(body)


def test_steps_of_a_warp(run: Run) -> None:
    """By hand: lanes 0 to 31 of the first warp hold 0 to 31."""
    body = """
  const int i = threadIdx.x;
  if (i >= 32) return;
  const float value = in[i];
  const unsigned odd = __ballot_sync(~0u, i % 2);
  float sum = value;
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
  const float up = __shfl_up_sync(~0u, value, 1), swapped = __shfl_xor_sync(~0u, value, 1);
  const float least = __reduce_min_sync(~0u, i + 5), inside = __shfl_sync(~0u, value, 9, 8);
  if (i == 0) out[0] = sum, out[1] = __popc(odd), out[2] = odd & 1u, out[3] = up, out[4] = least;
  if (i == 9) out[5] = up, out[6] = swapped, out[7] = inside, out[8] = __clz(1) + __ffs(4) + count;
"""
    np.testing.assert_array_equal(run(body)[:9], [496, 16, 0, 0, 5, 8, 8, 9, 31 + 3 + COUNT])


def test_atomics_and_votes_of_a_block(run: Run) -> None:
    body = """
  __shared__ int most, all;
  if (threadIdx.x == 0) most = -1, all = 0;
  __syncthreads();
  atomicMax(&most, static_cast<int>(threadIdx.x * 37 % 101));
  atomicAdd(&all, 2);
  const int even = __syncthreads_count(threadIdx.x % 2 == 0), any = __syncthreads_or(threadIdx.x == 5);
  if (threadIdx.x == 0) out[0] = most, out[1] = all, out[2] = even, out[3] = any, out[4] = in[1] + count;
"""
    np.testing.assert_array_equal(run(body)[:5], [max(i * 37 % 101 for i in range(128)), 256, 64, 1, 101])


def test_memory_holds_noise(run: Run) -> None:
    """What a block finds in shared memory is not what the one before it left, and new memory is not zero."""
    body = """
  __shared__ float held[4];
  if (threadIdx.x != 0) return;
  if (out[1] == 0.f) out[1] = held[3];
  else out[2] = held[3];
  held[3] = 7.f;
  out[0] = in[0] + count;
"""
    first, second = run(body, blocks=2)[1:3]
    assert first != second
    assert {first, second}.isdisjoint({0.0, 7.0})
    array = driver.driver().allocate(64, CUDA)
    found = np.zeros(64, np.uint8)
    driver.driver().read(array, found, CUDA)
    assert (found == 0xA5).all()
    driver.driver().free(array, CUDA)


FAULTS = {
    "heap": "if (threadIdx.x <= count) out[threadIdx.x] = in[0];",
    "shared": "__shared__ float held[128]; held[threadIdx.x + 1] = in[0]; out[0] = held[0] + count;",
    "shift": "out[0] = in[0] + (1 << (count - 60 + threadIdx.x));",
    "cast": "out[0] = static_cast<float>(static_cast<int>(in[1] * 1e20f)) + count;",
}

SCRIPT = """
import ctypes, sys
from pathlib import Path
import numpy as np
from tests import emulator
from vidgraph.kernels import Device
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.cuda.memory import from_host
assert emulator.sanitized()
driver._drivers[:] = [emulator.EmulatedDriver(0, extra=(Path(sys.argv[1]),))]
numbers, out = (from_host(np.ones(100, np.float32), Device("cuda")) for _ in range(2))
driver.launch("probe", Device("cuda"), 128, 1, numbers, ctypes.c_int(100), out)
print("ran")
"""


def preloaded() -> dict[str, str] | None:
    """The environment of a process with the address sanitizer; None where the compiler has none."""
    names = ("libasan.so", "libstdc++.so")
    found = [
        subprocess.run(
            [str(emulator.compiler()), f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in names
    ]
    if not all(Path(path).is_absolute() for path in found):
        return None
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(found),
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=99:allocator_may_return_null=1",
    }


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_sanitizers_see_accesses_beyond_arrays(fault: str | None, tmp_path: Path) -> None:
    environment = preloaded()
    if environment is None:
        pytest.skip("needs a compiler with the address sanitizer")
    body = FAULTS[fault] if fault else "if (threadIdx.x < count) out[threadIdx.x] = in[threadIdx.x];"
    environment["PYTHONPATH"] = os.pathsep.join([str(emulator.HERE.parents[1]), environment.get("PYTHONPATH", "")])
    command: list[Any] = [sys.executable, "-c", SCRIPT, probe(tmp_path, body)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    if fault is None:
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    else:
        assert done.returncode != 0
        assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr


def test_one_fault_is_chosen(run: Run, tmp_path: Path) -> None:
    """Of those in a text; one that no thread comes by is known from one that changes nothing."""
    body = "out[0] = in[emulator::fault(0)] + count; if (count < 0) out[1] = emulator::fault(1);"
    library = emulator.build(probe(tmp_path, body))
    for number, answer, met in ((-1, COUNT, False), (0, COUNT + 1, True), (1, COUNT, False)):
        emulator.choose_fault(library, number)
        assert (run(body)[0], emulator.fault_was_met(library)) == (answer, met)


def test_unknown_kernels_and_wrong_arguments(run: Run) -> None:
    run("out[0] = in[0] + count;")
    with pytest.raises(RuntimeError, match="probe: it takes 3 arguments"):
        driver.launch("probe", CUDA, 32, 1, ctypes.c_int(1))
    with pytest.raises(KeyError):
        driver.launch("nothing", CUDA, 32, 1)
    assert isinstance(from_host(np.zeros(0, np.float32), CUDA), DeviceArray)
