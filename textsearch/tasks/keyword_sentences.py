"""Sentences from keywords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from objectives import Fluency, Keywords, Pattern
from samplers import MetropolisHastings
from samplers.drafts import drafts
from samplers.proposals import PIECES, Mixture, SpanEdit, Swap
from textsearch import Batch, Generations, generate
from textsearch.batch import Vocabulary, concatenate
from textsearch.display import waiting
from textsearch.loop import Rule
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.guided import GuidedMaskedLM
from textsearch.proposal import Proposal
from textsearch.sampler import Sampler
from textsearch.tasks import given

EXAMPLES = (
    ("book, read, tree", "A girl is reading a book under a tree."),
    ("egg, pan, stove", "The cook fries two eggs in a pan on the stove."),
    ("beach, hat, wear", "An old man with a hat that he always wears sits on the beach."),
)
"""Requests with answers in the style that is wanted: somebody does something with the things that are named."""

EDITS = {(1, 1): 0.46, (0, 1): 0.12, (1, 0): 0.12, (2, 2): 0.14, (1, 2): 0.08, (2, 1): 0.08}
"""How often so many words are replaced by so many; one table, so that all chains share each pass of the models."""

SENTENCE = r"^[^.!?]*[.!?]$"
"""One sentence, with an end."""


def request(model: TransformersCausalLM, words: Sequence[str]) -> str:
    """The prompt that asks `model` for a sentence with the words."""
    ask = "Write one short sentence with the words: "
    return model.ask(ask + ", ".join(words), [(ask + given, answer) for given, answer in EXAMPLES])


def keywords(
    sets: Sequence[Sequence[str]],
    *,
    chains: int = 8,
    steps: int = 200,
    seed: int = 0,
    temperature: float = 1.0,
    inflections: bool = True,
    in_order: bool = False,
    causal: given.Causal = None,
    masked: given.Masked = None,
    sampler: Callable[[Proposal], Sampler[Any]] = MetropolisHastings,
    until: Rule | None = None,
    progress: bool = False,
) -> Generations:
    """Sentences that hold all words of a set, in any order: `chains` chains for each set, in one run.

    Args:
        sets: the words and phrases of each sentence.
        chains: chains for each set.
        steps: of every chain.
        seed: the same seed gives the same sentences.
        temperature: draws come from exp(-energy / temperature).
        inflections: dog is found in dogs too.
        in_order: the words must come in the order given.
        causal: judges, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        sampler: made of the task's moves.
        until: stop early; see `textsearch.until`.
        progress: show what is being done on standard error.

    Raises:
        ValueError: a set that no sentence can hold, or one with nothing in it.
    """
    constraint = Keywords(sets, inflections=inflections, in_order=in_order)
    model = given.masked(masked, progress)
    vocabulary = model.vocabulary
    constraint.check(vocabulary.encode(["."] * len(sets)))
    lm = given.causal(causal, progress)
    prompts = [request(lm, words) for words in sets]
    fluency = Fluency(lm, prompts) + Pattern(SENTENCE)
    objective = fluency + constraint

    starts = []
    with waiting("writing drafts", progress):
        found = drafts(lm, prompts, objective, vocabulary, chains=chains, seed=seed)
        for number, words in enumerate(sets):
            rows = found.rows(found.inputs == number)
            if len(rows) == 0:
                rows = complete(words, lm, prompts[number], vocabulary, constraint, number, seed)
            starts.append(rows.rows(torch.arange(chains) % len(rows)))
    start = concatenate(starts)
    # the final full stop stays
    start = start.frozen(torch.arange(start.width) >= start.lengths[:, None] - 1)

    guided = GuidedMaskedLM(model, lm, prompts)
    moves = Mixture({SpanEdit(guided, EDITS, PIECES): 0.95, Swap(vocabulary): 0.05})
    result = generate(
        objective,
        sampler(moves),
        start,
        steps=steps,
        seed=seed,
        temperature=temperature,
        until=until,
        progress=progress,
    )
    return replace(result, sources=[", ".join(words) for words in sets])


def complete(
    words: Sequence[str],
    model: TransformersCausalLM,
    prompt: str,
    vocabulary: Vocabulary,
    constraint: Keywords,
    number: int,
    seed: int,
) -> Batch:
    """One start for a set that no draft covered: the fullest draft, each missing word put where it costs the least."""
    fluency = Fluency(model, prompt)
    sentence = Pattern(SENTENCE)
    pool = drafts(model, [prompt], fluency + sentence, vocabulary, chains=32, seed=seed, rounds=1)
    texts = [*pool.texts(), "."]
    alone = [Keywords([word], inflections=constraint.inflections) for word in words]
    holds = torch.stack([one.energy(vocabulary.encode(texts)) == 0 for one in alone], 1)
    text = texts[int(holds.sum(1).argmax())]

    def allowed(batch: Batch, needed: Keywords) -> Batch:
        own = replace(batch, inputs=torch.full_like(batch.inputs, number))
        return batch.rows((needed.energy(own) + sentence.energy(own)) == 0)

    for count in range(1, len(words) + 1):
        needed = Keywords(words[:count], inflections=constraint.inflections, in_order=constraint.in_order)
        if len(allowed(vocabulary.encode([text]), needed)):
            continue
        pieces = text[:-1].split()
        slots = [" ".join([*pieces[:i], words[count - 1], *pieces[i:]]) + "." for i in range(len(pieces) + 1)]
        tries = allowed(vocabulary.encode(slots), needed)
        bare = " ".join(words[:count]) + "."
        text = tries.texts()[int(fluency.energy(tries).argmin())] if len(tries) else bare
    start = vocabulary.encode([text])
    return replace(start, inputs=torch.full_like(start.inputs, number))
