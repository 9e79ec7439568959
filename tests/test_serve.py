"""A model over HTTP: the answers, what bad requests get, many at once, clients that leave, the page in a browser."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from samples import monthly_sales

import rnncli
from rnncli.models.held import Held
from rnncli.serve.app import application

TEXT = "the quick brown fox jumps over the lazy dog\n" * 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of each task."""
    folder = tmp_path_factory.mktemp("served")
    labels = ["pos", "neg"]
    texts = [f"{word} film {number}" for number in range(20) for word in ("good", "bad")]
    rnncli.sentiment.fit(texts, labels * 20, units=4, epochs=1).save(folder / "sentiment")
    rnncli.charlm.fit(TEXT, units=8, layers=1, epochs=1).save(folder / "charlm")
    (folder / "sales.csv").write_text(monthly_sales(96))
    rnncli.forecast.fit(folder / "sales.csv", horizon=3).save(folder / "forecast")
    return {name: folder / name for name in ("sentiment", "charlm", "forecast")}


@pytest.fixture(scope="module")
def addresses(folders: dict[str, Path]) -> Iterator[dict[str, str]]:
    """Each of them served, from a thread of this process."""
    found, servers = {}, []
    for name, folder in folders.items():
        app = application(rnncli.load(folder), Held.of(folder), ["127.0.0.1"])
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        found[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield found
    for server, thread in servers:
        server.should_exit = True
        thread.join(10)


Ask = Callable[..., tuple[int, Any]]


def ask(address: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and document."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(address + path, data, {**kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else text.decode()


def test_labels_are_those_of_the_library(addresses: dict[str, str], folders: dict[str, Path]) -> None:
    model: Any = rnncli.load(folders["sentiment"])
    texts = ["a good film", "", "bad"]
    for system in ("model", "ngram", "both"):
        status, answer = ask(addresses["sentiment"], "/predict", {"texts": texts, "system": system, "explain": True})
        wanted = [each.document(model.classes) for each in model.predict(texts, system=system, explain=True)]
        assert status == 200
        for got, want in zip(answer["predictions"], wanted, strict=True):
            assert got["label"] == want["label"]
            assert got["probabilities"] == pytest.approx(want["probabilities"], abs=1e-6)
            assert [word for word, _ in got["explanation"]["words"]] == [w for w, _ in want["explanation"]["words"]]
    status, answer = ask(
        addresses["sentiment"], "/predict", {"texts": "good", "threshold": 1.0, "otherwise": "who knows"}
    )
    assert (status, answer["predictions"][0]["label"]) == (200, "who knows")
    assert ask(addresses["sentiment"], "/predict", {"texts": []}) == (200, {"predictions": []})


def test_samples_are_those_of_the_library_whole_and_streamed(
    addresses: dict[str, str], folders: dict[str, Path]
) -> None:
    model: Any = rnncli.load(folders["charlm"])
    wanted = model.sample("the ", 100, seed=3, temperature=0.7)
    body = {"prompt": "the ", "length": 100, "seed": 3, "temperature": 0.7}
    assert ask(addresses["charlm"], "/sample", body)[1]["text"] == wanted
    request = urllib.request.Request(
        addresses["charlm"] + "/sample",
        json.dumps({**body, "stream": True}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = [
            dict(line.split(": ", 1) for line in each.split("\n")) for each in answer.read().decode().split("\n\n")[:-1]
        ]
    assert [each["event"] for each in events] == ["text"] * (len(events) - 1) + ["done"]
    assert "the " + "".join(json.loads(each["data"])["text"] for each in events) == wanted
    foreign = ask(addresses["charlm"], "/sample", {"prompt": "tÜhe", "length": 5})[1]
    assert (foreign["skipped"], foreign["text"][:3]) == (1, "the")
    stopped = ask(addresses["charlm"], "/sample", {**body, "stop": [wanted[20:23]]})[1]
    assert (stopped["text"], stopped["stopped"]) == (wanted[: wanted.index(wanted[20:23], 4)], wanted[20:23])


def test_forecasts_are_those_of_the_library(addresses: dict[str, str], folders: dict[str, Path]) -> None:
    path = folders["forecast"].parent / "sales.csv"
    wanted = rnncli.load(folders["forecast"]).predict(path)  # pyright: ignore
    table = {"csv": path.read_text(), "quantiles": "0.1,0.9", "followed": 5}
    status, answer = ask(addresses["forecast"], "/forecast", table)
    assert status == 200
    assert [row[answer["columns"]["time"]] for row in answer["forecast"]] == wanted.times
    assert [row["forecast"] for row in answer["forecast"]] == pytest.approx(list(wanted.values), rel=1e-3)
    assert all(row["q10"] <= row["forecast"] <= row["q90"] for row in answer["forecast"])
    header, *rows = [line.split(",") for line in path.read_text().split()]
    objects = [dict(zip(header, row, strict=True)) for row in rows]
    assert ask(addresses["forecast"], "/forecast", {"rows": objects})[1]["forecast"][0]["Month"] == wanted.times[0]
    alone = ask(addresses["forecast"], "/forecast", {"values": [float(row[1]) for row in rows], "horizon": 2})[1]
    assert [row["forecast"] for row in alone["forecast"]] == pytest.approx(list(wanted.values[:2]), rel=1e-3)
    assert [row["time"] for row in answer["past"]] == [row[0] for row in rows[-5:]]


@pytest.mark.parametrize(
    ("task", "path", "body", "status", "message"),
    [
        ("sentiment", "/predict", b"{", 400, "no JSON"),
        ("sentiment", "/predict", b"\xff\xfe", 400, "no JSON"),
        ("sentiment", "/predict", b"[" * 100_000, 400, "no JSON"),
        ("sentiment", "/predict", [1], 400, "has to be a JSON object"),
        ("sentiment", "/predict", {"text": "a"}, 422, "there is no 'text'; there are: texts,"),
        ("sentiment", "/predict", {}, 422, "`texts` has to be a text, or a list of texts"),
        ("sentiment", "/predict", {"texts": [1]}, 422, "`texts` has to be"),
        ("sentiment", "/predict", {"texts": ["a"] * 10_001}, 422, "10,001 are too many"),
        ("sentiment", "/predict", {"texts": ["a"], "system": "x"}, 422, "`system`: 'x' is not one of"),
        ("sentiment", "/predict", {"texts": ["a"], "explain": "yes"}, 422, "neither true nor false"),
        (
            "sentiment",
            "/predict",
            {"texts": ["a"], "threshold": 2},
            422,
            "`threshold`: 2 is not at least 0 and at most 1",
        ),
        ("sentiment", "/predict", {"texts": ["a"], "threshold": 10**400}, 422, "is too large"),
        ("sentiment", "/predict", b'{"texts": ["\\ud800"]}', 400, "half of a surrogate pair"),
        ("charlm", "/sample", {"length": 10**9}, 422, "`length`"),
        ("charlm", "/sample", {"prompt": "a" * 100_001}, 422, "100,001 characters are too many"),
        ("forecast", "/forecast", {"values": [1.0], "horizon": 10_001}, 422, "`horizon`"),
        ("forecast", "/forecast", {"values": [10**400]}, 422, "not all numbers"),
        ("charlm", "/sample", {"temperature": -1}, 422, "`temperature`"),
        ("charlm", "/sample", {"prompt": "Ü", "unknown": "error"}, 422, "the prompt"),
        ("charlm", "/sample", {"prompt": "Ü", "unknown": "error", "stream": True}, 422, "the prompt"),
        ("charlm", "/sample", {"stop": "."}, 422, "'.' is not a list of texts"),
        ("forecast", "/forecast", {}, 422, "give `values`"),
        ("forecast", "/forecast", {"values": [1, 2], "csv": "a"}, 422, "give `values`"),
        ("forecast", "/forecast", {"values": ["a"]}, 422, "not all numbers"),
        ("forecast", "/forecast", {"values": []}, 422, "not empty"),
        ("forecast", "/forecast", {"rows": [1]}, 422, "objects"),
        ("forecast", "/forecast", {"csv": "a,b\n1,2\n"}, 422, "the columns do not fit"),
        ("forecast", "/forecast", {"values": [1.0] * 200, "quantiles": "2"}, 422, "`quantiles`"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    addresses: dict[str, str], task: str, path: str, body: Any, status: int, message: str
) -> None:
    got, answer = ask(addresses[task], path, body)
    assert (got, message in answer["error"]) == (status, True), answer


def test_what_is_no_request_is_refused(addresses: dict[str, str]) -> None:
    address = addresses["sentiment"]
    plain = {"Content-Type": "text/plain"}  # what a page of another site may send unasked
    assert ask(address, "/predict", {"texts": ["a"]}, **plain)[0] == 415
    assert (
        ask(
            address,
            "/predict",
            b"x" * (17 * 2**20),
        )[0]
        == 413
    )
    assert ask(address, "/nothing")[0] == 404
    assert ask(address, "/predict")[0] == 405
    assert ask(address, "/model", Host="elsewhere.example")[0] == 400
    assert ask(address, "/health") == (200, {"status": "ok"})
    assert ask(address, "/model")[1]["classes"] == ["neg", "pos"]
    host, port = address.removeprefix("http://").split(":")
    for rubbish in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(rubbish)
            connection.settimeout(10)
            assert b"200" not in connection.recv(100)
    assert ask(address, "/health")[0] == 200


async def posted(address: str, path: str, body: Any) -> tuple[int, Any]:
    """One request by a connection of its own."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    )
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + data)
    raw = await reader.read()
    writer.close()
    header, _, text = raw.partition(b"\r\n\r\n")
    return int(header.split()[1]), json.loads(text)


def test_a_thousand_requests_at_once_are_all_answered_each_its_own(addresses: dict[str, str]) -> None:
    async def all_of_them() -> list[tuple[int, Any]]:
        asked = [
            posted(
                addresses["sentiment"], "/predict", {"texts": [f"{'good' if number % 2 else 'bad'} film {number}"] * 2}
            )
            if number % 10
            else posted(addresses["sentiment"], "/predict", {"texts": number})
            for number in range(1000)
        ]
        return await asyncio.gather(*asked)

    answers = asyncio.run(all_of_them())
    assert [status for status, _ in answers] == [200 if number % 10 else 422 for number in range(1000)]
    for number, (_, answer) in enumerate(answers):
        if number % 10:
            labels = [each["label"] for each in answer["predictions"]]
            assert labels == ["pos" if number % 2 else "neg"] * 2, number


def test_samples_at_once_are_each_what_they_are_alone(addresses: dict[str, str]) -> None:
    bodies = [{"prompt": "the ", "length": 60, "seed": seed, "temperature": 0.5 + seed / 40} for seed in range(40)]

    async def together() -> list[tuple[int, Any]]:
        return await asyncio.gather(*(posted(addresses["charlm"], "/sample", body) for body in bodies))

    texts = [answer["text"] for _, answer in asyncio.run(together())]
    assert texts == [ask(addresses["charlm"], "/sample", body)[1]["text"] for body in bodies]


def test_a_client_that_leaves_in_mid_stream_costs_nothing_more(addresses: dict[str, str]) -> None:
    address = addresses["charlm"]
    host, port = address.removeprefix("http://").split(":")
    body = json.dumps({"length": 100_000, "stream": True}).encode()
    head = "POST /sample HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    whole = json.dumps({"length": 100_000}).encode()
    begun = time.monotonic()
    for _ in range(20):
        with socket.create_connection((host, int(port)), 10) as connection:
            asked = head.replace(f"Content-Length: {len(body)}", f"Content-Length: {len(whole)}")
            connection.sendall(asked.encode() + whole)  # and never waits for the answer
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(head.encode() + body)
            assert connection.recv(200)
    status, answer = ask(address, "/sample", {"length": 10})
    assert (status, len(answer["text"])) == (200, 10)
    assert time.monotonic() - begun < 30  # 2,000,000 characters would take far longer
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"POST /sample HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n")
    assert ask(address, "/health")[0] == 200


def test_the_command_says_where_it_listens_and_ends_with_ctrl_c(folders: dict[str, Path], rnncli) -> None:
    command = [sys.executable, "-m", "rnncli", "serve", str(folders["charlm"]), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and server.stderr is not None
            address = server.stdout.readline().strip()
            wait_for(address)
            port = address.rpartition(":")[2]
            taken = rnncli("serve", folders["charlm"], "--port", port)
            assert (taken.code, taken.out) == (1, "")
            assert f"cannot listen at 127.0.0.1:{port}: Address already in use; choose another --port" in taken.err
            body = json.dumps({"length": 100_000, "stream": True}).encode()
            asked = {"Content-Type": "application/json"}
            stream = urllib.request.urlopen(urllib.request.Request(address + "/sample", body, asked), timeout=60)
            assert stream.read(10)
            server.send_signal(signal.SIGINT)
            begun = time.monotonic()
            assert server.wait(20) == 130
            assert time.monotonic() - begun < 4  # the stream did not hold it up
            stream.close()
            assert server.stderr.read() == (
                f"serves the charlm model in '{folders['charlm']}' at {address}; Ctrl-C ends it\n"
            )
        finally:
            server.kill()


def test_another_address_is_written_as_browsers_have_it(folders: dict[str, Path]) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    command = [sys.executable, "-m", "rnncli", "serve", str(folders["sentiment"]), "--port", "0", "--host", "::1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and server.stderr is not None
            address = server.stdout.readline().strip()
            if not address and "cannot listen" in server.stderr.read():
                pytest.skip("no IPv6 here")
            assert address.startswith("http://[::1]:")
            wait_for(address)
        finally:
            server.kill()


def wait_for(address: str) -> None:
    """Until it answers."""
    for _ in range(200):
        try:
            assert ask(address, "/health")[0] == 200
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("task", "query", "shown"),
    [
        ("sentiment", {"text": "a good film"}, ['class="word"', ">good</span>", "<span>pos</span>"]),
        ("charlm", {"prompt": "the q", "length": "50"}, ['<output id="drawn">the q']),
        ("forecast", {"series": monthly_sales(96)}, ['id="curve"', "q10"]),
    ],
)
def test_the_page_works_in_a_browser(
    addresses: dict[str, str], tmp_path: Path, task: str, query: dict[str, str], shown: list[str]
) -> None:
    flags = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    page = f"{addresses[task]}/?{urllib.parse.urlencode(query)}"
    dumped = subprocess.run(
        ["chromium", *flags, "--virtual-time-budget=8000", "--dump-dom", page],
        capture_output=True,
        text=True,
        timeout=90,
    ).stdout
    assert all(each in dumped for each in shown), dumped[-3000:]
    assert '<output id="error" class="error"></output>' in dumped
