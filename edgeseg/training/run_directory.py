"""The run directory of `edgeseg train`: what lies where, and how it is written so that a kill leaves it whole."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.core.files import write_whole
from edgeseg.core.json_text import read_json
from edgeseg.core.locks import LOCK, WriterLock, check_unlocked
from edgeseg.core.metrics import Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.training.settings import TrainSettings

TRAIN_SHARES = "train_shares"


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv: a validation after an epoch. The loss is the mean a step since the one before."""

    epoch: int
    step: int
    loss: float
    miou: float
    pixel_accuracy: float
    learning_rate: float
    seconds: float


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, newest first, as TensorFlow names them: without a suffix.

    Their own files say which there are: the file `checkpoint` that lists them may be lost.
    """
    found = [path.with_suffix("") for path in folder.glob("ckpt-*.index") if path.stem[len("ckpt-") :].isdecimal()]
    return sorted(found, key=lambda path: -int(path.name[len("ckpt-") :]))


class RunDirectory:
    """Paths and files of one training run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model.keras"
        self.spec = path / "spec.json"
        self.config = path / "config.toml"
        self.history = path / "history.csv"
        self.checkpoints = path / "checkpoints"
        self.tensorboard = path / "tensorboard"
        self.curves = path / "curves.png"
        self.scores = path / "scores.json"
        self.confusion = path / "confusion.png"
        self.preview = path / "preview.png"
        self.worst = path / "worst.png"
        self.report = path / "report.html"
        self.lock = path / LOCK

    @classmethod
    def prepare(cls, path: Path, settings: TrainSettings, resume: bool) -> RunDirectory:
        """Check, before any work is done, that the run can be written. Nothing that is there is touched.

        Raises:
            UsageError: another training writes there; the directory holds something and `resume` is not set; `resume`
                is set and there is no run, or one with other settings; it cannot be written.
        """
        run = cls(path)
        check_unlocked(run.lock, path)
        try:
            if resume:
                run._check_same(settings)
                run._check_checkpoints()
            elif run._holds_something():
                raise UsageError(f"{path} exists and is not empty; choose another --out, or --resume to go on with it")
            existing = next(place for place in (path, *path.absolute().parents) if place.exists())
            tempfile.TemporaryFile(dir=existing).close()
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror}); choose another --out") from error
        return run

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the directory, made for that, against every other training; if nothing was written, it goes again.

        Raises:
            UsageError: another training holds it, or it cannot be made.
        """
        made = [each for each in (self.path, *self.path.absolute().parents) if not each.exists()]
        try:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = WriterLock(self.lock, self.path)
            except OSError as error:
                raise UsageError(f"{self.path} cannot be made ({error.strerror}); choose another --out") from error
            with lock:
                yield
        finally:
            with contextlib.suppress(OSError):
                for each in made:
                    each.rmdir()

    def begin(self, settings: TrainSettings, spec: ModelSpec) -> None:
        """Create the directory with its settings; where there is a model, its spec is there too, and stays."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be made ({error.strerror}); choose another --out") from error
        write_whole(self.config, settings.to_toml())
        if not self.model.exists():
            self.write_spec(spec)

    def settings(self) -> TrainSettings:
        """Return the settings of the run that is here. Raises UsageError."""
        try:
            is_run = self.config.is_file()
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read ({error.strerror}); choose another --out") from error
        if not is_run:
            raise UsageError(f"{self.path} holds no run to resume (no {self.config.name}); train without --resume")
        return TrainSettings.read(self.config)

    def _holds_something(self) -> bool:
        """What a run leaves that ended before its first checkpoint is nothing."""
        if not self.path.is_dir():
            return self.path.exists()
        ours = {self.config, self.spec, self.tensorboard, self.checkpoints} if self.config.is_file() else set()
        return bool(set(self.path.iterdir()) - ours - {self.lock} or checkpoints_in(self.checkpoints))

    def _check_same(self, settings: TrainSettings) -> None:
        differences = self.settings().differences(settings)
        if differences:
            raise UsageError(
                f"{self.path} was trained with {'; '.join(differences)}; resume it with its own settings, "
                f"or start a new run with another --out"
            )

    def _check_checkpoints(self) -> None:
        results = [path.name for path in (self.history, self.model) if path.exists()]
        if results and not checkpoints_in(self.checkpoints):
            raise UsageError(
                f"{self.path} has {' and '.join(results)}, but no checkpoint to go on from in "
                f"{self.checkpoints.name}/; bring it back, or start a new run with another --out"
            )

    def write_spec(self, spec: ModelSpec) -> None:
        write_whole(self.spec, spec.to_json())

    def write_scores(self, scores: Scores, train_shares: NDArray[np.float64]) -> None:
        """Keep what the best model reached on val, and the classes' shares of the train split, zeros if not known."""
        document = {**asdict(scores), TRAIN_SHARES: [float(share) for share in train_shares]}
        write_whole(self.scores, json.dumps(document, indent=1) + "\n")

    def read_scores(self) -> tuple[Scores, NDArray[np.float64]] | None:
        """Return what `write_scores` kept, or None if there is none, as in a run of an earlier version.

        Raises:
            EdgesegError: the file is another one.
        """
        if not self.scores.is_file():
            return None
        try:
            document = read_json(self.scores, "the scores of a run")
            return Scores.from_document(document), np.array(document[TRAIN_SHARES], np.float64)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EdgesegError(f"{self.scores}: not the scores of a run ({error}); correct or remove it") from error

    def write_history(self, epochs: list[Epoch]) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(each.name for each in fields(Epoch))
        table.writerows(astuple(epoch) for epoch in epochs)
        write_whole(self.history, text.getvalue())

    def read_history(self, until_step: float = math.inf) -> list[Epoch]:
        """Return the epochs up to a step: what was written after the checkpoint is trained, and written, again."""
        if not self.history.is_file():
            return []
        try:
            columns: dict[str, Any] = {each.name: int if each.type == "int" else float for each in fields(Epoch)}
            rows = list(csv.DictReader(self.history.read_text().splitlines()))
            epochs = [Epoch(**{name: read(row[name]) for name, read in columns.items()}) for row in rows]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EdgesegError(f"{self.history}: not a history of edgeseg ({error}); correct or remove it") from error
        return [epoch for epoch in epochs if epoch.step <= until_step]
