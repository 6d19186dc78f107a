"""Starts for chains under constraints: drafts of the causal model that satisfy them, and filled frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from objectives import Keywords, Only, Pattern, ngram_likeness
from samplers.starts.apart import apart
from samplers.starts.drafts import one_sentence
from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.checks import MAX_TOKENS
from textsearch.models.protocols import MaskedLM, Writer, asked
from textsearch.objective import Objective, evaluate, term_names
from textsearch.rng import Rng, input_numbers
from textsearch.tasks.constraints import table
from textsearch.tasks.prompts import wish
from textsearch.tasks.request import Request
from textsearch.tasks.sentences import marked, sentence
from textsearch.tasks.starts.frames import Lexicon, fill, frame, layout_numbers

ENDS = ".!?。！？"
"""Marks that end a sentence."""

DRAFTS, FRAMES = 8, 12
"""For each request and round; frames are for requests that too few drafts were fit for."""

ROUNDS, ENOUGH = 4, 4
"""Rounds at most, and different starts that are enough for any number of chains."""


@final
@dataclass(frozen=True)
class Stated:
    """The requests that state something of one kind: their numbers, and the values that they state."""

    inputs: list[int]
    values: list[Any]


def stated(requests: Sequence[Request], name: str) -> Stated | None:
    """The values of the field `name` where requests have one; None if no request has."""
    found = {number: getattr(request, name) for number, request in enumerate(requests)}
    found = {number: value for number, value in found.items() if value}
    return Stated(list(found), list(found.values())) if found else None


def constraints(requests: Sequence[Request]) -> Objective:
    """The hard terms of all requests, each for the inputs that ask for it."""
    terms: list[Objective] = []
    for one in table.CONSTRAINTS:
        some = stated(requests, one.name)
        term = one.hard(some.values) if some else None
        if some and term is not None:
            terms.append(Only(term, some.inputs))
    # a regular expression or fixed parts may say where sentences end themselves
    plain = [
        number
        for number, request in enumerate(requests)
        if not any(one.ends for one, _ in request.constraints()) and not _ends_within(request)
    ]
    if plain:
        terms.append(Only(Pattern([sentence(kept_whole(requests[number]), ENDS) for number in plain]), plain))
    total: Objective = terms[0]
    for term in terms[1:]:
        total += term
    return total


def beginnings(
    requests: Sequence[Request],
    objective: Objective,
    causal: Writer,
    masked: MaskedLM,
    lexicon: Lexicon,
    prompts: Sequence[str],
    *,
    chains: int,
    seed: int,
    numbers: Sequence[int] | None = None,
    different: float = 0.0,
    lang: str = "en",
) -> Batch:
    """`chains` rows for each request, those of the lowest energy first; copies where fewer were found.

    A chat model is asked in the language `lang`. With `different`, nats that two texts cost that share all their words,
    they are chosen to be unlike one another.

    Raises:
        ValueError: nothing was found for a request; the message says which terms refused what was tried.
    """
    own_numbers = input_numbers(numbers, len(requests))
    kept: dict[int, tuple[Batch, torch.Tensor]] = {}
    refusals = dict.fromkeys(range(len(requests)), f"none could be written in {MAX_TOKENS} tokens")
    pools: dict[int, list[str]] = {number: [] for number in refusals}

    def keep(number: int) -> bool:
        """Keep the best texts so far, and tell whether they are enough."""
        rows = _encoded(pools[number], number, masked.vocabulary)
        with torch.inference_mode():
            found = evaluate(objective, rows)
        fits = (found.energy < math.inf).nonzero().squeeze(-1)
        if len(fits):
            kept[number] = rows.rows(fits), found.energy[fits]
        elif len(rows):
            refusals[number] = _refused(objective, found.terms)
        return len(fits) >= min(chains, ENOUGH)

    needy = list(refusals)
    for attempt in range(ROUNDS):
        for number in needy:
            rng = Rng.start(seed, DRAFTS, number=own_numbers[number], purpose="beginnings").at(attempt)
            pools[number] += drafts_of(requests[number], causal, prompts[number], rng, lang)
        needy = [number for number in needy if not keep(number)]
        frames = []
        for number in needy:
            layouts = layout_numbers(seed, own_numbers[number], attempt + 1)
            laid_out = [frame(requests[number], layouts) for _ in range(FRAMES)]
            frames += [(number, requests[number], slots) for slots in laid_out if slots is not None]
        for number, text in fill(masked, lexicon, frames, seed, own_numbers, attempt):
            pools[number].append(text)
        needy = [number for number in needy if not keep(number)]
        if not needy:
            break
    for number, request in enumerate(requests):
        if number not in kept:
            raise ValueError(
                f"no start was found for request {number} ({request}): of {len(set(pools[number]))} texts tried, "
                f"{refusals[number]}; loosen one of these"
            )
    return concatenate(apart(*kept[number], chains, ngram_likeness, different) for number in range(len(requests)))


def drafts_of(request: Request, causal: Writer, prompt: str, rng: Rng, lang: str = "en") -> list[str]:
    """Texts that the causal model writes after the prefix; none for requests that it could not meet by chance.

    Where a label or a topic is wanted, a chat model is asked for as many again.
    """
    if not all(one.drafts for one, _ in request.constraints()):
        return []
    asking = bool(request.label or request.topic)
    prompts = [prompt, asked(causal, wish(request.topic, request.label, lang))] if asking else [prompt]
    found: list[str] = []
    kept = kept_whole(request)
    with torch.inference_mode():
        for number, before in enumerate(prompts):
            if before is not None:
                ends = causal.continuations(before + request.prefix, rng.fold(number), top_p=0.95, most=32)
                found += [text for end in ends if (text := continued(request.prefix, end, kept))]
    return found


def kept_whole(request: Request) -> str:
    """A regular expression of the required phrases that no sentence ends inside; empty if there are none."""
    return marked(map(Keywords(request.required).forms, request.required), ENDS) if request.required else ""


def continued(prefix: str, end: str, whole: str = "") -> str:
    """The prefix and the text after it up to the first end of a sentence; empty if there is no such text.

    No sentence ends inside `whole`, a regular expression of phrases.

    >>> continued("The year is 1910.", " All is quiet. So")
    'The year is 1910. All is quiet.'
    """
    cut = one_sentence(end, whole)
    return prefix + (" " if prefix and end[:1].isspace() else "") + cut if cut else ""


def _ends_within(request: Request) -> bool:
    """Whether the fixed words hold an end of a sentence that is not their last."""
    return any(
        word in ".!?。！？"
        for layout in request.layouts()
        for number, part in enumerate(layout)
        if isinstance(part, tuple)
        for word in (part[:-1] if number == len(layout) - 1 else part)
    )


def _encoded(texts: Sequence[str], number: int, vocabulary: Vocabulary) -> Batch:
    """The different texts that the tokenizer can write and moves can edit, as rows of one input."""
    rows = []
    for text in dict.fromkeys(texts):
        try:
            row = vocabulary.encode([text])
        except ValueError:
            continue
        # a longer one could not be edited
        rows += [row] if row.width <= MAX_TOKENS else []
    batch = concatenate(rows) if rows else vocabulary.encode([])
    return replace(batch, inputs=torch.full_like(batch.inputs, number))


def _refused(objective: Objective, terms: torch.Tensor) -> str:
    """Which terms forbade how many texts, the most first."""
    counts = (terms == math.inf).sum(0).tolist()
    said = sorted(zip(counts, term_names(objective), strict=True), reverse=True)
    return ", ".join(f"{count} were refused by {name}" for count, name in said if count)
