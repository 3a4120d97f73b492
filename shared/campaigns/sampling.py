"""Which of many points are shown: evenly spread by number, the same ones each time, always with those that matter."""

from collections.abc import Collection

#: Of `ranked` (number, place from 0, total): all, or about `:room` evenly, the first, the last, and those in `:kept`.
PICKED = """
    SELECT number, total FROM ranked
    WHERE total <= :most OR place = 0 OR place = total - 1 OR number = ANY(:kept)
        OR place * :room / total <> (place - 1) * :room / total
"""


def bounds(most: int, kept: Collection[int]) -> dict[str, object]:
    """The parameters of `PICKED`: with `kept`, of which at most half of `most` are heeded, no more than `most` points
    come."""
    heeded = sorted(kept)
    if len(heeded) > most // 2:
        heeded = [heeded[index] for index in places(len(heeded), most // 2)]
    return {"most": most, "kept": heeded, "room": max(1, most - 2 - len(heeded))}


def places(total: int, most: int, kept: Collection[int] = ()) -> list[int]:
    """The same choice over `total` things that are in memory: their places in order, with those in `kept`."""
    if total <= most:
        return list(range(total))
    room = max(1, most - 2 - len(kept))
    even = {place for place in range(1, total) if place * room // total != (place - 1) * room // total}
    return sorted({0, total - 1, *kept, *even})
