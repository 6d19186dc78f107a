"""Words for the gaps of a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import final

import regex
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import BlockInfill, Mixture, Replace
from samplers.starts.fill import fill_masks
from textsearch import Generations
from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.calls import told
from textsearch.checks import strings
from textsearch.kinds import shown
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import MaskedLM
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import gapped, rendered, unrendered
from textsearch.rng import input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.tasks import resolve as given
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.room import check_room
from textsearch.tasks.settings import Infilling

GAPS = ("[MASK]", "[mask]", "<mask>", "___")
"""The common ways to write a gap; more than three underscores are one gap too."""

_GAP = regex.compile(r"\[MASK\]|\[mask\]|<mask>|_{3,}")


@told
def infill(
    texts: Sequence[str],
    *,
    chains: int = Infilling.chains,
    steps: int = Infilling.steps,
    seed: int = Infilling.seed,
    temperature: float = Infilling.temperature,
    different: bool = Infilling.different,
    different_weight: float = Infilling.different_weight,
    gap: str | None = Infilling.gap,
    marks: bool = Infilling.marks,
    lang: str = Infilling.lang,
    causal: given.Causal = None,
    masked: given.Masked = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """One word for each gap of a text, all else as it was written: `chains` chains for each text, in one run.

    Args:
        texts: with `[MASK]`, `<mask>` or `___` where a word is wanted.
        chains: chains for each text.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: draws come from exp(-energy / temperature).
        different: draw the texts of a text as one set that keeps apart, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        gap: how a gap is written in the texts, in place of these.
        marks: whether a gap may be filled by a mark of punctuation too.
        lang: "en", or "zh" with models of your own; a gap is one character then.
        causal: judges the whole text and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        sampler: made of the task's moves; by default `MetropolisHastings`.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a text without a gap, or one too long for the models.
    """
    return answer(
        build,
        texts,
        Infilling(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            gap=gap,
            marks=marks,
            lang=lang,
        ),
        Models(causal=causal, masked=masked),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


def build(
    texts: Sequence[str],
    settings: Infilling,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `infill`: -log p of the whole text, from gaps filled by the masked model; see there."""
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    parts = [parts_of(text, settings.gap) for text in texts]
    given.check(causal=models.causal, uses=("score", "vocabulary", "next_log_probs"))
    language(settings.lang).check(causal=models.causal, masked=models.masked)
    numbers = input_numbers(numbers, len(texts))
    mlm = given.masked(models.masked, progress)
    vocabulary, gaps = gapped(mlm.vocabulary, parts)
    for text, count in zip(texts, gaps.lengths.tolist(), strict=True):
        check_room(text, count)
    lm = given.causal(models.causal, progress)
    guided: MaskedLM = GuidedMaskedLM(rendered(mlm, vocabulary), lm)
    if not settings.marks:
        guided = WordsOnly(guided, marks_of(unrendered(vocabulary)))
    pieces = pieces_of(vocabulary)
    return Problem(
        objective=Fluency(lm),
        moves=Mixture({Replace(guided, pieces=pieces): 0.7, BlockInfill(guided, words=(2,), pieces=pieces): 0.3}),
        sampler=lambda moves, steps: MetropolisHastings(moves),
        start=fill_masks(guided, gaps.repeat(settings.chains), settings.seed, numbers),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=settings.different * settings.different_weight,
        numbers=numbers,
        finish=lambda result: replace(result, sources=list(texts)),
    )


def parts_of(text: str, gap: str | None = None) -> list[str]:
    """What stands between the gaps of a text.

    Raises:
        ValueError: there is none.

    >>> parts_of("The [MASK] ran ____."), parts_of("The ?? ran.", gap="??")
    (['The ', ' ran ', '.'], ['The ', ' ran.'])
    """
    parts = _GAP.split(text) if gap is None else text.split(gap)
    if len(parts) < 2:
        ways = f"{', '.join(GAPS[:-1])} or {GAPS[-1]}" if gap is None else gap
        raise ValueError(f"{shown(text)} has no gap: write {ways} for each word that is wanted")
    return parts


@final
@dataclass(frozen=True, eq=False)
class WordsOnly:
    """A masked language model that begins no word with a mark of punctuation.

    Attributes:
        mlm: the masked language model.
        marks: (V,) bool, tokens that begin a word and are none; see `marks_of`.
    """

    mlm: MaskedLM
    marks: Tensor

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.mlm.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.mlm.log_probs(batch, rows, positions).to(torch.float64)
        return own.masked_fill(self.marks.to(own.device), -math.inf).log_softmax(-1)


# a stream of texts asks the same vocabulary with every group
@remembered(most=4)
def marks_of(vocabulary: Vocabulary) -> Tensor:
    """(V,) bool, tokens that begin a word, but not with a letter or a number."""
    begins = vocabulary.allowed & ~vocabulary.continues
    return torch.tensor([not text.strip()[:1].isalnum() for text in every_token(vocabulary).texts()]) & begins
