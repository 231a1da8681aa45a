"""The settings of the road report. Without OpenCV: `--help` must be quick."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.core.settings import check_settings, setting


@dataclass(frozen=True)
class RoadSettings:
    """How masks are judged (edgeseg.runtime.road). Raises UsageError for a value out of range."""

    class_name: str = setting("road", "name of the class that is free to drive on")
    region: str = setting(
        "", "X,Y,W,H in the camera's pixels: where shares and flicker are taken; empty for everywhere"
    )
    bonnet: str = setting("", "file of a picture of the camera's view, white where the vehicle's own bonnet is")
    smooth: int = setting(1, "give each pixel the class that most of the last so many masks had", between=(1, 9))

    def __post_init__(self) -> None:
        check_settings(self)
