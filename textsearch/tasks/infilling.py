"""Words for the gaps of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.fill import fill_masks
from samplers.proposals import BlockInfill, Mixture, Replace
from textsearch import Generations, generate
from textsearch.checks import run_of, strings
from textsearch.models.guided import GuidedMaskedLM
from textsearch.partial import viewed
from textsearch.rng import input_numbers
from textsearch.tasks import given
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.room import check_texts


def infill(
    texts: Sequence[str],
    *,
    chains: int = 8,
    steps: int = 100,
    seed: int = 0,
    temperature: float = 1.0,
    lang: str = "en",
    causal: given.Causal = None,
    masked: given.Masked = None,
    progress: bool = False,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """One word for each [MASK] of a text, nothing else changed: `chains` chains for each text, in one run.

    Args:
        texts: with the masked model's mask token where a word is wanted.
        chains: chains for each text.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: draws come from exp(-energy / temperature).
        lang: "en", or "zh" with models of your own; a gap is one character then.
        causal: judges the whole text and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        progress: show what is being done on standard error.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a text without a gap.
    """
    steps, seed, chains, temperature = run_of(
        steps=steps, seed=seed, chains=chains, temperature=temperature, progress=progress
    )
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    given.check(causal=causal, masked=masked)
    language(lang).check(causal=causal, masked=masked)
    input_numbers(numbers, len(texts))
    model = given.masked(masked, progress)
    mask = model.vocabulary.tokenizer.mask_token
    for text in texts:
        if mask not in text:
            raise ValueError(f"{text!r} has no gap: write {mask} for each word that is wanted")
    check_texts(texts, model.vocabulary)
    gaps = model.vocabulary.encode(texts).repeat(chains)
    lm = given.causal(causal, progress)
    guided = GuidedMaskedLM(model, lm)
    pieces = pieces_of(model.vocabulary)
    moves = Mixture({Replace(guided, pieces=pieces): 0.7, BlockInfill(guided, words=(2,), pieces=pieces): 0.3})
    return viewed(
        lambda: generate(
            Fluency(lm),
            MetropolisHastings(moves),
            fill_masks(guided, gaps, seed, numbers),
            steps=steps,
            seed=seed,
            temperature=temperature,
            progress=progress,
            numbers=numbers,
        ),
        lambda result: replace(result, sources=list(texts)),
    )
