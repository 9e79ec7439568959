"""How fast `rnncli serve` answers, beside a process of its own for each request.

    python tests/benchmarks/serving.py CLASSIFIER TEXT_MODEL FORECASTER SERIES.csv [--requests 1000]

The first three are folders of saved models, the last one is what the forecaster forecasts. Of each: the time of one
request after the other on a connection that stays (median and 99th percentile), of so many at once, each on a
connection of its own, and of the same work as a whole process, from start to exit.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RNNCLI = [sys.executable, "-m", "rnncli"]


def percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"median {1e3 * statistics.median(ordered):.1f} ms, 99th {1e3 * ordered[int(0.99 * len(ordered))]:.1f} ms"


def one_by_one(port: int, path: str, body: bytes, count: int) -> list[float]:
    connection, taken = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(count):
        begun = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        taken.append(time.perf_counter() - begun)
    return taken


async def at_once(port: int, path: str, body: bytes, count: int) -> list[float]:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    begun = time.perf_counter()

    async def ask() -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        return time.perf_counter() - begun

    return await asyncio.gather(*(ask() for _ in range(count)))


def measure(model: Path, path: str, body: dict[str, Any], process: list[str], count: int) -> None:
    data = json.dumps(body).encode()
    server = subprocess.Popen([*RNNCLI, "serve", str(model), "--port", "0", "-q"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        one_by_one(port, path, data, 20)
        single = one_by_one(port, path, data, 200)
        together = asyncio.run(at_once(port, path, data, count))
    finally:
        server.terminate()
        server.wait()
    whole = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([*RNNCLI, *process], check=True, capture_output=True)
        whole.append(time.perf_counter() - begun)
    print(f"{path}: one after the other {percentiles(single)}")
    print(
        f"    {count:,} at once {max(together):.2f} s, {count / max(together):,.0f} a second; {percentiles(together)}"
    )
    times = statistics.median(whole) / statistics.median(single)
    print(f"    as a process {statistics.median(whole):.2f} s, {times:,.0f} times as long")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("text_model", type=Path)
    parser.add_argument("forecaster", type=Path)
    parser.add_argument("series", type=Path)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    text = "a gripping , moving film , and funnier than it has any right to be"
    label = ["sentiment", "predict", text, "--checkpoint", str(options.classifier), "-q"]
    measure(options.classifier, "/predict", {"texts": [text]}, label, options.requests)
    sample = ["charlm", "sample", "--checkpoint", str(options.text_model), "--length", "100", "-q"]
    measure(options.text_model, "/sample", {"length": 100}, sample, options.requests // 5)
    forecast = ["forecast", "predict", str(options.series), "--checkpoint", str(options.forecaster), "-q"]
    measure(options.forecaster, "/forecast", {"csv": options.series.read_text()}, forecast, options.requests // 5)


if __name__ == "__main__":
    main()
