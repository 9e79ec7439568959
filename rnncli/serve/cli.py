"""`rnncli serve`. Everything heavy is imported inside it."""

import os
import socket
from dataclasses import dataclass
from types import FrameType

import typer

from rnncli.errors import Interrupted, ParameterError, RnncliError
from rnncli.models.settings import One
from rnncli.options import verb
from rnncli.output import Output, json_text
from rnncli.settings import Bounds, Settings, setting
from rnncli.training.settings import Device

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_WAITING = 2048  # connections that the system keeps until they are taken
_LAST_REQUESTS = 5  # seconds that requests have to end after Ctrl-C


@dataclass(frozen=True, kw_only=True)
class Listening(Settings):
    """The address."""

    port: int = setting(8000, "Port to listen at; 0: any that is free.", Bounds(0, 65_535, metavar="N"))
    host: str = setting(
        "127.0.0.1", "Address to listen at; 0.0.0.0: all, for whoever can reach this machine.", None, "ADDRESS"
    )


@verb(app, examples=["rnncli serve checkpoints/sentiment", "rnncli serve checkpoints/charlm --port 8080"])
def serve(one: One, listening: Listening, output: Output, device: Device) -> None:
    """Serve a model over HTTP with JSON, and a page to try it in a browser, until Ctrl-C.

    stdout is the address. POST /predict labels texts, /sample draws text (as server-sent events with "stream": true),
    /forecast continues series; GET /model tells what the model is.
    """
    try:
        import uvicorn

        from rnncli.serve.app import application
    except ImportError as error:
        raise ParameterError("serving needs libraries: pip install 'rnncli[serve]'") from error
    from rnncli.console import Console
    from rnncli.library import load
    from rnncli.models.held import Held

    with Console(output, device) as console:
        held = Held.of(one.model)
        console.doing("loading the model")
        host = f"[{listening.host}]" if ":" in listening.host else listening.host
        hosts = ["*"] if listening.host in ("0.0.0.0", "::") else [listening.host, host, "127.0.0.1", "localhost"]
        served = application(load(one.model), held, hosts)
        with _listen(listening) as listener:
            place = f"http://{host}:{listener.getsockname()[1]}"
            console.say(f"serves the {held.task} model in '{one.model}' at {place}; Ctrl-C ends it")
            address = json_text({"command": "serve", "address": place}) if output.json else f"{place}\n"
            output.write(address)
            how = {"log_level": "error", "access_log": False, "timeout_graceful_shutdown": _LAST_REQUESTS}
            server = uvicorn.Server(uvicorn.Config(served, lifespan="on", **how))
            end, heard = server.handle_exit, []

            def handle_exit(sig: int, frame: FrameType | None) -> None:
                heard.append(sig)
                served.state.close()  # streams end, and nothing is begun
                end(sig, frame)

            server.handle_exit = handle_exit
            server.run(sockets=[listener])
            if heard:
                raise Interrupted(heard[0], "")


def _listen(listening: Listening) -> socket.socket:
    """A socket at the address. Raises RnncliError: it is taken, or not this machine's."""
    try:
        family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
        return socket.create_server((listening.host, listening.port), family=family, backlog=_WAITING)
    except OSError as error:
        raise RnncliError(
            f"cannot listen at {listening.host}:{listening.port}: {_reason(error)}; choose another `port`, or 0 for any"
        ) from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
