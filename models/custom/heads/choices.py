"""Choices about results that mean nothing for what a network gives."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from ....pipeline.errors import UsageError
from ...options import PostprocessOptions


def refuse_choices(choices: PostprocessOptions, what: str, *, but: Collection[str] = ()) -> None:
    """Refuse all choices but some.

    Args:
        what: the network does, for the message.
        but: names of choices that mean something.

    Raises:
        UsageError: one of the others is made.
    """
    made = [each.name for each in fields(choices) if each.name not in but and getattr(choices, each.name) is not None]
    if made:
        raise UsageError(f"{', '.join(made)} cannot be given for a network that {what}; leave it out")
