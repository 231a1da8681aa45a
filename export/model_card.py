"""A model card, after Mitchell et al. 2019 (Model Cards for Model Reporting): beside every export, in every bundle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeseg.core.errors import UsageError
from edgeseg.core.small_files import read_small
from edgeseg.core.spec import ModelSpec
from edgeseg.evaluation.intervals import brackets, describe
from edgeseg.export.card_figures import Figures
from edgeseg.runtime.engines.manifest import file_sha256

_HASH = re.compile(r"SHA-256 `([0-9a-f]{64})`")


def card_beside(model: Path) -> Path:
    """Return the name of a model's card."""
    return model.with_name(f"{model.name}.card.md")


def card_of(model: Path) -> str | None:
    """Return the card that lies beside a model and is of this very file; None if there is none.

    Raises:
        UsageError: it cannot be read, or is of another file.
    """
    path = card_beside(model)
    if not path.is_file():
        return None
    try:
        text = read_small(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); export the model again") from error
    found = _HASH.search(text)
    if found is None or found[1] != file_sha256(model):
        raise UsageError(f"{path}: is not of this {model.name}; remove it, or export the model again")
    return text


def model_card(file: str, sha256: str, spec: ModelSpec, figures: Sequence[Figures], proof: Sequence[str]) -> str:
    """Return a card's text, Markdown.

    Args:
        file: the model's name.
        sha256: of the file.
        spec: the model's.
        figures: what was measured of it; without any, what the spec says that it reached.
        proof: how it is known that the file computes what the model did, line by line.
    """
    parts = [
        [f"# {_text(spec.name)}", "", f"Model card of `{file}`, SHA-256 `{sha256}`."],
        ["", "## What it is", "", "| | |", "|---|---|", *_about(spec)],
        ["", "## Figures", "", *(_figures(figures) if figures else _reached(spec))],
        ["", "## Classes", "", *_classes(spec, figures)],
        ["", "## Proof", "", *(f"- {_text(line)}" for line in proof)],
        ["", "## Limits", "", *(f"- {line}" for line in _limits(spec)), ""],
    ]
    return "\n".join(line for part in parts for line in part)


def _about(spec: ModelSpec) -> Iterator[str]:
    frames = f"uint8 BGR of {spec.camera_size}" if spec.camera_size else "float NCHW pixels"
    crop = ", of a part of the frame" if spec.crop else ""
    rows = {
        "architecture": f"{spec.architecture}, {spec.encoder}",
        "takes": f"{frames}; the network {spec.input_size}, fit {spec.fit}{crop}",
        "precision": spec.precision,
        "trained on": spec.trained_on or "not said",
        "versions": ", ".join(f"{name} {version}" for name, version in spec.versions.items()) or "not said",
    }
    return (f"| {name} | {_text(value)} |" for name, value in rows.items())


def _figures(figures: Sequence[Figures]) -> Iterator[str]:
    yield "| split | data | pictures | mean IoU | 95 % interval | pixel accuracy | boundary F1 |"
    yield "|---|---|---|---|---|---|---|"
    for each in figures:
        scores = each.scores
        interval = brackets(scores.intervals.miou) if scores.intervals else "not known"
        boundary = "" if scores.boundary_f1 is None else f"{scores.boundary_f1:.4f}"
        yield (
            f"| {_text(each.split)} | {_text(each.data)} | {scores.images} | {scores.miou:.4f} | {interval} "
            f"| {scores.pixel_accuracy:.4f} | {boundary} |"
        )
    yield ""
    for each in figures:
        over = describe(each.scores.intervals) if each.scores.intervals else "no interval: no counts by picture"
        yield f"- {_text(each.split)}: {over}; {each.remark}"


def _reached(spec: ModelSpec) -> Iterator[str]:
    if not spec.metrics:
        yield "Not measured, as far as the file says."
        return
    reached = ", ".join(f"{name} {value:.4g}" for name, value in spec.metrics.items())
    yield f"By the training, on its own val split: {_text(reached)}. No interval is known."


def _classes(spec: ModelSpec, figures: Sequence[Figures]) -> Iterator[str]:
    measured = [f"IoU, {_text(each.split)} | 95 % interval" for each in figures]
    yield f"| {' | '.join(['id', 'class', *measured])} |"
    yield "|---" * (2 + 2 * len(figures)) + "|"
    for index, name in enumerate(spec.classes.names):
        cells = [str(index), _text(name)]
        for each in figures:
            value = each.scores.iou[name]
            intervals = each.scores.intervals
            cells += ["does not occur" if value is None else f"{value:.4f}"]
            cells += [brackets(intervals.iou.get(name)) if intervals else ""]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Pixels of {spec.classes.ignore_index} in labels are of no class and counted nowhere."


def _limits(spec: ModelSpec) -> Iterator[str]:
    yield "The figures hold for pictures like those measured: another camera, place, weather or light may be worse."
    yield "Every pixel gets a class, also what is none of them; a mask has no distance, and no knowledge of what moves."
    yield "A class that seldom occurs in the data, or has a wide interval, is little known."
    if spec.guessed:
        yield f"Nobody has confirmed: {_text(', '.join(spec.guessed))}."
    if spec.precision != "fp32":
        yield f"{spec.precision} gives masks that differ from the trained model's within the limits of the proof."


def _text(text: str) -> str:
    """Return a text that cannot leave its line or its cell."""
    return "".join(each if each.isprintable() else "?" for each in text).replace("|", "\\|").replace("`", "'")
