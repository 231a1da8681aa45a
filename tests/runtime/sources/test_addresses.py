import json
from pathlib import Path

import pytest

from edgeseg.core.errors import SourceError, UsageError
from edgeseg.core.files import file_url
from edgeseg.core.geometry import Size
from edgeseg.runtime.sources.addresses import image_paths, parse_source
from edgeseg.runtime.sources.source import Source


def test_a_plain_path_and_a_file_uri_name_the_same_video(video: Path) -> None:
    assert parse_source(str(video)).location == parse_source(f"file://{video}").location == str(video)
    assert parse_source(str(video)).kind == "video"


def test_a_file_address_is_decoded_and_its_scheme_may_be_in_capitals(tmp_path: Path, video: Path) -> None:
    spaced = tmp_path / "a b.MP4"
    spaced.write_bytes(video.read_bytes())
    for address in (f"file://{tmp_path}/a%20b.MP4", f"FILE://{tmp_path}/a b.MP4", file_url(spaced)):
        assert parse_source(address).location == str(spaced)
    literal = tmp_path / "a%20c.mp4"  # a name that was written so is found as well
    literal.write_bytes(video.read_bytes())
    assert parse_source(f"file://{literal}").location == parse_source(file_url(literal)).location == str(literal)
    assert parse_source("RTSP://Camera/Stream").kind == "rtsp"
    assert parse_source("Scenes://?seed=3").seed == 3


def test_pictures_come_in_the_order_of_their_numbers(pictures: Path) -> None:
    names = [path.name for path in image_paths(parse_source(str(pictures)))]
    assert names == [f"frame{index}.png" for index in range(12)]


def test_a_glob_takes_only_what_it_matches(pictures: Path) -> None:
    assert len(image_paths(parse_source(f"{pictures}/frame1*.png"))) == 3  # 1, 10, 11


def test_scenes_options_are_read() -> None:
    source = parse_source("scenes://?seed=7&size=320x180&fps=12.5&frames=9")
    assert (source.seed, source.size, source.fps, source.frames) == (7, Size(180, 320), 12.5, 9)


def test_a_source_survives_its_way_to_the_capture_process() -> None:
    source = parse_source("scenes://?size=320x180", fps=5, loop=True)
    assert Source.from_dict(json.loads(json.dumps(source.to_dict()))) == source


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("0", "bare number"),
        ("rtps://camera", "not supported"),
        ("scenes://?sed=1", "did you mean seed"),
        ("scenes://?frames=0", "positive whole number"),
        ("scenes://?size=10", "WIDTHxHEIGHT"),
        ("scenes://street", "expected scenes://"),
        ("", "empty"),
    ],
)
def test_nonsense_is_refused_with_what_was_expected(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_source(uri)


def test_what_only_looks_like_a_picture_is_passed_over(pictures: Path) -> None:
    (pictures / "._frame0.png").write_bytes(b"another system's leftovers")
    (pictures / "folder.png").mkdir()
    (pictures / "5\u00b27.png").write_bytes((pictures / "frame0.png").read_bytes())
    assert len(image_paths(parse_source(str(pictures)))) == 13


@pytest.mark.parametrize("name", ["x" * 300, "broken\udce9.mp4", "zero\0/*.mp4"])
def test_a_name_that_no_file_can_have_is_said(name: str) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        parse_source(name)
    assert str(caught.value).isprintable()


def test_what_is_not_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        parse_source(str(tmp_path / "missing.mp4"))
    with pytest.raises(SourceError, match="no images found"):
        parse_source(str(tmp_path))
