"""Edit distance between words."""

from __future__ import annotations

import re
from functools import cache


@cache
def letters_apart(old: str, new: str) -> int:
    """Letters inserted, deleted, replaced or exchanged with their neighbour (Damerau, 1964), case aside.

    >>> letters_apart("Becouse", "because"), letters_apart("hte", "the")
    (1, 1)
    """
    old, new = old.lower(), new.lower()
    before, row = [0] * (len(new) + 1), list(range(len(new) + 1))
    for i, a in enumerate(old):
        older, before = before, row
        row = [i + 1]
        for j, b in enumerate(new):
            best = min(before[j] + (a != b), before[j + 1] + 1, row[j] + 1)
            if i and j and a == new[j - 1] and b == old[i - 1]:
                best = min(best, older[j - 1] + 1)
            row.append(best)
    return row[-1]


def slipped(old: str, new: str) -> bool:
    """Whether the two differ by a slip of typing: the same letters in another order, or a letter doubled or not.

    >>> slipped("hte", "the"), slipped("seting", "setting"), slipped("seting", "seating"), slipped("tech", "the")
    (True, True, False, False)
    """
    old, new = old.lower(), new.lower()
    single = [re.sub(r"(.)\1+", r"\1", word) for word in (old, new)]
    return single[0] == single[1] or (len(old) == len(new) and sorted(old) == sorted(new))
