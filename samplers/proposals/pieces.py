"""Pieces: how many tokens a new word has.

A word that no move would write can be replaced by none: a move has to have a way back, and the way back would have to
write it again. So the law of a new word's size leaves out no size that a text may hold.
"""

from __future__ import annotations

from textsearch.batch import Vocabulary

_ONE, _TWO, _LONGER = 0.94, 0.04, 0.02  # about the shares of English sentences in a BERT vocabulary
_FALL = 0.25  # from one longer size to the next


def every_size(longest: int) -> tuple[float, ...]:
    """Probabilities of 1, 2, ... `longest` pieces, none of them 0.

    >>> every_size(1), every_size(4)
    ((1.0,), (0.94, 0.04, 0.015, 0.005))
    """
    if longest < 3:
        return (1.0,) if longest < 2 else (_ONE, 1.0 - _ONE)
    longer = [_LONGER * (1 - _FALL) * _FALL**more for more in range(longest - 3)]
    return (_ONE, _TWO, *longer, _LONGER * _FALL ** (longest - 3))


PIECES = every_size(64)
"""How many pieces a new word has: about the shares in English sentences, in a BERT vocabulary."""


def sizes_of(vocabulary: Vocabulary, longest: int) -> tuple[float, ...]:
    """The law of a new word in this vocabulary: of one piece only where no token goes on a word."""
    return every_size(longest) if bool((vocabulary.allowed & vocabulary.continues).any()) else (1.0,)
