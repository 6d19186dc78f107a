"""Words for the gaps of a text: what `textsearch infill` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.fill import fill_masks
from samplers.proposals import PIECES, BlockInfill, Mixture, Replace
from textsearch import Generations, generate
from textsearch.display import waiting
from textsearch.models import causal_lm, masked_lm
from textsearch.models.guided import GuidedMaskedLM


def run(
    texts: Sequence[str],
    *,
    chains: int,
    steps: int,
    seed: int,
    temperature: float = 1.0,
    causal: str | None = None,
    masked: str | None = None,
    progress: bool = False,
) -> Generations:
    """`chains` chains for each text; see the command's help."""
    with waiting("loading the masked model", progress):
        model = masked_lm(masked)
    mask = model.vocabulary.tokenizer.mask_token
    for text in texts:
        if mask not in text:
            raise ValueError(f"{text!r} has no gap: write {mask} for each word that is wanted")
    gaps = model.vocabulary.encode(texts).repeat(chains)
    with waiting("loading the causal model", progress):
        lm = causal_lm(causal)
    guided = GuidedMaskedLM(model, lm)
    moves = Mixture({Replace(guided, pieces=PIECES): 0.7, BlockInfill(guided, words=(2,), pieces=PIECES): 0.3})
    result = generate(
        Fluency(lm),
        MetropolisHastings(moves),
        fill_masks(guided, gaps, seed),
        steps=steps,
        seed=seed,
        temperature=temperature,
        progress=progress,
    )
    return replace(result, sources=list(texts))
