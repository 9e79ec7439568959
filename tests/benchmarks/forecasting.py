"""Windows a second of training one network on many series, against torch in the same run; ensembles; rows that come.

    python tests/benchmarks/forecasting.py [--repeats 5] [--ensemble 5]

The network is the one that M4's hourly series get by default: a GRU over daily patches of two weeks beside a linear
path, all of 48 steps ahead at once, absolute error, Adam, 256 windows a batch. The series are drawn. torch does the
same with `nn.GRU`, in float32 and under bfloat16 autocast, with one and with all threads.
"""

import argparse
from functools import partial

import numpy as np
from _timing import (
    OURS,
    Factories,
    Program,
    alternate,
    apart,
    compare,
    no_evaluation,
    probed,
    torch_device,
    torch_modes,
)

WINDOW, PATCH, HORIZON, UNITS, BATCH, STEPS = 336, 24, 48, 128, 256, 40
SERIES, SIZE = 100, 800


def drawn() -> np.ndarray:
    """Series with a day in them, `[series, steps]`."""
    draw = np.random.default_rng(0)
    waves = np.sin(np.arange(SIZE) * 2 * np.pi / 24 + draw.uniform(0, 6, (SERIES, 1)))
    return 10 + 3 * waves + draw.normal(size=(SERIES, SIZE)).cumsum(1) * 0.1


def ours(count: int) -> Program:
    """The command's own loop, a dispatch of `STEPS` steps a round, of so many networks at once."""
    from rnncli.forecast.data import dataset
    from rnncli.forecast.defaults import for_series
    from rnncli.forecast.panel import Panel
    from rnncli.forecast.series import Series
    from rnncli.forecast.settings import ForecastSettings
    from rnncli.forecast.task import ForecastTask
    from rnncli.settings import Chosen
    from rnncli.training.batches import Shuffled
    from rnncli.training.devices import use_device
    from rnncli.training.loop import fit, initial_state

    use_device("auto")
    whole = np.zeros(SIZE, bool)
    members = [Series("y", row, whole, None, None, 6, (), str(number), "id") for number, row in enumerate(drawn())]
    sizes = {"horizon": HORIZON, "window": WINDOW, "patch": PATCH, "normalize": "shift", "cell": "gru"}
    chosen = Chosen(ForecastSettings, {**sizes, "ensemble": count, "epochs": 10_000, "schedule": "constant"})
    settings = for_series(chosen, [SIZE] * SERIES, 24)
    task = ForecastTask(settings, dataset(Panel.of(members), settings))
    batches = Shuffled(len(task.dataset.parts["train"]), BATCH, 0, chunk=STEPS)
    state = initial_state(task.model, task.optimizer)
    reports = fit(task.model, task.optimizer, task.loss, no_evaluation, task.data, batches, task.plan, state)
    return lambda: next(reports)


def torch_program(threads: int, bfloat16: bool) -> Program:
    import torch

    device = torch_device()
    network = torch.nn.GRU(PATCH, UNITS).to(device)
    dense, skip = torch.nn.Linear(UNITS, HORIZON).to(device), torch.nn.Linear(WINDOW, HORIZON).to(device)
    parameters = [*network.parameters(), *dense.parameters(), *skip.parameters()]
    optimizer = torch.optim.Adam(parameters, fused=True)
    values = torch.from_numpy(drawn().astype(np.float32)).to(device)
    windows = values.unfold(1, WINDOW + HORIZON, 1).reshape(-1, WINDOW + HORIZON)
    order = torch.randint(len(windows), (STEPS, BATCH))

    def run() -> None:
        torch.set_num_threads(threads)
        for rows in order:
            slices = windows[rows]
            slices = slices - slices[:, WINDOW - 1 : WINDOW]
            past, future = slices[:, :WINDOW], slices[:, WINDOW:]
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                _, last = network(past.reshape(BATCH, -1, PATCH).transpose(0, 1))
                forecast = dense(last[0]) + skip(past)
            loss = (forecast.float() - future).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return probed(run) if bfloat16 else run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ensemble", type=int, default=5)
    options = parser.parse_args()
    found: Factories = {f"{OURS} float32": partial(ours, 1)}
    for name, (threads, bfloat16) in torch_modes().items():
        found[name] = partial(torch_program, threads, bfloat16)
    with apart(found) as programs:
        medians = alternate(programs, options.repeats)
    compare(f"GRU {UNITS} over {WINDOW // PATCH} patches of {PATCH}, batch {BATCH}", medians, BATCH * STEPS, "window")
    several: Factories = {f"{OURS} {count}": partial(ours, count) for count in (1, options.ensemble)}
    with apart(several) as programs:
        one, many = alternate(programs, options.repeats).values()
    print(f"an ensemble of {options.ensemble} costs {many / one:.2f} times one")


if __name__ == "__main__":
    main()
