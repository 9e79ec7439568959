"""Which device computes, and in which precision."""

from pathlib import Path
from typing import Literal

from rnncli.errors import RnncliError

DeviceChoice = Literal["auto", "cpu", "gpu", "tpu"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
_WORTH_BFLOAT16 = 192  # units


def use_device(device: DeviceChoice) -> None:
    """Make `device` JAX's default; "auto" leaves the choice, the fastest there is, to JAX.

    Raises:
        RnncliError: there is no such device.
    """
    import jax

    if device == "auto":
        return
    try:
        chosen = jax.devices(device)[0]
    except RuntimeError as error:
        present = ", ".join(sorted({each.platform for each in jax.devices()}))
        raise RnncliError(
            f"no {device} here; JAX sees: {present}; leave --device out to take the best of them"
        ) from error
    jax.config.update("jax_default_device", chosen)


def operands(precision: PrecisionChoice, units: int = 0) -> Literal["float32", "bfloat16"]:
    """The type of the operands of products with kernels of `units`.

    "auto" is bfloat16 where the processor multiplies it in hardware and the products are large enough to gain from it
    (on an AVX-512 CPU 1.2 times at 256 units, nothing at 128); sums and states are float32 in either case.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if units >= _WORTH_BFLOAT16 and _multiplies_bfloat16() else "float32"


def _multiplies_bfloat16() -> bool:
    import jax

    if jax.default_backend() != "cpu":
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
