"""The optimizer of a training."""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import optax

from rnncli.training.loop import Params, Plan
from rnncli.training.step import leaf_name


@lru_cache(64)
def make_optimizer(
    learning_rate: float,
    steps: int,
    *,
    schedule: str = "constant",
    warmup: float = 0.0,
    clip: float | None = None,
    weight_decay: float = 0.0,
    decayed: Callable[[str], bool] = lambda name: True,
    frozen: Callable[[str], bool] | None = None,
) -> optax.GradientTransformation:
    """Adam (AdamW with `weight_decay` of the parameters `decayed`) with Keras' ε, after clipping by global norm.

    `schedule` "cosine" falls from the learning rate to 0 over `steps`, after a linear warm-up over the fraction
    `warmup` of them; "constant" stays. Parameters that are `frozen` stay as they are, and count for no norm. The same
    choices give the same object, by which compiled programs are known.
    """
    rate: float | optax.Schedule = learning_rate
    if schedule == "cosine":
        warmup_steps = math.ceil(warmup * steps)
        rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup_steps, max(steps, warmup_steps + 1))

    def mask(params: Params, chosen: Callable[[str], bool] = decayed) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: chosen(leaf_name(path)), params)

    adam = optax.adam(rate, eps=1e-7)
    if weight_decay:
        adam = optax.adamw(rate, eps=1e-7, weight_decay=weight_decay, mask=mask)
    whole = adam if clip is None else optax.chain(optax.clip_by_global_norm(clip), adam)
    if frozen is None:
        return whole
    still = optax.masked(optax.set_to_zero(), partial(mask, chosen=frozen))
    return optax.chain(still, whole, still)


@lru_cache(64)
def each_by_itself(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same for parameters of several networks, stacked along their first axis, as if each were alone."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)


def optimizer_of(
    settings: Any,
    plan: Plan,
    decayed: Callable[[str], bool] = lambda name: True,
    frozen: Callable[[str], bool] | None = None,
) -> optax.GradientTransformation:
    """The optimizer of a run of this length; a task's `settings` have the fields that `make_optimizer` asks for."""
    return make_optimizer(
        settings.learning_rate,
        plan.steps if settings.schedule == "cosine" else 0,  # so that lengths share programs where they can
        schedule=settings.schedule,
        warmup=settings.warmup,
        clip=settings.clip or None,
        weight_decay=settings.weight_decay,
        decayed=decayed,
        frozen=frozen,
    )
