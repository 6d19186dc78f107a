"""Starts made of sentences that the user has: retrieved, and changed to hold the keywords of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import regex
import torch

from samplers.starts.retrieved import retrieved
from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.checks import MAX_TOKENS
from textsearch.language.word_kinds import may_replace
from textsearch.models.protocols import TaskLM
from textsearch.objective import Objective
from textsearch.tasks.languages import Language
from textsearch.waiting import note

_PIECES = regex.compile(r"[\p{L}\p{M}\p{N}'’-]+|[^\p{L}\p{M}\p{N}'’-]+")
_WIDE = 1.5  # a sentence is at most so many times as long as wanted, or so many times shorter


def prototypes(
    sets: Sequence[Sequence[str]],
    sentences: Sequence[str],
    language: Language,
    lm: TaskLM,
    objective: Objective,
    vocabulary: Vocabulary,
    *,
    lengths: Sequence[int] | None = None,
    count: int,
    progress: bool,
) -> list[Batch]:
    """For each set at most `count` texts that the objective allows, the best suited first; empty where there are none.

    Notes tell how many sentences cannot be used, and which sets none of them helps.

    Args:
        sets: keywords of each text.
        sentences: that may be changed.
        language: what a sentence is, and its words.
        lm: tells which place suits a keyword.
        objective: what it forbids is left out.
        vocabulary: of the batches.
        lengths: about how many characters each set's texts should have, if that matters.
        count: texts for each set.
        progress: show notes on standard error.
    """
    form = regex.compile(language.sentence())
    whole = [line for line in sentences if form.fullmatch(line)]
    if len(whole) < len(sentences):
        other = len(sentences) - len(whole)
        note(
            f"{other:,} of {len(sentences):,} sentences are left out: each must be one, with its mark at the end",
            progress,
        )
    cut = language.segment or _PIECES.findall
    found = []
    for number, words in enumerate(sets):
        fit = whole if lengths is None else [line for line in whole if _near(len(line), lengths[number])]
        with torch.inference_mode():
            texts = retrieved(
                words,
                fit,
                cut=cut,
                nats=partial(_nats, lm),
                alike=lambda word, other: may_replace(word, other, language.code),
                count=4 * count,
            )
            # a list or a phrase is taken only where there is no sentence
            if (says := language.says_something) is not None:
                texts = sorted(texts, key=lambda text: not says(text))
            rows = [
                replace(row, inputs=torch.full_like(row.inputs, number))
                for row in (_read(vocabulary, text) for text in texts)
                if row is not None and row.width <= MAX_TOKENS
            ]
            batch = concatenate(rows) if rows else vocabulary.encode([language.stop])
            allowed = objective.energy(batch).isfinite().nonzero().flatten()[: count if rows else 0]
        found.append(batch.rows(allowed))
        if not len(allowed):
            note(f"no sentence could be changed to hold {', '.join(words)}: other starts are taken", progress)
    return found


def _near(size: int, wanted: int) -> bool:
    return wanted / _WIDE <= size <= wanted * _WIDE


def _read(vocabulary: Vocabulary, text: str) -> Batch | None:
    try:
        return vocabulary.encode([text])
    except ValueError:
        return None


def _nats(lm: TaskLM, texts: Sequence[str]) -> list[float]:
    """-log p of texts; +inf for one that the model cannot read."""
    rows = [_read(lm.vocabulary, text) for text in texts]
    readable = [row for row in rows if row is not None]
    scores = iter((-lm.score(concatenate(readable)).log_prob).tolist() if readable else [])
    return [float("inf") if row is None else next(scores) for row in rows]
