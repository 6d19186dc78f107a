"""Restore sentences whose edits together gain less than changing the sentence costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from textsearch.batch import Batch
from textsearch.language.words import WordVocabulary
from textsearch.objective import Objective, evaluate
from textsearch.tasks.channel import sentences

Marked = list[tuple[int, bool]]
"""Tokens, each with whether it is editable."""


def restored(objective: Objective, sources: Batch, batch: Batch) -> Batch:
    """Each text with those sentences restored whose restoring lowers its energy; the source where that is lower still.

    A chain that must first pay for changing a sentence finds few edits. A chain that ignores this price finds them, and
    here they must be worth it.
    """
    own = marked_rows(sources)
    texts = marked_rows(batch)
    inputs = batch.inputs.tolist()
    tried: list[list[tuple[int, Marked]]] = []
    for row, number in zip(texts, inputs, strict=True):
        here, there = _cut(row, batch), _cut(own[number], batch)
        alike = len(here) == len(there)
        tried.append(
            [
                (at, [pair for place, part in enumerate(here) for pair in (there[at] if place == at else part)])
                for at in range(len(here))
                if alike and here[at] != there[at]
            ]
        )
    flat = [(text, number) for group, number in zip(tried, inputs, strict=True) for _, text in group]
    now = evaluate(objective, batch).energy.tolist()
    found = iter(_energies(objective, batch, flat))
    lower = [{at for at, _ in group if next(found) < energy} for group, energy in zip(tried, now, strict=True)]
    mixed: list[tuple[Marked, int]] = []
    for row, number, back in zip(texts, inputs, lower, strict=True):
        here, there = _cut(row, batch), _cut(own[number], batch)
        mixed.append(([pair for at, part in enumerate(here) for pair in (there[at] if at in back else part)], number))
    choices = [list(zip(texts, inputs, strict=True)), mixed, [(own[number], number) for number in inputs]]
    energies = torch.tensor([_energies(objective, batch, rows) for rows in choices])
    best = energies.argmin(0).tolist()
    return batch_of(batch, [choices[which][row] for row, which in enumerate(best)])


def marked_rows(batch: Batch) -> list[Marked]:
    """The tokens of each text, each with whether it is editable."""
    pairs = zip(batch.token_lists(), batch.editable.tolist(), strict=True)
    return [list(zip(tokens, editable, strict=False)) for tokens, editable in pairs]


def _cut(row: Marked, batch: Batch) -> list[Marked]:
    words = batch.vocabulary
    assert isinstance(words, WordVocabulary)
    found: list[Marked] = []
    begin = 0
    for sentence in sentences([words.tokens[token] for token, _ in row]):
        found.append(row[begin : begin + len(sentence)])
        begin += len(sentence)
    return found


def batch_of(like: Batch, rows: Sequence[tuple[Marked, int]]) -> Batch:
    """Texts in the vocabulary of a batch: the tokens of each, and the input that it belongs to."""
    made = Batch.of([[token for token, _ in row] for row, _ in rows], like.vocabulary)
    editable = [[*(may for _, may in row), *[False] * (made.width - len(row))] for row, _ in rows]
    return replace(
        made,
        editable=torch.tensor(editable, dtype=torch.bool).reshape(len(rows), made.width),
        inputs=torch.tensor([number for _, number in rows], dtype=torch.int64),
    )


def _energies(objective: Objective, like: Batch, rows: Sequence[tuple[Marked, int]]) -> list[float]:
    return [float(energy) for energy in evaluate(objective, batch_of(like, rows)).energy] if rows else []
