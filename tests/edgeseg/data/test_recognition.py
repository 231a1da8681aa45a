"""Data that is found without being named exactly: formats, folders, suffixes, links; and what is said of doubt."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.listing import files_in
from tests.helpers.cvat import cvat, image, packed, polygon, write_cvat
from tests.helpers.data import voc, voc_polygon, write_mask, write_picture
from tests.helpers.training import write_camvid

IDS = np.arange(600, dtype=np.uint8).reshape(20, 30) % 3


def folder(
    root: Path, images: str = "images", masks: str = "masks", suffix: str = ".png", listed: str = "classes.txt"
) -> Path:
    for name in ("a1", "b1"):
        write_picture(root / images / f"{name}.jpg")
        write_mask(root / masks / f"{name}.png", IDS).rename(root / masks / f"{name}{suffix}")
    (root / listed).write_text("sky\nroad\ncar\n")
    return root


def voc_xml(root: Path) -> Path:
    for name in ("a1", "b1", "c1"):
        write_picture(root / "JPEGImages" / f"{name}.png")
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(voc(voc_polygon("road", 1, 1, 9, 1, 9, 9), filename=f"{name}.png"))
    return root


def labelme(root: Path) -> Path:
    write_picture(root / "a.png")
    shape = {"label": "road", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    (root / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png", "imageData": None}))
    return root


def coco(root: Path) -> Path:
    write_picture(root / "images" / "a.png")
    (root / "annotations").mkdir(exist_ok=True)
    note = {"image_id": 5, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    images = [{"id": 5, "file_name": "a.png", "width": 30, "height": 20}]
    document = {"images": images, "annotations": [note], "categories": [{"id": 1, "name": "road"}]}
    (root / "annotations" / "instances_default.json").write_text(json.dumps(document))
    return root


def cvat_task(root: Path) -> Path:
    return write_cvat(root, cvat(image("a.png", polygon("road", "1,1;9,1;9,9")), image("b.png")), "a.png", "b.png")


def voc_masks(root: Path) -> Path:
    write_picture(root / "JPEGImages" / "a1.jpg")
    write_mask(root / "SegmentationClass" / "a1.png", IDS)
    return root


def declared(root: Path) -> Path:
    folder(root)
    names = "".join(
        f'[[classes]]\nname = "{name}"\ncolour = [1, 2, {id}]\n' for id, name in enumerate(("sky", "road", "car"))
    )
    (root / "dataset.toml").write_text(f'images = "images/*.jpg"\nlabels = "masks/{{name}}.png"\n{names}')
    return root


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (voc_xml, "looks like voc-xml: 3 XML files with <annotation>\n"),
        (labelme, "looks like labelme: 1 JSON file with shapes, imagePath\n"),
        (coco, "looks like coco: 1 JSON file with images, annotations, categories\n"),
        (voc_masks, "looks like voc-masks: SegmentationClass/ with 1 PNG file\n"),
        (folder, "looks like folder: images/, masks/ and classes.txt\n"),
        (declared, "looks like dataset.toml: a dataset.toml\n"),
        (write_camvid, "looks like camvid: train/ and trainannot/\n"),
    ],
)  # fmt: skip
def test_a_path_without_a_format_is_recognised_and_the_evidence_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path)
    dataset = open_dataset(f"{tmp_path}?val=0" if make is not write_camvid else str(tmp_path))
    assert dataset.split("train")[0].read()[1].any()
    assert capsys.readouterr().err == f"{tmp_path}: {said}"
    open_dataset(str(tmp_path))
    assert capsys.readouterr().err == ""  # said once


def test_a_file_is_recognised_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco(tmp_path) / "annotations" / "instances_default.json"
    assert open_dataset(str(path)).classes.names == ("road",)
    assert "looks like coco" in capsys.readouterr().err


def test_two_candidates_are_both_named_and_none_is_taken(tmp_path: Path) -> None:
    coco(voc_xml(tmp_path))
    with pytest.raises(
        UsageError,
        match=r"voc-xml: 3 XML files.* and coco: 1 JSON file.*; expected one: say which, of voc-xml:.*, coco:",
    ):
        open_dataset(str(tmp_path))
    assert open_dataset(f"coco:{tmp_path}").classes.names == ("road",)


def test_what_says_more_goes_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labelme(voc_xml(declared(tmp_path)))
    assert open_dataset(str(tmp_path)).classes.names == ("sky", "road", "car")
    assert "looks like dataset.toml" in capsys.readouterr().err
    (tmp_path / "dataset.toml").unlink()
    (tmp_path / "a.json").unlink()
    assert open_dataset(str(tmp_path)).classes.names == ("Road",)  # annotations go before folders of masks


def test_what_is_no_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format is recognised in it; expected FORMAT:PATH"):
        open_dataset(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.xml", "<annotation/>")
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="no format is recognised in it"):
        open_dataset(str(tmp_path))


def test_cvat_is_recognised_in_a_folder_and_in_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = cvat_task(tmp_path / "task")
    (tmp_path / "exports").mkdir()
    packed(task, tmp_path / "exports" / "roads.ZIP")
    for path in (task, task / "annotations.xml"):
        assert open_dataset(str(path)).classes.names == ("road", "car")
        assert capsys.readouterr().err == f"{path}: looks like cvat: 1 XML file with <annotations>\n"
    for path in (tmp_path / "exports", tmp_path / "exports" / "roads.ZIP"):
        assert open_dataset(f"{path}?val=0").split("train")[0].read()[1].any()
        assert capsys.readouterr().err == f"{path}: looks like cvat: 1 ZIP file with <annotations>\n"


def test_folders_of_the_names_of_comma10k_may_be_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path, images="imgs")
    assert open_dataset(str(tmp_path)).classes.names == ("sky", "road", "car")
    name = "0000_0085e9e41513078a_2018-08-19--13-26-08_11_864.png"
    write_picture(tmp_path / "imgs" / name)
    write_mask(tmp_path / "masks" / name, np.full((20, 30, 3), (64, 32, 32), np.uint8))
    capsys.readouterr()
    assert "lane markings" in open_dataset(str(tmp_path)).classes.names
    assert "looks like comma10k: imgs/ and masks/ with its names of drives" in capsys.readouterr().err


def test_formats_and_addresses_in_any_case(tmp_path: Path) -> None:
    root = folder(tmp_path / "my roads")
    for argument in (f"FOLDER:{root}", f"Folder:file://{tmp_path}/my%20roads?val=0", f"FILE://{tmp_path}/my%20roads"):
        assert open_dataset(argument).classes.names == ("sky", "road", "car")


@pytest.mark.parametrize("suffix", [".PNG", ".tif", ".TIFF", ".bmp"])
@pytest.mark.parametrize("masks", ["masks", "labels", "Masks", "SegmentationClass"])
def test_masks_in_another_folder_or_suffix_are_found(tmp_path: Path, masks: str, suffix: str) -> None:
    write_mask(tmp_path / "x.tif", IDS)
    folder(tmp_path, masks=masks, suffix=".png")
    for path in list((tmp_path / masks).iterdir()):
        kind = suffix.lower() if suffix != ".PNG" else ".png"
        write_mask(path.with_suffix(kind), IDS).rename(path.with_suffix(suffix))
        if suffix.lower() != ".png":
            path.unlink()
    dataset = open_dataset(f"folder:{tmp_path}?val=0")
    assert [np.array_equal(sample.read()[1], IDS) for sample in dataset.split("train")] == [True, True]


def test_a_class_list_of_another_usual_name_is_found(tmp_path: Path) -> None:
    folder(tmp_path, images="JPEGImages", listed="class_dict.csv")
    assert len(open_dataset(f"folder:{tmp_path}?val=0").split("train")) == 2
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match=r"class_dict\.csv and labels\.txt may be the class list.*palette=FILE"):
        open_dataset(f"folder:{tmp_path}")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert open_dataset(f"folder:{tmp_path}").classes.names == ("a", "b", "c")


def test_folders_that_may_both_be_meant_are_named(tmp_path: Path) -> None:
    folder(tmp_path, masks="labels")
    write_mask(tmp_path / "gt" / "a1.png", IDS)
    with pytest.raises(DataError, match=r"gt/ and labels/ may hold the masks; expected one of them: say masks=FOLDER"):
        open_dataset(f"folder:{tmp_path}")
    assert open_dataset(f"folder:{tmp_path}?masks=labels&val=0").split("train")


def test_folders_that_are_there_are_named_where_none_is_meant(tmp_path: Path) -> None:
    folder(tmp_path, masks="roads_by_anna")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(
        DataError, match=r"expected the masks there.*the data has images/, labels/, roads_by_anna/: say masks="
    ):
        open_dataset(f"folder:{tmp_path}")


def test_a_longer_name_of_the_masks_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    with pytest.raises(DataError, match=r"no mask; expected .*\(a1_mask\.png is there: say suffix=_mask\.png\)"):
        open_dataset(f"folder:{tmp_path}?val=0").split("train")
    assert len(open_dataset(f"folder:{tmp_path}?val=0&suffix=_MASK.png").split("train")) == 2


def test_a_png_goes_before_other_masks_of_its_name(tmp_path: Path) -> None:
    folder(tmp_path)
    write_mask(tmp_path / "masks" / "a1.jpg", IDS)
    assert np.array_equal(open_dataset(f"folder:{tmp_path}?val=0").split("train")[0].read()[1], IDS)
    write_mask(tmp_path / "masks" / "c.tif", IDS)
    write_mask(tmp_path / "masks" / "c.bmp", IDS)
    with pytest.raises(DataError, match=r"c\.bmp and c\.tif are masks of one name"):
        open_dataset(f"folder:{tmp_path}")


def test_upper_case_suffixes_of_annotations_are_found(tmp_path: Path) -> None:
    voc_xml(tmp_path / "voc")
    labelme(tmp_path / "labelme")
    for path in [*(tmp_path / "voc").rglob("*.xml"), *(tmp_path / "labelme").glob("*.json")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    assert len(open_dataset(f"voc-xml:{tmp_path / 'voc'}?val=0").split("train")) == 3
    assert len(open_dataset(f"labelme:{tmp_path / 'labelme'}").split("train")) == 1
    (coco(tmp_path / "coco") / "annotations" / "instances_default.json").rename(
        tmp_path / "coco" / "annotations" / "X.JSON"
    )
    assert open_dataset(f"coco:{tmp_path / 'coco'}").classes.names == ("road",)


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    disk, root = tmp_path / "disk", tmp_path / "roads"
    folder(root)
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        (disk / part).mkdir(parents=True)
        for path in (root / part).iterdir():
            path.rename(disk / part / path.name)
        (root / part / "monday").symlink_to(disk / part)
        (root / part / "again").symlink_to(disk / part)
        (root / part / "up").symlink_to(root)
        (disk / part / "loop").symlink_to(disk / part)
        (root / part / f"lost{suffix}").symlink_to(disk / "nothing")
    dataset = open_dataset(f"folder:{root}?val=0")
    assert len(dataset.split("train")) == 2
    assert dataset.split("train")[0].read()[1].any()


def test_a_folder_is_found_under_its_own_name_before_that_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "a.png").touch()
    (tmp_path / "a").symlink_to("z")
    assert files_in(tmp_path) == [tmp_path / "z" / "a.png"]
    assert files_in(tmp_path / "a") == [tmp_path / "a" / "a.png"]
    os.unlink(tmp_path / "a")


def test_a_data_set_of_one_picture_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds one picture with labels, which is train: label a second one"):
        open_dataset(f"labelme:{labelme(tmp_path)}").split("val")
    with pytest.raises(DataError, match=r"its pattern group=\(1\) finds '1' in all: make it tell them apart"):
        open_dataset(f"folder:{folder(tmp_path / 'f')}?group=(1)").split("val")
