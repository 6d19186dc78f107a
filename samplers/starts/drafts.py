"""Drafts: texts to start chains from, written by a causal language model and kept if the objective allows them.

What a prompted model writes is a draw from p(text | prompt); keeping the draws that satisfy the hard constraints is
rejection sampling, so a chain on -log p(text | prompt) plus the constraints starts near its target instead of far out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import regex
import torch

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.models.protocols import Writer
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng, input_numbers


def one_sentence(text: str, whole: str = "") -> str:
    r"""The first sentence of the first line, with a full stop if it has no end.

    Args:
        text: what was written.
        whole: a regular expression of phrases that no sentence ends inside, such as "Mr. Smith".

    >>> one_sentence("A dog runs. It is fast.")
    'A dog runs.'
    >>> one_sentence("A dog runs"), one_sentence("下雨了。他在家"), one_sentence("他在家")
    ('A dog runs.', '下雨了。', '他在家。')
    >>> one_sentence("Mr. Smith ran. So"), one_sentence("Mr. Smith ran. So", whole=r"Mr\. Smith")
    ('Mr.', 'Mr. Smith ran.')
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    # Chinese sentences follow one another without a space
    step = f"(?>{whole}|.)" if whole else "."
    found = regex.match(rf"{step}*?(?:[.!?](?=\s|$|[\"”])|[。！？]+[”」』]?)", line)
    if found:
        return str(found[0])
    if whole and line.endswith((".", "!", "?", "。", "！", "？")):  # the last phrase brings the end
        return line
    line = line.rstrip(",;: ，；：、")
    return line + ("。" if regex.search(r"\p{Han}$", line) else ".") if line else ""


def drafts(
    lm: Writer,
    prompts: Sequence[str],
    objective: Objective,
    vocabulary: Vocabulary,
    *,
    chains: int,
    seed: int,
    numbers: Sequence[int] | None = None,
    pool: int = 32,
    rounds: int = 3,
    temperature: float = 1.0,
    top_p: float = 0.95,
    max_tokens: int = 32,
    finish: Callable[[str], str] = one_sentence,
) -> Batch:
    """At most `chains` starting texts for each prompt, different from one another, the lowest energies first.

    Args:
        lm: writes the drafts.
        prompts: one for each input; row r of the answer belongs to input `inputs[r]`.
        objective: a draft of energy +inf is dropped.
        vocabulary: of the sampler that will go on from the drafts.
        chains: rows wanted for each input; fewer come back where fewer were found, none at all perhaps.
        seed: the same seed gives the same drafts.
        numbers: of the inputs among all that there are; by default 0, 1, 2, ...
        pool: drafts written for each prompt in one round.
        rounds: at most; later rounds are for the inputs that still lack drafts.
        temperature: of the drafts' tokens.
        top_p: of the drafts' tokens (Holtzman et al., 2020).
        max_tokens: of a draft.
        finish: makes a draft of what the model wrote; an empty answer drops it.
    """
    own_numbers = input_numbers(numbers, len(prompts))
    found = []
    with torch.inference_mode():
        for number, prompt in enumerate(prompts):
            texts: list[str] = []
            kept = vocabulary.encode([])
            for attempt in range(rounds):
                rng = Rng.start(seed, pool, number=own_numbers[number], purpose="drafts").at(attempt)
                written = lm.continuations(prompt, rng, temperature=temperature, top_p=top_p, most=max_tokens)
                texts += [text for text in map(finish, written) if text]
                kept = best_of(texts, number, objective, vocabulary, chains)
                if len(kept) == chains:
                    break
            found.append(kept)
    return concatenate(found)


def best_of(
    texts: Sequence[str],
    number: int,
    objective: Objective,
    vocabulary: Vocabulary,
    most: int,
    longest: int | None = None,
) -> Batch:
    """At most `most` different texts of finite energy for input `number`, the lowest energies first.

    Texts that the vocabulary cannot write, or that have more than `longest` tokens, are left out.
    """
    rows = [row for text in dict.fromkeys(texts) if (row := _encode(vocabulary, text)) is not None]
    rows = [row for row in rows if longest is None or row.width <= longest]
    if not rows:
        return vocabulary.encode([])
    batch = concatenate(rows)
    batch = replace(batch, inputs=torch.full_like(batch.inputs, number))
    energy = evaluate(objective, batch).energy
    order = energy.argsort(stable=True)
    return batch.rows(order[energy[order] < math.inf][:most])


def _encode(vocabulary: Vocabulary, text: str) -> Batch | None:
    """One row, or nothing where the sampler's tokenizer cannot write the text."""
    try:
        return vocabulary.encode([text])
    except ValueError:
        return None
