"""`csi://`: the cameras on a Jetson's own connector."""

from __future__ import annotations

from fractions import Fraction

from edgeseg.core.geometry import Size
from edgeseg.runtime.sources.gstreamer import APPSINK, TO_BGR, GStreamerReader
from edgeseg.runtime.sources.source import FLIPS, Source

CSI_SIZE, CSI_FPS = Size(720, 1280), 30.0


class CsiReader(GStreamerReader):
    """A CSI camera, through NVIDIA's Argus."""

    is_key = True

    def _pipeline(self, source: Source) -> str:
        return csi_pipeline(source)


def csi_pipeline(source: Source) -> str:
    """Return the pipeline of a Jetson's CSI camera: nvarguscamerasrc, flipped by nvvidconv, BGR on the host.

    nvvidconv gives BGRx and no BGR: the last step is the host's.
    """
    size, fps, options = source.size or CSI_SIZE, source.fps or CSI_FPS, source.options
    exposure = ""
    if options.exposure_us:
        exposure = f' exposuretimerange="{options.exposure_us * 1000} {options.exposure_us * 1000}"'
    return (
        f"nvarguscamerasrc sensor-id={source.location}{exposure} ! "
        f"video/x-raw(memory:NVMM), width={size.width}, height={size.height}, framerate={_fraction(fps)}, "
        f"format=NV12 ! nvvidconv flip-method={FLIPS.index(options.flip)} ! "
        f"video/x-raw, format=BGRx ! {TO_BGR} ! {APPSINK}"
    )


def _fraction(fps: float) -> str:
    """Write 29.97 as 30000/1001."""
    for denominator in (1, 1001):
        numerator = round(fps * denominator / 1000) * 1000 if denominator == 1001 else round(fps)
        if abs(numerator / denominator - fps) < 0.005:
            return f"{numerator}/{denominator}"
    exact = Fraction(fps).limit_denominator(100)
    return f"{exact.numerator}/{exact.denominator}"
