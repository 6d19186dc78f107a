"""Bridges: keywords in some order, with words of a masked model between them.

Starts for chains that must hold the keywords, where no causal model can be asked for a sentence with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from samplers.starts.fill import fill_masks
from textsearch.batch import Batch, concatenate
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng, input_numbers
from textsearch.tasks.languages import Language

_LENGTH, _ORDER, _GAPS = range(3)  # draws
_LONGEST = 64


def bridges(
    mlm: MaskedLM,
    sets: Sequence[Sequence[str]],
    lengths: Sequence[int],
    objective: Objective,
    language: Language,
    *,
    chains: int,
    seed: int,
    numbers: Sequence[int] | None = None,
    in_order: bool = False,
    pool: int = 4,
) -> Batch:
    """`chains` starting texts for each set of keywords, the lowest energies of `pool` times as many.

    Row r belongs to input `inputs[r]`. A set for which every text is forbidden starts from its keywords and a full
    stop, and nothing else.

    Args:
        mlm: writes what stands between the keywords, from left to right.
        sets: keywords of each text.
        lengths: about how many tokens each set's texts should have.
        objective: the texts of lowest energy are chosen.
        language: how a sentence ends.
        chains: texts wanted for each set.
        seed: the same seed gives the same texts.
        numbers: of the inputs among all that there are; by default 0, 1, 2, ...
        in_order: keep the keywords in the order given.
        pool: texts tried for each start that is wanted.
    """
    vocabulary, found = mlm.vocabulary, []
    own_numbers = input_numbers(numbers, len(sets))
    mask = vocabulary.decode(Batch.of([[vocabulary.mask_id]], vocabulary))[0]
    for number, (words, length) in enumerate(zip(sets, lengths, strict=True)):
        rng = Rng.start(seed, pool * chains, number=own_numbers[number], purpose="bridges")
        order = rng.uniform(_ORDER, len(words)).argsort(dim=1).tolist()
        aims = (length + torch.floor(5 * rng.uniform(_LENGTH)) - 2).to(torch.int64).tolist()
        used = vocabulary.encode([language.space.join([*words, language.stop])]).lengths[0]
        # each word that is written falls into one of the gaps before, between and behind the keywords
        gaps = torch.floor(rng.uniform(_GAPS, _LONGEST) * (len(words) + 1)).to(torch.int64).tolist()
        texts = []
        for row, aim in enumerate(aims):
            chosen = words if in_order else [words[place] for place in order[row]]
            filled = gaps[row][: min(max(aim - int(used), len(words) - 1), _LONGEST)]
            parts = [[mask] * filled.count(gap) for gap in range(len(words) + 1)]
            woven = [piece for gap, word in zip(parts, [*chosen, ""], strict=True) for piece in (*gap, word) if piece]
            texts.append(language.space.join(woven) + language.stop)
        batch = vocabulary.encode(texts)
        batch = fill_masks(mlm, replace(batch, inputs=torch.full_like(batch.inputs, number)), seed, own_numbers)
        energy = evaluate(objective, batch).energy
        best = energy.argsort(stable=True)[:chains]
        allowed = best[energy[best] < torch.inf]
        if len(allowed) == 0:
            bare = vocabulary.encode(
                [language.space.join(words) + ("" if words[-1][-1] in language.ends else language.stop)]
            )
            batch, allowed = replace(bare, inputs=torch.full_like(bare.inputs, number)), torch.tensor([0])
        chosen_rows = batch.rows(allowed[torch.arange(chains) % len(allowed)])
        found.append(replace(chosen_rows, editable=chosen_rows.present))
    return concatenate(found)
