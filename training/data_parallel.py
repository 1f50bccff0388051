"""Several processes that share the work of a step: each has one part of the batch and the same weights.

The weights lie in shared memory. The process that trains says which step begins, every process puts its gradient
into its own row of a shared table, and the trainer takes the mean and changes the weights. One process with one thread
on each core is faster here than one process with threads on all of them: most operations of a small network end too
soon to be divided, and a thread that waits for a core that another program has stops all others (measured on two
cores, 8 pictures forward and back: 1.1 s in one thread; with two threads 2.9 s beside another program). While a process
waits for the others, it makes ready what it needs for the next step.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import BrokenBarrierError
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..pipeline.errors import VidgraphError
from ..pipeline.execution.threads import end_with_parent

HELPER_WAITED_FOR_S = 600.0
_LEAVE = -1


class Worker(Protocol):
    """What a process computes."""

    def __call__(self, step: int, process: int) -> Tensor:
        """The loss of the part of ``process`` of the batch of ``step``."""

    def prepare(self, step: int, process: int) -> None:
        """Begin, in a thread, what the next call with these arguments would wait for."""


class WorkerGroupError(VidgraphError):
    """A helping process died."""


class WorkerGroup:
    """The processes of a training; used as a context.

    Attributes:
        size: how many there are, this one included.
    """

    def __init__(self, network: nn.Module, size: int, worker_of: Callable[[nn.Module], Worker]) -> None:
        """Begin the other processes.

        Args:
            network: its weights are moved into shared memory.
            size: how many processes.
            worker_of: from the network to what a process computes; pickled, so a function or class of a module, or a
                ``functools.partial`` of one.
        """
        self.size = size
        self._parameters = [each for each in network.parameters() if each.requires_grad]
        self._helpers: list[Any] = []
        if size == 1:
            return
        context = torch.multiprocessing.get_context("spawn")
        network.share_memory()
        count = sum(each.numel() for each in self._parameters)
        self._table = torch.zeros(size, count).share_memory_()
        self._step = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._begin, self._end = context.Barrier(size), context.Barrier(size)
        for number in range(1, size):
            shared = (self._table, self._step, self._begin, self._end)
            helper = context.Process(target=_help, args=(number, network, worker_of, shared), daemon=True)
            helper.start()
            self._helpers.append(helper)

    def gradients(self, step: int, worker: Worker) -> Tensor:
        """Leave the mean gradient of all parts of a step in the weights' ``grad``; the loss of part 0 is given back.

        Raises:
            WorkerGroupError: a helping process died.
        """
        if self.size == 1:
            loss = worker(step, 0)
            worker.prepare(step + 1, 0)
            loss.backward()
            return loss.detach()
        self._step[0] = step
        self._wait(self._begin)
        loss = worker(step, 0)
        loss.backward()
        worker.prepare(step + 1, 0)
        self._wait(self._end)
        others = self._table[1:].sum(0)
        start = 0
        for each in self._parameters:
            if each.grad is not None:  # else no process has one: all compute the same graph
                each.grad.add_(others[start : start + each.numel()].view(each.shape)).div_(self.size)
            start += each.numel()
        return loss.detach()

    def _wait(self, barrier: Any) -> None:
        try:
            barrier.wait(HELPER_WAITED_FOR_S)
        except BrokenBarrierError as error:
            raise WorkerGroupError(
                "a helping process of the training died; --resume goes on from the last checkpoint"
            ) from error

    def __enter__(self) -> WorkerGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._helpers:
            return
        self._step[0] = _LEAVE
        if kind is None:
            self._wait(self._begin)
        else:
            self._begin.abort()
            self._end.abort()
        for helper in self._helpers:
            helper.join(10.0)
            if helper.is_alive():
                helper.kill()


def _help(number: int, network: nn.Module, worker_of: Callable[[nn.Module], Worker], shared: Any) -> None:
    """What a helping process does until it is told to leave, or the trainer is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer ends in order, and tells
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    table, current, begin, end = shared
    for module in network.modules():  # statistics of norms are this process's own
        for name, value in module.named_buffers(recurse=False):
            setattr(module, name, value.clone())
    worker = worker_of(network)
    parameters = [each for each in network.parameters() if each.requires_grad]
    row: np.ndarray[Any, Any] = table[number]
    try:
        while True:
            begin.wait()
            step = int(current[0])
            if step == _LEAVE:
                return
            network.zero_grad(set_to_none=True)
            worker(step, number).backward()
            worker.prepare(step + 1, number)
            start = 0
            for each in parameters:
                view = row[start : start + each.numel()].view(each.shape)
                if each.grad is not None:
                    view.copy_(each.grad)
                start += each.numel()
            end.wait()
    except BrokenBarrierError:
        return
    except BaseException:
        begin.abort()
        end.abort()
        raise
