"""Where a server computes: in one thread, so that requests share the processor in turn and never wait for a lock."""

import asyncio
import bisect
import itertools
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
_MOST_WAITING = 4096  # requests; one more is told to come later


class Overloaded(Exception):
    """So many requests wait that a further one would wait too long."""


class Worker:
    """One thread. What is asked of it is done in the order in which it was asked."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._waiting = 0
        self._closed = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns. Raises Overloaded: too much is waiting, or the server ends."""
        if self._waiting >= _MOST_WAITING or self._closed:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._waiting -= 1

    async def each(self, items: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """The items of an iterator, each computed when its turn comes: streams advance side by side.

        Where the server ends, they end before their time.
        """
        iterator = await self.run(items)
        end: Any = object()

        def following() -> Any:
            return next(iterator, end)

        while not self._closed and (item := await self.run(following)) is not end:
            yield item

    def close(self) -> None:
        """Take nothing more."""
        self._closed = True

    def shutdown(self) -> None:
        """Let the thread go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Batched(Generic[Item, Answer]):
    """A function of several items that is called for one: what comes while others are computed is computed together.

    `compute` gets a key and the items that came with it, and returns as many answers.
    """

    def __init__(
        self,
        worker: Worker,
        compute: Callable[[Any, list[Item]], Sequence[Answer]],
        size: Callable[[Item], int] = lambda _: 1,
        most: int = 4096,
    ):
        """Items of `most` together, by their `size`, are computed at once, or one that is larger."""
        self._worker, self._compute, self._size, self._most = worker, compute, size, most
        self._waiting: dict[Hashable, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._busy: asyncio.Task[None] | None = None

    async def __call__(self, item: Item, key: Hashable = None) -> Answer:
        """The answer for one item. Raises Overloaded: too many wait."""
        if sum(map(len, self._waiting.values())) >= _MOST_WAITING:
            raise Overloaded
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append((item, future))
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            key = next(iter(self._waiting))
            # some have gone meanwhile
            waiting = [(item, future) for item, future in self._waiting.pop(key) if not future.done()]
            sizes = list(itertools.accumulate(self._size(item) for item, _ in waiting))
            count = max(1, bisect.bisect_right(sizes, self._most))
            if waiting[count:]:
                self._waiting[key] = waiting[count:]
            if waiting:
                await self._answer(key, waiting[:count])

    async def _answer(self, key: Hashable, taken: "list[tuple[Item, asyncio.Future[Answer]]]") -> None:
        try:
            answers = await self._worker.run(self._compute, key, [item for item, _ in taken])
        except Exception as error:  # of all of them; each is told
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(taken, answers, strict=True):
            if not future.done():
                future.set_result(answer)
