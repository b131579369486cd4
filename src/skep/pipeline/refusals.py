"""Finds which declaration made a proxy refuse configuration, and sets aside that one alone.

In: what proxies took and refused; out: which declarations to set aside or to try again. Pure. When one response carried
several changes, all are set aside, then taken back in halves until the guilty one is alone. A declaration that was refused
alone is guilty and is not taken back by the trial of any other table that holds it too.
"""

from collections.abc import Callable, Iterable

import msgspec

from skep.ir.route import Origin
from skep.xds.snapshot import Demand, Encoded


class Verdict(msgspec.Struct, frozen=True):
    """What to do after a proxy spoke."""

    set_aside: tuple[Origin, ...] = ()
    take_back: tuple[Origin, ...] = ()
    message: str = ""


NOTHING = Verdict()


class Refusals:
    """What each demand's proxies took last, which declarations are on trial and which are guilty."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], Encoded] = {}
        self._trials: dict[Demand, list[tuple[Origin, ...]]] = {}
        self._aside: set[Origin] = set()
        self._guilty: set[Origin] = set()

    def accepted(self, demand: Demand, resources: Iterable[Encoded], note: Callable[[Origin], None]) -> Verdict:
        """A proxy took these; `note` is told each declaration in a resource that was not taken before."""
        for resource in resources:
            key = (demand.type_url, resource.name)
            if self._taken.get(key) is not resource:
                self._taken[key] = resource
                for origin, _ in resource.origins:
                    note(origin)
        waiting = self._trials.get(demand, [])
        group: tuple[Origin, ...] = ()
        while waiting and not group:
            group = tuple(origin for origin in waiting.pop() if origin in self._aside - self._guilty)
        if not waiting:
            self._trials.pop(demand, None)
        self._aside.difference_update(group)
        return Verdict(take_back=group) if group else NOTHING

    def refused(self, demand: Demand, resources: Iterable[Encoded], message: str) -> Verdict:
        """A proxy refused a response that held these."""
        suspects = self._suspects(demand, tuple(resources), message)
        if not suspects or not self._aside.isdisjoint(suspects):
            return NOTHING  # what explains it was set aside meanwhile: the next answer, without that, will tell
        if len(suspects) > 1:
            middle = len(suspects) // 2
            self._trials.setdefault(demand, []).extend((suspects[:middle], suspects[middle:]))
        else:
            (guilty,) = suspects
            self._guilty -= {former for former in self._guilty if former.ref == guilty.ref}
            self._guilty.add(guilty)
        self._aside.update(suspects)
        return Verdict(set_aside=suspects, message=message)

    def on_trial(self) -> tuple[Demand, ...]:
        """Return the demands with declarations that are to be tried again."""
        return tuple(self._trials)

    def has_taken(self, demand: Demand, resources: tuple[Encoded, ...]) -> bool:
        """Tell whether proxies hold just these: they will not be sent again, so nobody will say that they are fine."""
        taken = (self._taken.get((demand.type_url, resource.name)) for resource in resources)
        return all(t is not None and t.version == r.version for t, r in zip(taken, resources, strict=True))

    def forget(self, demand: Demand) -> None:
        """Nobody asks for it any more: its trials end, and what they held stays aside until its author changes it."""
        self._trials.pop(demand, None)

    def _suspects(self, demand: Demand, resources: tuple[Encoded, ...], message: str) -> tuple[Origin, ...]:
        named = tuple(resource for resource in resources if resource.name in message)
        found: dict[Origin, None] = {}
        for resource in named or resources:
            taken = self._taken.get((demand.type_url, resource.name))
            known = set(taken.origins) if taken else set()
            for part in resource.origins:
                if part not in known:
                    found[Origin(part[0].ref, part[0].generation)] = None
        return tuple(found)
