"""Trainings that differ in their seeds alone, as one program: their states stacked, every operation mapped over them.

A small network leaves a device idle between its many small operations; several such networks at once fill it, and more
devices take some of them each. Each training has its own folder, events and end, as if it were alone, and equals that
but for rounding.
"""

import gc
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnncli.errors import RnncliError
from rnncli.training.devices import computing_devices
from rnncli.training.events import Doing, Event
from rnncli.training.layout import Layout, gathered, over_first, spread, whole
from rnncli.training.loop import Course, Report, described, initial_state, on_devices
from rnncli.training.parallel import one_program_gains
from rnncli.training.runner import Run
from rnncli.training.settings import Saving
from rnncli.training.signals import stop_requests
from rnncli.training.step import Dispatch, Steps, TrainState, moving, sequences, steps_of, with_best
from rnncli.training.task import Task


class Together:
    """The program that trains several seeds of one task at once, on as many devices as share them equally."""

    def __init__(self, task: Task, seeds: Sequence[int]):
        """`task` is that of the first seed."""
        self._task, self._count = task, len(seeds)
        most = len(computing_devices())
        count = max(each for each in range(1, self._count + 1) if self._count % each == 0 and each <= most)
        self._layout = Layout(count)
        self._program = _steps(task).together(self._layout)
        self._keys = self._stacked([jax.random.key(seed) for seed in seeds])
        self._data = spread(task.data, whole(task.data), self._layout)
        self._unstacked = jax.jit(lambda tree: [jax.tree.map(partial(_item, n), tree) for n in range(len(seeds))])

    def gains(self) -> bool:
        """Whether this is faster than one after the other; measured, where training is long enough, on copies."""
        task, count = self._task, self._count
        if count < 2 or not task.plan.steps or not task.batches.steady:
            return False
        Layout().check(task.batches.batch, task.plan.accumulate)
        (arrays, most), state = task.batches(0), moving(initial_state(task.model, task.optimizer, task.carry))
        steps, key, states = _steps(task), jax.random.key(task.plan.seed), {}  # by devices; 0 for all seeds

        def run(devices: int, number: int) -> None:
            one = Dispatch(arrays, min(number, most), begins=True)
            if devices not in states:
                layout = Layout(max(devices, 1))
                begun = on_devices(state, layout) if devices else self._stacked([state] * count)
                states[devices] = begun, spread(task.data, whole(task.data), layout)
            begun, data = states[devices]
            if devices:
                ended = steps.on(Layout(devices))(begun, data, one, key)
            else:
                ended = self._advanced(begun, [one] * count)
            states[devices] = jax.block_until_ready(ended), data

        what = described(task.model, arrays)
        part = sequences(arrays) // task.plan.accumulate
        found = one_program_gains(count, part, what, task.plan.steps, run)
        states.clear()
        gc.collect()  # JAX lets go of the copies at the next collection, which may be long after
        return found

    def run(self, tasks: Sequence[Task], savings: Sequence[Saving]) -> Iterator[tuple[int, Event | RnncliError]]:
        """Train tasks that differ in their seeds alone, each with where to save.

        Those that are found at different steps, as one was killed between two saves, are trained one after the other.

        Yields:
            The number of a training, and what happens to it: its events, the last one `Finished`, or what ended it.

        Raises:
            CheckpointError: a folder cannot be used.
            Interrupted: Ctrl-C or SIGTERM came; what was trained is saved.
        """
        runs = [Run(task, saving) for task, saving in zip(tasks, savings, strict=True)]
        try:
            for number, run in enumerate(runs):
                yield from ((number, event) for event in run.begin())
                run.pace.start(int(run.state.step))
            failed: dict[int, RnncliError] = {}
            if len({int(run.state.step) for run in runs}) == 1:
                yield 0, Doing(f"compiling the trainings of {len(runs)} seeds as one program")
                yield from self._train(runs, failed)
            else:
                for number, run in enumerate(runs):
                    try:
                        yield from ((number, event) for event in run.train())
                    except RnncliError as error:
                        failed[number] = error
            for number, run in enumerate(runs):
                try:
                    if number in failed:
                        raise failed[number]
                    yield from ((number, event) for event in run.finish())
                except RnncliError as error:
                    yield number, error
        finally:
            for run in runs:
                run.close()

    def _train(self, runs: Sequence[Run], failed: dict[int, RnncliError]) -> Iterator[tuple[int, Event]]:
        with stop_requests() as stop:
            for reports in self._fit(runs):
                stop.can_save = True
                for number, report in reports.items():
                    try:
                        yield from (
                            (number, event) for event in runs[number].hear(report, save=runs[number].save_is_due())
                        )
                    except RnncliError as error:
                        failed[number] = error
                    if report.finished and number not in failed:
                        runs[number].pace.end()
                        yield from self._kept(number, runs[number].save(), failed)
                if stop.signal is not None:
                    for number, report in reports.items():
                        if number not in failed:
                            yield from self._kept(number, runs[number].stop(report, stop.signal), failed)
                    number, report = next(iter(reports.items()))
                    raise failed.get(number) or runs[number].interrupted(report, stop.signal)

    def _kept(
        self, number: int, saving: Iterator[Event], failed: dict[int, RnncliError]
    ) -> Iterator[tuple[int, Event]]:
        """The events of a save; one that fails is no reason to leave out the others."""
        try:
            yield from ((number, event) for event in saving)
        except RnncliError as error:
            failed[number] = error

    def _fit(self, runs: Sequence[Run]) -> Iterator[dict[int, Report]]:
        """Train all; yield the reports of those that have not come to their end, after each dispatch.

        One that has come to its end, by patience, is computed on with the others, and not looked at.
        """
        states = [run.state for run in runs]
        courses = [Course(run.task.plan, run.task.batches, run.task.evaluate, run.state) for run in runs]
        states = [course.begun(state) for course, state in zip(courses, states, strict=True)]
        stacked = self._stacked([moving(state) for state in states])
        left = {number for number, course in enumerate(courses) if not course.over(states[number])}
        while left:
            given = {number: courses[number].next() for number in sorted(left)}
            first = given[min(left)]
            stacked = self._advanced(stacked, [given.get(number, first) for number in range(len(runs))])
            moved, reports = self._apart(stacked), {}
            for number in given:
                reports[number] = courses[number].advanced(with_best(moved[number], states[number]), first.steps)
                states[number] = reports[number].state
            yield reports
            left = {number for number in left if not reports[number].finished}

    def _advanced(self, state: TrainState, given: Sequence[Dispatch]) -> TrainState:
        """The stacked state after a dispatch of each, all of the same steps."""
        batches = self._stacked([each.batches for each in given])
        return self._program(state, self._data, given[0]._replace(batches=batches), self._keys)

    def _stacked(self, trees: Sequence[Any]) -> Any:
        """Trees of arrays as one, along the first axis, on the devices."""
        tree = _stack(*trees)
        return spread(tree, over_first(tree), self._layout)

    def _apart(self, tree: Any) -> list[Any]:
        """The reverse."""
        return [gathered(each) for each in self._unstacked(tree)]


def _steps(task: Task) -> Steps:
    return steps_of(task.model, task.optimizer, task.loss, task.plan.accumulate)


@jax.jit
def _stack(*trees: Any) -> Any:
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


def _item(index: int, array: jax.Array) -> jax.Array:
    return array[index]
