"""The trainings of a sweep: each in a folder of its own, so that a sweep that was stopped goes on where it stood."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rnncli.errors import CheckpointError, Interrupted, ParameterError, RnncliError
from rnncli.settings import Chosen
from rnncli.sweep.outcomes import Figures, Outcome, Swept, Trial
from rnncli.sweep.settings import Sweeping
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.devices import use_device
from rnncli.training.events import Doing, Event, Listener, Note, Progress, ignore
from rnncli.training.settings import DeviceChoice, Saving
from rnncli.training.stored import latest_step, saved_steps, stored

SUFFIX = ".sweep"  # of the folder with the trainings, beside that of the best model
Train = Callable[..., Any]  # takes `chosen`, `saving`, `on_event`; a function that can be sent to another process


class _TimeIsUp(Exception):
    """The time of a search is over."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Trainings that differ in some settings and in their seed."""

    train: Train
    chosen: Chosen[Any]
    choices: list[dict[str, Any]]
    sweeping: Sweeping
    saving: Saving
    device: DeviceChoice
    figures: Figures
    listener: Callable[[str], Listener]  # from the label of a training to who listens to it

    def run(self) -> Swept:
        """Train all, and keep the best model.

        Raises ParameterError: a choice is not possible. Raises CheckpointError: a folder cannot be used.
        """
        begun = time.monotonic()
        deadline = None if self.sweeping.seconds is None else begun + self.sweeping.seconds
        if self.saving.checkpoint is not None:
            CheckpointWriter(self.saving)  # refuses a folder that may not be written before anything is trained
        with _place(self.saving) as place:
            first = self.chosen.get("seed", self.chosen.cls.seed)
            seeds = [(first + number) % 2**32 for number in range(self.sweeping.seeds)]
            outcomes = {number: Outcome(values) for number, values in enumerate(self.choices)}
            trials = [
                (number, Trial(values, seed, place / Trial(values, seed, place).name))
                for number, values in enumerate(self.choices)
                for seed in seeds
            ]
            whole = self._rounds(trials, outcomes, deadline)
            found = [(trial.figure(self.figures), trial) for _, trial in trials]
            found = [(figure, trial) for figure, trial in found if figure is not None]
            if not found:
                raise _nothing(list(outcomes.values()), whole)
            ranked = sorted(outcomes.values(), key=lambda outcome: outcome.mean)
            best = min((pair for pair in found if pair[1].values == ranked[0].values), key=lambda pair: pair[0][0])
            metadata = stored(best[1].folder)
            if self.saving.checkpoint is not None:
                _keep(best[1].folder, self.saving.checkpoint)
            return Swept(ranked, best[1], metadata, best[0][1], self.saving.checkpoint, time.monotonic() - begun, whole)

    def _rounds(self, trials: list[tuple[int, Trial]], outcomes: dict[int, Outcome], deadline: float | None) -> bool:
        """Train: all in full, or, within a time, ever fewer ever longer. Whether nothing was left out."""
        epochs = self.chosen.get("epochs", self.chosen.cls.epochs)
        if deadline is None:
            return self._all(trials, outcomes, None, None)
        left = set(outcomes)
        while True:
            share = len(left)  # so many times shorter than in full, until one is left
            now = max(1, round(epochs / share))
            if not self._all([each for each in trials if each[0] in left], outcomes, now, deadline):
                return False
            ranked = sorted((number for number in left if outcomes[number].figures), key=lambda n: outcomes[n].mean)
            if share == 1 or not ranked:
                return True
            left = set(ranked[: (len(ranked) + 1) // 2]) if len(ranked) > 1 else set(ranked)

    def _all(
        self, trials: list[tuple[int, Trial]], outcomes: dict[int, Outcome], epochs: int | None, deadline: float | None
    ) -> bool:
        """Train so many epochs; False where the time was up before."""
        for number in {number for number, _ in trials}:
            outcomes[number].figures.clear()
        ended = True
        for number, trial, error, seconds in self._trained(trials, epochs, deadline):
            outcome = outcomes[number]
            outcome.seconds += seconds
            if isinstance(error, _TimeIsUp):
                ended = False
            elif error is not None:
                outcome.errors.append(str(error))
            figure = trial.figure(self.figures)
            if figure is not None:
                outcome.figures.append(figure[0])
                outcome.epochs = max(outcome.epochs, figure[2])
        return ended

    def _trained(
        self, trials: list[tuple[int, Trial]], epochs: int | None, deadline: float | None
    ) -> Iterator[tuple[int, Trial, Exception | None, float]]:
        """Each training as it ends, with what was wrong and the seconds that it took."""
        jobs = min(self.sweeping.jobs, len(trials))
        if jobs == 1:
            for index, (number, trial) in enumerate(trials, 1):
                listener = self.listener(f"{index}/{len(trials)} {trial.name}")
                error, seconds = self._one(trial, epochs, deadline, _quieter(listener) if index > 1 else listener)
                listener(Note(self._told(index, len(trials), trial, error)))
                yield number, trial, error, seconds
            return
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        spawn = get_context("spawn")  # a fork would take JAX's threads along
        with spawn.Manager() as manager, ProcessPoolExecutor(jobs, spawn) as pool:
            shares: Any = manager.Queue()
            for job in range(jobs):
                shares.put(cores[job::jobs])
            alone = replace(self, listener=_nobody)
            running = {
                pool.submit(_in_a_process, alone, trial, epochs, deadline, shares): (number, trial)
                for number, trial in trials
            }
            for index, future in enumerate(as_completed(running), 1):
                number, trial = running[future]
                error, seconds = future.result()
                self.listener("")(Note(self._told(index, len(trials), trial, error)))
                yield number, trial, error, seconds

    def _told(self, index: int, count: int, trial: Trial, error: Exception | None) -> str:
        """A line about a training that has ended."""
        figure = trial.figure(self.figures)
        result = f"{figure[1]} {figure[0]:.4g}, {figure[2]:g} epochs" if figure is not None else "nothing"
        why = "; the time was up" if isinstance(error, _TimeIsUp) else f"; {error}" if error is not None else ""
        return f"{index}/{count} {trial.name}: {result}{why}"

    def _one(
        self, trial: Trial, epochs: int | None, deadline: float | None, listener: Listener
    ) -> tuple[Exception | None, float]:
        """Train once, or go on, or leave what is whole as it is."""
        begun = time.monotonic()
        try:
            if deadline is not None and begun > deadline:
                raise _TimeIsUp
            more: dict[str, Any] = {"seed": trial.seed} | ({} if epochs is None else {"epochs": epochs})
            chosen = self.chosen.replaced(**trial.values, **more)
            if not trial.is_whole(chosen):
                there = bool(saved_steps(trial.folder))
                saving = Saving(checkpoint=trial.folder, resume=there, save_every=self.saving.save_every)
                self.train(chosen=chosen, saving=saving, on_event=_until(deadline, listener))
        except Interrupted:
            if deadline is None or time.monotonic() < deadline:
                raise  # Ctrl-C
            return _TimeIsUp(), time.monotonic() - begun
        except (RnncliError, _TimeIsUp) as error:
            return error, time.monotonic() - begun
        return None, time.monotonic() - begun


def _quieter(listener: Listener) -> Listener:
    """Without what all trainings say alike."""

    def on_event(event: Event) -> None:
        if not isinstance(event, Note | Doing):
            listener(event)

    return on_event


def _nobody(label: str) -> Listener:
    return ignore


def _in_a_process(
    sweep: Sweep, trial: Trial, epochs: int | None, deadline: float | None, shares: Any
) -> tuple[Exception | None, float]:
    """One training, in a process that takes a share of the cores while it lasts."""
    share = shares.get()
    try:
        if share:
            os.sched_setaffinity(0, share)
        use_device(sweep.device)
        return sweep._one(trial, epochs, deadline, ignore)
    finally:
        shares.put(share)


def _until(deadline: float | None, listener: Listener) -> Listener:
    """A listener that stops a training when the time is up, as SIGTERM does: what was trained is saved."""
    stopped = False

    def on_event(event: Event) -> None:
        nonlocal stopped
        listener(event)
        if deadline is not None and isinstance(event, Progress) and time.monotonic() > deadline and not stopped:
            stopped = True
            signal.raise_signal(signal.SIGTERM)

    return on_event


@contextmanager
def _place(saving: Saving) -> Iterator[Path]:
    """The folder of the trainings: one that stays beside the model's, else one that goes."""
    if saving.checkpoint is None:
        with tempfile.TemporaryDirectory(prefix="rnncli-sweep-") as temporary:
            yield Path(temporary)
        return
    place = saving.checkpoint.with_name(saving.checkpoint.name + SUFFIX)
    if place.exists() and not (saving.resume or saving.overwrite):
        raise CheckpointError(
            f"'{place}' already holds trainings of a sweep; go on with `resume`, or replace them with `overwrite`"
        )
    if saving.overwrite:
        shutil.rmtree(place, ignore_errors=True)
    yield place


def _keep(folder: Path, wanted: Path) -> None:
    """Put a copy of a checkpoint's latest step into another; what it held before goes, other files stay."""
    before = saved_steps(wanted)
    number = 1 + max((int(step.name) for step in before), default=0)
    wanted.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=wanted) as temporary:
        shutil.copytree(latest_step(folder), Path(temporary) / "step")
        (Path(temporary) / "step").rename(wanted / str(number))
    for step in before:
        shutil.rmtree(step, ignore_errors=True)


def _nothing(outcomes: list[Outcome], whole: bool) -> RnncliError:
    """What to say where no training came to anything."""
    errors = [error for outcome in outcomes for error in outcome.errors]
    if errors:
        return ParameterError(f"no training of the sweep came to anything; the first one: {errors[0]}")
    return RnncliError("the `budget` is too short for a single evaluation; give more, or a smaller network")
