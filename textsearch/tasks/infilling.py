"""Words for the gaps of a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import regex
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import BlockInfill, Mixture, Replace
from samplers.starts.fill import fill_masks
from textsearch import Generations, generate
from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.calls import told
from textsearch.checks import flag, run_of, strings
from textsearch.kinds import shown
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import MaskedLM
from textsearch.models.reading.turns import remembered
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import input_numbers
from textsearch.run.partial import viewed
from textsearch.tasks import resolve as given
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.room import check_room

GAPS = ("[MASK]", "[mask]", "<mask>", "___")
"""The common ways to write a gap; more than three underscores are one gap too."""

_GAP = regex.compile(r"\[MASK\]|\[mask\]|<mask>|_{3,}")


@told
def infill(
    texts: Sequence[str],
    *,
    chains: int = 8,
    steps: int = 100,
    seed: int = 0,
    temperature: float = 1.0,
    gap: str | None = None,
    marks: bool = False,
    lang: str = "en",
    causal: given.Causal = None,
    masked: given.Masked = None,
    progress: bool = False,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """One word for each gap of a text, all else as it was written: `chains` chains for each text, in one run.

    Args:
        texts: with `[MASK]`, `<mask>` or `___` where a word is wanted.
        chains: chains for each text.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: draws come from exp(-energy / temperature).
        gap: how a gap is written in the texts, in place of these.
        marks: whether a gap may be filled by a mark of punctuation too.
        lang: "en", or "zh" with models of your own; a gap is one character then.
        causal: judges the whole text and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        progress: show what is being done on standard error.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a text without a gap, or one too long for the models.
    """
    steps, seed, chains, temperature = run_of(
        steps=steps, seed=seed, chains=chains, temperature=temperature, progress=progress
    )
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    marks = flag("marks", marks)
    parts = [parts_of(text, gap) for text in texts]
    given.check(causal=causal, masked=masked)
    language(lang).check(causal=causal, masked=masked)
    input_numbers(numbers, len(texts))
    model = given.masked(masked, progress)
    vocabulary, gaps = model.vocabulary.gapped(parts)
    for text, count in zip(texts, gaps.lengths.tolist(), strict=True):
        check_room(text, count)
    lm = given.causal(causal, progress)
    guided: MaskedLM = GuidedMaskedLM(replace(model, vocabulary=vocabulary), lm)
    if not marks:
        guided = WordsOnly(guided, marks_of(vocabulary.tokenizer))
    pieces = pieces_of(vocabulary)
    moves = Mixture({Replace(guided, pieces=pieces): 0.7, BlockInfill(guided, words=(2,), pieces=pieces): 0.3})
    return viewed(
        lambda: generate(
            Fluency(lm),
            MetropolisHastings(moves),
            fill_masks(guided, gaps.repeat(chains), seed, numbers),
            steps=steps,
            seed=seed,
            temperature=temperature,
            progress=progress,
            numbers=numbers,
        ),
        lambda result: replace(result, sources=list(texts)),
    )


def parts_of(text: str, gap: str | None = None) -> list[str]:
    """What stands between the gaps of a text.

    Raises:
        ValueError: there is none.

    >>> parts_of("The [MASK] ran ____."), parts_of("The ?? ran.", gap="??")
    (['The ', ' ran ', '.'], ['The ', ' ran.'])
    """
    if gap is not None and not (isinstance(gap, str) and gap.strip()):
        raise ValueError(f"gap={shown(gap)} must be what stands for a gap in the texts, such as '[MASK]'")
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
        model: the masked language model.
        marks: (V,) bool, tokens that begin a word and are none; see `marks_of`.
    """

    model: MaskedLM
    marks: Tensor

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.model.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.model.log_probs(batch, rows, positions).to(torch.float64)
        return own.masked_fill(self.marks.to(own.device), -math.inf).log_softmax(-1)


# a stream of texts asks the same tokenizer with every group
@remembered(most=4)
def marks_of(tokenizer: Any) -> Tensor:
    """(V,) bool, tokens that begin a word, but not with a letter or a number."""
    vocabulary = TokenizerVocabulary(tokenizer, 1)
    begins = vocabulary.allowed & ~vocabulary.continues
    return torch.tensor([not text.strip()[:1].isalnum() for text in every_token(vocabulary).texts()]) & begins
