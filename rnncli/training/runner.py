"""The conductor of every training: claims the folder, restores, trains, saves, hears signals, evaluates, scores.

`run` is a generator of events. It knows no screen and no option: whoever consumes the events shows, logs or samples.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

from rnncli.errors import CheckpointError, Interrupted, ParameterError, RnncliError
from rnncli.training import processes
from rnncli.training.checkpoint import SAVING, CheckpointWriter, TakesPart, resumable
from rnncli.training.devices import computing_devices
from rnncli.training.events import Diverged, Doing, Evaluated, Event, Finished, Note, Progress, Saved, Stopped
from rnncli.training.layout import Layout, chosen_layout, cut, gathered, spread
from rnncli.training.loop import Params, Report, TrainState, fit, initial_state
from rnncli.training.restoring import STATE
from rnncli.training.settings import NOT_SAVED, Saving
from rnncli.training.signals import stop_requests
from rnncli.training.task import Result, Task


def run(task: Task, saving: Saving = NOT_SAVED) -> Iterator[Event]:
    """Train a task from its beginning, or from where a checkpoint stands.

    Args:
        task: what is trained.
        saving: where to save and how often; whether to go on with what is saved there, or to replace it.

    Yields:
        Events; the last one is `Finished`.

    Raises:
        CheckpointError: the folder cannot be used, or holds another training.
        Interrupted: Ctrl-C or SIGTERM came; what was trained is saved, where a folder was named.
        RnncliError: the loss was no number from the start.
    """
    training = Run(task, saving)
    try:
        yield from training.begin()
        if task.plan.steps:
            yield Doing("compiling the training, and measuring how many devices are fastest")
        yield from training.train()
        yield from training.finish()
    finally:
        training.close()


class _Pace:
    """Steps a second. The first dispatch does not count, as it compiles."""

    def __init__(self) -> None:
        self.begun = self._since = self._ended = time.monotonic()
        self._first = self._from = self._reports = 0

    def start(self, step: int) -> None:
        """Training goes on from `step`."""
        self.begun = self._since = time.monotonic()
        self._first = self._from = step

    def per_second(self, step: int) -> float:
        """Since the first report; of the first one, its own."""
        now = time.monotonic()
        rate = (step - self._from) / max(now - self._since, 1e-9)
        if not self._reports:
            self._since, self._from = now, step
        self._reports += 1
        return rate

    def overall(self, step: int) -> float:
        """Since the start."""
        return (step - self._first) / max(self._ended - self.begun, 1e-9)

    def end(self) -> None:
        """Training is over."""
        self._ended = time.monotonic()


class Run:
    """A training as it stands."""

    def __init__(self, task: Task, saving: Saving):
        self.task, self._saving, self._begun = task, saving, time.monotonic()
        self.state: TrainState = initial_state(task.model, task.optimizer, task.carry)
        self.history: list[dict[str, float]] = []
        self.pace = _Pace()
        self._more: dict[str, Any] = {}
        self._writer: CheckpointWriter | TakesPart | None = None
        self._saved = time.monotonic()
        self._validation: dict[str, float] | None = None

    def begin(self) -> Iterator[Event]:
        """Take up what is saved, if that is wanted, and make the folder this training's."""
        folder = self._saving.checkpoint
        if folder is not None:
            self._writer = CheckpointWriter(self._saving) if processes.first() else TakesPart(folder)
        processes.agreed(0)  # what the first one found in the folder is cleared up
        if (group := processes.belongs_to()) is not None:
            group.saves = folder is not None
            if folder is not None:
                processes.check_shared(folder / f"{SAVING}shared")
            processes.check_same(self.task.settings.as_dict(), str(self.task.metadata().get("data")))
        if self._saving.detect_anomaly and processes.count() > 1:
            raise ParameterError("`detect_anomaly` looks at the batches of one process; leave it out of several")
        if self._saving.resume:
            yield from self._resume()
        step = int(self.state.step)
        if processes.agreed(step, -step) != [step, -step]:
            raise CheckpointError(f"not all processes see the same in '{folder}': it has to be where all can read it")

    def _resume(self) -> Iterator[Event]:
        folder = self._saving.checkpoint
        assert folder is not None
        saved = resumable(folder, self.task.name, self.metadata())
        if saved is None:
            yield Note(f"nothing to resume in '{folder}': training starts from the beginning")
            return
        self.state = saved.restore(STATE, self.state)
        if self._writer is not None:
            self._writer.go_on_from(saved.path)
        self.history = list(saved.metadata["history"])
        was, settings = saved.metadata["config"]["epochs"], self.task.settings
        if was != settings.epochs and settings.schedule == "cosine":
            done = int(self.state.step) / self.task.plan.steps_per_epoch
            change = "stretched" if settings.epochs > was else "shortened"
            yield Note(
                f"`epochs` {settings.epochs} after {was}: from epoch {done:.3g} on, the cosine is {change} to them"
            )

    def metadata(self) -> dict[str, Any]:
        """What is saved beside the arrays."""
        task = self.task
        own = {"task": task.name, "config": task.settings.as_dict(), "history": self.history, "source": task.source}
        return own | task.metadata() | self._more

    def train(self) -> Iterator[Event]:
        """Train to the end, which a loss that is no number is, too."""
        task = self.task
        self.pace.start(int(self.state.step))
        reports = fit(
            task.model,
            task.optimizer,
            task.loss,
            task.evaluate,
            task.data,
            task.batches,
            task.plan,
            self.state,
            watch=self._saving.detect_anomaly,
        )
        with stop_requests() as stop:
            for report in reports:
                stop.can_save = True
                signal, due = processes.agreed(stop.signal or 0, int(self.save_is_due()))
                yield from self.hear(report, save=due == 1)
                if signal:
                    yield from self.stop(report, signal)
                    raise self.interrupted(report, signal)
            self.pace.end()
            yield from self.save()

    def save_is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved > self._saving.save_every

    def hear(self, report: Report, *, save: bool) -> Iterator[Event]:
        """Take note of where training stands, and save it, if so told.

        Raises RnncliError: the loss is not a number, and nothing was trained before that could be kept.
        """
        self.state = report.state
        if not math.isfinite(report.train_loss):
            yield self._diverged(report)
            return
        yield self._progress(report)
        if save and not report.finished:
            # before an evaluation in training, the untrained network is the best that the state knows
            yield from self.save(self._better(report) if not int(report.state.best_step) else None)

    def finish(self) -> Iterator[Event]:
        """Score what was trained and saved, and save the scores."""
        task, state = self.task, self.state
        yield Doing("scoring")
        best_epoch = int(state.best_step) / task.plan.steps_per_epoch
        count = int(state.devices)  # which another machine may have had
        layout = chosen_layout() or Layout(count if 0 < count <= len(computing_devices()) else 1)
        scored = task.score(spread(state.best_params, cut(state.best_params, layout), layout), best_epoch)
        params = gathered(state.best_params if scored.params is None else scored.params)
        self._more |= {"scores": scored.scores, **scored.metadata}
        yield from self.save(scored.params)
        self.close()
        result = Result(
            task=task,
            params=params,
            metadata=self.metadata(),
            history=self.history,
            scored=scored,
            best_epoch=best_epoch,
            devices=max(1, int(state.devices)),
            seconds=time.monotonic() - self._begun,
            steps_per_second=self.pace.overall(int(state.step)),
        )
        yield Finished(result)

    def save(self, params: Params | None = None) -> Iterator[Event]:
        """Write a checkpoint that predicts with `params`, with the best ones if None; nothing without a folder."""
        if self._writer is not None:
            best = self.state.best_params if params is None else params
            self._writer.save(self.metadata(), best=best, state=self.state, **self.task.arrays())
            self._saved = time.monotonic()
            yield Saved(self._writer.folder, int(self.state.step))

    def close(self) -> None:
        """Let others write to the folder."""
        if self._writer is not None:
            self._writer.close()

    def _progress(self, report: Report) -> Progress:
        if report.metrics is not None:
            self._validation = report.metrics
            figures = {"validation" if name == "loss" else name: value for name, value in report.metrics.items()}
            self.history.append({"epoch": report.epoch, "train": report.train_loss, **figures})
        common = {
            "step": report.step,
            "epoch": report.epoch,
            "epochs": self.task.plan.epochs,
            "seconds": time.monotonic() - self.pace.begun,
            "train_loss": report.train_loss,
            "validation": self._validation,
            "criterion": self.task.criterion,
            "rate": self.pace.per_second(report.step) * self.task.examples,
            "unit": self.task.unit,
        }
        if report.metrics is not None:
            return Evaluated(**common, params=report.state.params)
        return Progress(**common)

    def stop(self, report: Report, signal: int) -> Iterator[Event]:
        """Save what was trained, before its end."""
        yield from self.save(self._better(report) if report.metrics is None else None)
        self.close()
        yield Stopped(signal, report.step, self._writer is not None)

    def interrupted(self, report: Report, signal: int) -> Interrupted:
        """The exception that says so."""
        saved = self._writer is not None
        what = "saved; go on with `resume`" if saved else "nothing was saved: no `checkpoint` was given"
        return Interrupted(signal, f"stopped at epoch {report.epoch:.1f} of {self.task.plan.epochs}; {what}")

    def _better(self, report: Report) -> Params | None:
        """The current parameters where they do better on validation data than the best that the state knows.

        The state itself stays as it is, so that a training that goes on equals one that was never stopped.
        """
        if self._writer is None:
            return None
        loss = self.task.evaluate(report.state.params)["loss"]
        return report.state.params if loss < float(report.state.best_loss) else None

    def _diverged(self, report: Report) -> Diverged:
        """Raises RnncliError: nothing was trained before that could be kept."""
        settings = self.task.settings
        step = report.step
        advice = f"lower `learning_rate` (now {settings.learning_rate:g}) or `clip` (now {settings.clip:g})"
        advice = f"{report.anomaly}; {advice}" if report.anomaly else f"{advice}; `detect_anomaly` names the module"
        if not int(self.state.best_step) and not self.task.has_prior:
            raise RnncliError(f"the loss is not a number after step {step}; {advice}")
        return Diverged(step, advice)
