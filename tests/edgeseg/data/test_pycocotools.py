"""COCO's own tools and edgeseg agree on every pixel, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.pixel_edges import inside
from edgeseg.data.tools.write_coco import CocoDocument
from tests.helpers.data import write_picture
from tests.helpers.figures import SIZE, random_points

FOUR = ClassMap(("sky", "road", "car", "sign"), ((0, 0, 9), (9, 0, 0), (0, 9, 0), (9, 9, 9)))
NUMBERS = st.integers(-30, 90) | st.floats(-300, 300)


def random_annotations(count: int) -> list[dict[str, Any]]:
    """Return annotations of 20 pictures: one polygon or several, run lengths with holes, boxes; they overlap."""
    random, listed = Random(7), []
    for number in range(count):
        entry: dict[str, Any] = {"id": number + 1, "image_id": number % 20 + 1, "category_id": random.randint(1, 4)}
        entry |= {"iscrowd": 0, "area": 1, "bbox": [1, 2, 3, 4]}
        parts = [random_points(random, random.randint(3, 9), number % 3 == 0) for _ in range(random.choice((1, 1, 2)))]
        entry["segmentation"] = [np.ravel(part).tolist() for part in parts]
        if number % 8 == 7:
            mask = np.zeros(SIZE, np.uint8, order="F")
            mask[5 : random.randint(12, 30), 5:30] = 1
            mask[8:11, 8:20] = 0
            rle = coco_mask.encode(mask)
            entry["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
        listed.append(entry)
    return listed


def test_400_polygons_and_masks_are_read_as_coco_reads_them(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"d{n}_1.png", "height": SIZE.height, "width": SIZE.width} for n in range(1, 21)]
    categories = [{"id": index, "name": name} for index, name in enumerate(FOUR.names, 1)]
    document = {"images": images, "annotations": random_annotations(450), "categories": categories}
    (tmp_path / "labels.json").write_text(json.dumps(document))
    for image in images:
        write_picture(tmp_path / str(image["file_name"]), *SIZE)
    theirs = COCO(str(tmp_path / "labels.json"))
    samples = open_dataset(f"coco:{tmp_path / 'labels.json'}?val=0&unlabelled=sky").split("train")
    assert len(samples) == 20
    for image, sample in zip(images, samples, strict=True):
        expected = np.zeros(SIZE, np.uint8)
        for each in theirs.loadAnns(theirs.getAnnIds(imgIds=[image["id"]])):
            expected[theirs.annToMask(each) > 0] = each["category_id"] - 1
        assert np.array_equal(sample.read_class_map(), expected)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=12), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=400)
def test_any_polygon_is_filled_as_coco_fills_it(points: list[tuple[float, float]], height: int, width: int) -> None:
    (rle,) = coco_mask.frPyObjects([[float(each) for each in np.ravel(points)]], height, width)
    region, (left, top) = inside(np.array(points, np.float64), Size(height, width))
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + region.shape[0], left : left + region.shape[1]] = region
    assert np.array_equal(mask, coco_mask.decode(rle))


@pytest.mark.parametrize("box", [[5, 0, 2, 40], [-3.4, 7.5, 20.2, 11.1], [50, 30, 40, 40]])
def test_a_box_is_filled_as_coco_fills_it(tmp_path: Path, box: list[float]) -> None:
    entry = {"image_id": "1", "category_id": 1.0, "segmentation": [[]], "bbox": box}
    images = [{"id": 1.0, "file_name": "a.png", "height": 40.0, "width": 60.0}]
    document = {"images": images, "annotations": [entry], "categories": [{"id": "1", "name": "car"}]}
    (tmp_path / "labels.json").write_text(json.dumps(document))
    write_picture(tmp_path / "a.png", *SIZE)
    ids = open_dataset(f"coco:{tmp_path / 'labels.json'}").split("train")[0].read_class_map()
    (rle,) = coco_mask.frPyObjects(np.array([box], np.float64), *SIZE)
    assert np.array_equal(ids == 0, coco_mask.decode(rle) > 0)


@given(st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=63, max_size=63), st.sampled_from([1, 2, 5]))
@settings(max_examples=200)
def test_what_is_written_is_read_back_by_coco_to_the_pixel(ids: list[int], scale: int) -> None:
    """Thin lines, pixels that meet by a corner, holes, holes in holes; each annotation, and its area and box."""
    class_map = np.array(ids, np.uint8).reshape(7, 9).repeat(scale, 0).repeat(scale, 1)
    back = np.full_like(class_map, 255)
    for each in CocoDocument(FOUR, min_area=1, tolerance=0).annotations_of(class_map):
        rle = coco_mask.merge(coco_mask.frPyObjects(each["segmentation"], *class_map.shape))
        mask = coco_mask.decode(rle) > 0
        assert (back[mask] == 255).all()
        assert (int(coco_mask.area(rle)), coco_mask.toBbox(rle).tolist()) == (each["area"], each["bbox"])
        back[mask] = each["category_id"] - 1
    assert np.array_equal(back, class_map)
