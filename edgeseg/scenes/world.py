"""What stands along a street between two places, hashed from its position so that the street needs no memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes import street as plan
from edgeseg.scenes import things
from edgeseg.scenes.canvas import Canvas
from edgeseg.scenes.chance import Layer, uniforms
from edgeseg.scenes.street import BLOCK_M, SIDES, Street
from edgeseg.scenes.vehicles import vehicle

VIEW_M = 190.0
BEHIND_M = 24.0
WALL_M = 8.0
"""Walls stand in pieces of this length; what grows behind them counts as that much further away."""

Draw = Callable[[Canvas], None]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """A thing in the street.

    Attributes:
        x: where it stands.
        far: z where it ends, or begins for what stands in the road; the furthest is drawn first.
        draw: draws it.
        view: how far off it is still worth drawing, in metres.
        shadow: ground position (x, z), radius and height of what shades the ground; None without a shadow.
    """

    x: float
    far: float
    draw: Draw
    view: float = VIEW_M
    shadow: tuple[float, float, float, float] | None = None


class World:
    """The street of a seed with all that stands and drives in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.street = Street(seed)
        # A drive sees each block for some hundred frames; a view spans four or five.
        self._block = lru_cache(maxsize=16)(self._standing)

    def items(self, x: float, z: float, seconds: float) -> list[Item]:
        """Everything to be seen from (x, z), `seconds` after the start, furthest first."""
        first, last = z - BEHIND_M, z + VIEW_M
        found: list[Item] = []
        for block in range(math.floor(first / BLOCK_M), math.floor(last / BLOCK_M) + 1):
            found += [item for item in self._block(block) if first < item.far < z + item.view]
        for side in SIDES:
            for item in self._traffic(side, first, last, seconds):
                # The camera's own place in the lane stays free.
                if not (abs(item.x - x) < 2.2 and -8.0 < item.far - z < 16.0):
                    found.append(item)
        return sorted(found, key=lambda item: -item.far)

    def _standing(self, block: int) -> list[Item]:
        """All that stands still and begins in a block."""
        first, last = block * BLOCK_M, (block + 1) * BLOCK_M
        bridges = list(self._overpasses(first - 40, last + 40))
        found = [item for item, (start, _) in bridges if first <= start + 6.0 < last]
        for side in SIDES:
            for make in (self._buildings, self._walls, self._trees, self._woods, self._bushes, self._small):
                found += [i for i in make(side, first, last) if not any(a < i.far < b for _, (a, b) in bridges)]
            found += self._parked(side, first, last)
        return found

    def _cells(
        self, layer: int, side: int, first: float, last: float, cell: float, count: int
    ) -> Iterator[tuple[float, Numbers]]:
        """Cells that begin in [first, last): where, and their numbers."""
        index = np.arange(math.ceil(first / cell), math.ceil(last / cell))
        numbers = uniforms(self.seed, layer, 2 * index + (side > 0), count)
        yield from zip((index * cell).tolist(), numbers, strict=True)

    def _layout(self, side: int, z: float) -> plan.Layout:
        return self.street.layout(side, math.floor(z / BLOCK_M))

    def _at(self, z: float, offset: float) -> tuple[float, float]:
        return self.street.centre_at(z) + offset, z

    def _buildings(self, side: int, first: float, last: float) -> Iterator[Item]:
        for z, u in self._cells(Layer.BUILDING, side, first, last, 16.0, 16):
            frontage = self._layout(side, z + 8).frontage
            if frontage not in (plan.BUILDINGS, plan.HOUSES) or u[15] > 0.9:
                continue
            house = frontage == plan.HOUSES
            length = (10.0 if house else 13.0) + 3.0 * u[14]
            far = z + length
            offset = max(self.street.edges_at(side, z).lawn, self.street.edges_at(side, far).lawn) + 1.2 * u[13] * house
            front = (self._at(z, side * offset), self._at(far, side * offset))
            middle = (front[0][0] + side * 5, z + length / 2, 7.0, 9.0)
            yield Item(front[0][0], far, _later(things.building, front, side, u, house), shadow=middle)

    def _walls(self, side: int, first: float, last: float) -> Iterator[Item]:
        for z, _ in self._cells(Layer.WALL, side, first, last, WALL_M, 1):
            layout = self._layout(side, z)
            if not (layout.barrier or layout.frontage == plan.WALL):
                continue
            block = math.floor(z / BLOCK_M)
            b = uniforms(self.seed, Layer.WALL, 1000003 * block + (side > 0), 3)[0]
            near, beyond = self.street.edges_at(side, z), self.street.edges_at(side, z + WALL_M)
            offsets, height = (near.lawn, beyond.lawn), 1.6 + 3.2 * b[0]
            if layout.barrier:
                offsets, height = (near.road + 0.15, beyond.road + 0.15), 1.0 + 0.5 * b[0]
            a, c = self._at(z, side * offsets[0]), self._at(z + WALL_M, side * offsets[1])
            colour = self.street.concrete * (0.9 + 0.15 * b[1])
            yield Item(a[0], z + WALL_M, _later(things.wall, a, c, height, colour, int(b[2] * 3)))

    def _plant(
        self, draw: Callable[..., None], z: float, offset: float, u: Numbers, scale: float, beyond: float = 0.0
    ) -> Item:
        x, _ = self._at(z, offset)
        foot = np.array([x, 0.0, z])
        if draw is things.bush:
            return Item(x, z + beyond, _later(draw, foot, self.street.leaf_hue, u), 50.0)
        height = (5 + 6 * u[1]) * scale
        draw_it = _later(draw, foot, self.street.leaf_hue, u, scale)
        return Item(x, z + beyond, draw_it, 150.0, (x, z, height * 0.26, height))

    def _trees(self, side: int, first: float, last: float) -> Iterator[Item]:
        """Trees in the verge, and in front gardens."""
        for z, u in self._cells(Layer.STREET_TREE, side, first, last, 11.0, 12):
            at = z + 3 * u[10]
            edges = self.street.edges_at(side, at)
            verge, lawn = edges.verge - edges.road, edges.lawn - edges.walk
            if verge > 1.6 and u[9] < 0.6:
                yield self._plant(things.tree, at, side * (edges.road + verge * 0.6), u, 0.75)
            elif lawn > 2.5 and u[9] < 0.55 and self._layout(side, at).frontage in (plan.HOUSES, plan.BUILDINGS):
                yield self._plant(things.tree, at, side * (edges.walk + lawn * 0.5), u, 0.7)

    def _woods(self, side: int, first: float, last: float) -> Iterator[Item]:
        for z, u in self._cells(Layer.WOOD, side, first, last, 5.0, 16):
            frontage = self._layout(side, z).frontage
            if frontage not in (plan.WOOD, plan.WALL, plan.OPEN):
                continue
            often = {plan.WOOD: 0.85, plan.WALL: 0.4, plan.OPEN: 0.15}[frontage]
            lawn = self.street.edges_at(side, z).lawn
            if u[9] < often:
                yield self._plant(things.tree, z + 4 * u[10], side * (lawn + 1.5 + 4 * u[11]), u, 0.95, WALL_M)
            if u[12] < often:
                yield self._plant(things.tree, z + 4.9, side * (lawn + 9 + 8 * u[13]), u[::-1], 1.25, WALL_M)

    def _bushes(self, side: int, first: float, last: float) -> Iterator[Item]:
        for z, u in self._cells(Layer.BUSH, side, first, last, 6.0, 10):
            edges = self.street.edges_at(side, z)
            verge, lawn = edges.verge - edges.road, edges.lawn - edges.walk
            if u[8] < 0.15 and verge > 1.8:
                yield self._plant(things.bush, z, side * (edges.road + verge / 2), u, 1.0)
            elif u[8] < 0.2 and lawn > 3:
                yield self._plant(things.bush, z, side * (edges.walk + lawn * 0.8), u, 1.0, WALL_M)

    def _small(self, side: int, first: float, last: float) -> Iterator[Item]:
        """Lamp posts and signs at the kerb, people on the sidewalk."""
        for z, u in self._cells(Layer.POST, side, first, last, 27.0, 8):
            edges = self.street.edges_at(side, z)
            x, _ = self._at(z, side * (edges.road + 0.6))
            if u[7] < 0.22:
                yield Item(x, z, _later(things.post, np.array([x, 0.0, z]), side, u), 60.0)
        for z, u in self._cells(Layer.PEDESTRIAN, side, first, last, 9.0, 10):
            edges = self.street.edges_at(side, z)
            walk = edges.walk - edges.verge
            if walk > 2.2 and u[9] < 0.10:
                x, _ = self._at(z, side * (edges.verge + walk * (0.3 + 0.5 * u[8])))
                yield Item(x, z, _later(things.person, np.array([x, 0.0, z]), u), 45.0)

    def _overpasses(self, first: float, last: float) -> Iterator[tuple[Item, tuple[float, float]]]:
        for start, u in self._cells(Layer.OVERPASS, 1, first - 150, last, 150.0, 8):
            z = start + 40 + 60 * u[7]
            if u[6] >= self.street.overpass_chance:
                continue
            reach = tuple(self.street.edges_at(side, z).walk + 1.0 for side in SIDES)
            x = self.street.centre_at(z)
            item = Item(x, z + 0.5, _later(things.overpass, x, z, reach, self.street.concrete, u))
            # Nothing tall may stand where the bridge is: it would stick out of the deck.
            yield item, (z - 6.0, z + 24.0)

    def _parked(self, side: int, first: float, last: float) -> Iterator[Item]:
        if not self.street.parking[side]:
            return
        for z, u in self._cells(Layer.PARKED, side, first, last, 7.6, 6):
            if u[5] > 0.6:
                continue
            offset = side * (self.street.lane * self.street.lanes[side] + 1.2)
            yield self._vehicle(z + 0.5 * u[4], offset, side, u)

    def _traffic(self, side: int, first: float, last: float, seconds: float) -> Iterator[Item]:
        for lane in range(self.street.lanes[side]):
            speed = side * self.street.speed_m_s * (1.0 - 0.15 * lane)
            moved = speed * seconds
            layer = Layer.TRAFFIC + 2 * lane
            for z, u in self._cells(layer, side, first - moved, last - moved, 26.0, 8):
                if u[5] > self.street.traffic:
                    continue
                yield self._vehicle(z + moved + 12 * u[4], side * (lane + 0.5) * self.street.lane, side, u)

    def _vehicle(self, z: float, offset: float, way: int, u: Numbers) -> Item:
        slope = self.street.slope(z)
        heading = np.array([slope, 0.0, 1.0]) / np.hypot(slope, 1.0) * way
        x, _ = self._at(z, offset)
        shadow = (x, z + 2.2 * way, 1.9, 0.3)
        # By its near end: posts and people beside it stand further out, so it hides them.
        near = min(z, z + 4.0 * way)
        return Item(x, near, _later(vehicle, np.array([x, 0.0, z]), heading, u), 85.0, shadow)


def _later(draw: Callable[..., None], *values: object) -> Draw:
    return lambda canvas: draw(canvas, *values)
