"""Words that must occur in what a causal model writes after a prompt, in the place of constrained beam search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import regex
import torch

from objectives import Fluency, Pattern
from objectives.keywords import one_character_words
from samplers import MetropolisHastings
from samplers.proposals import SuffixResampling
from samplers.starts.phrase_beams import PhraseBeams
from textsearch import Generations, generate
from textsearch.batch import Batch
from textsearch.beginnings import TokenBytes
from textsearch.calls import told
from textsearch.checks import flag, positive, run_of, sequence, string, strings, whole
from textsearch.kinds import CAUSAL, nature, shown
from textsearch.models import adapted_causal_lm, causal_lm
from textsearch.models.phrases import Phrase, PhraseLM, Tokens, Wanted
from textsearch.per_input import PerInput
from textsearch.run.partial import carry
from textsearch.sampler import Guarantee
from textsearch.tasks.drawing import Drawing, only
from textsearch.tasks.settings import MAX_LENGTH

MOST_WORDS = 20
"""Words and phrases that one text may be forced to hold."""

WIDTH = 16
"""Beginnings of texts that the search keeps for each prompt: a pass over these takes hardly longer than over five."""

STEPS = 0
"""Moves of every chain by default: the search is what finds likely texts, and moves are for draws."""

Choice = tuple[str, ...]
"""Spellings, one of which will do."""


@told
def force_words(
    model: Any,
    tokenizer: Any,
    prompts: str | Sequence[str],
    words: Sequence[str | Sequence[str]] | Sequence[Sequence[str | Sequence[str]]],
    *,
    each: bool = False,
    in_order: bool = False,
    chains: int = 8,
    steps: int = STEPS,
    max_length: int = 48,
    power: float = 1.0,
    chat: bool = False,
    end: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Generations:
    """What a causal model writes after each prompt, with given words in it.

    For those who had `force_words_ids` and `Constraint` of transformers. A constrained beam search finds likely texts
    that hold the words, and chains start from them: `best_texts` of the result are the likeliest text that each chain
    met, those of a prompt beginning with what the search found first.

    With `steps` the chains draw from p(text | prompt)^power over the texts that hold the words and end within
    `max_length` tokens: `texts` is where they ended. New ends of texts are proposed by the model, led to write what is
    missing where it is likely, and taken or not by Metropolis-Hastings, which takes the lead out again. The moves are
    exact; what the search found is likelier than a draw is, and chains forget it in tens of steps, not in a few.
    Without moves there are no draws, and the result says `biased`.

    Args:
        model: a causal language model of transformers, or the name or folder of one.
        tokenizer: of the model, a fast one; None beside a name or folder.
        prompts: one, or several, which are written for side by side: that takes less time than one after another.
        words: what a text must hold as it is written here, as whole words; what the prompt holds does not count. An
            item that is a list is a choice: one of it will do. A string may be a phrase of several words. A word that
            is named twice must occur twice.
        each: whether `words` is a list of such lists, one for each prompt.
        in_order: whether they must come in this order.
        chains: for each prompt.
        steps: moves of every chain; 0 for what the search finds and no more.
        max_length: tokens of a text, not of its prompt.
        power: above 1 is sharper. The search does not depend on it.
        chat: put the prompts in the model's chat format.
        end: a token that ends a text, as text, where the model's own end hardly ever comes: "\\n", or ".".
        seed: of the moves: the same seed gives the same texts.
        progress: show what is being done on standard error.

    Raises:
        ValueError: no words, one that the tokenizer cannot write, more than `max_length` tokens have room for, or a
            prompt for which no text that holds them was found; `textsearch.partial_result` has those of the others.

    >>> from textsearch import force_words
    >>> result = force_words("gpt2", None, "The weather", ["rain", ["sun", "sunshine"]], end=".")  # doctest: +SKIP
    """
    asked_for = (string("prompts", prompts),) if isinstance(prompts, str) else strings("prompts", prompts, "prompts")
    if not asked_for:
        raise ValueError("prompts is empty: pass at least one, such as 'The weather'")
    choices = _choices_of(words, asked_for, each)
    run = run_of(steps=steps, seed=seed, chains=chains, temperature=1.0, progress=progress)
    flag("in_order", in_order)
    flag("chat", chat)
    positive("power", power, remedy=": 1 is the model's own law, 4 is sharp")
    room = whole("max_length", max_length, 1, MAX_LENGTH, unit="token")
    lm = _causal(model, tokenizer, end)
    found = [lm.ask(prompt) if chat else prompt for prompt in asked_for]
    spaces = lm.vocabulary.encode([" a"]).texts()[0].startswith(" ")
    # where tokens bring no spaces of their own, a text stands apart from its prompt in any case
    apart = [not (spaces and prompt and _spaced(prompt[-1])) for prompt in found]
    pattern = Pattern([expression(own, in_order, one) for own, one in zip(choices, apart, strict=True)])
    wanted = tuple(_wanted(own, in_order, one, lm) for own, one in zip(choices, apart, strict=True))
    least = max(own.tokens_left(()) for own in wanted)
    if least > room:
        raise ValueError(f"the words take {least} tokens, and max_length={room} leaves no room for them: raise it")
    glued = _glued(lm)
    moves = SuffixResampling(
        PhraseLM(lm, PerInput("words", wanted), room, glued), found, temperature=1 / power, max_length=room
    )
    texts = PhraseBeams(lm, room, max(WIDTH, run.chains), run.chains, glued).search(found, wanted)
    result = generate(
        power * Fluency(lm, found) + pattern,
        Drawing(None, 0, MetropolisHastings(moves)),
        _start([[one.tokens for one in own] for own in texts], run.chains, lm),
        steps=run.steps,
        seed=run.seed,
        progress=progress,
    )
    return _held(result, asked_for)


def _start(found: Sequence[Sequence[Tokens]], chains: int, lm: Any) -> Batch:
    """A text for each chain of each prompt, the likeliest first; nothing where none was found."""
    rows = [own[chain % len(own)] if own else () for own in found for chain in range(chains)]
    inputs = torch.arange(len(found)).repeat_interleave(chains)
    return replace(Batch.of(rows, lm.vocabulary), inputs=inputs)


def _held(result: Generations, prompts: Sequence[str]) -> Generations:
    """The result of the chains that hold the words.

    Raises:
        ValueError: none does; the error carries the result.
    """
    kept = replace(
        only(result, np.flatnonzero(np.isfinite(result.energies)).tolist()),
        sources=list(prompts),
        # what a search has found is no draw; moves are what the sampler promises something of
        guarantee=result.guarantee if result.steps else Guarantee.BIASED,
    )
    lacking = [number for number in range(len(prompts)) if number not in set(kept.inputs.tolist())]
    if lacking and not result.interrupted:
        error = ValueError(
            f"no text that holds the words was found after {shown(prompts[lacking[0]])} by the search and "
            f"{result.steps} steps: raise max_length or steps, or name the token that ends a text, end='.'"
        )
        carry(error, kept)
        raise error
    return kept


def expression(choices: Sequence[Sequence[str]], in_order: bool, apart: bool = True) -> str:
    r"""A regular expression of the texts that hold one of each list, as whole words.

    Args:
        choices: the lists.
        in_order: whether they must come in this order.
        apart: whether a word may begin with the text; not where it goes on with the last word of a prompt.

    >>> expression([["rain"], ["sun", "sunny"]], in_order=True)
    '(?s)(?:(?<!\\w)rain(?!\\w)).*(?:(?<!\\w)sun(?!\\w)|(?<!\\w)sunny(?!\\w))'
    >>> bool(regex.search(expression([["rain"], ["sun"]], in_order=False), "sun, then rain"))
    True
    """
    parts = ["(?:" + "|".join(_whole(word, apart) for word in one) + ")" for one in choices]
    if in_order:
        return "(?s)" + ".*".join(parts)
    return r"(?s)\A" + "".join(f"(?={f'.*{part}' * count})" for part, count in Counter(parts).items())


def _whole(phrase: str, apart: bool) -> str:
    """A phrase as whole words: its first and last letter touch no other, in scripts that put spaces between words."""
    before = (r"(?<!\w)" if apart else r"(?<=\W)") if _spaced(phrase[0]) else ""
    after = r"(?!\w)" if _spaced(phrase[-1]) else ""
    return before + str(regex.escape(phrase, special_only=True)) + after


def _spaced(character: str) -> bool:
    return regex.match(r"\w", character) is not None and not one_character_words(character)


def _choices_of(words: Any, prompts: Sequence[str], each: bool) -> list[tuple[Choice, ...]]:
    """The words of each prompt, each as a choice of spellings."""
    if not flag("each", each):
        return [_choices("words", words)] * len(prompts)
    given = sequence("words", words, "lists of words", "[['rain'], ['sun', ['cloud', 'clouds']]]")
    if len(given) != len(prompts):
        raise ValueError(f"words holds {len(given)} lists, for {len(prompts)} prompts: pass one for each (each=True)")
    return [_choices(f"words[{place}]", own) for place, own in enumerate(given)]


def _choices(name: str, words: Any) -> tuple[Choice, ...]:
    """The words, each as a choice of spellings."""
    found = []
    for place, one in enumerate(sequence(name, words, "words", "['rain', ['sun', 'sunshine']]")):
        own = f"{name}[{place}]"
        choice = (one,) if isinstance(one, str) else strings(own, one, "words")
        if not choice:
            raise ValueError(f"{own} is an empty choice: name the words of which one will do")
        for word in choice:
            if word != word.strip() or not word:
                raise ValueError(f"{own} holds {word!r}: write it without spaces around it, and not empty")
        found.append(tuple(map(str, choice)))
    if not found:
        raise ValueError(f"{name} is empty: name those that a text must hold")
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


def _wanted(choices: Sequence[Choice], in_order: bool, apart: bool, lm: Any) -> Wanted:
    return Wanted(tuple(_phrase(one, apart, lm) for one in choices), bool(in_order))


def _phrase(choice: Choice, apart: bool, lm: Any) -> Phrase:
    """The tokens of each spelling, behind a space within a text.

    Raises:
        ValueError: the tokenizer can write none of them.
    """
    within = _spellings([f" {word}" if _spaced(word[0]) else word for word in choice], lm)
    first = _spellings([word for word in choice if apart or not _spaced(word[0])], lm)
    if not within:
        back = lm.vocabulary.encode([choice[0]]).texts()[0]
        raise ValueError(
            f"the tokenizer cannot write {' or '.join(map(repr, choice))}: {choice[0]!r} comes back as {back!r}; spell "
            "it otherwise, or use a model whose tokenizer knows it"
        )
    return Phrase(within, first)


def _spellings(texts: Sequence[str], lm: Any) -> tuple[Tokens, ...]:
    """The tokens of those of the texts that the tokenizer can write."""
    found = []
    for text in texts:
        batch = lm.vocabulary.encode([text])
        tokens = tuple(batch.token_lists()[0])
        if tokens and batch.texts()[0].strip() == text.strip() and bool(lm.vocabulary.allowed[list(tokens)].all()):
            found.append(tokens)
    return tuple(dict.fromkeys(found))


def _glued(lm: Any) -> frozenset[int]:
    """Tokens that go on with the word before them; none where the bytes of tokens are not known."""
    if not isinstance(lm.vocabulary, TokenBytes):
        return frozenset()
    texts = (token.decode("utf-8", "ignore") for token in lm.vocabulary.token_bytes)
    return frozenset(number for number, text in enumerate(texts) if text and _spaced(text[0]))
