"""Settings files, budgets and `dataset.toml`."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import click

from edgeseg.data.argument import open_dataset
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.measure.budgets import MASKS, STAGES, read_budgets
from edgeseg.runtime.service.config import keys, read_config
from tests.faults import mutate
from tests.faults.fuzzing import Fuzzer, WrongError

_VALUES = (
    "nan",
    "inf",
    "-inf",
    "+nan",
    "1e999",
    "9" * 400,
    "-" + "9" * 400,
    "0",
    "-1",
    "1",
    "0.5",
    "1e-400",
    "0x7f",
    "1_000",
    "true",
    "false",
    '""',
    '"a"',
    '"\\u0000"',
    '"\\u001b[31m"',
    "'''\n\n'''",
    "[]",
    "[[]]",
    "{}",
    "{a = 1}",
    "[1, 'a']",
    "1979-05-27",
    "07:32:00",
    '"64x48"',
    '"cpu"',
    '"nearest"',
    "[" * 300 + "]" * 300,
    '"' + "x" * 3000 + '"',
    '"rtsp://me:pw@host/1"',
    '"%20"',
    '"file:///dev/zero"',
    '"unix:///dev/full"',
    '["a/", "a/"]',
    "1.",
)
_DATASET = """name = "roads"
images = "frames/*.png"
labels = "masks/{path}.png"
encoding = "ids"
ignore = [255]
[[classes]]
name = "Road"
id = 7
colour = [128, 64, 128]
[[classes]]
name = "Other"
[choose]
val = 0.5
seed = 1
"""
_DOTS = "a." * 50_000 + "b = 1"


class TomlFuzzer(Fuzzer):
    """A file of one of three kinds, its values replaced by others, or its text damaged."""

    codes = frozenset({2, 3})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._context = click.Context(camera, info_name="edgeseg-camera")
        self._keys = sorted(keys(camera))
        for name in ("frames", "masks"):
            (folder / name).mkdir()
        (folder / "file.toml").touch()

    def make(self, draw: Random) -> tuple[str, bytes]:
        kind = draw.choice(("config", "budgets", "dataset"))
        if draw.random() < 0.001:
            return kind, _DOTS.encode()
        text: str = getattr(self, f"_{kind}")(draw)
        content = text.encode(errors="surrogatepass")
        return kind, mutate.damaged(content, draw) if draw.random() < 0.4 else content

    def _config(self, draw: Random) -> str:
        names = draw.sample(self._keys, draw.randrange(1, 5)) + [draw.choice(mutate.TEXTS)] * (draw.random() < 0.1)
        return "\n".join(f"{name} = {draw.choice(_VALUES)}" for name in names)

    def _budgets(self, draw: Random) -> str:
        table = draw.choice(("masks", *STAGES, "maks"))
        names = MASKS if table == "masks" else ("mean", "p50", "p99", "max", "mode")
        return f"[{table}]\n" + "\n".join(f"{name} = {draw.choice(_VALUES)}" for name in draw.sample(names, 2))

    def _dataset(self, draw: Random) -> str:
        lines = _DATASET.splitlines()
        at = draw.randrange(len(lines))
        if "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw.choice(_VALUES)}"
        return "\n".join(lines)

    def use(self, made: tuple[str, bytes]) -> str:
        kind, content = made
        path = self.folder / "file.toml"
        path.write_bytes(content)
        if kind == "config":
            _check_numbers(read_config(path, self._context), {"give_up_seconds", "deadline_ms"})
        elif kind == "budgets":
            _check_numbers({each.name: each.limit for each in read_budgets(path)}, set())
        else:
            dataset = open_dataset(str(path))
            return f"{dataset.classes.names}"
        return ""


def _check_numbers(values: dict[str, Any], may_be_endless: set[str]) -> None:
    """Raise WrongError for a number that switches a watch or a verdict off."""
    for name, value in values.items():
        if isinstance(value, (int, float)) and name not in may_be_endless and not -1e308 <= value <= 1e308:
            raise WrongError(f"{name} = {str(value)[:30]}")
        if isinstance(value, float) and math.isnan(value):
            raise WrongError(f"{name} = {value}")
