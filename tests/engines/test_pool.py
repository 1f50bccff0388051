"""The pool of requests: one user at a time, waiting when none is idle, closing only when all are back."""

from __future__ import annotations

import threading

import pytest
from vidgraph.engines.pool import Pool
from vidgraph.pipeline.errors import EngineError


def test_an_item_has_one_user_at_a_time() -> None:
    pool, users, most = Pool("net", ["only"]), [0], [0]

    def work() -> None:
        for _ in range(200):
            with pool.take() as item:
                assert item == "only"
                users[0] += 1
                most[0] = max(most[0], users[0])
                users[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1]


def test_an_item_comes_back_when_its_user_fails() -> None:
    pool = Pool("net", ["only"])
    with pytest.raises(KeyError), pool.take():
        raise KeyError
    with pool.take() as item:
        assert item == "only"


def test_close_waits_for_users_and_refuses_those_who_wait() -> None:
    pool = Pool("net", ["only"])
    closed, refused = threading.Event(), []

    def close() -> None:
        pool.close()
        closed.set()

    def wait() -> None:
        try:
            with pool.take():
                pass
        except EngineError as error:
            refused.append(str(error))

    with pool.take():
        waiting, closing = threading.Thread(target=wait), threading.Thread(target=close)
        waiting.start()
        closing.start()
        waiting.join(10)
        assert refused == ["net: run() after close()"]
        assert not closed.wait(0.05)
    assert closed.wait(10)
