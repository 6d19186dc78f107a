"""The laws of what objectives say of beginnings: a proof kills no text that is allowed; each row is judged alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.kinds import BATCH, OBJECTIVE, instance
from textsearch.living import living_by
from textsearch.objective import Objective, evaluate, impossible_by, next_allowed_by
from textsearch.testing.report import Law, LawBroken, Report, name_of, require

Key = tuple[tuple[int, ...], int]
"""A beginning, and the number of its input."""


def every_row(vocabulary: Vocabulary, longest: int) -> Batch:
    """All rows of at most so many of the tokens that may be written, as texts for one input.

    Args:
        vocabulary: a small one: rows grow as its size to the power of `longest`.
        longest: tokens of a row.

    >>> from textsearch.testing import letters
    >>> every_row(letters("ab"), 2).texts()
    ['', 'a', 'b', 'aa', 'ab', 'ba', 'bb']
    """
    tokens = vocabulary.allowed.nonzero().squeeze(-1).tolist()
    rows = [row for size in range(longest + 1) for row in itertools.product(tokens, repeat=size)]
    batch = Batch.of(rows, vocabulary)
    return Batch(batch.tokens, batch.lengths, batch.editable, torch.zeros_like(batch.inputs), vocabulary)


def check_beginnings(objective: Objective, texts: Batch, end: int = 0) -> Report:
    """Check what `Objective.impossible`, `Objective.allowed_next` and `textsearch.living` say of all beginnings.

    A row of tokens that is not the canonical one of its text counts as forbidden (`textsearch.spelling`).

    Args:
        objective: what to check.
        texts: rows of tokens, with all that it allows up to some length: see `every_row`.
        end: the token that ends a text.

    Raises:
        LawBroken: names the law and the beginning.

    >>> from objectives import Choices
    >>> from textsearch.testing import letters
    >>> print(check_beginnings(Choices(["ab", "b"]), every_row(letters("ab"), 2)))
    Choices: 8 laws hold
      proofs: shape and type     (7,) torch.bool     (K,) bool, or None
      proofs: alone              7 beginnings        the same
      hints: shape and type      (7, 3) torch.bool   (K, V) bool, or None
      hints: alone               7 beginnings        the same
      living: shape and type     (7, 3) torch.bool   (K, V) bool, or None
      living: alone              7 beginnings        the same
      proofs: nothing that fits  3 of 3 proven       no allowed text begins so
      living: nothing that fits  16 tokens left out  no allowed text goes on so
    """
    instance("objective", objective, OBJECTIVE)
    instance("texts", texts, BATCH)
    with torch.inference_mode():
        fine = (evaluate(objective, texts).energy < math.inf).tolist()
    keys = list(zip(map(tuple, texts.token_lists()), texts.inputs.tolist(), strict=True))
    begun = list(dict.fromkeys(key for each in keys for key in _beginnings(*each)))
    alive = {key for each, fits in zip(keys, fine, strict=True) if fits for key in _beginnings(*each)}

    def told(kind: str, method: Callable[[Objective, Beginnings], Tensor | None], *width: int) -> Tensor | None:
        """What is said of all beginnings, of each alone the same; lines of the report."""

        def ask(asked: Sequence[Key]) -> Tensor | None:
            rows, numbers = [row for row, _ in asked], [number for _, number in asked]
            return method(objective, Beginnings(texts.vocabulary, end, rows, numbers))

        found = ask(begun)
        wanted = f"({', '.join(['K', 'V'][: 1 + len(width)])}{'' if width else ','}) bool, or None"
        form = "None" if found is None else f"{tuple(found.shape)} {found.dtype}"
        laws.append(Law(f"{kind}: shape and type", form, wanted))
        if found is None:
            return None
        require(
            found.shape == (len(begun), *width) and found.dtype == torch.bool,
            f"{kind}: shape and type",
            objective,
            f"of {len(begun)} beginnings they are {form}, not {wanted}",
        )
        for place in reversed(range(len(begun))):
            alone = ask([begun[place]])
            require(
                alone is not None and alone[0].equal(found[place]),
                f"{kind}: alone",
                objective,
                f"the beginning {begun[place]} is judged otherwise when asked alone",
            )
        laws.append(Law(f"{kind}: alone", f"{len(begun)} beginnings", "the same"))
        return found

    laws: list[Law] = []
    with torch.inference_mode():
        dead = told("proofs", impossible_by)
        told("hints", next_allowed_by, texts.vocabulary.size)
        living = told("living", living_by, texts.vocabulary.size)
    if dead is not None:
        for key, proven in zip(begun, dead.tolist(), strict=True):
            if proven and key in alive:
                raise LawBroken(
                    f"{name_of(objective)} breaks the law of 'proofs: nothing that fits': the beginning {key[0]}, "
                    f"{Batch.of([key[0]], texts.vocabulary).texts()[0]!r}, is called impossible, but a text that is "
                    "allowed begins so; say False where you are not certain"
                )
        figure = f"{int(dead.sum())} of {sum(key not in alive for key in begun)} proven"
        laws.append(Law("proofs: nothing that fits", figure, "no allowed text begins so"))
    if living is not None:
        place = {key: at for at, key in enumerate(begun)}
        for (row, number), fits in zip(keys, fine, strict=True):
            for size, token in enumerate((*row, end) if fits else ()):
                require(
                    bool(living[place[row[:size], number], token]),
                    "living: nothing that fits",
                    objective,
                    f"token {token} is left out behind {row[:size]}, but the row {row} is allowed and goes on so; "
                    "leave out only what is proven",
                )
        laws.append(
            Law("living: nothing that fits", f"{int((~living).sum())} tokens left out", "no allowed text goes on so")
        )
    return Report(name_of(objective), tuple(laws))


def _beginnings(row: tuple[int, ...], number: int) -> list[Key]:
    return [(row[:size], number) for size in range(len(row) + 1)]
