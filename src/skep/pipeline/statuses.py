"""Writes statuses back to the objects they are about: only what differs, in batches, later if the store cannot now."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from skep.clock import Clock, rfc3339
from skep.errors import Conflict, NotFound, SkepError, Unavailable
from skep.kinds import kind_for
from skep.model.names import ObjectRef
from skep.pipeline.conditions import with_times
from skep.store.backend import Key
from skep.store.objects import decode, update_status
from skep.store.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 64
RETRY_S = 1.0

Status = Mapping[str, Any]


class StatusWriter:
    """Holds the latest status wanted for each object until it is stored."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._wanted: dict[ObjectRef, Status] = {}
        self._news = asyncio.Event()

    def want(self, ref: ObjectRef, status: Status | None) -> None:
        """The object should show this status; None leaves it alone."""
        if status is not None:
            self._wanted[ref] = status
            self._news.set()

    def forget(self, ref: ObjectRef) -> None:
        """The object is gone."""
        self._wanted.pop(ref, None)

    async def run(self) -> None:
        """Write what is wanted, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._wanted:
                batch = [(ref, self._wanted.pop(ref)) for ref in list(self._wanted)[:AT_ONCE]]
                async with asyncio.TaskGroup() as group:  # the store commits them together
                    for ref, status in batch:
                        group.create_task(self._write(ref, status))

    async def _write(self, ref: ObjectRef, status: Status) -> None:
        kind = kind_for(ref.group, ref.kind)
        if kind is None:
            return
        key = Key(kind.resource, ref.namespace, ref.name)
        try:
            entry = self._store.get(key)
            former = decode(entry).get("status") or {}
            timed = with_times(status, former, rfc3339(self._clock.now()))
            await update_status(self._store, key, timed, observed_revision=entry.revision)
        except NotFound:
            return
        except (Conflict, Unavailable) as error:
            log.warning("cannot write the status of %s now: %s", ref, error)
            await asyncio.sleep(RETRY_S)
            self._wanted.setdefault(ref, status)
            self._news.set()
        except SkepError:
            log.exception("cannot write the status of %s", ref)
