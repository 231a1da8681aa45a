"""What the parts of an evaluation cost, against the prediction and mean IoU alone; pictures are read before.

python benchmarks/evaluation.py RUN camvid:CamVid [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from edgeseg.data.argument import open_dataset
from edgeseg.data.wrappers import remembered
from edgeseg.evaluation.evaluate import evaluate, load_predictor
from edgeseg.evaluation.intervals import units_of, with_intervals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    samples = remembered(dataset.split("val"), 2**34)
    plain, flipped = load_predictor(arguments.run), load_predictor(arguments.run, flip=True)
    ways = {"mean IoU": (plain, False), "with boundary F1": (plain, True), "flipped": (flipped, False)}
    times: dict[str, list[float]] = {name: [] for name in (*ways, "intervals alone")}
    for turn in range(arguments.rounds + 1):
        for name, (predictor, boundaries) in ways.items():
            started = time.perf_counter()
            scores = evaluate(predictor, samples, dataset.classes, boundaries=boundaries)
            if turn:  # the first one traces, reads and warms up
                times[name].append(time.perf_counter() - started)
        started = time.perf_counter()
        with_intervals(scores, units_of(scores, samples, "pictures"))
        if turn:
            times["intervals alone"].append(time.perf_counter() - started)
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, times["mean IoU"], strict=True)]
        each = 1e3 * statistics.median(values) / len(samples)
        print(f"{name}: {each:.3g} ms a picture, {statistics.median(ratios):.3g} times mean IoU alone")


if __name__ == "__main__":
    main()
