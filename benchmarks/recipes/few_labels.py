"""What a label is worth: mean IoU against the number of labelled pictures, with ImageNet weights and without.

    python benchmarks/recipes/folds.py CamVid FOLDS
    python benchmarks/recipes/few_labels.py CamVid FOLDS --runs RUNS [--picture docs/few-labels.png]

`balanced`, 500 steps each, on 25, 50, 100, 200 and all 367 pictures of CamVid's train, drawn anew for each seed; 50 and
100 with three. Trains what is not yet in RUNS; a run that was stopped goes on. Scores are the last step's on CamVid's
val, which continues a drive of train and flatters: how the curves run is what they say.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from matplotlib.figure import Figure
from study import last_score, train

from edgeseg.core.files import replace_whole

STEPS, ALL = 500, 367
SEEDS = {25: 1, 50: 3, 100: 3, 200: 1, ALL: 1}
WEIGHTS = {"imagenet": "ImageNet weights", "none": "from scratch"}
Scores = dict[str, dict[int, list[float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    scores: Scores = {weights: {} for weights in WEIGHTS}
    for count, seeds in SEEDS.items():
        for seed in range(seeds):
            data = arguments.camvid if count == ALL else arguments.folds / f"few-{count}-{seed}"
            for weights in WEIGHTS:
                run = arguments.runs / f"few-{count}-{weights}-{seed}"
                options = ("--steps", str(STEPS), "--weights", weights, "--precision", arguments.precision)
                train(run, f"camvid:{data}", (*options, "--seed", str(seed)))
                score = last_score(run, STEPS)
                assert score is not None
                scores[weights].setdefault(count, []).append(score)
    print("\n".join(table(scores)))
    if arguments.picture:
        draw(scores, arguments.picture)


def table(scores: Scores) -> list[str]:
    lines = [f"| labelled pictures | {' | '.join(WEIGHTS.values())} |", "|---" * 3 + "|"]
    for count in SEEDS:
        cells = [" / ".join(f"{score:.1f}" for score in scores[weights][count]) for weights in WEIGHTS]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return lines


def draw(scores: Scores, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (weights, label), colour in zip(WEIGHTS.items(), ("#1f77b4", "#ff7f0e"), strict=True):
        found = scores[weights]
        axes.plot(list(found), [statistics.mean(each) for each in found.values()], "-", color=colour, label=label)
        for count, values in found.items():
            axes.plot([count] * len(values), values, "o", color=colour)
    axes.set_xscale("log")
    axes.set_xticks(list(SEEDS), [str(count) for count in SEEDS])
    axes.minorticks_off()
    axes.set_xlabel("labelled pictures")
    axes.set_ylabel("mean IoU on val, points")
    axes.grid(alpha=0.3)
    axes.legend()
    replace_whole(path, lambda partial: figure.savefig(partial, dpi=110, format="png"))


if __name__ == "__main__":
    main()
