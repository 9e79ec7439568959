"""The verbs of `rnncli charlm`. Everything heavy is imported inside them."""

import time
from functools import partial
from typing import Any

import typer

from rnncli.charlm.drawing import Drawing, Extent, Prompt
from rnncli.charlm.settings import (
    CharlmPreset,
    CharlmSaving,
    CharlmSettings,
    Evaluation,
    SavedCharModel,
    TextSource,
    UnknownCharacters,
    Watching,
)
from rnncli.errors import ParameterError
from rnncli.options import verb
from rnncli.output import Output, PlotOutput
from rnncli.settings import Chosen
from rnncli.sharding import Sharding
from rnncli.sweep.settings import Sweeping
from rnncli.training.settings import Computing, Machine, WarmStart

app = typer.Typer(
    help="Character language models: train one on a text, sample from it, measure it on another text.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)


@verb(
    app,
    examples=[
        "rnncli charlm train book.txt --preset small",
        "cat book.txt | rnncli charlm train - --epochs 3 --quiet --checkpoint piped",
        "rnncli charlm train essay.txt --from checkpoints/charlm --replay book.txt --checkpoint essays",
        "rnncli charlm train --resume --epochs 30 --plot curves.png",
        "rnncli charlm train book.txt --sweep units=64,128 --seeds 2 --checkpoint swept",
    ],
)
def train(
    source: TextSource,
    chosen: Chosen[CharlmSettings],
    preset: CharlmPreset,
    saving: CharlmSaving,
    warm: WarmStart,
    sweeping: Sweeping,
    watching: Watching,
    output: PlotOutput,
    device: Machine,
) -> None:
    """Train on a text (without one: TFDS' tiny_shakespeare), and score the best epoch on the text's end.

    stdout is the table of scores as CSV: loss in nats, bits per character, perplexity and accuracy, with the state
    carried through the text and from cold states.
    """
    from rnncli.charlm import api, show
    from rnncli.console import Console
    from rnncli.logs import logged

    with Console(output, device) as console, logged(watching) as log:
        written = [path for path in (saving.checkpoint, *watching.paths, output.output, output.plot) if path]
        how: Any = {"preset": preset.preset, "warm": warm, "except_for": written}
        if sweeping.asked_for:
            from rnncli.sweep.show import show_sweep

            beside = {**watching.as_dict(), "read": source.text}
            make = partial(api.task_of, source.text or None, source, **how)
            show_sweep("charlm", make, chosen, sweeping, saving, device.device, console, preset.preset, beside)
            return
        on_event = console.listener("training", log)
        every = watching.sample_every
        model = api.train(
            source.text or None, source, chosen, **how, saving=saving, on_event=on_event, sample_every=every
        )
        show.show_training(model, console)


@verb(
    app,
    examples=[
        "rnncli charlm sample --temperature 0.5",
        "rnncli charlm sample --prompt 'The ' --length 200 --stop . --seed 7",
        "rnncli charlm sample --num-samples 3 --length 80 --json",
        "echo 'The fox' | rnncli charlm sample --interactive --length 80 --stop .",
    ],
)
def sample(
    model: SavedCharModel,
    prompt: Prompt,
    extent: Extent,
    sharding: Sharding,
    drawing: Drawing,
    unknown: UnknownCharacters,
    output: Output,
    device: Computing,
) -> None:
    """Print text from a trained model, as it is drawn."""
    from rnncli.charlm import api, show
    from rnncli.charlm.interactive import Dialogue
    from rnncli.charlm.prompts import read_prompt
    from rnncli.console import Console

    with Console(output, device) as console:
        loaded = api.load_model(model.checkpoint, device.precision)
        if extent.interactive:
            others = prompt.prompt, prompt.prompt_file, sharding.shard
            if any(each is not None for each in others) or output.json or extent.num_samples > 1:
                raise ParameterError("`interactive` takes lines from stdin, one sample at a time; leave the rest out")
            Dialogue(loaded, drawing, extent, console.say).run(output)
            return
        numbers = sharding.of(range(extent.num_samples))
        if sharding.shard is not None and not output.json:
            raise ParameterError("`shard` of samples: give `json`, as texts may have any line in them")
        if not numbers:
            output.write("")
            return
        tokens = read_prompt(loaded, prompt, unknown.unknown, console.say)
        drawn = loaded.stream(tokens, extent.length, drawing, samples=numbers, seed=extent.seed)
        show.show_samples(drawn, tokens, loaded.vocabulary, extent, prompt.echo, output, numbers)


@verb(
    app,
    examples=[
        "rnncli charlm evaluate",
        "rnncli charlm evaluate essay.txt --unknown skip --json",
        "rnncli charlm evaluate essay.txt --unknown skip --per-char | sort -k 2 -rn | head",
    ],
)
def evaluate(
    source: TextSource,
    model: SavedCharModel,
    evaluation: Evaluation,
    sharding: Sharding,
    unknown: UnknownCharacters,
    output: PlotOutput,
    device: Computing,
) -> None:
    """Measure a model on a text (without one: the end of the text that it was trained on, which it has not seen).

    stdout is a table as CSV: loss in nats, bits per character, perplexity and accuracy over all characters, with the
    state carried through the text, and cold: at zero before each window.
    """
    from rnncli.charlm import api, show
    from rnncli.charlm.reading import text_to_evaluate
    from rnncli.console import Console

    with Console(output, device) as console:
        begun = time.monotonic()
        kept = evaluation.protocol if evaluation.per_char or output.plot else None
        if sharding.shard is not None and kept:
            raise ParameterError("`shard` of a text is of its windows; leave `per_char` and `plot` out")
        precision = "float32" if device.precision == "auto" else device.precision  # of scores, unless it is asked for
        loaded = api.load_model(model.checkpoint, precision)
        console.doing("reading and scoring the text")
        part = text_to_evaluate(
            loaded,
            source.text,
            console.say,
            skip_unknown=unknown.unknown == "skip",
            data_dir=source.data_dir,
            encoding=evaluation.encoding,
        )
        window = evaluation.window or loaded.settings.evaluation_window
        measured = loaded.measure(part.text, window, kept, sharding)
        show.show_evaluation(loaded, part, measured, window, time.monotonic() - begun, evaluation, console)
