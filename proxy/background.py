"""Keeps the loops that run as long as the sidecar does, and ends the process when one of them dies.

None may ever end by itself: a sidecar whose token is no longer renewed must be restarted, and not look well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.process.memory import CONNECTION, Bursts, give_back

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from proxy.process.memory import MemoryBudget
    from proxy.relay.server.listener import Listener

LOOK_AT_MEMORY: Final = 5.0  # seconds


class BackgroundTaskDiedError(RuntimeError):
    """A background loop ended, which it never may: the process must end too, and be restarted."""


class BackgroundTasks:
    """The loops, each in a task."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, work: Coroutine[object, object, None], name: str) -> None:
        """Begin one."""
        self._tasks.append(asyncio.create_task(work, name=name))

    async def watch(self, stopping: asyncio.Event) -> None:
        """Wait until the event is set.

        Raises:
            BackgroundTaskDiedError: one of the loops has ended.
        """
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((stop, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in self._tasks:
            if task.done():
                error = None if task.cancelled() else task.exception()
                message = f"the loop of the {task.get_name()} has ended"
                raise BackgroundTaskDiedError(message) from error

    async def end(self) -> None:
        """End them, the one begun last first."""
        while self._tasks:
            task = self._tasks.pop()
            task.cancel()
            await asyncio.wait((task,))


async def give_memory_back(memory: MemoryBudget, listener: Listener) -> None:
    """After each burst, give the system back what it took."""
    bursts = Bursts()
    while True:
        await asyncio.sleep(LOOK_AT_MEMORY)
        if bursts.over(memory.used, memory.most, listener.connected * CONNECTION):
            memory.most = 0
            await asyncio.to_thread(give_back)
