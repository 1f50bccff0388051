"""The classes of further data sets, in the order of the network's foreground columns; see :mod:`..known_classes`."""

from __future__ import annotations

YOUTUBE_VIS = tuple(
    """
    person, giant_panda, lizard, parrot, skateboard, sedan, ape, dog, snake, monkey, hand, rabbit, duck, cat, cow, fish,
    train, horse, turtle, bear, motorbike, giraffe, leopard, fox, deer, owl, surfboard, airplane, truck, zebra, tiger,
    elephant, snowboard, boat, shark, mouse, frog, eagle, earless_seal, tennis_racket
    """.strip().replace("\n    ", " ").split(", ")
)  # fmt: skip
"""YouTube-VIS 2019: 40 classes; the category ids of its files are 1 to 40 in this order."""

STREET = ("person", "car", "bicycle", "ball", "animal")
"""The things of the synthetic street."""


def numbered(count: int) -> tuple[str, ...]:
    """Names for ``count`` classes of which nothing else is known: ``class_0`` and so on."""
    return tuple(f"class_{index}" for index in range(count))
