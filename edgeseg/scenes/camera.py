"""The pinhole camera. World axes: X right, Y up, Z along the street, in metres; the ground is the plane Y = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size

Points = NDArray[np.float64]

NEAR_M = 0.8
"""Nothing nearer than this is drawn: points at the camera's own plane have no picture."""


@dataclass(frozen=True)
class Pose:
    """Where the camera is and how it looks: metres, radians; `zoom` is the focal length of a 2:1 picture in widths."""

    x: float
    height: float
    z: float
    yaw: float
    pitch: float
    zoom: float


class Camera:
    """A pose seen at a picture size."""

    def __init__(self, pose: Pose, size: Size) -> None:
        self.pose = pose
        self.size = size
        # Wide pictures open the field of view to the sides, tall ones upwards, each less than the aspect would.
        self.focal = pose.zoom * size.width**0.7 * (2 * size.height) ** 0.3
        sin_yaw, cos_yaw = np.sin(pose.yaw), np.cos(pose.yaw)
        sin_pitch, cos_pitch = np.sin(pose.pitch), np.cos(pose.pitch)
        right = np.array([cos_yaw, 0.0, -sin_yaw])
        down = np.array([-sin_pitch * sin_yaw, -cos_pitch, -sin_pitch * cos_yaw])
        forward = np.array([cos_pitch * sin_yaw, -sin_pitch, cos_pitch * cos_yaw])
        self._sin, self._cos = float(sin_yaw), float(cos_yaw)
        self.rotation = np.stack([right, down, forward])
        self.centre = np.array([(size.width - 1) / 2, (size.height - 1) / 2])
        intrinsics = np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1.0]])
        self.matrix = intrinsics @ self.rotation
        self.origin = np.array([pose.x, pose.height, pose.z])

    @property
    def horizon(self) -> float:
        """The row of the horizon, which may lie outside the picture."""
        return float(self.centre[1] - self.focal * np.tan(self.pose.pitch))

    def depth(self, points: Points) -> Points:
        """Distance in front of the camera's plane of (N, 3) world points: (N,), metres."""
        depth: Points = (points - self.origin) @ self.rotation[2]
        return depth

    def sees(self, point: Points, reach: float) -> bool:
        """Whether anything within `reach` metres of a world point (3,) can be in the picture."""
        (x, _, z), pose = point.tolist(), self.pose
        x, z = x - pose.x, z - pose.z
        across, depth = x * self._cos - z * self._sin, x * self._sin + z * self._cos
        return bool(depth > -reach and abs(across) - 1.5 * reach < max(depth, 0.0) * self.size.width / (2 * self.focal))

    def view(self, points: Points) -> tuple[Points, Points]:
        """Picture positions (N, 2) and distances (N,) of world points; positions are void at distances not above 0."""
        image = (points - self.origin) @ self.matrix.T
        depth: Points = image[:, 2]
        return image[:, :2] / np.maximum(depth, 1e-3)[:, None], depth

    def project(self, points: Points) -> Points:
        """Picture positions (N, 2) of (N, 3) world points, which must lie in front of the camera."""
        return self.view(points)[0]

    def ground_from_pixel(self) -> Points:
        """The (3, 3) homography from the picture to ground positions (X, Z) relative to the camera."""
        columns = np.stack([self.matrix[:, 0], self.matrix[:, 2], -self.pose.height * self.matrix[:, 1]], axis=1)
        return np.linalg.inv(columns)

    def sky_from_pixel(self) -> Points:
        """The (3, 3) homography from the picture to a plane one unit above the camera, which does not move with it."""
        columns = np.stack([self.matrix[:, 0], self.matrix[:, 2], self.matrix[:, 1]], axis=1)
        return np.linalg.inv(columns)

    def ground_distance(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance along the view direction, in metres, of the ground seen in each row; infinite above the horizon."""
        slope = (rows - self.centre[1]) / self.focal
        sin, cos = np.sin(self.pose.pitch), np.cos(self.pose.pitch)
        below = slope * cos + sin
        return np.where(below > 1e-6, self.pose.height * (cos - slope * sin) / np.maximum(below, 1e-6), np.inf)
