"""Runs a task for ever: a bug that crashes it is logged once, counted, and the task started again with back-off.

The only place, with the pipeline's per-unit fence, that catches what nobody expected.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from skep.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
FORGIVEN_AFTER_S = 60.0


async def supervise(name: str, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Await `run()` again and again until cancelled; the pause doubles while it keeps crashing."""
    pause_s = FIRST_PAUSE_S
    while True:
        started = clock.monotonic()
        try:
            await run()
            log.warning("%s ended; starting it again", name)
        except Exception:  # a supervisor's work
            log.exception("%s crashed; starting it again in %.1f s", name, pause_s)
        if clock.monotonic() - started > FORGIVEN_AFTER_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
