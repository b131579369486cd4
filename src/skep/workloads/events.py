"""Keeps Events about workloads, and forgets all Events after a while, as Kubernetes does. In: Events; out: writes."""

import contextlib
from datetime import timedelta

from skep.clock import Clock, rfc3339
from skep.errors import Conflict, NotFound, Unavailable
from skep.store.backend import Entry, Key
from skep.store.objects import Document, create_object, decode, update_object
from skep.store.store import Delete, Store
from skep.workloads.documents import EVENTS, event_again

KEPT_FOR = timedelta(hours=1)


async def write_event(store: Store, event: Document, clock: Clock) -> None:
    """Keep an Event, or count it once more; an Event that cannot be written is not worth a failure."""
    key = Key(EVENTS, event["metadata"]["namespace"], event["metadata"]["name"])
    with contextlib.suppress(Conflict, NotFound, Unavailable):
        present = store.find(key)
        if present is None:
            await create_object(store, key, event, clock)
        else:
            await update_object(store, key, event_again(decode(present), rfc3339(clock.now())))


async def forget_old_events(store: Store, clock: Clock) -> None:
    """Delete the Events that last happened long ago; what cannot be deleted now is tried the next time."""
    before = rfc3339(clock.now() - KEPT_FOR)
    old = [Delete(entry.key, entry.revision) for entry in store.list(EVENTS)[0] if _happened(entry) < before]
    if old:
        with contextlib.suppress(Conflict, NotFound, Unavailable):
            await store.write(old)


def _happened(entry: Entry) -> str:
    """Return the latest time an Event names; times in this form order as text."""
    event = decode(entry)
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return max(str(time or "") for time in times)
