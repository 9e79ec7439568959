"""Which device computes, and in which precision."""

from typing import Literal

from rnncli.errors import RnncliError

DeviceChoice = Literal["auto", "cpu", "gpu", "tpu"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]


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


def operands(precision: PrecisionChoice) -> Literal["float32", "bfloat16"]:
    """The type of the operands of products. "auto" is float32: products this small gain nothing from bfloat16."""
    return "bfloat16" if precision == "bfloat16" else "float32"
