import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Box, Crop, Size, place, place_through


def test_sizes_are_written_width_first() -> None:
    assert Size.parse("576x160") == Size(height=160, width=576)
    assert str(Size(160, 576)) == "576x160"


@pytest.mark.parametrize("text", ["", "576", "576x", "x160", "0x160", "576x0", "57.6x16", "-576x160", "576x160x3"])
def test_a_size_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        Size.parse(text)


def test_stretch_uses_all_of_both() -> None:
    placement = place(Size(720, 1280), Size(160, 576))
    assert placement.source == Box(0, 0, 1280, 720)
    assert placement.target == Box(0, 0, 576, 160)
    assert not placement.crops
    assert not placement.pads


def test_crop_keeps_the_aspect_and_cuts_evenly() -> None:
    placement = place(Size(720, 1280), Size(160, 576), "crop")
    assert placement.source == Box(0, 182, 1280, 356)  # 1280 * 160 / 576 = 355.6
    assert placement.target == Box(0, 0, 576, 160)


def test_pad_keeps_the_aspect_and_fills_up_evenly() -> None:
    placement = place(Size(720, 1280), Size(160, 576), "pad")
    assert placement.source == Box(0, 0, 1280, 720)
    assert placement.target == Box(146, 0, 284, 160)  # 160 * 1280 / 720 = 284.4


def test_a_crop_is_cut_first_and_the_fit_meets_what_is_left() -> None:
    crop = Crop.parse("0,360,1280,360", Size(720, 1280))
    placement = place(Size(720, 1280), Size(160, 576), "crop", crop)
    assert placement.source == Box(0, 362, 1280, 356)
    half = place(Size(360, 640), Size(160, 576), "stretch", crop)
    assert half.source == Box(0, 180, 640, 180)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_picture_stretched_to_the_graph_s_size_keeps_the_graph_s_target(fit: str) -> None:
    """A camera of another aspect is stretched on the host: the placement inside the graph stays the graph's."""
    camera, picture, network = Size(720, 1280), Size(638, 1866), Size(160, 576)
    inside = place(camera, network, fit)
    seen = place_through(camera, picture, network, fit)
    assert seen.target == inside.target
    assert seen.picture == picture
    x, y, width, height = inside.source
    assert seen.source == Box(
        round(x * 1866 / 1280), round(y * 638 / 720), round(width * 1866 / 1280),
        round((y + height) * 638 / 720) - round(y * 638 / 720),
    )  # fmt: skip
    assert place_through(camera, camera, network, fit) == inside


@pytest.mark.parametrize("text", ["1,2,3", "0,0,0,10", "0,0,1281,10", "1270,0,20,10", "-1,0,5,5", "a,b,c,d"])
def test_a_crop_that_lies_outside_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="X,Y,W,H"):
        Crop.parse(text, Size(720, 1280))


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="stretch, crop, pad"):
        place(Size(1, 1), Size(1, 1), "squash")


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_boxes_stay_inside_for_extreme_aspects(fit: str) -> None:
    for picture in (Size(1, 10_000), Size(10_000, 1), Size(3, 7)):
        placement = place(picture, Size(160, 576), fit)
        for box, size in ((placement.source, picture), (placement.target, placement.network)):
            assert box.width >= 1
            assert box.height >= 1
            assert 0 <= box.x <= size.width - box.width
            assert 0 <= box.y <= size.height - box.height


@pytest.mark.parametrize(
    "shares", [(-0.1, 0, 1, 1), (0, 0, 1.1, 1), (0, 0, 0, 1), (1, 0, 0.1, 1), (0, float("nan"), 1, 1), (0, 0, 1, 1e9)]
)
def test_shares_outside_the_picture_are_no_crop(shares: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="within 0 to 1"):
        Crop(*shares)


def test_a_crop_at_the_edge_of_a_tiny_picture_has_a_pixel() -> None:
    assert place(Size(2, 2), Size(8, 8), crop=Crop(0.9, 0.9, 0.1, 0.1)).source == Box(1, 1, 1, 1)
