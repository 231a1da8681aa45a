"""Light and weather: what colour a surface has once the sun, the sky and the air have had their say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeseg.scenes.chance import Layer, pick, span, uniforms

Colour = NDArray[np.float64]
"""BGR, 0 to 255, not clipped."""


def rgb(red: float, green: float, blue: float) -> Colour:
    return np.array([blue, green, red], np.float64)


@dataclass(frozen=True)
class Light:
    """One kind of day. Colours are BGR; the sun's direction is a unit vector towards it."""

    sun: Colour
    sun_strength: float
    ambient: float
    tint: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cloud_cover: float
    fog_per_m: float
    wet: float
    gamma: float
    blur: float
    noise: float

    def shade(self, normal: ArrayLike) -> float:
        """Brightness of a surface with this unit normal."""
        return self.ambient + self.sun_strength * max(0.0, float(np.dot(self.sun, normal)))

    def haze(self, distance: float) -> float:
        """Share of a surface's colour that the air hides at this distance in metres."""
        return 1.0 - float(np.exp(-self.fog_per_m * max(distance, 0.0)))

    def seen(self, colour: Colour, shade: float, distance: float) -> Colour:
        """The colour that reaches the camera."""
        haze = self.haze(distance)
        return np.asarray(colour * self.tint * (shade * (1 - haze)) + self.horizon * haze)


# weight, sun strength, ambient, warmth, cloud cover, fog a metre, wet
_DAYS = (
    (0.30, (0.65, 0.95), (0.45, 0.60), (-0.03, 0.06), (0.05, 0.45), (0.0004, 0.002), 0.0),  # sunny
    (0.20, (0.25, 0.45), (0.60, 0.75), (-0.05, 0.05), (0.35, 0.70), (0.001, 0.004), 0.0),  # hazy
    (0.20, (0.00, 0.08), (0.65, 0.90), (-0.08, 0.02), (0.80, 1.00), (0.001, 0.005), 0.0),  # overcast
    (0.12, (0.30, 0.60), (0.30, 0.42), (0.10, 0.22), (0.10, 0.60), (0.001, 0.004), 0.0),  # dusk
    (0.08, (0.00, 0.05), (0.65, 0.85), (-0.06, 0.02), (0.90, 1.00), (0.006, 0.014), 0.0),  # fog
    (0.10, (0.00, 0.05), (0.45, 0.65), (-0.10, 0.00), (0.85, 1.00), (0.003, 0.008), 1.0),  # rain
)
_DUSK = 3


def light_of(seed: int) -> Light:
    """The light and weather of a seed."""
    u = uniforms(seed, Layer.LIGHT, 0, 20)[0]
    kind = pick(u[0], tuple(day[0] for day in _DAYS))
    _, sun, ambient, warmth, cover, fog, wet = _DAYS[kind]
    warm = span(u[1], *warmth)
    cloudy = span(u[2], *cover)
    elevation = span(u[3], 0.10, 0.30) if kind == _DUSK else span(u[3], 0.45, 1.2)
    azimuth = span(u[4], 0, 2 * np.pi)
    level = span(u[5], *ambient)
    tint = rgb(1 + warm, 1 + 0.1 * warm, 1 - warm) * span(u[6], 0.9, 1.1)
    zenith, horizon = _sky(kind == _DUSK, cloudy, level, u[7:11])
    return Light(
        sun=np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]),
        sun_strength=span(u[11], *sun),
        ambient=level,
        tint=tint,
        zenith=zenith,
        horizon=horizon,
        cloud=(rgb(240, 240, 243) - rgb(70, 66, 60) * span(u[12], 0, 1) * cloudy) * min(1.0, 0.35 + 0.9 * level),
        cloud_cover=cloudy,
        fog_per_m=span(u[13] ** 2, *fog),
        wet=wet * span(u[14], 0.4, 1.0),
        gamma=span(u[15], 0.82, 1.2),
        blur=span(u[16] ** 2, 0.0, 0.002),
        noise=span(u[17] ** 2, 1.0, 5.0),
    )


def _sky(dusk: bool, cloudy: float, level: float, u: NDArray[np.float64]) -> tuple[Colour, Colour]:
    blue = rgb(span(u[0], 50, 110), span(u[1], 110, 160), span(u[2], 190, 235))
    pale = rgb(200, 215, 230) + rgb(30, 10, -20) * span(u[3], -0.5, 1)
    if dusk:
        blue = rgb(span(u[0], 70, 120), span(u[1], 80, 110), span(u[2], 120, 160))
        pale = rgb(span(u[1], 215, 250), span(u[2], 140, 185), span(u[3], 95, 150))
    grey = rgb(190, 194, 200) * min(1.0, 0.3 + 0.9 * level)
    cover = max(0.0, cloudy - 0.5) * 1.6
    return blue + (grey - blue) * min(cover, 0.9), pale + (grey * 1.05 - pale) * min(cover, 0.9)
