"""Watching a training: progress on the screen, checkpoints on the disk, an end when the user asks for one."""

import math
import time
from collections.abc import Callable, Iterator

from rnncli.console import Messages
from rnncli.errors import Interrupted, RnncliError
from rnncli.training.loop import Report
from rnncli.training.signals import stop_requests


class Pace:
    """Steps a second. The first dispatch does not count, as it compiles."""

    def __init__(self, step: int):
        """`step` is the one that training goes on from."""
        self._begun, self._from, self._first = time.monotonic(), step, True

    def steps_per_second(self, report: Report) -> float:
        """Since the first report; of the first one, its own."""
        now = time.monotonic()
        rate = (report.step - self._from) / max(now - self._begun, 1e-9)
        if self._first:
            self._begun, self._from, self._first = now, report.step, False
        return rate


def watch(
    reports: Iterator[Report],
    *,
    epochs: int,
    messages: Messages,
    label: str,
    detail: Callable[[Report], str],
    save: Callable[[], None] | None,
    save_every: float = 15.0,
    heard: Callable[[Report], None] = lambda report: None,
) -> Report | None:
    """Follow a training to its end, which a loss that is no number is, too; return its last report.

    Args:
        reports: what `fit` yields.
        epochs: how many there are.
        messages: where progress is shown, under `label`, with the `detail` of each report.
        save: writes a checkpoint; called every `save_every` seconds. None if none is wanted.
        save_every: see there.
        heard: called with each report.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; what was trained is saved.
    """
    saved = time.monotonic()
    report = None
    with stop_requests() as stop, messages.progress(label, epochs) as advance:
        for report in reports:
            heard(report)
            if not math.isfinite(report.train_loss):
                break
            advance(report.epoch, detail(report))
            if stop.signal is not None and not report.finished:
                if save is not None:
                    save()
                what = "saved; go on with --resume" if save else "nothing was saved: no --checkpoint was given"
                raise Interrupted(stop.signal, f"stopped at epoch {report.epoch:.1f} of {epochs}; {what}")
            if save is not None and time.monotonic() - saved > save_every:
                save()
                saved = time.monotonic()
    return report


def not_a_number(step: int, learning_rate: float, clip: float, messages: Messages, *, kept: bool) -> None:
    """Say that a training ended as its loss was no number, and what to change.

    Raises:
        RnncliError: nothing was trained before that could be `kept`.
    """
    advice = f"lower --learning-rate (now {learning_rate:g}) or --clip (now {clip:g})"
    if not kept:
        raise RnncliError(f"the loss is not a number after step {step}; {advice}")
    messages.say(f"warning: the loss is not a number after step {step}; the best epoch before is kept; {advice}")
