"""Who was heard when, and whose lease ran out. In: keys and moments in seconds; out: the keys that are overdue.

A renewal is one dictionary look-up and one assignment, whatever the number of instances. Expiry looks only at leases whose
turn it is: each lies in the bucket of the tick at which it would have run out when last looked at, and is moved on when it
was renewed since. Never reads a clock and never waits.
"""

from collections.abc import Iterable, Sequence

from skep.model.instance import InstanceKey

TICK_S = 0.25
"""Width of a bucket: an overdue lease is found at most this much later."""


class Lease:
    """One instance's lease; changed in place, because renewing is the most frequent thing the registry does."""

    __slots__ = ("granted", "heard_by", "heard_s", "key", "lease_s", "since_s")

    def __init__(self, key: InstanceKey, lease_s: float, now_s: float) -> None:
        self.key = key
        self.lease_s = lease_s
        self.since_s = now_s
        """When the lease last started to run: the last renewal, or the start of this process."""
        self.heard_s: float | None = None
        """When somebody last spoke for the instance; None when not since this process started."""
        self.heard_by = ""
        self.granted = True

    @property
    def expires_s(self) -> float:
        """When it runs out unless renewed."""
        return self.since_s + self.lease_s


class Leases:
    """The table of all leases."""

    def __init__(self) -> None:
        self._leases: dict[InstanceKey, Lease] = {}
        self._buckets: dict[int, list[Lease]] = {}
        self._next_tick: int | None = None

    def __len__(self) -> int:
        """Count the leases."""
        return len(self._leases)

    def get(self, key: InstanceKey) -> Lease | None:
        """Return the lease of an instance."""
        return self._leases.get(key)

    def grant(self, key: InstanceKey, lease_s: float, now_s: float, heard_by: str | None) -> None:
        """Start a lease, or start it anew with another length; `heard_by` None means that nobody spoke for it yet."""
        old = self._leases.get(key)
        if old is not None and old.lease_s == lease_s:
            lease = old
        else:
            # A shorter lease may belong to an earlier bucket than the one it lies in, so it gets a place of its own.
            self.drop(key)
            lease = self._leases[key] = Lease(key, lease_s, now_s)
            self._place(lease, now_s + lease_s)
        lease.since_s = now_s
        if heard_by is not None:
            lease.heard_s, lease.heard_by = now_s, heard_by

    def renew(self, key: InstanceKey, now_s: float, heard_by: str = "") -> bool:
        """Start the lease anew; false when there is none."""
        lease = self._leases.get(key)
        if lease is None:
            return False
        lease.since_s = lease.heard_s = now_s
        if heard_by:
            lease.heard_by = heard_by
        return True

    def drop(self, key: InstanceKey) -> None:
        """Forget a lease; its place in a bucket is cleared when that bucket's turn comes."""
        lease = self._leases.pop(key, None)
        if lease is not None:
            lease.granted = False

    def forgive(self, seconds: float, now_s: float) -> None:
        """Extend every lease by a time during which nobody could be heard, to its full length at most."""
        for lease in self._leases.values():
            lease.since_s = min(now_s, lease.since_s + seconds)

    def overdue(self, now_s: float) -> Sequence[InstanceKey]:
        """Return the keys whose lease ran out, sorted; they stay in the table, and stay overdue, until dropped."""
        if self._next_tick is None:
            return ()
        due = int(now_s / TICK_S)
        found: list[InstanceKey] = []
        for tick in self._ticks(due):
            for lease in self._buckets.pop(tick):
                if not lease.granted:
                    continue
                if lease.expires_s <= now_s:
                    found.append(lease.key)
                    self._place(lease, now_s + TICK_S)
                else:
                    self._place(lease, lease.expires_s)
        self._next_tick = due + 1
        return sorted(found)

    def _ticks(self, due: int) -> Iterable[int]:
        """The buckets whose turn it is; after a long pause there are fewer buckets than ticks that passed."""
        first = self._next_tick
        assert first is not None
        if due - first > len(self._buckets):
            return sorted(tick for tick in self._buckets if tick <= due)
        return [tick for tick in range(first, due + 1) if tick in self._buckets]

    def _place(self, lease: Lease, at_s: float) -> None:
        # One tick later than the moment itself, so that a bucket's leases have all run out when its turn comes.
        tick = int(at_s / TICK_S) + 1
        self._buckets.setdefault(tick, []).append(lease)
        if self._next_tick is None or tick < self._next_tick:
            self._next_tick = tick
