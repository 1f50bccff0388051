"""The classes of the data sets, in the order of the network's foreground columns."""

from __future__ import annotations

COCO = tuple(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors,
    teddy bear, hair drier, toothbrush
    """.strip().replace("\n    ", " ").split(", ")
)  # fmt: skip
"""COCO 2017: 80 classes."""

COCO_IDS = tuple(each for each in range(1, 91) if each not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
"""The category id of each COCO class in COCO's own files."""

YOUTUBE_VIS = tuple(
    """
    person, giant_panda, lizard, parrot, skateboard, sedan, ape, dog, snake, monkey, hand, rabbit, duck, cat, cow, fish,
    train, horse, turtle, bear, motorbike, giraffe, leopard, fox, deer, owl, surfboard, airplane, truck, zebra, tiger,
    elephant, snowboard, boat, shark, mouse, frog, eagle, earless_seal, tennis_racket
    """.strip().replace("\n    ", " ").split(", ")
)  # fmt: skip
"""YouTube-VIS 2019: 40 classes; the category ids of its files are 1 to 40 in this order."""

PASCAL = tuple(
    """
    aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike, person,
    pottedplant, sheep, sofa, train, tvmonitor
    """.strip().replace("\n    ", " ").split(", ")
)  # fmt: skip
"""Pascal VOC 2012, and SBD: 20 classes."""

STREET = ("person", "car", "bicycle", "ball", "animal")
"""The things of the synthetic street."""


def numbered(count: int) -> tuple[str, ...]:
    """Names for ``count`` classes of which nothing else is known: ``class_0`` and so on."""
    return tuple(f"class_{index}" for index in range(count))
