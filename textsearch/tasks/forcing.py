"""Words that must occur in what a causal model writes after a prompt, in the place of constrained beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import regex
import torch
from torch import Tensor

from objectives import Fluency, Pattern
from objectives.keywords import one_character_words
from samplers import MetropolisHastings
from samplers.proposals import SuffixResampling
from textsearch import Generations, generate
from textsearch.beginnings import TokenBytes
from textsearch.calls import told
from textsearch.checks import flag, positive, run_of, sequence, string, strings, whole
from textsearch.kinds import CAUSAL, nature, shown
from textsearch.models import adapted_causal_lm, causal_lm
from textsearch.models.phrases import Phrase, PhraseLM
from textsearch.run.partial import carry
from textsearch.tasks.drawing import Drawing, only
from textsearch.tasks.settings import MAX_LENGTH

MOST_WORDS = 20
"""Words and phrases that one text may be forced to hold."""


@told
def force_words(
    model: Any,
    tokenizer: Any,
    prompts: str | Sequence[str],
    words: Sequence[str | Sequence[str]],
    *,
    in_order: bool = False,
    chains: int = 8,
    steps: int = 20,
    max_length: int = 48,
    power: float = 1.0,
    chat: bool = False,
    end: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Generations:
    """What a causal model writes after each prompt, with given words in it.

    For those who had `force_words_ids` and `Constraint` of transformers. Chains draw from p(text | prompt)^power over
    the texts that hold the words and end within `max_length` tokens. New ends of texts are proposed by the model, led
    to write what is missing where it is likely, and taken or not by Metropolis-Hastings, which takes the lead out
    again. `best_texts` of the result are the likeliest text that each chain met, `texts` where it ended: draws.

    Args:
        model: a causal language model of transformers, or the name or folder of one.
        tokenizer: of the model, a fast one; None beside a name or folder.
        prompts: one, or several.
        words: what a text must hold as it is written here, as whole words. An item that is a list is a choice: one of
            it will do. A string may be a phrase of several words.
        in_order: whether they must come in this order.
        chains: for each prompt.
        steps: moves of every chain.
        max_length: tokens of a text, not of its prompt.
        power: above 1 is sharper.
        chat: put the prompts in the model's chat format.
        end: a token that ends a text, as text, where the model's own end hardly ever comes: "\\n", or ".".
        seed: the same seed gives the same texts.
        progress: show what is being done on standard error.

    Raises:
        ValueError: no words, more than `max_length` tokens have room for, or a prompt for which no text that holds them
            was found; `textsearch.partial_result` has those of the others.

    >>> from textsearch import force_words
    >>> result = force_words("gpt2", None, "The weather", ["rain", ["sun", "sunshine"]], end=".")  # doctest: +SKIP
    """
    asked_for = (string("prompts", prompts),) if isinstance(prompts, str) else strings("prompts", prompts, "prompts")
    if not asked_for:
        raise ValueError("prompts is empty: pass at least one, such as 'The weather'")
    choices = _choices(words)
    run = run_of(steps=steps, seed=seed, chains=chains, temperature=1.0, progress=progress)
    flag("in_order", in_order)
    flag("chat", chat)
    positive("power", power, remedy=": 1 is the model's own law, 4 is sharp")
    room = whole("max_length", max_length, 1, MAX_LENGTH, unit="token")
    pattern = Pattern(expression(choices, in_order))
    lm = _causal(model, tokenizer, end)
    found = [lm.ask(prompt) if chat else prompt for prompt in asked_for]
    phrases = tuple(_phrase(one, lm) for one in choices)
    least = sum(min(len(spelling) for spelling in (*one.within, *one.first)) for one in phrases)
    if least > room:
        raise ValueError(f"the words take {least} tokens, and max_length={room} leaves no room for them: raise it")
    led = PhraseLM(lm, phrases, bool(in_order), room, _glued(lm))
    moves = SuffixResampling(led, found, temperature=1 / power, max_length=room)
    result = generate(
        power * Fluency(lm, found) + pattern,
        Drawing(None, 0, MetropolisHastings(moves)),
        lm.vocabulary.encode([""] * len(found)),
        steps=run.steps,
        seed=run.seed,
        chains=run.chains,
        progress=progress,
    )
    return _held(result, asked_for)


def _held(result: Generations, prompts: Sequence[str]) -> Generations:
    """The result of the chains that hold the words.

    Raises:
        ValueError: none does; the error carries the result.
    """
    kept = replace(only(result, np.flatnonzero(np.isfinite(result.energies)).tolist()), sources=list(prompts))
    lacking = [number for number in range(len(prompts)) if number not in set(kept.inputs.tolist())]
    if lacking and not result.interrupted:
        error = ValueError(
            f"no text that holds the words was found after {shown(prompts[lacking[0]])} in {result.steps} steps: raise "
            "max_length or steps, or name the token that ends a text, end='.'"
        )
        carry(error, kept)
        raise error
    return kept


def expression(choices: Sequence[Sequence[str]], in_order: bool) -> str:
    r"""A regular expression of the texts that hold one of each list, as whole words.

    >>> expression([["rain"], ["sun", "sunny"]], in_order=True)
    '(?s)(?:(?<!\\w)rain(?!\\w)).*(?:(?<!\\w)sun(?!\\w)|(?<!\\w)sunny(?!\\w))'
    >>> bool(regex.search(expression([["rain"], ["sun"]], in_order=False), "sun, then rain"))
    True
    """
    parts = ["(?:" + "|".join(map(_whole, one)) + ")" for one in choices]
    return "(?s)" + (".*".join(parts) if in_order else r"\A" + "".join(f"(?=.*{part})" for part in parts))


def _whole(phrase: str) -> str:
    """A phrase as whole words: its first and last letter touch no other, in scripts that put spaces between words."""
    before, after = (r"(?<!\w)" if _spaced(phrase[0]) else ""), (r"(?!\w)" if _spaced(phrase[-1]) else "")
    return before + str(regex.escape(phrase, special_only=True)) + after


def _spaced(character: str) -> bool:
    return regex.match(r"\w", character) is not None and not one_character_words(character)


def _choices(words: Sequence[str | Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The words, each as a choice of spellings."""
    found = []
    for place, one in enumerate(sequence("words", words, "words", "['rain', ['sun', 'sunshine']]")):
        choice = (one,) if isinstance(one, str) else strings(f"words[{place}]", one, "words")
        if not choice:
            raise ValueError(f"words[{place}] is an empty choice: name the words of which one will do")
        for word in choice:
            if word != word.strip() or not word:
                raise ValueError(f"words[{place}] holds {word!r}: write it without spaces around it, and not empty")
        found.append(tuple(map(str, choice)))
    if not found:
        raise ValueError("words is empty: name those that a text must hold")
    if len(found) > MOST_WORDS:
        raise ValueError(f"{len(found)} words are more than the {MOST_WORDS} that one text may be forced to hold")
    return tuple(found)


def _causal(model: Any, tokenizer: Any, end: str | None) -> Any:
    """The model as one of ours."""
    if isinstance(model, str | PathLike):
        if tokenizer is not None:
            raise TypeError(
                f"tokenizer={shown(tokenizer)} beside the name {shown(model)}: pass None, the name says which it is"
            )
        lm: Any = causal_lm(model)
    elif CAUSAL.of(model) and hasattr(model, "log_probs_after"):
        lm = model
    else:
        if tokenizer is None:
            raise TypeError(
                f"tokenizer=None beside model={shown(model)}, which is {nature(model)}: pass the tokenizer that "
                "belongs to it, or the name or folder of both as model"
            )
        lm = adapted_causal_lm(model, tokenizer)
    return lm if end is None else lm.ending_with(_end_token(end, lm))


def _end_token(end: str, lm: Any) -> int:
    """The token that a text is to end with."""
    ids = lm.vocabulary.tokenizer(string("end", end), add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"end={end!r} takes {len(ids)} tokens, and must be one: take another mark")
    return int(ids[0])


def _phrase(choice: Sequence[str], lm: Any) -> Phrase:
    """The tokens of each spelling, behind a space within a text."""
    first = tuple(dict.fromkeys(_tokens(word, lm) for word in choice))
    within = tuple(dict.fromkeys(_tokens(f" {word}" if _spaced(word[0]) else word, lm) for word in choice))
    return Phrase(within, first)


def _glued(lm: Any) -> Tensor | None:
    """(V,) bool, tokens that go on with the word before them; None where the bytes of tokens are not known."""
    if not isinstance(lm.vocabulary, TokenBytes):
        return None
    texts = [token.decode("utf-8", "ignore") for token in lm.vocabulary.token_bytes]
    return torch.tensor([bool(text) and _spaced(text[0]) for text in texts])


def _tokens(text: str, lm: Any) -> tuple[int, ...]:
    return tuple(lm.vocabulary.encode([text]).token_lists()[0])
