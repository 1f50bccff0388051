"""Classes that many networks are trained on, in the order in which networks have them."""

from __future__ import annotations

from types import MappingProxyType

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

PASCAL = tuple(
    """
    aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike, person,
    pottedplant, sheep, sofa, train, tvmonitor
    """.strip().replace("\n    ", " ").split(", ")
)  # fmt: skip
"""Pascal VOC 2012, and SBD: 20 classes."""

_SLOTS = 91

COCO_SLOTS = tuple(
    COCO[COCO_IDS.index(number)] if number in COCO_IDS else f"unused {number}" for number in range(_SLOTS)
)
"""The COCO classes at their ids in COCO's own files; those ids are 1 to 90, and ten of them are not used."""

NAMED = MappingProxyType({"coco80": COCO, "coco91": COCO_SLOTS, "voc21": ("background", *PASCAL)})
"""Names of these lists, for ``labels`` and ``classes`` -> the names of the classes."""


def at_coco_ids(names: tuple[str, ...]) -> tuple[str, ...]:
    """80 names in the order of the COCO classes, at their ids: 91 names."""
    by_id = dict(zip(COCO_IDS, names, strict=True))
    return tuple(by_id.get(number, unused) for number, unused in enumerate(COCO_SLOTS))
