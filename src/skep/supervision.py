"""Runs a task for ever: a bug that crashes it is logged once, counted, and the task started again with back-off.

The only place, with the pipeline's per-unit fence, that catches what nobody expected.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping

from skep.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
FORGIVEN_AFTER_S = 60.0


async def supervise(
    name: str, run: Callable[[], Awaitable[None]], clock: Clock, down: MutableMapping[str, str] | None = None
) -> None:
    """Await `run()` again and again until cancelled; the pause doubles while it keeps crashing.

    `down` tells, by name, what crashed and has not yet run for as long as it was made to wait.
    """
    down = {} if down is None else down
    pause_s = FIRST_PAUSE_S
    while True:
        started = clock.monotonic()
        proven = asyncio.get_running_loop().call_later(pause_s, down.pop, name, None)
        try:
            await run()
            log.warning("%s ended; starting it again", name)
            down[name] = "it ended"
        except Exception as error:  # a supervisor's work
            log.exception("%s crashed; starting it again in %.1f s", name, pause_s)
            down[name] = type(error).__name__
        finally:
            proven.cancel()
        if clock.monotonic() - started > FORGIVEN_AFTER_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
