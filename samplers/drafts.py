"""Drafts: texts to start chains from, written by a causal language model and kept if the objective allows them.

What a prompted model writes is a draw from p(text | prompt); keeping the draws that satisfy the hard constraints is
rejection sampling, so a chain on -log p(text | prompt) plus the constraints starts near its target instead of far out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.models.causal import TransformersCausalLM
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng


def drafts(
    model: TransformersCausalLM,
    prompts: Sequence[str],
    objective: Objective,
    vocabulary: Vocabulary,
    *,
    chains: int,
    seed: int,
    pool: int = 32,
    rounds: int = 3,
    temperature: float = 1.0,
    top_p: float = 0.95,
    most_tokens: int = 40,
) -> tuple[Batch, list[int]]:
    """`chains` starting texts for each prompt that could be answered, and the numbers of the prompts that could not.

    Args:
        model: writes the drafts.
        prompts: one for each input; row r of the answer belongs to input `inputs[r]`.
        objective: a draft of energy +inf is dropped.
        vocabulary: of the sampler that will go on from the drafts.
        chains: rows for each input; drafts are used again where too few were allowed.
        seed: the same seed gives the same drafts.
        pool: drafts written for each prompt in one round.
        rounds: at most; later rounds are for the inputs that still lack drafts.
        temperature: of the drafts' tokens.
        top_p: of the drafts' tokens.
        most_tokens: of a draft.
    """
    found: list[Batch] = []
    missing = []
    with torch.inference_mode():
        for number, prompt in enumerate(prompts):
            kept: list[Batch] = []
            for attempt in range(rounds):
                rng = Rng.start(seed, pool).fold(number).at(attempt)
                texts = model.continuations(prompt, rng, temperature=temperature, top_p=top_p, most=most_tokens)
                lines = [text.strip().splitlines()[0].strip() for text in texts if text.strip()]
                encoded = [row for line in lines if (row := _encode(vocabulary, line)) is not None]
                if not encoded:
                    continue
                batch = concatenate(encoded)
                batch = replace(batch, inputs=torch.full_like(batch.inputs, number))
                kept.append(batch.rows(evaluate(objective, batch).energy < math.inf))
                if sum(len(part) for part in kept) >= chains:
                    break
            allowed = concatenate(kept) if kept else None
            if allowed is None or len(allowed) == 0:
                missing.append(number)
            else:
                found.append(allowed.rows(torch.arange(chains) % len(allowed)))
    if not found:
        return vocabulary.encode([]), missing
    return concatenate(found), missing


def _encode(vocabulary: Vocabulary, text: str) -> Batch | None:
    """One row, or nothing where the sampler's tokenizer cannot write the text."""
    try:
        return vocabulary.encode([text])
    except ValueError:
        return None
