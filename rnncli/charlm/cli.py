"""The verbs of `rnncli charlm`. Everything heavy is imported inside them."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rnncli.charlm.options import (
    CHECKPOINT,
    CheckpointOption,
    DataDirOption,
    EncodingOption,
    TextArgument,
    dropout_options,
    model_options,
    text_options,
    training_options,
    watching_options,
)
from rnncli.charlm.sample_options import Protocol, drawing_options, extent_options, prompt_options, unknown_option
from rnncli.errors import OptionError
from rnncli.options import COUNT, begin, device_options, given, output_options, plot_option, saving_options, shared

app = typer.Typer(
    help="Character language models: train one on a text, sample from it, measure it on another text.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command("train")
@shared(
    text_options,
    training_options,
    model_options,
    dropout_options,
    watching_options,
    saving_options(CHECKPOINT),
    output_options,
    plot_option,
    device_options,
)
def train(text: TextArgument = None, **options: Any) -> None:
    """Train on a text (without one: TFDS' tiny_shakespeare), and score the best epoch on the text's end.

    stdout is the table of scores as CSV: loss in nats, bits per character, perplexity and accuracy, with the state
    carried through the text and from cold states.
    """
    from rnncli.charlm.run import Watching, load_text, run_training
    from rnncli.charlm.show import show_training
    from rnncli.files import check_writable
    from rnncli.training.checkpoint import CheckpointWriter
    from rnncli.training.checkpoint import saving_options as saving_of

    output, messages = begin(options, _units(options))
    saving = saving_of(options)
    assert saving is not None
    watching = Watching(options.pop("sample_every"), options.pop("log"), options.pop("save_every"))
    if watching.log is not None:
        check_writable(watching.log)
    CheckpointWriter(saving)  # refuses a folder that may not be written before the text is read
    preset, data_dir = options.pop("preset"), options.pop("data_dir")
    written = [path for path in (saving.folder, watching.log, output.file, output.plot) if path is not None]
    loaded = load_text(tuple(text or ()), given(options), preset, data_dir, messages, written)
    outcome = run_training(*loaded, messages, saving=saving, watching=watching)
    show_training(outcome, saving.folder, output, messages)


@app.command("sample")
@shared(prompt_options, extent_options, drawing_options, unknown_option, output_options, device_options)
def sample(checkpoint: CheckpointOption = CHECKPOINT, **options: Any) -> None:
    """Print text from a trained model, as it is drawn."""
    from rnncli.charlm.run import load_model, read_prompt
    from rnncli.charlm.run import sample as run_sample
    from rnncli.charlm.sample import Drawing
    from rnncli.charlm.show import Printing, show_samples

    output, messages = begin(options, None)
    model = load_model(checkpoint, options.pop("precision"))
    prompt = _prompt(options.pop("prompt"), options.pop("prompt_file"), model)
    skip_unknown = options.pop("unknown") == "skip"
    tokens = read_prompt(model, prompt, messages, skip_unknown=skip_unknown)
    samples, seed, length = options.pop("num_samples"), options.pop("seed"), options.pop("length")
    printing = Printing(options.pop("echo"), tuple(options.pop("stop") or ()), samples, seed)
    drawn = run_sample(model, tokens, length, Drawing(**options), samples=samples, seed=seed)
    show_samples(drawn, tokens, model.vocabulary, printing, output)


@app.command("evaluate")
@shared(unknown_option, output_options, device_options)
def evaluate(
    text: TextArgument = None,
    checkpoint: CheckpointOption = CHECKPOINT,
    per_char: Annotated[
        bool, typer.Option("--per-char", help="Print each character and its surprisal in nats, tab-separated.")
    ] = False,
    protocol: Annotated[
        Protocol, typer.Option(help="Of --per-char: the state carried, or cold in each window.")
    ] = "carried",
    window: Annotated[
        int | None,
        typer.Option(
            metavar="CHARS", help="Windows of the cold protocol.", show_default="as it was trained", callback=COUNT
        ),
    ] = None,
    encoding: EncodingOption = None,
    data_dir: DataDirOption = None,
    **options: Any,
) -> None:
    """Measure a model on a text (without one: the end of the text that it was trained on, which it has not seen).

    stdout is a table as CSV: loss in nats, bits per character, perplexity and accuracy over all characters, with the
    state carried through the text, and cold: at zero before each window.
    """
    from rnncli.charlm.run import evaluate as run_evaluate
    from rnncli.charlm.run import load_model, text_to_evaluate
    from rnncli.charlm.show import show_evaluation

    output, messages = begin(options)  # without units: scores are measured in float32, unless it is asked otherwise
    begun = time.monotonic()
    model = load_model(checkpoint, options["precision"])
    sources = tuple(text or ())
    part, read = text_to_evaluate(
        model,
        sources,
        checkpoint,
        messages,
        skip_unknown=options["unknown"] == "skip",
        data_dir=data_dir,
        encoding=encoding,
    )
    window = window or model.config.evaluation_window
    metrics, scored = run_evaluate(model, read, window, protocol if per_char else None)
    seconds = time.monotonic() - begun
    show_evaluation(model, checkpoint, part, sources, read, metrics, scored, window, seconds, output, messages)


def _units(options: dict[str, Any]) -> int:
    from rnncli.charlm.config import PRESETS, CharlmConfig

    return options["units"] or PRESETS[options["preset"]].get("units", CharlmConfig.units)


def _prompt(text: str | None, file: Path | None, model: Any) -> str:
    """The prompt from wherever it is; a file is read as the model's text was."""
    from rnncli.errors import DataError
    from rnncli.files import name_of, read_bytes

    if text is not None and file is not None:
        raise OptionError("--prompt and --prompt-file both say what the text begins with: choose one")
    source = "-" if text == "-" else None if file is None else str(file)
    if source is None:
        return text or ""
    raw = read_bytes(source)
    if model.vocabulary.kind == "bytes":
        return raw.decode("utf-8", "surrogateescape")
    encoding = model.config.encoding
    try:
        return raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeError as error:
        raise DataError(f"{name_of(source)} is not {encoding.upper()}, as the model's text was: {error}") from error
