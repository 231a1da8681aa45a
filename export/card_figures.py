"""The figures of a model card: what an evaluation or the training has measured, on which split, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.core.json_text import read_json_object
from edgeseg.core.metrics import Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.evaluation.intervals import Units, units_of, with_intervals
from edgeseg.runtime.engines.manifest import file_sha256

OF_THE_TRAINED = "of the trained model, before its export"
OF_THE_FILE = "of this file"
CHOSEN_BY = f"{OF_THE_TRAINED}; the training chose its best model by them: they flatter"
_SCORES = "scores.json"
_EXPECTED = "what edgeseg evaluate --json FILE wrote"


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        split, data: on which pictures.
        scores: with intervals where they can be had.
        remark: what a reader must know of them.
        sha256: of the file that was measured: the trained model, or what was exported of it.
    """

    split: str
    data: str
    scores: Scores
    remark: str
    sha256: str


@dataclass(frozen=True)
class Measured:
    """The figures for a card, and of which files they may be."""

    figures: list[Figures]
    given: Sequence[Path]
    trained: str

    @classmethod
    def of(cls, model: Path, target: Path, spec: ModelSpec, given: Sequence[Path]) -> Measured:
        """Read the figures that are given, or the training's own, before the export's work.

        Args:
            model: the run's `.keras` file.
            target: the file that is written; what is there may be the same to the byte, and have been measured.
            spec: the model's.
            given: of `edgeseg evaluate --json`.

        Raises:
            UsageError: see read_figures.
        """
        trained = file_sha256(model)
        earlier = file_sha256(target) if target.is_file() else ""
        figures = [read_figures(path, spec, trained, earlier) for path in given]
        return cls(figures or figures_of_run(model, spec, trained), given, trained)

    def check_written(self, sha256: str) -> None:
        """Raise UsageError if a figure is neither of the trained model nor of the file that was written."""
        for path, each in zip(self.given, self.figures, strict=False):
            if each.sha256 not in (self.trained, sha256):
                raise UsageError(f"{path}: of the file that was here, which is another now; evaluate it again")


def figures_of_run(model: Path, spec: ModelSpec, sha256: str) -> list[Figures]:
    """Return what the training has measured of its best model on its val split; nothing of an earlier version's run.

    Args:
        model: the run's `.keras` file.
        spec: the run's.
        sha256: of the `.keras` file.
    """
    path = model.with_name(_SCORES)
    if not path.is_file():
        return []
    scores = _scores_from(read_json_object(path, _EXPECTED), path, spec)
    return [Figures("val", spec.trained_on, _with_intervals(scores, spec.trained_on), CHOSEN_BY, sha256)]


def read_figures(path: Path, spec: ModelSpec, trained: str, written: str) -> Figures:
    """Read what `edgeseg evaluate --json` wrote of this model.

    Args:
        path: the file.
        spec: the model's.
        trained: SHA-256 of the trained model.
        written: SHA-256 of the exported file.

    Raises:
        UsageError: it is of another model or other classes, or says not of which.
    """
    document = read_json_object(path, _EXPECTED)
    about = document.get("about")
    if not isinstance(about, dict) or not all(isinstance(about.get(key), str) for key in ("sha256", "data", "split")):
        raise UsageError(f"{path}: does not say what was measured; expected {_EXPECTED}: evaluate again")
    if about["sha256"] not in (trained, written):
        raise UsageError(f"{path}: of another model ({about.get('model')}); expected this one's: evaluate it again")
    remark = OF_THE_TRAINED if about["sha256"] == trained else OF_THE_FILE
    return Figures(about["split"], about["data"], _scores_from(document, path, spec), remark, about["sha256"])


def _scores_from(document: dict[str, Any], path: Path, spec: ModelSpec) -> Scores:
    try:
        scores = Scores.from_document(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"{path}: no scores ({error}); expected {_EXPECTED}") from error
    if tuple(scores.iou) != spec.classes.names:
        raise UsageError(f"{path}: of other classes, {', '.join(scores.iou)}; expected {', '.join(spec.classes.names)}")
    return scores


def _with_intervals(scores: Scores, data: str) -> Scores:
    """Draw whole drives where the data still say which picture is of which, else pictures."""
    try:
        units = units_of(scores, open_dataset(data).split("val"), "drives")
    except (EdgesegError, KeyError):
        units = Units.of([each.name for each in scores.pictures], "pictures")
    try:
        return with_intervals(scores, units)
    except (ValueError, IndexError):  # of an earlier version, without counts by picture
        return scores
