"""comma10k, colour files of Cityscapes, and recipes for data sets that a dataset.toml declares."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.cityscapes_labels import COLOURS, TABLE
from edgeseg.data.splits import drive_of
from tests.helpers.data import write_mask, write_picture
from tests.helpers.places import ROOT

COMMA10K = {
    "road": "402020",
    "lane markings": "ff0000",
    "undrivable": "808060",
    "movable": "00ff66",
    "my car": "cc00ff",
    "movable in my car": "00ccff",
    "white": "ffffff",
    "black": "000000",
}
"""As README.md of github.com/commaai/comma10k has them; empty was white, then black."""
DRIVES = ["0085e9e41513078a_2018-08-19--13-26-08", "20f59690c1da9379_2021-02-08--09-26-00"]


def striped(*names: str) -> np.ndarray:
    """Return a mask of 20 rows whose columns have these colours of comma10k."""
    return np.array([[list(bytes.fromhex(COMMA10K[name])) for name in names]], np.uint8).repeat(20, axis=0)


def comma10k(root: Path, *names: str, images: str = "imgs") -> Path:
    for number, end in enumerate(("864", "19", "8", "9")):
        stem = f"{number:04}_{DRIVES[number // 2]}_11_{end}.png"
        write_picture(root / images / stem, width=len(names))
        write_mask(root / images.replace("img", "mask") / stem, striped(*names))
    return root


@pytest.mark.parametrize("empty", ["white", "black"])
def test_comma10k_in_both_versions(tmp_path: Path, empty: str) -> None:
    dataset = open_dataset(f"comma10k:{comma10k(tmp_path, *list(COMMA10K)[:5], empty)}")
    assert dataset.classes.names == tuple(COMMA10K)[:5]
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {"train": 2, "val": 2}
    assert dataset.split("val")[0].read()[1][7].tolist() == [0, 1, 2, 3, 4, 255]


def test_comma10k_by_drives(tmp_path: Path) -> None:
    root = comma10k(tmp_path, "road", "my car")
    assert [drive_of(sample) for sample in open_dataset(f"comma10k:{root}").split("val")] == DRIVES
    dataset = open_dataset(f"comma10k:{root}?val=0.5")
    assert {drive_of(sample) for sample in dataset.split("val")} != {
        drive_of(sample) for sample in dataset.split("train")
    }


def test_comma10k_of_the_driver_has_a_sixth_class_and_pictures_without_masks(tmp_path: Path) -> None:
    root = comma10k(tmp_path, "my car", "movable in my car", images="imgsd")
    write_picture(root / "imgsd" / "9999.png", width=2)
    samples = open_dataset(f"comma10k:{root}?images=imgsd&group=.*&val=0").split("train")
    assert len(samples) == 4
    assert samples[0].read()[1][0].tolist() == [4, 5]
    with pytest.raises(DataError, match="no such folder; expected images in imgs/ and masks in masks/"):
        open_dataset(f"comma10k:{root}")
    with pytest.raises(UsageError, match="did you mean imgs2"):
        open_dataset(f"comma10k:{root}?images=img2")


def test_comma10k_without_a_mask_and_in_another_colour(tmp_path: Path) -> None:
    root = comma10k(tmp_path, "road", "movable in my car")
    with pytest.raises(DataError, match=r"colour \(0, 204, 255\) .* is no class"):
        open_dataset(f"comma10k:{root}").split("train")[0].read()
    next((root / "masks").iterdir()).unlink()
    with pytest.raises(DataError, match="no mask; expected"):
        [open_dataset(f"comma10k:{root}").split(split) for split in ("train", "val")]


def cityscapes(root: Path, *files: str) -> Path:
    """Write one picture as wide as the table has labels, and the files of its labels."""
    write_picture(root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png", width=len(TABLE))
    ids = np.arange(len(TABLE), dtype=np.uint8)[None].repeat(20, axis=0)
    masks = {
        "labelIds": ids,
        "labelTrainIds": np.array([label.train_id for label in TABLE], np.uint8)[ids],
        "color": np.array([label.colour for label in TABLE], np.uint8)[ids],
    }
    for file in files:
        write_mask(root / f"gtFine/train/aachen/aachen_000000_000019_gtFine_{file}.png", masks[file])
    return root


def test_cityscapes_where_only_colour_files_are_there(tmp_path: Path) -> None:
    dataset = open_dataset(f"cityscapes:{cityscapes(tmp_path, 'color')}")
    assert len(dataset.classes) == 29
    assert len(set(dataset.classes.colours)) == 29
    ids = dataset.split("train")[0].read()[1][0]
    found = {label.name: dataset.classes.names[index] for label, index in zip(TABLE, ids, strict=True)}
    shared = {name: one for name, one in found.items() if name != one}
    assert shared == {
        "ego vehicle": "unlabeled",
        "rectification border": "unlabeled",
        "out of roi": "unlabeled",
        "static": "unlabeled",
        "polegroup": "pole",
    }
    train = open_dataset(f"cityscapes:{tmp_path}?labels=train").split("train")[0].read()[1][0]
    assert train.tolist() == [5 if label.name == "polegroup" else label.train_id for label in TABLE]


def test_cityscapes_the_29_classes_are_the_same_from_ids(tmp_path: Path) -> None:
    by_id = open_dataset(f"cityscapes:{cityscapes(tmp_path / 'a', 'labelIds')}?labels=colours")
    by_colour = open_dataset(f"cityscapes:{cityscapes(tmp_path / 'b', 'color')}")
    assert by_id.classes == by_colour.classes == COLOURS
    assert np.array_equal(by_id.split("train")[0].read()[1], by_colour.split("train")[0].read()[1])


def test_cityscapes_takes_ids_where_they_are(tmp_path: Path) -> None:
    assert len(open_dataset(f"cityscapes:{cityscapes(tmp_path / 'a', 'color', 'labelIds')}").classes) == 19
    trained = open_dataset(f"cityscapes:{cityscapes(tmp_path / 'b', 'color', 'labelTrainIds')}")
    assert trained.split("train")[0].read()[1][0].tolist() == [label.train_id for label in TABLE]
    for option in ("labels=colours&encoding=labelTrainIds", "labels=all&encoding=color", "labels=color"):
        with pytest.raises(UsageError, match="expected"):
            open_dataset(f"cityscapes:{tmp_path / 'b'}?{option}")


def recipe(heading: str, language: str) -> str:
    """Return the first block of code of a language under a heading of docs/data.md."""
    text = (ROOT / "docs" / "data.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    match = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert match, f"docs/data.md has no {language} under {heading}"
    return match[1]


BDD100K = np.array([[0, 10, 18, 255]], np.uint8).repeat(20, axis=0)


def test_the_recipe_for_bdd100k(tmp_path: Path) -> None:
    """19 train ids of Cityscapes, 255 is unknown (doc.bdd100k.com/format.html)."""
    for split in ("train", "val", "test"):
        write_picture(tmp_path / "images" / "10k" / split / "0a0a0b1a-7c39d841.jpg", width=4)
        if split != "test":
            write_mask(tmp_path / "labels" / "sem_seg" / "masks" / split / "0a0a0b1a-7c39d841.png", BDD100K)
    (tmp_path / "dataset.toml").write_text(recipe("BDD100K", "toml"))
    dataset = open_dataset(str(tmp_path / "dataset.toml"))
    assert [len(dataset.split(split)) for split in ("train", "val")] == [1, 1]
    assert dataset.split("val")[0].read()[1][0].tolist() == [0, 10, 18, 255]
    assert (dataset.classes.names[13], dataset.classes.colours[13]) == ("car", (0, 0, 142))


VISTAS = [
    {"name": "construction--flat--road", "readable": "Road", "color": [128, 64, 128], "evaluate": True},
    {"name": "nature--sky", "readable": "Sky", "color": [70, 130, 180], "evaluate": True},
    {"name": "object--vehicle--car", "readable": "Car", "color": [0, 0, 142], "evaluate": True},
    {"name": "void--unlabeled", "readable": "Unlabeled", "color": [0, 0, 0], "evaluate": False},
]


@pytest.mark.parametrize("layout", ["v1.2/labels", "labels"])
def test_the_recipe_for_mapillary_vistas(tmp_path: Path, layout: str) -> None:
    """Palette PNGs of the ids of config_v1.2.json; the first download has labels/ where the later one has v1.2/."""
    from PIL import Image

    for split in ("training", "validation", "testing"):
        write_picture(tmp_path / split / "images" / "a_-b.jpg", width=4)
        if split != "testing":
            mask = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8).repeat(20, axis=0), "P")
            mask.putpalette([channel for label in VISTAS for channel in label["color"]])  # type: ignore[attr-defined]
            (tmp_path / split / layout).mkdir(parents=True)
            mask.save(tmp_path / split / layout / "a_-b.png")
    (tmp_path / "config_v1.2.json").write_text(json.dumps({"labels": VISTAS}))
    script = recipe("Mapillary Vistas", "python").replace("v1.2/labels", layout)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    dataset = open_dataset(str(tmp_path / "dataset.toml"))
    assert dataset.classes.names == ("construction--flat--road", "nature--sky", "object--vehicle--car")
    assert dataset.classes.colours[2] == (0, 0, 142)
    assert [dataset.split(split)[0].read()[1][0].tolist() for split in ("train", "val")] == [[0, 1, 2, 255]] * 2
