"""The curve of mean IoU against ms/frame: trained runs, and their exported files in three precisions.

    python benchmarks/recipes/curve.py fast=RUN balanced=RUN balanced=RUN accurate=RUN --data camvid:CamVid \\
        [--split val] [--work FOLDER] [--json FILE] [--picture docs/recipes.png]

Each run is exported as a user would, in fp32, fp16 and int8 through the export's gate, and the run and each file are
evaluated on the split. Further runs of the same name are other seeds: their scores are measured, without files.
ms/frame is the median of ONNX Runtime on one thread of this CPU (idle sessions' threads would spin in the others'
time), all files in turns, frames of the network's size, preprocessing and argmax included. Beside them stands,
untrained, what `balanced` must not be slower than: FCN-8 on VGG16 at a quarter of its width, at the first run's size.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from edgeseg.core.files import replace_whole
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.measure.environment import environment

PRECISIONS = ("fp32", "fp16", "int8")
COLOURS = {"fp32": "#1f77b4", "fp16": "#9467bd", "int8": "#ff7f0e"}
ROUNDS, REFERENCE = 60, "FCN-8 on VGG16, width 0.25"


@dataclass
class Row:
    """A file: its scores on the split, and its times in ms a frame. A reference that nobody trained has no scores.

    The first of the runs is the one that the file was made from; others have other seeds.
    """

    name: str
    precision: str
    file: Path
    miou: float | None
    run_mious: list[float]
    megabytes: float
    ms: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--work", type=Path, default=Path("recipes"), help="for the exported files")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    runs: dict[str, list[Path]] = {}
    for name, run in (each.split("=", 1) for each in arguments.runs):
        runs.setdefault(name, []).append(Path(run))
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, seeds in runs.items():
        own = [
            score(run, arguments.data, arguments.split, arguments.work / f"{name}-{index}")
            for index, run in enumerate(seeds)
        ]
        for precision in PRECISIONS:
            file = exported(seeds[0], arguments.work / f"{name}-{precision}.onnx", precision)
            miou = score(file, arguments.data, arguments.split, arguments.work / f"{name}-{precision}")
            rows.append(Row(name, precision, file, miou, own, file.stat().st_size / 1e6, []))
    rows.append(reference(next(iter(runs.values()))[0], arguments.data, arguments.work))
    take_turns(rows, arguments.rounds)
    print("\n".join(table(rows)))
    if arguments.json:
        found = [{**asdict(row), "file": row.file.name} for row in rows]
        document = {"environment": environment(), "split": arguments.split, "rows": found}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.picture:
        draw(rows, arguments.split, arguments.picture)


def edgeseg(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "edgeseg", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def score(model: Path, data: str, split: str, out: Path) -> float:
    edgeseg("evaluate", model, "--data", data, "--split", split, "--out", out)
    return float(json.loads((out / "scores.json").read_text())["miou"])


def exported(run: Path, file: Path, precision: str) -> Path:
    if not file.is_file():
        edgeseg("export", run, "--onnx", file, "--precision", precision)
    return file


def reference(run: Path, data: str, work: Path) -> Row:
    size = ModelSpec.read(run / "spec.json").input_size
    trained = work / "reference"
    if not trained.is_dir():
        options = ("--model", "fcn8", "--encoder", "vgg16", "--width", 0.25, "--batch-norm", "on", "--steps", 30)
        edgeseg("train", "--data", data, *options, "--size", size, "--out", trained)
    file = work / "reference.onnx"
    if not file.is_file():
        edgeseg("export", trained, "--onnx", file)
    return Row(REFERENCE, "fp32", file, None, [], file.stat().st_size / 1e6, [])


def take_turns(rows: Sequence[Row], rounds: int) -> None:
    engines = [open_engine(row.file, "onnxruntime-cpu", threads=1) for row in rows]
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*engine.frame_size, 3), np.uint8) for engine in engines]
    for engine in engines:
        engine.warm_up(3)
    for _ in range(rounds):
        for row, engine, frame in zip(rows, engines, frames, strict=True):
            start = time.perf_counter()
            engine.run(frame)
            row.ms.append((time.perf_counter() - start) * 1e3)


def table(rows: Sequence[Row]) -> list[str]:
    lines = ["| recipe | precision | mean IoU of the file | of the runs | ms/frame | MB |", "|---" * 6 + "|"]
    for row in rows:
        miou = "-" if row.miou is None else f"{row.miou:.4f}"
        own = ", ".join(f"{each:.4f}" for each in row.run_mious) or "-"
        if len(row.run_mious) > 1:
            own += f": {statistics.mean(row.run_mious):.4f} ± {statistics.stdev(row.run_mious):.4f}"
        lines.append(f"| {row.name} | {row.precision} | {miou} | {own} | {row.median:.1f} | {row.megabytes:.1f} |")
    return lines


def draw(rows: Sequence[Row], split: str, path: Path) -> None:
    """Write mean IoU over ms/frame: a line for each precision, a cross where the reference's time is."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for precision in PRECISIONS:
        points = [(row.median, row.miou) for row in rows if row.precision == precision and row.miou is not None]
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[precision], label=precision)
    for row in rows:
        if row.precision == "fp32" and row.miou is not None:
            axes.annotate(row.name, (row.median, row.miou), (6, -12), textcoords="offset points")
            axes.plot([row.median] * len(row.run_mious), row.run_mious, "_", color=COLOURS["fp32"])
        elif row.miou is None:
            axes.axvline(row.median, color="grey", linestyle=":", label=f"{row.name}: time only")
    axes.set_xlabel("ms a frame, ONNX Runtime on one thread of the CPU")
    axes.set_ylabel(f"mean IoU on {split}")
    axes.grid(alpha=0.3)
    axes.legend()
    replace_whole(path, lambda partial: figure.savefig(partial, dpi=110, format="png"))


if __name__ == "__main__":
    main()
