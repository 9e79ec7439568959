"""How several processes find each other, through `jax.distributed`, which ends a process by abort() where it fails."""

import ctypes
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from rnncli.errors import ParameterError, RnncliError
from rnncli.training.processes import WHO, Group, belong_to, belongs_to, leave, watch, watch_first
from rnncli.training.settings import Machine

_JOIN_SECONDS = "RNNCLI_JOIN_SECONDS"  # to find each other, in the environment …
_JOIN = 300.0  # … and where it is not set: pods and jobs do not start at once
_NEVER = 3600  # seconds between JAX's own signs of life: ours come earlier, and in words
_WORDS = 4_000  # characters of C++ that are shown where it ends the process
_LINGERING = 6.0  # seconds after which a process 0 that ended is gone
_SHUTDOWN = 300  # seconds that JAX waits at the end for others


def join(machine: Machine) -> None:
    """Find the other processes, if there are any, and wait for them.

    Raises:
        ParameterError: it is not said where they are.
        RnncliError: they are not there.
    """
    coordinator, processes, number = machine.coordinator, machine.num_processes, machine.process_id
    devices: list[int] | None = None
    if coordinator is None and processes is None and number is None:
        if not machine.distributed:
            return
        coordinator, processes, number, devices = _found()
    if coordinator is None or processes is None or number is None:
        raise ParameterError("`coordinator`, `num_processes` and `process_id` go together: give all three")
    if number >= processes:
        raise ParameterError(f"`process_id` {number} is not below `num_processes` {processes}; they begin at 0")
    host, port = _address(coordinator)
    if not host or not port.isdecimal() or not 0 < int(port[:9]) < 2**16:
        raise ParameterError(f"`coordinator` {coordinator!r} is not HOST:PORT, with a port from 1 to 65535")
    if processes == 1:
        return
    group = Group(number, processes, coordinator, os.dup(2), Path(), _seconds())
    belong_to(group)
    _keep_apart(group)
    _reach(group, host, int(port))
    _connect(group, devices)
    for look in (watch, watch_first):
        threading.Thread(target=look, args=(group,), daemon=True).start()


def _seconds() -> float:
    text = os.environ.get(_JOIN_SECONDS, str(_JOIN))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 10**6:
        raise ParameterError(f"{_JOIN_SECONDS} in the environment is {text[:40]!r}, no number of seconds from 1 on")
    return seconds


def _found() -> tuple[str, int, int, list[int] | None]:
    """What the cluster says, and which of its host's devices are this process's, if not all.

    Raises ParameterError: there is none.
    """
    named = [os.environ.get(f"JAX_{name}", "") for name in ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID")]
    if named[0] and named[1].isdecimal() and named[2].isdecimal():  # as Kubeflow sets them
        return named[0], int(named[1]), int(named[2]), None
    from jax._src import clusters  # what `jax.distributed.initialize` asks, which would connect at once

    try:
        found = clusters.ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, int(_seconds()))
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ParameterError(f"`distributed`: {str(error).splitlines()[0]}") from error
    coordinator, processes, number, devices = found
    if coordinator is None or processes is None or number is None:
        advice = "name it with `coordinator` HOST:PORT, `num_processes` N and `process_id` I"
        raise ParameterError(f"`distributed` finds no SLURM, Open MPI, Kubernetes or TPU cluster here; {advice}")
    return coordinator, processes, number, None if devices is None else list(devices)


def _keep_apart(group: Group) -> None:
    """Let this process print nothing unless it is the first, and C++ nothing at all; catch its abort()."""
    handle, name = tempfile.mkstemp(prefix="rnncli-", suffix=".log")
    group.words = Path(name)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        own = os.dup(nowhere if group.number else number)
        encoding = {"encoding": stream.encoding, "errors": stream.errors}
        setattr(sys, stream.name.strip("<>"), os.fdopen(own, "w", buffering=1 if number == 2 else -1, **encoding))
    os.dup2(nowhere, 1)  # Gloo writes there
    os.dup2(handle, 2)
    os.close(nowhere)
    os.close(handle)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).signal(signal.SIGABRT, _on_abort)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _on_abort(code: int) -> None:
    """abort() calls this in its thread: that of JAX, which holds nothing of ours, where the coordinator is gone."""
    own = belongs_to()
    assert own is not None
    words = ""
    with suppress(OSError):
        words = own.words.read_text(encoding="utf-8", errors="replace")
    if "distributed service" not in words:  # something else went wrong, in C++
        with suppress(OSError):
            os.write(own.err, words[-_WORDS:].encode())
        os._exit(128 + code)
    if "incarnation" in words:  # JAX's word for which of several with one number it is
        leave(own, f"two of the {own.count} processes have the same `process_id`; give each its own")
    if not own.joined:
        leave(own, _NOT_ALL.format(own.count, own.coordinator, own.patience), to_all=_is_another(own))
    leave(own, f"process 0, the coordinator at {own.coordinator}, is gone; {own.advice}", to_all=True)


def _is_another(group: Group) -> bool:
    """Whether what listens there is no process 0: that has said what is wrong, and has ended, after some seconds."""
    if group.number:
        time.sleep(_LINGERING)
        with suppress(OSError):
            socket.create_connection(_address(group.coordinator), 5).close()
            return True
    return False


def _address(coordinator: str) -> tuple[str, str]:
    """Host and port; an address of IPv6 without its brackets."""
    host, _, port = coordinator.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


_NOT_ALL = "not all of the {} processes came to {} within {:.0f} s"


def _reach(group: Group, host: str, port: int) -> None:
    """Wait until the coordinator listens; its own process looks whether it can.

    Raises RnncliError: it does not, or another program listens there.
    """
    end = time.monotonic() + group.patience
    while True:
        try:
            if group.number == 0:
                with socket.socket(socket.AF_INET6 if _has_ipv6() else socket.AF_INET) as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind(("", port))
            else:
                socket.create_connection((host, port), 5).close()
        except (OSError, OverflowError) as error:
            if group.number and time.monotonic() < end and not isinstance(error, socket.gaierror):
                time.sleep(0.2)
                continue
            reason = getattr(error, "strerror", None) or str(error)
            if group.number == 0:
                told = f"cannot listen at port {port} of `coordinator` {group.coordinator}: {reason}"
            else:
                where = f"at {group.coordinator} within {group.patience:.0f} s"
                told = f"process {group.number}: no coordinator {where}: {reason}"
            leave(group, told, to_all=True)
        return


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::", 0))
    except OSError:
        return False
    return True


def _connect(group: Group, devices: list[int] | None) -> None:
    import jax
    from jax._src import distributed

    jax.config.update("jax_enable_preemption_service", False)  # signals are ours
    _, port = _address(group.coordinator)
    try:
        jax.distributed.initialize(
            group.coordinator,
            group.count,
            group.number,
            local_device_ids=devices,
            cluster_detection_method="deactivate",
            coordinator_bind_address=f"{'[::]' if _has_ipv6() else '0.0.0.0'}:{port}",
            initialization_timeout=max(1, round(group.patience)),
            heartbeat_timeout_seconds=_NEVER,
            shutdown_timeout_seconds=_SHUTDOWN,
        )
    except RuntimeError as error:
        told = _NOT_ALL.format(group.count, group.coordinator, group.patience)
        raise RnncliError(f"{told}: {str(error).splitlines()[0]}") from error
    group.client = distributed.global_state.client
    group.joined = True
    group.client.key_value_set(f"{WHO}{group.number}", f"{socket.gethostname()}, process number {os.getpid()}")
