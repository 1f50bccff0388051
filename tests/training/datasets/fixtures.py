"""Data sets as their authors lay them out, a few small files each, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 20, 30


def picture(path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)
    return path


def dumped(path: Path, document: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), "utf-8")
    return path


def coco(root: Path) -> Path:
    """Two images; polygons of two parts, a crowd as runs, a person with 17 keypoints; category ids with gaps."""
    for name in ("000000000001.jpg", "000000000002.jpg"):
        picture(root / "val2017" / name)
    points = [f"p{number}" for number in range(17)]
    crowd = np.zeros((HEIGHT, WIDTH), np.uint8)
    crowd[5:9, 4:12] = 1
    document = {
        "images": [image(1, "000000000001.jpg"), image(2, "000000000002.jpg")],
        "categories": [{"id": 7, "name": "train"}, {"id": 1, "name": "person", "keypoints": points, "skeleton": []}],
        "annotations": [
            {"id": 10, "image_id": 1, "category_id": 7, "iscrowd": 0, "bbox": [2, 1, 20.5, 3], "area": 20,
             "segmentation": [[2, 1, 6, 1, 6, 4, 2, 4], [18.3, 1.2, 22.5, 1.7, 20.1, 3.9]]},
            {"id": 11, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [4, 5, 8, 4], "area": 32,
             "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs(crowd)}},
            {"id": 12, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [10, 10, 5, 5], "area": 25,
             "segmentation": [[10, 10, 15, 10, 15, 15]], "num_keypoints": 2,
             "keypoints": [11, 12, 2, 13, 14, 1] + [0] * 45},
        ],
    }  # fmt: skip
    return dumped(root / "annotations" / "instances_val2017.json", document)


def image(number: Any, file: str) -> dict[str, Any]:
    """The record of an image."""
    return {"id": number, "file_name": file, "height": HEIGHT, "width": WIDTH}


def runs(mask: NDArray[np.uint8]) -> list[int]:
    """COCO's uncompressed runs: down the columns, zeros first."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
    return np.diff(edges, prepend=0).tolist()


def youtube_vis(root: Path) -> Path:
    """A video of three frames with two objects, of which one is not in the middle frame."""
    names = [f"0043f083b5/{number:05d}.jpg" for number in (0, 5, 10)]
    for name in names:
        picture(root / "JPEGImages" / name)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:6, 3:9] = 1
    rle = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
    document = {
        "videos": [{"id": 1, "length": 3, "height": HEIGHT, "width": WIDTH, "file_names": names}],
        "categories": [{"id": 1, "name": "person"}, {"id": 4, "name": "dog"}],
        "annotations": [
            {"id": 21, "video_id": 1, "category_id": 4, "iscrowd": 0, "areas": [24, None, 24],
             "bboxes": [[3, 2, 6, 4], None, [3.5, 2, 6, 4]], "segmentations": [rle, None, rle]},
            {"id": 22, "video_id": 1, "category_id": 1, "iscrowd": 0, "areas": [24, 24, 24],
             "segmentations": [rle, rle, rle]},
        ],
    }  # fmt: skip
    return dumped(root / "instances.json", document)


def cityscapes_vps(root: Path) -> Path:
    """Two videos with two annotated frames each, of ten; a car keeps its segment."""
    images, annotations, every = [], [], []
    for video, city in enumerate(("frankfurt", "lindau"), start=1):
        for frame in range(1, 11):
            name = f"{city}_000000_{frame:06d}"
            file = f"{name}_leftImg8bit.png"
            every.append({"id": video * 10_000 + frame, "file_name": file, "height": HEIGHT, "width": WIDTH})
            picture(root / "val" / "img_all" / file)
            if frame % 5:
                continue
            number = f"{video:04d}_{frame:04d}_{name}"
            picture(root / "val" / "img" / f"{number}_newImg8bit.png")
            ids = np.full((HEIGHT, WIDTH), 65536 * 2 + 256 * 3 + 7)
            ids[5:10, frame : frame + 8] = 26_000 + video
            ids[0] = 0
            segments = [{"id": 65536 * 2 + 256 * 3 + 7, "category_id": 0, "iscrowd": 0, "area": 1},
                        {"id": 26_000 + video, "category_id": 13, "iscrowd": 0, "area": 40}]  # fmt: skip
            segment_png(root / "val" / "panoptic_video" / f"{number}_final_mask.png", ids)
            images.append(image(number, f"{number}_newImg8bit.png"))
            annotations.append({"image_id": number, "file_name": f"{number}_final_mask.png", "segments_info": segments})
    categories = [{"id": 0, "name": "road", "isthing": 0}, {"id": 13, "name": "car", "isthing": 1}]
    gt = {"images": images, "annotations": annotations, "categories": categories}
    dumped(root / "panoptic_gt_val_city_vps.json", gt)
    dumped(root / "im_all_info_val_city_vps.json", {"images": every})
    return root


def segment_png(path: Path, ids: NDArray[Any]) -> Path:
    """Numbers as the colours of a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    Image.fromarray(colours).save(path)
    return path


WIDER_LIST = """0--Parade/a.jpg
2
4 3 10 8 0 0 0 0 0 0
1 1 3 3 2 0 0 1 2 0
0--Parade/b.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/c.jpg
1
5 5 0 9 0 0 0 0 0 0
"""

RETINAFACE_LIST = """# 0--Parade/a.jpg
4 3 10 8 6.5 5.25 0.0 11 5 1.0 8 7 0.0 6 9 0.0 11 9 0.0 0.82
1 1 3 3 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.2
# 0--Parade/b.jpg
"""


def wider(root: Path) -> tuple[Path, Path]:
    """The authors' list and RetinaFace's, in their own places."""
    for name in ("0--Parade/a.jpg", "0--Parade/b.jpg", "1--Handshaking/c.jpg"):
        picture(root / "WIDER_val" / "images" / name)
        picture(root / "widerface" / "val" / "images" / name)
    split = root / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    split.parent.mkdir()
    split.write_text(WIDER_LIST, "utf-8")
    labels = root / "widerface" / "val" / "label.txt"
    labels.write_text(RETINAFACE_LIST, "utf-8")
    return split, labels


def mpii(root: Path) -> tuple[Path, Path]:
    """The JSON of Simple Baselines and that of Stacked Hourglass."""
    picture(root / "images" / "005.jpg")
    picture(root / "images" / "006.jpg")
    joints = [[number + 1.0, number + 2.0] for number in range(16)]
    simple = {"image": "005.jpg", "center": [16.0, 11.0], "scale": 0.05, "joints": joints, "joints_vis": [1] * 15 + [0]}
    hourglass = {
        "dataset": "MPI", "isValidation": 1.0, "img_paths": "006.jpg", "objpos": [16.0, 11.0], "scale_provided": 0.05,
        "joint_self": [[x, y, number % 2] for number, (x, y) in enumerate(joints[:15])] + [[0.0, 0.0, 0.0]],
    }  # fmt: skip
    valid = dumped(root / "annot" / "valid.json", [simple, simple | {"center": [6.0, 6.0]}])
    train = hourglass | {"isValidation": 0.0, "img_paths": "005.jpg"}
    return valid, dumped(root / "annot" / "mpii_annotations.json", [hourglass, train])


def mot(root: Path) -> Path:
    """A sequence as MOT17 has them."""
    folder = root / "MOT17-02"
    for number in (1, 2):
        picture(folder / "img1" / f"{number:06d}.jpg")
    (folder / "gt").mkdir()
    lines = ["1,3,5,4,10,8,1,1,0.75", "1,4,1,1,4,4,0,7,1", "2,3,7,4,10,8,1,1,1"]
    (folder / "gt" / "gt.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=MOT17-02\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
        "imExt=.jpg\n",
        "utf-8",
    )
    return folder
