"""How fast packed records read beside loose PNG files, and whether memory grows with the number of samples.

    python benchmarks/packed_reading.py CAMVID [--size 480x352] [--rounds 5] [--counts 500 5000] [--work DIR]
        [--json results.json]

Speed: the first 200 samples of `train` are read and brought to the network's size by the code that feeds training, from
the loose files and from packs of them, in turn every few samples; ratios are taken within a round. Files are warm in
the page cache, so what is measured is decoding, copying and checking.

Memory: pictures of `train` are repeated (by links) to the two counts; each count is packed in a process of its own, and
the pack is read once through the training pipeline, augmented, without cache, in another. What is given is the peak
resident set (VmHWM) of each process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeseg.core.geometry import Size, place
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Sample
from edgeseg.data.feeding.fit import fit_class_map, fit_image
from edgeseg.data.parallel import map_in_order
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import ENCODINGS, PackSettings

READ, TURN = 200, 20
WAYS: dict[str, tuple[Callable[..., object], Callable[[], float]]] = {
    "one thread, CPU time": (lambda work, samples: [work(each) for each in samples], time.thread_time),
    "all cores, wall time": (lambda work, samples: [*map_in_order(work, samples)], time.perf_counter),
}
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
PACK = f"import sys; from edgeseg.commands.main import cli; cli(sys.argv[1:], standalone_mode=False); {PEAK}"
PIPELINE = f"""
import sys
from itertools import islice
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.core.geometry import Size
fitted = FittedSamples(open_dataset(sys.argv[1]).split("train"), Size.parse(sys.argv[2]), cache_bytes=0)
batches = TrainingBatches(fitted, 8, 0, Augmentation())
assert sum(1 for _ in islice(batches.iterate(), batches.steps_per_epoch)) == len(fitted) // 8
{PEAK}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--size", type=Size.parse, default=Size(352, 480))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs=2, default=(500, 5000))
    parser.add_argument("--runs", type=int, default=2, help="of each memory measurement; 0 for none")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        speed = measure_speed(arguments.camvid, Path(folder), arguments.size, arguments.rounds)
        show_speed(speed)
        memory = (
            {}
            if arguments.runs == 0
            else measure_memory(arguments.camvid, Path(folder), arguments.size, arguments.counts, arguments.runs)
        )
    show_memory(memory)
    if arguments.json:
        machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"
        document = {"machine": machine, "size": str(arguments.size), "speed": speed, "memory_mb": memory}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


def measure_speed(camvid: Path, folder: Path, size: Size, rounds: int) -> dict[str, dict[str, float]]:
    """Samples a second of each way, on one thread and on all cores, and how often as fast as loose files."""
    source = open_dataset(f"camvid:{camvid}")
    sets = {"loose PNG": source.split("train")[:READ]}
    megabytes = {
        "loose PNG": folder_megabytes([camvid / "train", camvid / "trainannot"]) * READ / len(source.split("train"))
    }
    for encoding in ENCODINGS:
        out = folder / encoding
        write_pack(source, out, PackSettings(size=size, encoding=encoding), str(camvid), ["train"])
        sets[f"packed, {encoding}"] = open_dataset(f"tfrecord:{out}").split("train")[:READ]
        megabytes[f"packed, {encoding}"] = folder_megabytes([out]) * READ / len(source.split("train"))
    seconds: dict[tuple[str, str], list[float]] = {(name, way): [] for name in sets for way in WAYS}
    for _ in range(rounds):
        for key, value in one_round(sets, size).items():
            seconds[key].append(value)
    result: dict[str, dict[str, float]] = {name: {"megabytes": round(megabytes[name], 1)} for name in sets}
    for (name, way), values in seconds.items():
        ratios = [a / b for a, b in zip(seconds["loose PNG", way], values, strict=True)]
        result[name] |= {
            f"{way}: samples/s (median)": round(READ / statistics.median(values), 1),
            f"{way}: of loose (median)": round(statistics.median(ratios), 2),
            f"{way}: of loose (min)": round(min(ratios), 2),
        }
    return result


def one_round(sets: Mapping[str, Sequence[Sample]], size: Size) -> dict[tuple[str, str], float]:
    """Seconds of each way with each set; they take turns every few samples, so that all meet the same machine."""
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for first in range(0, READ, TURN):
        for way, (read, clock) in WAYS.items():
            for name, samples in sets.items():
                start = clock()
                read(lambda sample: fitted(sample, size), samples[first : first + TURN])
                seconds[name, way] += clock() - start
    return seconds


def fitted(sample: Sample, size: Size) -> int:
    image, class_map = sample.read()
    placement = place(Size(*class_map.shape), size)
    return fit_image(image, placement, (0, 0, 0)).nbytes + fit_class_map(class_map, placement, 255).nbytes


def folder_megabytes(folders: Sequence[Path]) -> float:
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir()) / 1e6


def measure_memory(camvid: Path, folder: Path, size: Size, counts: Sequence[int], runs: int) -> dict[str, Any]:
    """Peak MB of packing and of the training pipeline at each count, of each run."""
    peaks: dict[str, dict[str, list[float]]] = {"packing": {}, "training pipeline": {}}
    for count in counts:
        repeated, out = repeat(camvid, folder / f"repeated-{count}", count), folder / f"pack-{count}"
        options = ["--split", "train", "--size", str(size), "--out", str(out), "--overwrite"]
        peaks["packing"][str(count)] = [
            peak_mb(PACK, "data", "pack", f"camvid:{repeated}", *options) for _ in range(runs)
        ]
        peaks["training pipeline"][str(count)] = [peak_mb(PIPELINE, f"tfrecord:{out}", str(size)) for _ in range(runs)]
    return peaks


def repeat(camvid: Path, folder: Path, count: int) -> Path:
    """Link the samples of `train` again and again until there are `count`."""
    names = sorted(path.name for path in (camvid / "train").glob("*.png"))
    for part in ("train", "trainannot"):
        (folder / part).mkdir(parents=True)
        for index in range(count):
            (folder / part / f"{index:05}.png").symlink_to((camvid / part / names[index % len(names)]).resolve())
    return folder


def peak_mb(program: str, *arguments: str) -> float:
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return round(int(done.stdout.split()[-1]) / 1024, 1)


def show_speed(speed: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(speed.values())))
    print("| | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, values in speed.items():
        print(f"| {name} | " + " | ".join(f"{value:g}" for value in values.values()) + " |", flush=True)


def show_memory(memory: dict[str, Any]) -> None:
    for what, by_count in memory.items():
        for count, peaks in by_count.items():
            print(f"peak of {what}, {count} samples: {', '.join(f'{peak:.0f}' for peak in peaks)} MB")


if __name__ == "__main__":
    main()
