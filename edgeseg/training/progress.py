"""What a long command shows while it runs: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgeseg.core.files import printable
from edgeseg.training.run_directory import Epoch


@contextmanager
def evaluation_progress(images: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many of the pictures are done: a bar on a terminal, nothing elsewhere."""
    console = console or Console(stderr=True)
    with Progress(
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("evaluating", total=images)
        yield lambda done: bar.update(task, completed=done)


class TrainingProgress:
    """A context manager.

    Args:
        total_steps: of the run; 0 if the clock ends it.
        steps_per_epoch, first_step: of it; steps before `first_step` are done.
        console: where to; standard output by default.
    """

    def __init__(self, total_steps: int, steps_per_epoch: int, first_step: int, console: Console | None = None) -> None:
        self.console = console or Console()
        self.total_steps, self.steps_per_epoch = total_steps, steps_per_epoch
        self._of_epochs = f"/{-(-total_steps // steps_per_epoch)}" if total_steps else ""
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}" + self._of_epochs),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  mean IoU {task.fields[miou]}"),
            TimeRemainingColumn(),
            TextColumn("left {task.fields[doing]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(
            "training",
            total=total_steps or None,
            completed=first_step,
            epoch=first_step // steps_per_epoch + 1,
            loss=math.nan,
            miou="-",
            doing="",
        )

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line that stays, if it can be written."""
        _print(self.console, text)

    @property
    def of_total(self) -> str:
        """How many steps there are, to be said behind how many are done."""
        return f" of {self.total_steps}" if self.total_steps else ""

    def step(self, step: int, loss: float, share: float) -> None:
        """Show that `step` steps are done, and with them this share of the run."""
        total = self.total_steps or round(step / share if share else step)
        epoch = (step - 1) // self.steps_per_epoch + 1
        self._bar.update(self._task, completed=step, total=total, loss=loss, epoch=epoch, doing="")

    def doing(self, what: str) -> None:
        """Show what is done beside training; the next step ends it."""
        self._bar.update(self._task, doing=f"({what})")

    def epoch(self, epoch: Epoch, is_best: bool) -> None:
        """Show an epoch's result."""
        self._bar.update(self._task, miou=f"{epoch.miou:.3f}")
        self.say(
            f"epoch {epoch.epoch}{self._of_epochs}  step {epoch.step}  loss {epoch.loss:.4f}  "
            f"val mean IoU {epoch.miou:.4f}  pixel accuracy {epoch.pixel_accuracy:.4f}  {epoch.seconds:.1f} s"
            f"{'  best so far' if is_best else ''}"
        )


class SampleProgress:
    """A bar over the samples of a data set; a context manager. Silent but for `say` where there is no terminal."""

    def __init__(self, what: str, console: Console | None = None) -> None:
        self.console = console or Console()
        self._bar = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> SampleProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def start(self, samples: int) -> None:
        """Tell how many samples there are."""
        self._bar.update(self._task, total=samples)

    def step(self) -> None:
        """Show one more sample as done."""
        self._bar.advance(self._task)

    def say(self, text: str) -> None:
        """Print a line that stays, if it can be written."""
        _print(self.console, text)


def _print(console: Console, text: str) -> None:
    try:
        console.print(printable(text), soft_wrap=True, markup=False, highlight=False)
    except OSError:  # a full disk, a reader that has gone: no reason to end hours of work
        os.dup2(os.open(os.devnull, os.O_WRONLY), console.file.fileno())  # Python must not fail at its exit either
