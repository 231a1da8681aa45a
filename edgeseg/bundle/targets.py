"""Which packages a bundle holds, for which device: the one table, and what it rests on.

Sources
- JetPack 6 is made from Ubuntu 22.04 and JetPack 7 from Ubuntu 24.04 (docs.nvidia.com/jetson/archives, r36.3 and
  r38.2.1, Developer Guide, Software Architecture); these have Python 3.10.12 and glibc 2.35, and Python 3.12.3 and
  glibc 2.39 (packages.ubuntu.com, python3 and libc6 of jammy and noble). Debian 12 has Python 3.11.2 and glibc 2.36
  (packages.debian.org).
- cv2 and tensorrt are JetPack's own (there is no GStreamer in the wheel's cv2): no bundle holds one. They were built
  against NumPy 1 and do not load beside NumPy 2 (github.com/NVIDIA-ISAAC-ROS/isaac_ros_common/issues/138), and so was
  NVIDIA's onnxruntime-gpu for JetPack 6 (github.com/microsoft/onnxruntime/issues/27562). Not known of JetPack 7's, but
  a module that was built against NumPy 2 loads beside 1.26 too (numpy.org, NumPy 2.0 migration guide). 1.26.4 is the
  last NumPy 1, and Ubuntu 24.04's own.
- onnxruntime: the CPU's, from PyPI, to tell a wrong engine from a wrong frame; 1.23.2 is the last for Python 3.10. With
  `--wheels DIR` onnxruntime-gpu takes its place: one with code for the device's GPU, as NVIDIA's for JetPack 6 at
  pypi.jetson-ai-lab.io (jp6/cu126). PyPI's for aarch64 has none for a Jetson (1.31.1: compute capability 8.9, 9.0,
  12.0 and 12.1, read by edgeseg.bundle.gpu_code) and is refused.
- What JetPack has of CUDA and TensorRT: jetson/jetpacks.tsv.
- pycuda has no wheels at all (pypi.org/project/pycuda): its source goes in, with what builds it. 2026.1 was compiled
  from such a bundle with CUDA 12.6's headers, Python 3.10 and NumPy 1.26.4 (x86-64); also with CUDA 13's.
- pip: Ubuntu's python3 has none, and makes an environment with one only where python3-venv is installed.
- The other versions are those of constraints.txt, which were tested together; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeseg.runtime.machine.jetpacks import GPUS, JetPack, jetpacks

NUMPY = ">=1.26,<2"
MACHINE = "aarch64"
FOREIGN = ("opencv", "tensorrt")
"""Beginnings of the names of packages that would hide the device's own."""

_COLUMNS = ("jetpack6", "jetpack7", "debian12")
_TABLE: dict[str, tuple[str, str, str]] = {
    "click": ("8.5.1", "8.5.1", "8.5.1"),
    "coloredlogs": ("15.0.1", "", ""),  # of onnxruntime 1.23, with humanfriendly, mpmath and sympy
    "flatbuffers": ("25.12.19", "25.12.19", "25.12.19"),
    "humanfriendly": ("10.0", "", ""),
    "mako": ("1.4.3", "1.4.3", ""),  # of pycuda, with markupsafe, platformdirs, pytools, siphash24, typing-extensions
    "markupsafe": ("3.0.4", "3.0.4", ""),
    "mpmath": ("1.3.0", "", ""),
    "numpy": ("1.26.4", "1.26.4", "1.26.4"),
    "onnxruntime": ("1.23.2", "1.31.1", "1.31.1"),
    "packaging": ("26.3", "26.3", "26.3"),
    "pip": ("26.3", "26.3", "26.3"),
    "platformdirs": ("4.12.4", "4.14.7", ""),
    "prometheus-client": ("0.26.0", "0.26.0", "0.26.0"),
    "protobuf": ("7.36.2", "7.36.2", "7.36.2"),
    "pycuda": ("2026.1", "2026.1", ""),
    "pytools": ("2026.1.1", "2026.1.1", ""),
    "setuptools": ("84.2.1", "84.2.1", ""),  # compile pycuda, with wheel
    "siphash24": ("1.9", "1.9", ""),
    "sympy": ("1.14.0", "", ""),
    "tomli": ("2.5.0", "", ""),  # Python reads TOML itself from 3.11
    "typing-extensions": ("4.16.0", "4.16.0", ""),
    "wheel": ("0.48.0", "0.48.0", ""),
}

_DEVICE = ("numpy", "onnxruntime", "prometheus-client", "pip")


@dataclass(frozen=True)
class Target:
    """A kind of device.

    Attributes:
        name: in the manifest, and what install.sh looks at.
        title: for people.
        python: of its system.
        glibc: of its system.
        wanted: packages beside edgeseg; what they need in turn follows.
        sources: those of them that come as source and are compiled on the device.
        backend: what runs the model there, and is tested.
        camera: the source in the settings that a bundle brings.
        major: JetPack's major version; empty for what is no Jetson.
    """

    name: str
    title: str
    python: tuple[int, int, int]
    glibc: tuple[int, int]
    wanted: tuple[str, ...]
    sources: tuple[str, ...] = ()
    backend: str = "tensorrt"
    camera: str = "csi://0"
    major: str = ""

    @property
    def jetpacks(self) -> tuple[JetPack, ...]:
        """The rows of the table of JetPacks that it stands for."""
        return tuple(row for row in jetpacks() if row.major == self.major)

    @property
    def parsers(self) -> tuple[str, ...]:
        """The TensorRTs that it may have, by the names of the export's rules (edgeseg.export.tensorrt_versions)."""
        return tuple(dict.fromkeys(row.parser for row in self.jetpacks if row.is_confirmed))

    @property
    def gpus(self) -> dict[str, str]:
        """Compute capability of the GPUs that it may have, by the board."""
        boards = {board for row in self.jetpacks if row.is_confirmed for board in row.boards}
        return {board: GPUS[board] for board in sorted(boards)}

    @property
    def pins(self) -> Mapping[str, str]:
        """The version of each package that the table has for this device."""
        column = _COLUMNS.index(self.name)
        return {package: versions[column] for package, versions in _TABLE.items() if versions[column]}

    @property
    def python_text(self) -> str:
        """Major and minor version."""
        return f"{self.python[0]}.{self.python[1]}"

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels that its system takes, newest first; `linux_` for NVIDIA's own index."""
        major, newest = self.glibc
        many = [f"manylinux_{major}_{minor}_{MACHINE}" for minor in range(newest, 16, -1)]
        return [*many, f"manylinux2014_{MACHINE}", f"linux_{MACHINE}"]

    @property
    def markers(self) -> dict[str, str]:
        """What environment markers of requirements are judged by (packaging.python.org, dependency specifiers)."""
        full = ".".join(map(str, self.python))
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": MACHINE,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.python_text,
            "sys_platform": "linux",
            "extra": "",
        }


_COMPILED = ("pycuda",)
TARGETS = {
    "6": Target("jetpack6", "JetPack 6", (3, 10, 12), (2, 35), (*_DEVICE, *_COMPILED), _COMPILED, major="6"),
    "7": Target("jetpack7", "JetPack 7", (3, 12, 3), (2, 39), (*_DEVICE, *_COMPILED), _COMPILED, major="7"),
    "debian12": Target(
        "debian12", "Debian 12", (3, 11, 2), (2, 36), _DEVICE, backend="onnxruntime-cpu", camera="scenes://"
    ),
}
"""By what `--jetpack` says."""
