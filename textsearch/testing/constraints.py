"""The laws of what objectives allow: a hint that sees the other tokens alone, and forbids nothing that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import strings
from textsearch.kinds import OBJECTIVE, instance
from textsearch.objective import Objective, allowed_by, proper
from textsearch.testing.report import Law, LawBroken, Report, name_of, require
from textsearch.testing.spaces import widened
from textsearch.testing.toys import letters


def check_allowed(objective: Objective, texts: Batch | Sequence[str]) -> Report:
    """Check what `Objective.allowed` says of every token at every place of `texts`.

    Args:
        objective: what to check.
        texts: best with some that it allows. Strings are read letter by letter; give a batch,
            `vocabulary.encode(texts)`, of a small vocabulary otherwise: every token is tried at every place.

    Raises:
        LawBroken: names the law, the text and the token.

    >>> from objectives import Acrostic
    >>> from textsearch.language.words import WordVocabulary
    >>> words = WordVocabulary.of(["an", "old", "dog"])
    >>> print(check_allowed(Acrostic("od"), words.batch([["old", "dog"], ["dog", "an", "old"]])))
    Acrostic: 5 laws hold
      shape and type         (5, 4) torch.bool  (K, V) bool, or None
      the other tokens only  5 places           the same
      alone                  5 places           the same
      padding                5 places           the same
      nothing that fits      11 forbidden       energy +inf
    """
    instance("objective", objective, OBJECTIVE)
    batch = texts if isinstance(texts, Batch) else _by_letter(strings("texts", texts))
    rows, positions = batch.present.nonzero(as_tuple=True)
    vocabulary = batch.vocabulary
    size = vocabulary.size
    with torch.inference_mode():
        whole = allowed_by(objective, batch, rows, positions)
        if whole is None:
            return Report(name_of(objective), (Law("shape and type", "None", "(K, V) bool, or None"),))
        kind = f"{tuple(whole.shape)} {whole.dtype}"
        require(
            whole.shape == (len(rows), size) and whole.dtype == torch.bool,
            "shape and type",
            objective,
            f"allowed() of {len(rows)} places is {kind}, not ({len(rows)}, {size}) torch.bool",
        )

        def same(law: str, found: Tensor | None, index: Tensor, how: str) -> None:
            """`found` must be what was allowed at the places `index`."""
            expected = whole[index]
            given = torch.ones_like(expected) if found is None else found
            wrong = (given != expected).nonzero()
            if len(wrong):
                place, token = wrong[0].tolist()
                at = int(index[place])
                raise LawBroken(
                    f"{name_of(objective)} breaks the law of {law!r}: token {token} at place {int(positions[at])} of "
                    f"{batch.rows([int(rows[at])]).texts()[0]!r} is allowed: {bool(expected[place, token])}, but "
                    f"{bool(given[place, token])} {how}"
                )

        every = torch.arange(len(rows))
        # each place in a copy of its row, with another token there: the mask, and some that may be written
        copies = batch.rows(rows)
        written = vocabulary.allowed.nonzero().squeeze(-1)
        for token in (vocabulary.mask_id, int(written[0]), int(written[-1]), int(written[len(written) // 2])):
            put = copies.with_tokens(positions, torch.full_like(positions, token))
            same("the other tokens only", allowed_by(objective, put, every, positions), every, f"where {token} stands")
        for place in every.tolist():
            one = batch.rows([int(rows[place])])
            same("alone", allowed_by(objective, one, every[:1], positions[[place]]), every[[place]], "when asked alone")
        same("padding", allowed_by(objective, widened(batch), rows, positions), every, "with three columns of padding")
        refused = (~whole & vocabulary.allowed.to(whole.device)).nonzero()
        fits = _fits(objective, copies.rows(refused[:, 0]), positions[refused[:, 0]], refused[:, 1])
        for place, token in refused[fits].tolist():
            put = copies.rows([place]).with_tokens(positions[[place]], torch.tensor([token]))
            raise LawBroken(
                f"{name_of(objective)} breaks the law of 'nothing that fits': token {token} is not allowed at place "
                f"{int(positions[place])} of {batch.rows([int(rows[place])]).texts()[0]!r}, but {put.texts()[0]!r} has "
                "a finite energy; allow what you are not certain of"
            )
    places = f"{len(rows)} places"
    return Report(
        name_of(objective),
        (
            Law("shape and type", kind, "(K, V) bool, or None"),
            Law("the other tokens only", places, "the same"),
            Law("alone", places, "the same"),
            Law("padding", places, "the same"),
            Law("nothing that fits", f"{len(refused)} forbidden", "energy +inf"),
        ),
    )


def _fits(objective: Objective, batch: Batch, positions: Tensor, tokens: Tensor) -> Tensor:
    """(R,) bool, whether the text with the token at its place is one that the objective allows."""
    if not len(batch):
        return torch.zeros(0, dtype=torch.bool)
    put = batch.with_tokens(positions, tokens)
    counted = proper(objective, put)
    return counted & (objective.energy(put) < math.inf)


def _by_letter(texts: Sequence[str]) -> Batch:
    return letters("".join(sorted(set("".join(texts)) - {"_"}))).encode(list(texts))
