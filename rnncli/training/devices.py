"""Which device computes, and in which precision."""

import os
import platform
import subprocess
import sys
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from rnncli.errors import RnncliError
from rnncli.training.settings import Device, DeviceChoice, Machine, PrecisionChoice

_WORTH_BFLOAT16 = 96  # units


def use_machine(machine: Device) -> None:
    """Make ready where to compute: one device, or a grid of them, in this process or several.

    Raises RnncliError: it is not there, or not free.
    """
    if not isinstance(machine, Machine):
        use_device(machine.device)
        return
    from rnncli.training import joining, processes
    from rnncli.training.layout import choose_layout

    _prepare_processor()
    joining.join(machine)
    use_device(machine.device)
    choose_layout(machine.mesh, processes.count())


def use_device(device: DeviceChoice = "auto") -> None:
    """Make `device` JAX's default; "auto" leaves it the choice. Raises RnncliError where there is no such device."""
    import jax

    _prepare_processor()
    _remember_compilations()
    try:
        jax.devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0].partition(" (set JAX_PLATFORMS")[0]
        raise RnncliError(f"JAX finds no device: {reason}; see JAX_PLATFORMS in the environment") from error
    if device == "auto":
        return
    try:
        chosen = jax.local_devices(backend=device)[0]
    except RuntimeError as error:
        present = ", ".join(sorted({seen.platform for seen in jax.devices()}))
        advice = "leave `device` out to take the best of them"
        raise RnncliError(f"no {device} here; JAX sees: {present}; {advice}") from error
    jax.config.update("jax_default_device", chosen)


def computing_devices() -> list[Any]:
    """JAX's devices of the kind that computes: the default one's, where one was set."""
    import jax

    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return jax.devices() if chosen is None else jax.devices(getattr(chosen, "platform", chosen))


def own_device() -> Any:
    """The first of the computing devices of this process."""
    import jax

    return next(device for device in computing_devices() if device.process_index == jax.process_index())


class CompileClock:
    """Seconds that XLA took to compile, or to fetch what it had compiled before, summed over threads."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def start(self) -> None:
        """Load JAX and listen to it from now on."""
        import jax

        jax.monitoring.register_event_duration_secs_listener(self._add)  # pyright: ignore[reportArgumentType]

    def _add(self, event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.seconds += seconds


def _remember_compilations() -> None:
    """Keep compiled programs on the disk, so that a command that was run before starts in half the time.

    The folder is that of `JAX_COMPILATION_CACHE_DIR`, else one in the user's cache folder for each version and each
    kind of processor, as another one's programs could not run. Programs that cannot be kept or read are compiled
    silently.
    """
    import jax

    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return
    try:
        folder = cache_folder()
    except (OSError, RuntimeError):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_folder() -> Path:
    """The folder for this machine and version of XLA. Raises OSError or RuntimeError where there is no place for it."""
    from importlib.metadata import version

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "rnncli" / f"xla-{version('jaxlib')}-{_processor()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _prepare_processor() -> None:
    """Sets, before JAX reads them, a device for each core, and one loop for elementwise operations of several results.

    The latter makes a recurrence's step about a tenth faster. Settings that the user made stay.
    """
    import jax

    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
    else:
        _check_flags(os.environ["XLA_FLAGS"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    forced = "xla_force_host_platform_device_count" in os.environ["XLA_FLAGS"]
    if not forced and jax.config.jax_num_cpu_devices == -1:  # pyright: ignore[reportAttributeAccessIssue]
        with suppress(RuntimeError):  # JAX refuses where it has made its devices already
            jax.config.update("jax_num_cpu_devices", cores)


def _check_flags(flags: str) -> None:
    """Try flags that the user set in a process of its own, once: XLA ends the process at one that it does not know.

    Raises RnncliError: it does.
    """
    if not flags.strip():
        return
    try:
        known = cache_folder() / f"flags-{zlib.crc32(flags.encode('utf-8', 'replace')):08x}"
        if known.exists():
            return
        command = [sys.executable, "-c", "import jax; jax.devices()"]
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=60)
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return
    said = next((line for line in tried.stderr.splitlines() if "XLA_FLAGS" in line), None)
    if tried.returncode and said is not None:
        raise RnncliError(f"XLA refuses its flags: {said.partition('] ')[2] or said}; change it in the environment")
    with suppress(OSError):
        known.touch()


def _processor() -> str:
    """A short name of what this machine's processor can do."""
    lines = _cpu_information().splitlines() or [platform.processor()]
    kept = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}) or lines[:1]
    return f"{platform.machine()}-{zlib.crc32(repr(kept).encode()):08x}"


def _cpu_information() -> str:
    """Linux's description of the processor; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def operands(precision: PrecisionChoice, units: int = 0) -> Literal["float32", "bfloat16"]:
    """The type of the operands of products with kernels of `units`.

    "auto" is bfloat16 where the processor multiplies it in hardware and the products are large enough to gain from it
    (on an AVX-512 CPU 1.3 times at 128 units, a tenth at 64, a loss at 32); sums and states are float32 in either case.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if units >= _WORTH_BFLOAT16 and _multiplies_bfloat16() else "float32"


def _multiplies_bfloat16() -> bool:
    if computing_devices()[0].platform != "cpu":
        return True
    flags = _cpu_information().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags
