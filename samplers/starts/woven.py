"""Woven drafts: texts of a causal model into which the words that it left out are written where they fit best.

A prompted model leaves out some of the words that it was asked for, more of them when there are many. `drafts` throws
such a draft away. Here the model finds the place where a missing word is likeliest, keeps the text before that place,
writes the word, and goes on from it, until no word is missing. Each round fixes at least one more word, so a draft
takes as many rounds as words were left out, and no more passes than a few plain drafts. The best of these texts can be
cut and continued again, which improves them faster than new drafts would. The greedy relative of constrained decoding
(Hokamp and Liu, "Lexically constrained decoding for sequence generation using grid beam search", 2017; Lu et al.,
"NeuroLogic decoding", 2021): starts for a chain, not draws from any stated law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import torch

from samplers.starts.drafts import one_sentence
from textsearch.batch import Batch, Vocabulary
from textsearch.models.protocols import NextTokenLM, SuffixLM, next_token_log_probs
from textsearch.rng import Rng, input_numbers


class WeavingLM(NextTokenLM, SuffixLM, Protocol):
    """What a causal model must be able to do here: continue a text, and give the next token's probabilities."""


_STRIDE = 16  # tokens that all rows write before it is asked which of them go on
_ON = 2**17  # tag of the streams that go on
_CUT = 2**16  # tag of the stream that cuts; rounds have those from 0 on

Missing = Callable[[str, int], Sequence[str]]
"""(text, number of its input) -> spellings of which any would help; none where nothing is missing."""


def woven(
    lm: WeavingLM,
    prompts: Sequence[str],
    missing: Missing,
    *,
    count: int,
    seed: int,
    numbers: Sequence[int] | None = None,
    temperature: float = 1.0,
    max_tokens: int | Sequence[int] = 32,
    rounds: int = 12,
    again: Sequence[Sequence[str]] | None = None,
    wave: int = 1,
    finish: Callable[[str, int], str] | None = None,
    report: Callable[[str], None] | None = None,
    space: str = " ",
) -> list[list[str]]:
    """For each prompt at most `count` finished texts in which nothing is missing.

    Args:
        lm: writes the texts.
        prompts: one for each input.
        missing: what a text still lacks.
        count: texts tried for each prompt; some may not be finished.
        seed: the same seed gives the same texts.
        numbers: of the inputs among all that there are; by default 0, 1, 2, ...
        temperature: of the tokens that the model draws.
        max_tokens: of a text, for all inputs or for each.
        rounds: at most; one more than words that can be missing is enough, unless words spoil one another.
        again: texts to continue for each input, one after another; each is cut at a random place.
        wave: which continuation this is, from 1 on: each has random numbers of its own.
        finish: (what the model wrote, number of its input) -> a text, its beginning left as it is, or an empty string
            for no text; `one_sentence` by default.
        report: called with a line on how far it is: as soon as there is a first text, and after each round.
        space: what stands before a word within a text.
    """
    found: list[list[str]] = [[] for _ in prompts]
    owners = [number for number in range(len(prompts)) for _ in range(count)]
    own_numbers = input_numbers(numbers, len(prompts))
    streams = Rng.of(seed, torch.tensor(owners, dtype=torch.int64), own_numbers, purpose="woven")
    streams = streams.fold(0 if again is None else wave)
    rows = [[] for _ in owners] if again is None else _beginnings(lm, again, owners, count, streams)
    room = [max_tokens] * len(prompts) if isinstance(max_tokens, int) else max_tokens
    going = list(range(len(owners)))
    with torch.inference_mode():
        for attempt in range(rounds):
            if not going:
                break
            if report is not None and attempt == 0:
                report(f"{len(owners)} at once")
            asked = [prompts[owners[row]] for row in going]
            kept = Batch.of([rows[row] for row in going], lm.vocabulary)

            def over(row: int, text: str) -> None:
                """The first text in which nothing is missing is told at once."""
                number = owners[going[row]]  # noqa: B023
                if report is not None and text and not any(found) and not missing(text, number):
                    report(f"one of {len(owners)} is ready: {text}")

            written, texts = _written(
                lm,
                kept,
                streams.rows(going).fold(attempt),
                asked,
                temperature,
                [room[owners[row]] for row in going],
                [one_sentence if finish is None else partial(_finished, finish, owners[row]) for row in going],
                over,
            )
            wanted = [missing(text, owners[row]) for row, text in zip(going, texts, strict=True)]
            for row, text, lacks in zip(going, texts, wanted, strict=True):
                if text and not lacks:
                    found[owners[row]].append(text)
            if report is not None:
                report(_far(found, len(owners), attempt + 1, rounds))
            short = [i for i, lacks in enumerate(wanted) if lacks]
            if not short:
                break
            begun = _with_a_word(
                lm,
                written.rows(short),
                kept.lengths[short].tolist(),
                [texts[i] for i in short],
                [wanted[i] for i in short],
                [asked[i] for i in short],
                space,
            )
            going = [going[i] for i in short]
            for row, tokens in zip(going, begun, strict=True):
                rows[row] = tokens
            going = [row for row in going if len(rows[row]) < room[owners[row]]]
    return found


def _finished(finish: Callable[[str, int], str], number: int, text: str) -> str:
    return finish(text, number)


def _written(
    lm: WeavingLM,
    kept: Batch,
    rng: Rng,
    prompts: Sequence[str],
    temperature: float,
    room: Sequence[int],
    finish: Sequence[Callable[[str], str]],
    over: Callable[[int, str], None],
) -> tuple[Batch, list[str]]:
    """The rows written on to the end, and what `finish` makes of each; some tokens at a time. `over` is told of each.

    What comes behind a finished text is of no use, and a single row that rambles on would keep all the others waiting.
    """
    rows, texts = kept.token_lists(), [""] * len(kept)
    going = list(range(len(rows)))
    part = 0
    while going:
        begun = Batch.of([rows[row] for row in going], lm.vocabulary)
        most = [min(room[row], len(rows[row]) + _STRIDE) for row in going]
        written, _, ended = lm.draw_suffixes(
            begun,
            begun.lengths,
            rng.rows(going) if part == 0 else rng.rows(going).fold(_ON + part),
            prompt=[prompts[row] for row in going],
            temperature=temperature,
            most=most,
        )
        on = []
        for row, tokens, text, at_end in zip(
            going, written.token_lists(), written.texts(), ended.tolist(), strict=True
        ):
            rows[row], texts[row] = tokens, finish[row](text)
            if not at_end and len(tokens) < room[row] and not _cut_off(text, texts[row]):
                on.append(row)
            else:
                over(row, texts[row])
        going, part = on, part + 1
    return Batch.of(rows, lm.vocabulary), texts


def _cut_off(text: str, finished: str) -> bool:
    """Whether a finished text leaves out something of what was written.

    >>> _cut_off("A dog runs. It", "A dog runs."), _cut_off("A dog,", "A dog."), _cut_off("A dog.", "A dog.")
    (True, False, False)
    """
    return bool(finished) and not finished.startswith(text.strip().rstrip(",;: ，；：、"))


def _far(found: Sequence[Sequence[str]], count: int, attempt: int, rounds: int) -> str:
    """How far it is: how many texts there are, and one of them."""
    texts = [text for own in found for text in own]
    return f"{len(texts)} of {count} found, round {attempt} of at most {rounds}" + (f": {texts[-1]}" if texts else "")


def _beginnings(
    lm: WeavingLM, again: Sequence[Sequence[str]], owners: Sequence[int], count: int, rng: Rng
) -> list[list[int]]:
    """The tokens that each draft begins with; nothing for an input without texts."""
    pools = [lm.vocabulary.encode(texts).token_lists() for texts in again]
    chosen = [
        pools[number][row % count % len(pools[number])] if pools[number] else [] for row, number in enumerate(owners)
    ]
    places = rng.fold(_CUT).uniform(0).tolist()
    return [tokens[: int(place * len(tokens))] for tokens, place in zip(chosen, places, strict=True)]


def _with_a_word(
    lm: WeavingLM,
    batch: Batch,
    fixed: Sequence[int],
    texts: Sequence[str],
    spellings: Sequence[Sequence[str]],
    prompts: Sequence[str],
    space: str,
) -> list[list[int]]:
    """Of each row the tokens up to the place where one of the spellings is likeliest, and that spelling behind them."""
    inner = [_writable(lm.vocabulary, [space + spelling for spelling in own]) for own in spellings]
    first = [_writable(lm.vocabulary, own) for own in spellings]
    heads = [[tokens[0] for tokens in (*one, *other)] for one, other in zip(inner, first, strict=True)]
    table = next_token_log_probs(lm, batch, heads, prompts)
    begun = []
    for row, tokens in enumerate(batch.token_lists()):
        # no place behind the end of the sentence, and none before the words that are sure
        stop = max(_places(lm, tokens, texts[row]), fixed[row] + 1)
        options = [*inner[row], *first[row]]
        if not options:
            begun.append(tokens[: fixed[row]])
            continue
        own = table[row, :, : len(options)].clone()
        own[stop:] = -torch.inf
        own[: fixed[row]] = -torch.inf
        # a text begins without what stands before a word
        own[0, : len(inner[row])] = -torch.inf
        own[1:, len(inner[row]) :] = -torch.inf
        place, option = divmod(int(own.argmax()), len(options))
        begun.append([*tokens[:place], *options[option]])
    return begun


def _places(lm: WeavingLM, tokens: Sequence[int], text: str) -> int:
    """How many places there are before the end of the finished text."""
    prefixes = Batch.of([tokens[:size] for size in range(1, len(tokens) + 1)], lm.vocabulary)
    size = next(
        (number for number, prefix in enumerate(prefixes.texts(), 1) if prefix.strip().startswith(text)),
        len(tokens) + 1,
    )
    return max(size, 1)


def _writable(vocabulary: Vocabulary, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of those texts that the vocabulary can write."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(vocabulary.encode([text]).token_lists()[0])
    return [tokens for tokens in found if tokens]
