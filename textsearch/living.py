"""Proofs for all tokens at once: which of them may follow the beginning of a text, and which surely lead to none.

`Objective.impossible` proves that one beginning is that of no text. An objective may also have a method
`living_next(beginnings)` that gives (K, V) bool, the end among the tokens; None where nothing is proven. False proves
that each text that goes on so is forbidden, by itself or as a row that is not the canonical one of its text; True says
nothing. Samplers take what is proven off a bound for good, so a hint will not do; and a beginning must be told the same
whenever it is asked for.
"""

from __future__ import annotations

from functools import reduce
from operator import and_

from torch import Tensor

from textsearch.beginnings import Beginnings
from textsearch.objective import Objective


def living_by(objective: Objective, beginnings: Beginnings) -> Tensor | None:
    """(K, V) bool, the tokens that an objective, or all terms of a sum, may still allow; None where nothing is proven.

    >>> from objectives import Pattern
    >>> from textsearch.testing import ByteVocabulary
    >>> pieces = ByteVocabulary((b"_", b"a", b"ab", b"b"))
    >>> living_by(Pattern("ab+", full=True) + Pattern("b$"), Beginnings(pieces, 0, [[], [1], [2]], [0, 0, 0])).tolist()
    [[False, True, True, False], [False, False, False, True], [True, False, False, True]]
    """
    told = [term.living_next(beginnings) for _, term in objective.parts if hasattr(term, "living_next")]
    known = [one for one in told if one is not None]
    return reduce(and_, known) if known else None
