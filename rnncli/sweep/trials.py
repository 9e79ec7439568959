"""The trainings of a sweep: each in a folder of its own, so that a sweep that was stopped goes on where it stood."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from rnncli.errors import Interrupted, ParameterError, RnncliError
from rnncli.settings import Chosen
from rnncli.sweep.folders import keep, place_of
from rnncli.sweep.jobs import in_processes
from rnncli.sweep.outcomes import Figures, Outcome, Swept, Trial
from rnncli.sweep.settings import Sweeping
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.events import Doing, Event, Finished, Listener, Note, Progress, follow, ignore, silent
from rnncli.training.runner import run
from rnncli.training.settings import DeviceChoice, Saving
from rnncli.training.signals import ask_to_stop
from rnncli.training.stored import saved_steps, stored
from rnncli.training.task import Task
from rnncli.training.together import Together

Ended = tuple[Exception | None, float]  # what was wrong, and the seconds that it took
Make = Callable[..., Task]  # takes `chosen` and `on_event`; a function that can be sent to another process


class TimeIsUp(Exception):
    """The time of a search is over."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Trainings that differ in some settings and in their seed."""

    make: Make
    chosen: Chosen[Any]
    choices: list[dict[str, Any]]
    sweeping: Sweeping
    saving: Saving
    device: DeviceChoice
    figures: Figures
    listener: Callable[[str], Listener]  # from the label of a training to who listens to it
    epochs: int  # of a training in full, where a search is to end
    begun: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float | None:
        """When the time of a search is over."""
        return None if self.sweeping.seconds is None else self.begun + self.sweeping.seconds

    def run(self) -> Swept:
        """Train all, and keep the best model.

        Raises ParameterError: a choice is not possible. Raises CheckpointError: a folder cannot be used.
        """
        writer = None if self.saving.checkpoint is None else CheckpointWriter(self.saving)
        try:
            return self._run(writer)
        finally:
            if writer is not None:
                writer.close()

    def _run(self, writer: CheckpointWriter | None) -> Swept:
        first = self.chosen.get("seed", self.chosen.cls.seed)
        seeds = [(first + number) % 2**32 for number in range(self.sweeping.seeds)]
        outcomes = [Outcome(values) for values in self.choices]
        with place_of(self.saving) as place:
            trials = [
                Trial.of(number, seed, outcome.values, place)
                for number, outcome in enumerate(outcomes)
                for seed in seeds
            ]
            try:
                whole = self._rounds(trials, outcomes)
            except Interrupted as error:
                if self.saving.checkpoint is not None:
                    raise
                stopped = "stopped; nothing was saved: no `checkpoint` was given"
                raise Interrupted(error.exit_code - 128, stopped) from None
            ranked = sorted(outcomes, key=lambda outcome: outcome.mean)
            if not ranked[0].figures:
                raise _nothing(outcomes)
            seed = min(ranked[0].figures, key=lambda seed: ranked[0].figures[seed])
            best = Trial.of(outcomes.index(ranked[0]), seed, ranked[0].values, place)
            metadata, figure = stored(best.folder), best.figure(self.figures)
            assert figure is not None
            if writer is not None:
                keep(best.folder, writer)
        return Swept(ranked, best, metadata, figure[1], self.saving.checkpoint, time.monotonic() - self.begun, whole)

    def _rounds(self, trials: list[Trial], outcomes: list[Outcome]) -> bool:
        """Train: all in full, or, within a time, ever fewer ever longer. Whether nothing was left out."""
        if self.deadline is None:
            return self._all(trials, outcomes, None)
        left = set(range(len(outcomes)))
        while True:
            share = len(left)  # so many times shorter than in full, until one is left
            now = max(1, round(self.epochs / share))
            if not self._all([each for each in trials if each.number in left], outcomes, now):
                return False
            ranked = sorted((number for number in left if outcomes[number].figures), key=lambda n: outcomes[n].mean)
            if share == 1 or not ranked:
                return True
            left = set(ranked[: (len(ranked) + 1) // 2])

    def _all(self, trials: list[Trial], outcomes: list[Outcome], epochs: int | None) -> bool:
        """Train so many epochs; False where the time was up before."""
        ended = True
        for trial, (error, seconds) in self._trained(trials, epochs):
            outcome, figure = outcomes[trial.number], trial.figure(self.figures)
            outcome.seconds += seconds
            if isinstance(error, TimeIsUp):
                ended = False
            elif error is not None:
                outcome.errors.append(str(error))
                continue  # what is in its folder is of another training
            if figure is not None:
                outcome.figures[trial.seed] = figure[0]
                outcome.epochs = max(outcome.epochs, figure[2])
        return ended

    def _trained(self, trials: list[Trial], epochs: int | None) -> Iterator[tuple[Trial, Ended]]:
        """Each training as it ends, with what was wrong and the seconds that it took."""
        jobs, count = min(self.sweeping.jobs, len(trials)), len(trials)
        if jobs > 1:
            one = partial(_alone, replace(self, listener=silent), epochs)
            for index, (trial, result) in enumerate(in_processes(one, trials, jobs, self.device), 1):
                self.listener("")(Note(self._told(index, count, trial, result[0])))
                yield trial, result
            return
        index = 0
        for _, members in itertools.groupby(trials, lambda trial: trial.number):
            seeds = list(members)
            task, ended = None, {}
            if self.deadline is None and not self.saving.detect_anomaly and one_beginning(seeds):
                listener = self.listener(f"{index + 1}-{index + len(seeds)}/{count} {seeds[0].choice}")
                task, ended = self._together(seeds, epochs, _quieter(listener) if index else listener)
            for trial in seeds:
                index += 1
                listener = self.listener(f"{index}/{count} {trial.name}")
                if trial.seed not in ended:
                    ended[trial.seed] = self.one(trial, epochs, _quieter(listener) if index > 1 else listener, task)
                    task = None
                listener(Note(self._told(index, count, trial, ended[trial.seed][0])))
                yield trial, ended[trial.seed]

    def _together(
        self, trials: list[Trial], epochs: int | None, listener: Listener
    ) -> tuple[Task | None, dict[int, Ended]]:
        """What came of all seeds of a choice, in one program; where that is not faster, the first task, and nothing."""
        begun = time.monotonic()
        try:
            tasks = [self._task(trials[0], epochs, listener)]
            program = Together(tasks[0], [trial.seed for trial in trials])
            if not program.gains():
                return tasks[0], {}
            tasks += [self._task(trial, epochs, ignore) for trial in trials[1:]]
            errors = in_one(program, tasks, [self._saving(trial) for trial in trials], listener)
        except RnncliError as wrong:
            errors = dict.fromkeys(range(len(trials)), wrong)
        seconds = (time.monotonic() - begun) / len(trials)
        return None, {trial.seed: (errors.get(number), seconds) for number, trial in enumerate(trials)}

    def _told(self, index: int, count: int, trial: Trial, error: Exception | None) -> str:
        """A line about a training that has ended."""
        up = isinstance(error, TimeIsUp)
        figure = trial.figure(self.figures) if error is None or up else None
        result = f"{figure[1]} {figure[0]:.4g}, {figure[2]:g} epochs" if figure is not None else "nothing"
        why = "; the time was up" if up else f"; {error}" if error is not None else ""
        return f"{index}/{count} {trial.name}: {result}{why}"

    def _task(self, trial: Trial, epochs: int | None, on_event: Listener) -> Task:
        more: dict[str, Any] = {"seed": trial.seed} | ({} if epochs is None else {"epochs": epochs})
        return self.make(chosen=self.chosen.replaced(**trial.values, **more), on_event=on_event)

    def _saving(self, trial: Trial) -> Saving:
        there = bool(saved_steps(trial.folder))
        return replace(self.saving, checkpoint=trial.folder, resume=there, overwrite=False)

    def one(self, trial: Trial, epochs: int | None, listener: Listener, task: Task | None = None) -> Ended:
        """Train once, or go on; a training that was whole before stays as it is where it cannot be whole again."""
        begun = time.monotonic()
        if self.deadline is not None and begun > self.deadline:
            return TimeIsUp(), 0.0
        before = trial.folder.with_name(f".{trial.folder.name}")
        saving = self._saving(trial)
        if saving.resume and self.deadline is not None:
            shutil.copytree(trial.folder, before, dirs_exist_ok=True)
        error: Exception | None = None
        try:
            task = task or self._task(trial, epochs, listener)
            follow(run(task, saving), _until(self.deadline, listener))
        except Interrupted:
            if self.deadline is None or time.monotonic() < self.deadline:
                raise  # Ctrl-C
            error = TimeIsUp()
            if before.exists():
                shutil.rmtree(trial.folder)
                before.rename(trial.folder)
        except RnncliError as wrong:
            error = wrong
        finally:
            shutil.rmtree(before, ignore_errors=True)
        return error, time.monotonic() - begun


def in_one(program: Together, tasks: list[Task], savings: list[Saving], listener: Listener) -> dict[int, RnncliError]:
    """Train all; the listener hears of the one that is ahead. Returns what was wrong, by the number of the training."""
    errors: dict[int, RnncliError] = {}
    furthest, finished = -1, None
    for number, what in program.run(tasks, savings):
        if isinstance(what, RnncliError):
            errors[number] = what
        elif isinstance(what, Finished):
            finished = what
        elif what.step > furthest if isinstance(what, Progress) else number == 0:
            furthest = what.step if isinstance(what, Progress) else furthest
            listener(what)
    if finished is not None:
        listener(finished)
    return errors


def one_beginning(trials: list[Trial]) -> bool:
    """Whether these trainings are all to begin, or all to go on."""
    ended = {"scores" in stored(trial.folder) if saved_steps(trial.folder) else None for trial in trials}
    return ended in ({None}, {False})


def _alone(sweep: Sweep, epochs: int | None, trial: Trial) -> Ended:
    """One training, in a process of its own."""
    return sweep.one(trial, epochs, ignore)


def _quieter(listener: Listener) -> Listener:
    """Without what all trainings say alike."""

    def on_event(event: Event) -> None:
        if not isinstance(event, Note | Doing):
            listener(event)

    return on_event


def _until(deadline: float | None, listener: Listener) -> Listener:
    """A listener that stops a training when the time is up, as SIGTERM does: what was trained is saved."""
    stopped = False

    def on_event(event: Event) -> None:
        nonlocal stopped
        listener(event)
        if deadline is not None and isinstance(event, Progress) and time.monotonic() > deadline and not stopped:
            stopped = True
            ask_to_stop()

    return on_event


def _nothing(outcomes: list[Outcome]) -> RnncliError:
    """What to say where no training came to anything."""
    errors = [error for outcome in outcomes for error in outcome.errors]
    if errors:
        return ParameterError(f"no training of the sweep came to anything; the first one: {errors[0]}")
    return RnncliError("the `budget` is too short for a single evaluation; give more, or a smaller network")
