"""Class lists as other tools write them: read as what they are, or refused with the line quoted."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.core.errors import DataError
from edgeseg.data.argument import open_dataset
from edgeseg.data.class_lists.palette import read_palette
from tests.helpers.data import write_mask, write_picture

BOM = "\ufeff"
SKY_ROAD_CAR = [("sky", (0, 0, 0)), ("road", (128, 64, 128)), ("car", (0, 0, 142))]
NAME_FIRST = "sky,0,0,0\nroad,128,64,128\ncar,0,0,142\n"


def listed(root: Path, text: str) -> dict[int, tuple[str, tuple[int, int, int] | None]]:
    """Return name and colour by id; None for a colour that the list does not have."""
    path = root / "classes.txt"
    path.write_bytes(text.encode())
    palette = read_palette(path)
    lines = [(name, colour if palette.has_colours else None) for name, colour in palette.lines]
    return dict(zip(palette.ids, lines, strict=True))


@pytest.mark.parametrize(
    "header",
    [
        *("class,r,g,b", "label,r,g,b", "Label,Red,Green,Blue", "name,r,g,b,", '"name","r","g","b"', "Name, R, G, B"),
        *("name r g b", "Class Name R G B", "names;red;green;blue", "# label:color_rgb:parts:actions", "# name r g b"),
        *("label:color_rgb:parts:actions", "classes:", "Label\tR\tG\tB", "category,color", "\ufeffclass_name,r,g,b"),
    ],
)
def test_a_header_in_any_form_is_no_class(tmp_path: Path, header: str) -> None:
    assert list(listed(tmp_path, f"{header}\n{NAME_FIRST}").values()) == SKY_ROAD_CAR
    assert list(listed(tmp_path, f"\n{header.strip(BOM)}\r\n{NAME_FIRST}").values()) == SKY_ROAD_CAR


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        *((each, NAME_FIRST) for each in ("class,r,g,b", "label,r,g,b", "Label,Red,Green,Blue", "name,r,g,b,")),
        ('"name","r","g","b"', NAME_FIRST),
        ("r,g,b,name", "0,0,0,sky\n128,64,128,road\n0,0,142,car\n"),
        ("# label:color_rgb:parts:actions", "sky:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n"),
    ],
)
def test_a_header_moves_no_id_of_a_folder_s_masks(tmp_path: Path, header: str, rows: str) -> None:
    ids = np.zeros((80, 120), np.uint8)
    ids[40:], ids[40:, 80:90] = 1, 2
    write_picture(tmp_path / "images" / "0.png", 80, 120)
    write_mask(tmp_path / "masks" / "0.png", ids)
    (tmp_path / "classes.txt").write_text(f"{header}\n{rows}")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert list(zip(dataset.classes.names, dataset.classes.colours, strict=True)) == SKY_ROAD_CAR
    assert np.array_equal(dataset.split("train")[0].read_class_map(), ids)


def test_ids_with_gaps_are_those_of_the_masks(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "0.png")
    write_mask(tmp_path / "masks" / "0.png", np.resize(np.array([23, 7, 255, 9], np.uint8), (20, 30)))
    (tmp_path / "classes.txt").write_text("id,name\n23,sky\n7,road\n9,ignore\n")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert dataset.classes.names == ("road", "sky")
    assert dataset.split("train")[0].read_class_map()[0, :4].tolist() == [1, 0, 255, 255]


@pytest.mark.parametrize(
    "text",
    [
        NAME_FIRST,
        "r,g,b,name\n0,0,0,sky\n128,64,128,road\n0,0,142,car",
        "b g r name\n0 0 0 sky\n128 64 128 road\n142 0 0 car",
        "0 0 0\t\tsky\n128 64 128\troad\n0 0 142\tcar",
        "# label:color_rgb:parts:actions\nsky:0,0,0::\nroad:128,64,128:lane,kerb:\ncar:0,0,142:wheel:park,stop",
        "id,name,r,g,b\n0,sky,0,0,0\n1,road,128,64,128\n2,car,0,0,142",
        "2,car,0,0,142\n0,sky,0,0,0\n1,road,128,64,128",
        "name,id,r,g,b\ncar,2,0,0,142\nsky,0,0,0,0\nroad,1,128,64,128",
        "0: sky 0 0 0\n1: road 128 64 128\n2: car 0 0 142",
        "0:sky:0,0,0\n1:road:128,64,128\n2:car:0,0,142",
        "0 0 0 0 sky\n1 128 64 128 road\n2 0 0 142 car",
        "sky #000000\nroad #804080  # and a comment\ncar #00008e",
        "#000000 sky\n#804080 road\n#00008eff car",
        "name,color\nsky,#000000\nroad,#804080\ncar,#00008E",
        'name,color\nsky,"0,0,0"\nroad,"128, 64, 128"\ncar,"[0, 0, 142]"',
        "sky 0 0 0 255\nroad 128 64 128 255\ncar 0 0 142 255",
        "0 0 0 255 sky\n128 64 128 255 road\n0 0 142 255 car",
        "name,r,g,b,alpha\nsky,0,0,0,128\nroad,128,64,128,255\ncar,0,0,142,1",
        '"sky","0","0","0"\n"road","128","64","128"\n"car","0","0","142"',
        "sky: [0, 0, 0]\nroad: [128, 64, 128]\ncar: [0, 0, 142]",
        "sky (0, 0, 0)\nroad rgb(128,64,128)\ncar (0,0,142)",
        "{sky: [0, 0, 0], road: [128, 64, 128], car: '#00008e'}",
        "- {name: sky, color: [0, 0, 0]}\n- {name: road, color: '#804080'}\n- {name: car, color: [0, 0, 142]}",
        "classes:\n- name: sky\n  colour: [0, 0, 0]\n- name: road\n  colour: [128, 64, 128]\n- name: car\n"
        "  colour: [0,\n    0, 142]",
        '{"classes": [\n {"id": 1, "name": "road", "colour": [128, 64, 128]},\n {"id": 0, "name": "sky", "colour": '
        '[0, 0, 0]},\n {"id": 2, "name": "car", "colour": [0, 0, 142]}], "ignore_index": 255}',
    ],
)
def test_columns_in_any_order_are_read_as_what_they_are(tmp_path: Path, text: str) -> None:
    assert listed(tmp_path, text) == dict(enumerate(SKY_ROAD_CAR))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "sky\ntraffic light\n2 wheeler",
            "name\nsky\ntraffic light\n2 wheeler",
            "- sky\n- traffic light\n- 2 wheeler",
        ),
        *(
            "[sky, traffic light, 2 wheeler]",
            '["sky", "traffic light",\n"2 wheeler"]',
            "{0: sky, 2: 2 wheeler, 1: traffic light}",
        ),
        "0: sky\n1: traffic light\n2: 2 wheeler",
        "train: ../train\nval: ../val\nnc: 3\nnames: ['sky', 'traffic light', '2 wheeler']",
        "path: x  # of the data\nnames:\n  0: sky\n  1: traffic light\n  2: 2 wheeler\n",
        "sky: 0\n2 wheeler: 2\ntraffic light: 1",
        "index,label\n1,traffic light\n0,sky\n2,2 wheeler",
    ],
)
def test_names_without_colours(tmp_path: Path, text: str) -> None:
    assert listed(tmp_path, text) == {0: ("sky", None), 1: ("traffic light", None), 2: ("2 wheeler", None)}


def test_names_that_begin_like_a_header_are_names(tmp_path: Path) -> None:
    assert [name for name, _ in listed(tmp_path, "Class A\nClass B\nLabel 7").values()] == [
        "Class A",
        "Class B",
        "Label 7",
    ]


def test_a_name_in_quotes_may_hold_what_separates_others(tmp_path: Path) -> None:
    text = 'name,r,g,b\n"car, truck",1,2,3\n"the ""big"" one",4,5,6\n"pole #2",7,8,9\n'
    assert [name for name, _ in listed(tmp_path, text).values()] == ["car, truck", 'the "big" one', "pole #2"]
    assert listed(tmp_path, "'lane 1' 2 3 4\n'a: b'\t5 6 7") == {0: ("lane 1", (2, 3, 4)), 1: ("a: b", (5, 6, 7))}


def test_stated_ids_may_have_gaps_and_any_order(tmp_path: Path) -> None:
    expected = {7: ("road", None), 23: ("sky", None), 300: ("car", None)}
    for text in (
        "id name\n23 sky\n7 road\n300 car",
        "{7: road, 300: car, 23: sky}",
        "# id,name\n7,road\n300,car\n23,sky",
    ):
        assert listed(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Klasse,Rot,Gruen,Blau\nsky,0,0,0\nroad,1,2,3", "line 1: 'Klasse,Rot,Gruen,Blau'; expected a class as NAME R"),
        ("My classes\nsky 0 0 0\nroad 1 2 3", "line 1: 'My classes'"),
        ("sky 0 0 0\nroad\ncar 1 2 3", "line 2: 'road'; expected a class as NAME R G B, as 2 other"),
        ("name,r,g,b,supercategory\nroad,1,2,3,flat", "line 1: 'name,r,g,b,supercategory'; expected a header of id"),
        ("name,r,g\nroad,1,2", "line 1: 'name,r,g'; expected a header with one name"),
        ("name,r,g,b\nroad,1,2", "line 2: 'road,1,2'; expected NAME R G B, as the header says"),
        ("sky\nname\nroad", "line 2: 'name'; expected a class: a header stands in the first line"),
        ("sky\n// the street\nroad", "line 2: '// the street'"),
        ("sky\nroad:", "line 2: 'road:'"),
        ("sky\ncar, truck", "line 2: 'car, truck'"),
        ("road 128 64 128 flat\nsky 1 2 3 void", "line 1: 'road 128 64 128 flat'"),
        ("Road 0.5 0.2 0.5", "line 1: 'Road 0.5 0.2 0.5'"),
        ("Road 1 2\n", "line 1: 'Road 1 2'"),
        ("Road 1 2 300\n", r"line 1: colour \(1, 2, 300\); expected three numbers from 0 to 255"),
        ("Road 1 2 99999999999999999999999", "line 1: colour"),
        ("Road,128,64\n", "line 1: 'Road,128,64'"),
        (":1,2,3::", "line 1: ':1,2,3::'"),
        ("1 2 3 2 wheeler\n4 5 6 car", "'4 5 6 car'"),
        ("0\n1\n2", "line 1: '0'"),
        ("<classes>", "line 1: '<classes>'"),
        ("", "0 classes"),
        ("name,r,g,b\n", "0 classes"),
        ("Road 1 2 3\nroad 1 2 3\nRoad 4 5 6", "given twice"),
        ("1 Road\n2 Sky\n", "line 1: id 1 in '1 Road'; expected 0 to 1, each once: .* \"id name\""),
        ("0 Road\n0 Sky\n", "line 2: id 0 in '0 Sky'"),
        ("sky 1\nroad 3", "line 1: id 1 in 'sky 1'"),
        ("id,name\n0,road\n0,sky", "line 3: id 0 is that of 'road' already"),
        ("id,name\n-1,plate", "line 2: id -1 of 'plate'"),
        ("id,name\n255,void", "line 2: id 255 is never a class"),
        ("id,trainId,name\n0,255,road", "line 1: 'id,trainId,name'"),
        ("Road,1,2,3,0\nSky,4,5,6,1", "line 2: 'Sky,4,5,6,1'; expected .* A = 255, not 1"),
        ("name,r,g,b,a\nRoad,1,2,3,0", "line 2: 'Road' has opacity 0"),
        ("[road, sky", r"line 1: '\[road, sky' ends too soon"),
        ("[road, [sky]]", "a class is"),
        ("[road, sky 1 2 3]", "'sky 1 2 3'; expected a class's name, in quotes"),
        ("{0: road, 0: sky}", "line 1: '0' stands twice"),
        ("names: [road, sky]\nnc: 3", "nc: 3, but 2 names"),
        ("names: [road]\ncolours: [[1, 2, 3]]", "key 'colours'"),
        ("- road\n- sky: &a [1, 2, 3]", "line 2: '&a"),
        ("- {name: road, weight: 3}", "line 1: key 'weight'"),
        ("- {name: road}\n- {}", "a class without name"),
        ("- {name: road, id: 0}\n- {name: sky}", "line 2: 'sky' has not an id"),
        ("- road 1 2 3\n- sky 4 5 6", "line 1: 'road 1 2 3'"),
    ],
)  # fmt: skip
def test_a_line_that_fits_nothing_is_quoted(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=rf"classes\.txt: .*{expected}") as caught:
        listed(tmp_path, text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.text("Road0123456789,: \t\n#name\"'[]{}-", max_size=60))
def test_any_class_list_is_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.getbasetemp()
    message = f"{root / 'classes.txt'}: "
    try:
        assert listed(root, text)
    except DataError as error:
        message = str(error)
    assert message.startswith(f"{root / 'classes.txt'}: ")
    assert "\n" not in message


SEEDS = [
    NAME_FIRST,
    "id,name,r,g,b\n0,sky,0,0,0\n1,road,128,64,128\n2,car,0,0,142\n",
    "# label:color_rgb:parts:actions\nsky:0,0,0::\nroad:128,64,128::\ncar:0,0,142:wheel:\n",
    "128 64 128\troad\n0 0 142\tcar\n1 2 3\tthe sky\n",
    'name,color\n"sky, sun",#000000\nroad,"128,64,128"\ncar,#00008e\n',
    "sky\nroad\n2 wheeler\n",
    "names:\n  0: sky\n  1: road\n  2: car\n",
    "- {name: sky, id: 3}\n- {name: road, id: 1}\n",
]
PIECES = [
    *" ,;:\t\n#\"'[]{}()-.0123456789ax",
    "255",
    "name",
    "\n\n",
    "r,g,b",
    "ignore",
    "#804080",
    "\r\n",
    "\ufeff",
    "-1",
    "é",
]


def mutated(dice: random.Random) -> str:
    """Return a class list with one to four changes: pieces put in, parts left out, doubled or moved."""
    text = dice.choice(SEEDS)
    for _ in range(dice.randint(1, 4)):
        at, to = sorted(dice.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + dice.randint(0, 12))
        text = text[:at] + dice.choice([dice.choice(PIECES), "", text[at:to] * 2, text[at:to].upper()]) + text[to:]
        if dice.random() < 0.2:
            lines = text.split("\n")
            dice.shuffle(lines)
            text = "\n".join(lines)
    return text or "\n"


def check_mutated(root: Path, seed: int) -> bool:
    """Return whether a mutated list is read. Every class then stands in a line of its own, with its own colour."""
    text = mutated(random.Random(seed))
    message = f"{root}: "
    classes = {}
    try:
        classes = listed(root, text)
    except DataError as error:
        message = str(error)
    assert message.startswith(str(root)), text
    assert "\n" not in message, text
    bare = [" ".join(re.split(r"[\s\ufeff]+", line.replace('""', '"'))) for line in re.split(r"[\r\n]+", text)]
    flow = text.lstrip("\ufeff \n\r")[:1] in ("[", "{") or re.search(r"(names|classes|labels).*:\s*[\[{]", text)
    naming = [line for line in bare if re.search(r"\w", line) and not re.match(r"\s*#(?![0-9A-Fa-f]{6})", line)]
    assert flow or len(classes) <= len(naming), text
    for name, colour in classes.values():
        mine = [line for line in bare if name in line]
        assert mine, (text, name)
        numbers = [{int(each) for each in re.findall("[0-9]{1,9}", line)} for line in mine]
        hexes = [re.findall("#([0-9A-Fa-f]{6})", line) for line in mine]
        as_hex = "".join(f"{channel:02x}" for channel in colour or ())
        assert (
            not colour or any(set(colour) <= has for has in numbers) or any(as_hex in str(h).lower() for h in hexes)
        ), text
    return bool(classes)


@pytest.mark.usefixtures("patience")
def test_2000_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    read = sum(check_mutated(tmp_path, seed) for seed in range(2000))
    assert 200 < read < 1800  # both happen
