"""What the tests of training share with those of models: a cache of their own, torch, checkpoints."""

from __future__ import annotations

from ..models.conftest import (
    cache_of_the_session as cache_of_the_session,
    own_cache as own_cache,
    parity as parity,
    seeded_checkpoint as seeded_checkpoint,
    torch as torch,
)
