"""How a training lies on devices: the batch cut among some, the largest arrays of the network among others.

A layout is a grid of devices with two axes. Along `data`, each device computes the gradients of its part of a batch;
their mean is that of the whole batch, so the result depends on the layout in its rounding alone. Along `model`, the
largest axis of each large array is cut, and XLA puts in what has to be exchanged. The devices may be those of several
processes: each then gives its own rows of a batch only.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnncli.errors import ParameterError
from rnncli.training import processes
from rnncli.training.devices import computing_devices, own_device
from rnncli.training.settings import grid_of

_DATA, _MODEL = "data", "model"
_LARGE = 2**12  # numbers of an array that is worth cutting
WHOLE = PartitionSpec()  # the same on each device


class Layout(NamedTuple):
    """A grid of devices."""

    data: int = 1  # that share a batch
    model: int = 1  # that share the large arrays

    @property
    def mesh(self) -> Mesh:
        """The first devices, as JAX counts them: those of a process stand together."""
        devices = computing_devices()[: self.data * self.model]
        return Mesh(np.array(devices).reshape(self.data, self.model), (_DATA, _MODEL))

    @property
    def single(self) -> bool:
        """Whether it is one device, which needs no grid."""
        return self.data * self.model == 1

    def check(self, batch: int, accumulate: int) -> None:
        """Raises ParameterError: a batch of so many sequences cannot be cut into so many equal parts."""
        parts = self.data * accumulate
        if batch % parts:
            fits = [str(each) for each in (batch // parts * parts, -(-batch // parts) * parts) if each]
            cut = f" in `accumulate` {accumulate} parts" if accumulate > 1 else ""
            what = f"a batch of {batch} cannot be shared equally by {self.data} device{'s' * (self.data > 1)}{cut}"
            raise ParameterError(f"{what}; choose `batch_size` {' or '.join(fits)}")


_chosen: list[Layout] = []  # what the user asked for, or what several processes need


def choose_layout(mesh: str | None, processes: int = 1) -> None:
    """Let all trainings use the grid that `mesh` names, as in "data=4,model=2"; of several processes, all devices.

    Raises ParameterError: it is no grid, or not one of these devices.
    """
    _chosen.clear()
    if mesh is None and processes == 1:
        return
    devices = len(computing_devices())
    sizes = {} if mesh is None else grid_of(mesh)
    model = sizes.get(_MODEL, 1)
    layout = Layout(sizes.get(_DATA, max(1, devices // model)), model)
    needed = layout.data * layout.model
    if needed > devices or (processes > 1 and needed != devices):
        raise ParameterError(
            f"`mesh` {mesh or f'{_DATA}={layout.data}'} has {needed} devices, there are {devices}"
            + (f" in {processes} processes, and each has to be in it" if processes > 1 else "")
        )
    _chosen.append(layout)


def filled(batch: int, accumulate: int = 1) -> int:
    """The least batch of at least so many that the devices, if some were chosen, share equally."""
    parts = accumulate * (_chosen[0].data if _chosen else 1)
    return -(-batch // parts) * parts


def chosen_layout() -> Layout | None:
    """What was chosen; None where the fastest number of this process's devices is to be found."""
    return _chosen[0] if _chosen else None


def split(array: Any, axis: int) -> PartitionSpec:
    """The specification that cuts an array along `axis` among the devices that share a batch."""
    return PartitionSpec(*(_DATA if index == axis % array.ndim else None for index in range(array.ndim)))


def over_first(tree: Any) -> Any:
    """The specification that cuts each array along its first axis, which numbers trainings, not sequences."""
    return jax.tree.map(lambda _: PartitionSpec(_DATA), tree)


def whole(tree: Any) -> Any:
    """`WHOLE` for each array."""
    return jax.tree.map(lambda _: WHOLE, tree)


def cut(tree: Any, layout: Layout) -> Any:
    """The specification of a network's arrays: the largest axis of each large one among the `model` devices."""

    def of(array: Any) -> PartitionSpec:
        fitting = [axis for axis in range(array.ndim) if array.shape[axis] % layout.model == 0]
        if layout.model == 1 or array.size < _LARGE or not fitting:
            return WHOLE
        widest = max(fitting, key=lambda axis: array.shape[axis])
        return PartitionSpec(*(_MODEL if axis == widest else None for axis in range(array.ndim)))

    return jax.tree.map(of, tree)


def mean(tree: Any, layout: Layout) -> Any:
    """The mean over the devices that share a batch, inside a function that is `sharded`."""
    if layout.data == 1:
        return tree
    if layout.model > 1:  # arrays that are cut would have to be put together
        return lax.pmean(tree, _DATA)
    flat, as_tree = ravel_pytree(tree)  # as each exchange has its latency, all arrays are one
    return as_tree(lax.pmean(flat, _DATA))


def meet(layout: Layout) -> None:
    """Let several processes connect along each axis of the grid, now.

    At its first exchange a device waits half a minute for the others. They may need longer to read and to compile.
    """
    if jax.process_count() == 1 or layout.single:
        return
    processes.wait()

    def exchange(number: Array) -> list[Array]:
        return [lax.psum(number, axes) for axes in (_DATA, _MODEL, (_DATA, _MODEL))]

    number, where = spread(np.float32(1), WHOLE, layout), {"in_specs": WHOLE, "out_specs": WHOLE, "check_vma": False}
    jax.block_until_ready(jax.jit(jax.shard_map(exchange, mesh=layout.mesh, **where))(number))


def rows(count: int, layout: Layout) -> Array:
    """The places in the whole batch of this device's `count` rows, inside a function that is `sharded`."""
    first = 0 if layout.data == 1 else lax.axis_index(_DATA) * count
    return first + jax.numpy.arange(count)


def sharded(function: Callable[..., Any], arguments: Any, results: Any, layout: Layout) -> Callable[..., Any]:
    """The function on all devices at once; each of its arguments and results is `WHOLE` or `split` there.

    How arrays are `cut` it need not know: that is XLA's affair.
    """
    if layout.single:
        return function
    where: Any = {"mesh": layout.mesh, "axis_names": {_DATA}, "check_vma": False}
    return jax.shard_map(function, in_specs=arguments, out_specs=results, **where)


def shardings(specs: Any, layout: Layout) -> Any:
    """Specifications as JAX's shardings on these devices."""
    mesh = layout.mesh
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda x: isinstance(x, PartitionSpec))


def spread(tree: Any, specs: Any, layout: Layout) -> Any:
    """Arrays, which each process has whole, on the devices, as `specs` say; on one device they stay as they are."""
    if layout.single:
        return tree
    mesh = layout.mesh

    def put(array: Any, spec: PartitionSpec) -> Array:
        sharding = NamedSharding(mesh, spec)
        if isinstance(array, Array) and array.sharding == sharding:
            return array
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(array), spec))
        held = np.asarray(array)
        return jax.make_array_from_callback(held.shape, sharding, lambda index: held[index])

    return jax.tree.map(put, tree, specs)


def own_rows(batch: int, layout: Layout) -> slice:
    """The sequences of a batch that this process's devices need."""
    if jax.process_count() == 1:
        return slice(0, batch)
    places = NamedSharding(layout.mesh, PartitionSpec(_DATA)).addressable_devices_indices_map((batch,)).values()
    bounds = [place[0].indices(batch) for place in places if place is not None]
    return slice(min(low for low, _, _ in bounds), max(high for _, high, _ in bounds))


def put_together(arrays: Any, axis_of: Callable[[Any], int], batch: int, layout: Layout) -> Any:
    """Batches of which each process has its `own_rows`, as arrays of all; in one process they stay as they are."""
    if jax.process_count() == 1:
        return arrays
    first, mesh = own_rows(batch, layout).start, layout.mesh

    def put(array: Any) -> Array:
        held, axis = np.asarray(array), axis_of(array)
        shape = (*held.shape[:axis], batch, *held.shape[axis + 1 :])

        def part(index: Any) -> np.ndarray:
            low, high, _ = index[axis].indices(batch)
            return held[(*index[:axis], slice(low - first, high - first), *index[axis + 1 :])]

        return jax.make_array_from_callback(shape, NamedSharding(mesh, split(held, axis)), part)

    return jax.tree.map(put, arrays)


@jax.jit
def copied(tree: Any) -> Any:
    """The arrays in buffers of their own."""
    return jax.tree.map(jax.numpy.copy, tree)


@functools.cache
def _copied_to(sharding: NamedSharding) -> Callable[[Array], Array]:
    """Compiled once for each place."""
    return jax.jit(lambda array: array, out_shardings=sharding)


def gathered(tree: Any) -> Any:
    """The arrays on this process's first device, as a whole; those that are whole on each device are not copied."""

    def first(array: Any) -> Any:
        if not isinstance(array, Array) or len(array.sharding.device_set) == 1:
            return array
        if not array.is_fully_replicated:
            if array.is_fully_addressable:
                return jax.device_put(array, own_device())
            everywhere = NamedSharding(array.sharding.mesh, WHOLE)  # pyright: ignore[reportAttributeAccessIssue]
            array = _copied_to(everywhere)(array)
        return array.addressable_data(0)

    return jax.tree.map(first, tree)


def is_own(array: Any) -> bool:
    """Whether this process has the whole array."""
    return not isinstance(array, Array) or array.is_fully_addressable


def kept_of(tree: Any) -> Any:
    """The arrays as this process keeps them: `gathered`, unless some are cut among devices."""
    return gathered(tree) if all(each.is_fully_replicated for each in jax.tree.leaves(tree)) else tree


def on_grid(params: Any) -> Layout | None:
    """The layout that parameters have on several devices; None where they are on one."""
    leaf = next((each for each in jax.tree.leaves(params) if isinstance(each, Array)), None)
    mesh = getattr(getattr(leaf, "sharding", None), "mesh", None)
    if not isinstance(mesh, Mesh) or mesh.size == 1:
        return None
    return Layout(mesh.shape[_DATA], mesh.shape[_MODEL])


def beside(params: Any, arrays: Any, axis: int | None) -> Any:
    """Arrays on the devices that parameters are on, cut along `axis` where that can be shared equally."""
    layout = on_grid(params)
    if layout is None:
        return arrays

    def spec(array: Any) -> PartitionSpec:
        return WHOLE if axis is None or array.shape[axis] % layout.data else split(array, axis)

    return spread(arrays, jax.tree.map(spec, arrays), layout)
