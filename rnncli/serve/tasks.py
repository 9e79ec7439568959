"""What a server does with a model of each task: requests in, JSON types out."""

import codecs
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rnncli.errors import DataError, ParameterError, RnncliError
from rnncli.serve.requests import MOST_TEXTS, Ahead, Labels, SampleOf, checked
from rnncli.serve.worker import Batched, Worker

if TYPE_CHECKING:
    from rnncli.charlm.api import Model as CharModel
    from rnncli.forecast.api import Model as ForecastModel
    from rnncli.forecast.series import Series
    from rnncli.sentiment.api import Model as Classifier

_DISPATCH = 32  # characters of a stream that are sent at once


class Service(Protocol):
    """A model behind one address."""

    path: str  # of the address

    def describe(self) -> dict[str, Any]:
        """What a page needs to know of the model."""
        ...

    def warm(self) -> None:
        """Compile what requests need."""
        ...

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises RnncliError: the request is at fault."""
        ...


class Labelling:
    """Labels for texts; the texts of requests that come together are labelled together."""

    path = "/predict"

    def __init__(self, model: "Classifier", worker: Worker):
        self._model, self._batched = model, Batched(worker, self._label, size=len)

    def describe(self) -> dict[str, Any]:
        """The classes, and which system labels."""
        best = self._model.calibration.best
        explains = not self._model.settings.sentences or best == "ngram"
        return {"classes": list(self._model.classes), "system": best, "explains": explains}

    def warm(self) -> None:
        """Compile for short texts."""
        self._label(Labels(explain=self.describe()["explains"]), [["a text"]])
        self._label(Labels(), [["a text"] * 9])

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A prediction for each of the `texts`."""
        wanted = checked(Labels, body, ("texts",))
        texts = body.get("texts")
        if isinstance(texts, str):
            texts = [texts]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ParameterError('`texts` has to be a text, or a list of texts, as in {"texts": ["a fine film"]}')
        if len(texts) > MOST_TEXTS:
            raise ParameterError(f"`texts`: {len(texts):,} are too many; send at most {MOST_TEXTS:,} at once")
        # one item a request, so that its answers stay together
        return {"predictions": await self._batched(texts, wanted)} if texts else {"predictions": []}

    def _label(self, wanted: Labels, requests: list[list[str]]) -> list[list[dict[str, Any]]]:
        from rnncli.sentiment.predict import Predictor

        how: Any = {"explain": wanted.explain, "threshold": wanted.threshold, "otherwise": wanted.otherwise}
        predictor = Predictor(self._model, wanted.system, **how)
        predictions = predictor([text for texts in requests for text in texts])
        documents = iter([each.document(self._model.classes) for each in predictions])
        return [[next(documents) for _ in texts] for texts in requests]


class Sampling:
    """Texts from a language model, whole or as they are drawn; samples advance side by side."""

    path = "/sample"

    def __init__(self, model: "CharModel", worker: Worker):
        self._model, self._worker = model, worker

    def describe(self) -> dict[str, Any]:
        """What the model reads and writes."""
        vocabulary = self._model.vocabulary
        return {"vocabulary": vocabulary.kind, "symbols": len(vocabulary.symbols)}

    def warm(self) -> None:
        """Compile for any temperature."""
        list(self._drawn(SampleOf(length=1)))

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A text, the prompt included."""
        wanted = checked(SampleOf, body)
        text, end = [], {}
        async for piece in self.stream(wanted):
            text.append(piece.get("text", ""))
            end = piece
        rest = {"stopped": end.get("stopped"), "skipped": end.get("skipped"), "seed": wanted.seed}
        return {"text": self._read(wanted)[1] + "".join(text), **rest}

    def stream(self, wanted: SampleOf) -> AsyncIterator[dict[str, Any]]:
        """Pieces of the text after the prompt; the last one says the string before which it stopped."""
        return self._worker.each(lambda: self._drawn(wanted))

    def _read(self, wanted: SampleOf) -> tuple[tuple[Any, int], str]:
        """The tokens of the prompt and how many characters were skipped; and the prompt as the model reads it."""
        vocabulary = self._model.vocabulary
        read = vocabulary.encode(wanted.prompt, what="the prompt", skip_unknown=wanted.unknown == "skip")
        return read, vocabulary.text(read[0])

    def _drawn(self, wanted: SampleOf) -> Iterator[dict[str, Any]]:
        from rnncli.charlm.stops import Sample

        vocabulary = self._model.vocabulary
        (tokens, skipped), _ = self._read(wanted)
        sample, decoder = Sample(vocabulary, wanted.stop, kept=False), codecs.getincrementaldecoder("utf-8")("replace")
        drawn = self._model.stream(tokens, wanted.length, wanted.drawing, seed=wanted.seed, most=_DISPATCH)
        for some in drawn:
            yield {"text": decoder.decode(sample.add(some[:, 0]))}  # nothing, while a long prompt is read
            if sample.stopped:
                break
        yield {"text": decoder.decode(sample.end(), final=True), "stopped": sample.stopped or None, "skipped": skipped}


class Forecasting:
    """Forecasts of series."""

    path = "/forecast"

    def __init__(self, model: "ForecastModel", worker: Worker):
        self._model, self._worker = model, worker
        if model.metadata["series"] is None:
            raise RnncliError("the model was trained on the lecture's synthetic data, which has no future")

    def describe(self) -> dict[str, Any]:
        """How far ahead, from which columns."""
        series = self._model.metadata["series"]
        columns = {name: series.get(name) for name in ("id", "time", "target", "step")}
        return {"horizon": self._model.settings.horizon, "window": self._model.settings.window, "columns": columns}

    def warm(self) -> None:
        """Compile; a model of several columns is left to the first request."""
        size = 3 * self._model.settings.window
        try:
            self._forecast(np.sin(np.arange(size)).tolist(), Ahead())
        except RnncliError:
            return

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The next values of each series: `values` alone, `rows` of a table as objects, or a table as `csv`."""
        wanted = checked(Ahead, body, ("values", "rows", "csv"))
        given = [name for name in ("values", "rows", "csv") if body.get(name) is not None]
        if len(given) != 1:
            raise ParameterError("give `values`, a list of numbers, or `rows`, a list of objects, or `csv`, a text")
        return await self._worker.run(lambda: self._forecast(_series_of(given[0], body[given[0]]), wanted))

    def _forecast(self, series: Any, wanted: Ahead) -> dict[str, Any]:
        from rnncli.forecast.rows import objects
        from rnncli.training.events import Note

        notes: list[str] = []
        forecasts = self._model.predict_all(
            series,
            horizon=wanted.horizon,
            on_event=lambda event: notes.append(event.text) if isinstance(event, Note) else None,
        )
        series = forecasts[0].series
        names = {"id": series.id_name if series.id else None, "time": series.time_name or "step"}
        answer: dict[str, Any] = {"forecast": list(objects(forecasts, wanted)), "columns": names, "notes": notes}
        if wanted.followed:
            answer["past"] = [row for each in forecasts for row in _past(each.series, wanted.followed)]
        return answer


def _past(series: "Series", most: int) -> Iterator[dict[str, Any]]:
    """The end of a series."""
    for place in range(max(0, len(series.values) - most), len(series.values)):
        who = {"id": series.id or None, "target": series.name}
        yield {**who, "time": series.stamp(place), "value": float(series.values[place])}


def _series_of(kind: str, given: Any) -> Any:
    """What a request gives as what the model reads."""
    import pandas as pd

    from rnncli.tables import table_of

    if kind == "csv":
        if not isinstance(given, str):
            raise ParameterError("`csv` has to be a text")
        return table_of(given.encode("utf-8", "replace"), "`csv`")
    if not isinstance(given, list) or not given:
        raise ParameterError(f"`{kind}` has to be a list that is not empty")
    if kind == "values":
        try:
            return np.array([np.nan if value is None else value for value in given], float)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"`values` are not all numbers: {error}") from error
    if not all(isinstance(row, dict) for row in given):
        raise ParameterError("`rows` have to be objects, as in [{'month': '2024-01', 'sales': 12}]")
    return pd.DataFrame(given)


def service_of(model: Any, task: str, worker: Worker) -> Service:
    """The service for a model of a task."""
    kinds: dict[str, Any] = {"sentiment": Labelling, "charlm": Sampling, "forecast": Forecasting}
    return kinds[task](model, worker)
