"""The map: places, the roads between them with their minutes, and the shortest way. Pure."""

import heapq

ROADS: tuple[tuple[str, str, int], ...] = (
    ("airport", "north-gate", 14),
    ("north-gate", "university", 6),
    ("north-gate", "museum", 7),
    ("university", "old-town", 8),
    ("museum", "old-town", 4),
    ("museum", "station", 5),
    ("old-town", "station", 3),
    ("old-town", "harbour", 9),
    ("station", "market", 4),
    ("market", "harbour", 6),
    ("market", "stadium", 8),
    ("harbour", "lighthouse", 7),
    ("stadium", "hospital", 5),
    ("hospital", "station", 6),
    ("lighthouse", "stadium", 12),
)


def _neighbours() -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for one, other, minutes in ROADS:
        found.setdefault(one, []).append((other, minutes))
        found.setdefault(other, []).append((one, minutes))
    return found


NEIGHBOURS = _neighbours()
PLACES = tuple(sorted(NEIGHBOURS))


def minutes_from(start: str) -> dict[str, int]:
    """Return the minutes from a place to every place."""
    best = {start: 0}
    queue = [(0, start)]
    while queue:
        minutes, place = heapq.heappop(queue)
        if minutes > best[place]:
            continue
        for other, more in NEIGHBOURS[place]:
            if minutes + more < best.get(other, 1 << 30):
                best[other] = minutes + more
                heapq.heappush(queue, (minutes + more, other))
    return best


MINUTES = {place: minutes_from(place) for place in PLACES}


def route(start: str, end: str) -> tuple[list[str], int]:
    """Return the places on the shortest way, and its minutes."""
    way = [start]
    while way[-1] != end:
        here = way[-1]
        way.append(min(NEIGHBOURS[here], key=lambda step: (step[1] + MINUTES[step[0]][end], step[0]))[0])
    return way, MINUTES[start][end]
