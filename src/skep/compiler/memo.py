"""Remembers what each unit of compilation gave and what it read, and forgets just the units whose reads changed.

In: facts (`set`) and pure functions that read facts and other units. Out: their values, computed on demand (`get`).
A fact that changes marks the units above it stale, and nothing else; a unit that is recomputed to an equal value stops
the wave there. It does no IO, keeps no time and never runs a unit that nobody asks for.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
V = TypeVar("V")


class _Cell:
    """A fact or a unit: its value, what it read and who read it."""

    __slots__ = ("changed_at", "compute", "key", "readers", "reads", "stale", "value", "verified_at", "watched")

    def __init__(self, key: Hashable, compute: Callable[["Memo"], Any] | None) -> None:
        self.key = key
        self.compute = compute
        self.value: Any = None
        self.stale = compute is not None
        self.changed_at = -1
        self.verified_at = -1
        self.reads: dict[_Cell, None] = {}
        self.readers: set[_Cell] = set()
        self.watched = False


class Memo:
    """A memory of facts and of the units computed from them. Used from one thread."""

    def __init__(self) -> None:
        self._cells: dict[Hashable, _Cell] = {}
        self._revision = 0
        self._reading: list[_Cell] = []
        self._stale_watched: dict[Hashable, None] = {}

    def set(self, fact: Hashable, value: object) -> None:
        """Record a fact; None means that it is absent. An equal value changes nothing."""
        cell = self._cells.get(fact)
        if cell is None:
            if value is None:
                return
            cell = self._cells[fact] = _Cell(fact, None)
        if cell.value == value:
            return
        self._revision += 1
        cell.value = value
        cell.changed_at = self._revision
        self._mark_stale(cell)

    def fact(self, fact: Hashable) -> Any:
        """Return a fact, or None; the unit that asks depends on it from now on, also on its absence."""
        cell = self._cells.get(fact)
        if cell is None:
            cell = self._cells[fact] = _Cell(fact, None)
        self._note_read(cell)
        return cell.value

    def get(self, unit: "Callable[Concatenate[Memo, P], V]", /, *args: P.args, **_kwargs: P.kwargs) -> V:
        """Return what `unit(memo, *args)` gives, from memory when nothing it read has changed.

        `unit` is a module-level pure function; its arguments are hashable and positional.
        """
        key = (unit, args)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = _Cell(key, lambda memo: unit(memo, *args, **_kwargs))
        self._note_read(cell)
        if cell.stale:
            self._refresh(cell)
        return cast(V, cell.value)

    def watch(self, unit: "Callable[Concatenate[Memo, P], V]", /, *args: P.args, **_kwargs: P.kwargs) -> V:
        """Like `get`, and name the unit in `stale()` from now on whenever it may have changed."""
        value = self.get(unit, *args, **_kwargs)
        self._cells[(unit, args)].watched = True
        return value

    def unwatch(self, unit: "Callable[Concatenate[Memo, P], V]", /, *args: P.args, **_kwargs: P.kwargs) -> None:
        """Stop watching; what no other unit needs is forgotten."""
        cell = self._cells.get((unit, args))
        if cell is not None:
            cell.watched = False
            self._stale_watched.pop(cell.key, None)
            self._forget_unused(cell)

    def stale(self) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Yield, once each, the watched units that may have changed since the last call, in the order they were hit."""
        hit, self._stale_watched = self._stale_watched, {}
        for key in hit:
            if key in self._cells:
                yield cast(tuple[Callable[..., Any], tuple[Any, ...]], key)

    def __len__(self) -> int:
        """Count facts and units remembered."""
        return len(self._cells)

    def _note_read(self, cell: _Cell) -> None:
        if self._reading:
            reader = self._reading[-1]
            reader.reads[cell] = None
            cell.readers.add(reader)

    def _mark_stale(self, changed: _Cell) -> None:
        pending = [changed]
        while pending:
            for reader in pending.pop().readers:
                if not reader.stale:
                    reader.stale = True
                    if reader.watched:
                        self._stale_watched[reader.key] = None
                    pending.append(reader)

    def _refresh(self, cell: _Cell) -> None:
        if cell in self._reading:
            raise RuntimeError(f"a unit reads itself: {cell.key!r}")
        if cell.verified_at >= 0 and not self._reads_changed(cell):
            cell.stale = False
            cell.verified_at = self._revision
            return
        former = cell.reads
        cell.reads = {}
        self._reading.append(cell)
        try:
            assert cell.compute is not None
            value = cell.compute(self)
        except BaseException:
            for read in cell.reads:
                if read not in former:
                    read.readers.discard(cell)
            cell.reads = former
            raise
        finally:
            self._reading.pop()
        if cell.changed_at < 0 or value != cell.value:
            cell.changed_at = self._revision
            cell.value = value
        cell.verified_at = self._revision
        cell.stale = False
        for read in former:
            if read not in cell.reads:
                read.readers.discard(cell)
                self._forget_unused(read)

    def _reads_changed(self, cell: _Cell) -> bool:
        for read in cell.reads:
            if read.stale:
                self._refresh(read)
            if read.changed_at > cell.verified_at:
                return True
        return False

    def _forget_unused(self, cell: _Cell) -> None:
        pending = [cell]
        while pending:
            unused = pending.pop()
            absent_fact = unused.compute is None and unused.value is None
            if unused.readers or unused.watched or not (unused.compute or absent_fact):
                continue
            self._cells.pop(unused.key, None)
            for read in unused.reads:
                read.readers.discard(unused)
                pending.append(read)
