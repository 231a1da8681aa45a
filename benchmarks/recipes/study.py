"""Which options make a recipe better: variants of `balanced` on held-out folds of CamVid's train, in pairs.

    python benchmarks/recipes/folds.py CamVid FOLDS
    python benchmarks/recipes/study.py FOLDS --runs RUNS [--variants base dense ...] [--seeds 0 1 2] [--steps 1000]

Trains what is not yet in RUNS, one after the other, and prints, for all that is, the mean difference to `base` with the
same seed on the same fold, in points of mean IoU after the last step, and how far the pairs differ. Stop it and start
it again as you like: a run that was stopped goes on. Two variants that differ by less than a point differ by nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeseg.training.run_directory import RunDirectory

BASE = "base"
VARIANTS: dict[str, Sequence[str]] = {
    BASE: (),
    "dense last step": ("--upsampling-kernel", "dense"),
    "encoder at a tenth of the rate": ("--encoder-rate", "0.1"),
    "encoder at three tenths": ("--encoder-rate", "0.3"),
    "whole pictures": ("--train-size", "480x352"),
    "decoder 32 wide": ("--decoder-width", "32"),
    "decoder 96 wide": ("--decoder-width", "96"),
    "decoder 128 wide": ("--decoder-width", "128"),
    "score stride 2": ("--score-stride", "2"),
    "score stride 8": ("--score-stride", "8"),
    "moving average 0.99": ("--ema", "0.99"),
    "moving average 0.995": ("--ema", "0.995"),
    "rate 5e-4": ("--learning-rate", "5e-4"),
    "rate 2e-3": ("--learning-rate", "2e-3"),
    "no dropout": ("--dropout", "0"),
    "weight decay 0.05": ("--weight-decay", "0.05"),
    "cross-entropy alone": ("--loss", "cross_entropy"),
    "hardest 30 % of the pixels": ("--hard-pixels", "0.3"),
}
FOLDS = ("A", "B")
POINTS = 100.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--fold", nargs="*", default=list(FOLDS), choices=FOLDS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--precision", default="mixed_bfloat16")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for fold in arguments.fold:
            for name in arguments.variants:
                common = ("--steps", str(arguments.steps), "--precision", arguments.precision, "--seed", str(seed))
                data = f"camvid:{arguments.folds / fold}"
                train(place(arguments.runs, name, fold, seed, arguments.steps), data, (*common, *VARIANTS[name]))
    print("\n".join(table(arguments.runs, arguments.steps)))


def place(runs: Path, variant: str, fold: str, seed: int, steps: int) -> Path:
    return runs / f"{variant.replace(' ', '-').replace('%', 'percent')}-{fold}-{seed}-{steps}"


def train(run: Path, data: str, options: Sequence[str]) -> None:
    """Train a run, or what is left of it."""
    command = [sys.executable, "-m", "edgeseg", "train", "--out", str(run)]
    if (run / "config.toml").is_file():
        if last_score(run, int(options[1])) is None:
            subprocess.run([*command, "--resume"], check=True)
    else:
        subprocess.run([*command, "--data", data, *options], check=True)


def last_score(run: Path, steps: int) -> float | None:
    """Return the mean IoU after the last step, in points; None if the run has not ended."""
    if not (run / "config.toml").is_file():
        return None
    history = RunDirectory(run).read_history()
    return history[-1].miou * POINTS if history and history[-1].step == steps else None


def table(runs: Path, steps: int) -> list[str]:
    """Return the pairs' mean differences, the best first."""
    rows = []
    for name in VARIANTS:
        scores, gains = [], []
        for fold in FOLDS:
            for seed in range(10):
                own = last_score(place(runs, name, fold, seed, steps), steps)
                base = last_score(place(runs, BASE, fold, seed, steps), steps)
                if own is not None and base is not None:
                    scores.append(f"{fold}{seed} {own:.1f}")
                    gains.append(own - base)
        if gains:
            spread = f" ± {statistics.stdev(gains):.1f}" if len(gains) > 1 else ""
            rows.append(
                (statistics.mean(gains), f"| {name} | {statistics.mean(gains):+.1f}{spread} | {', '.join(scores)} |")
            )
    return [f"| after {steps} steps | points beside base | fold, seed, mean IoU |", "|---" * 3 + "|"] + [
        line for _, line in sorted(rows, reverse=True)
    ]


if __name__ == "__main__":
    main()
