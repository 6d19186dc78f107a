"""Draws from a causal language model that a parser accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch

from objectives import Choices, Fluency, Grammar, JSONSchema, Pattern
from objectives.grammar import named_grammars, shipped
from samplers import (
    AdaptiveRejection,
    AdaptiveWeightedRejection,
    MaskedDecoding,
    MetropolisHastings,
    ParticleGibbs,
)
from samplers.populations import systematic
from samplers.proposals import SuffixResampling
from samplers.weights import LOG_WEIGHTS
from textsearch import Generations
from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.calls import told
from textsearch.checks import strings
from textsearch.kinds import TOKENWISE, shown
from textsearch.models.protocols import TaskLM, asked
from textsearch.objective import Objective
from textsearch.result.diagnostics import rows_by_input
from textsearch.rng import Rng
from textsearch.run.loop import Callback, Rule
from textsearch.run.partial import carry
from textsearch.sampler import Sampler
from textsearch.tasks import resolve as given
from textsearch.tasks.drawing import INDEPENDENT, MOVED, REST, Drawing, all_rest, only
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.settings import Sampling

CHAINS = ("auto", "chains", "particle-gibbs")
"""The methods with chains."""

WEIGHTED = "weighted-rejection"
"""The method whose draws are picked from weighted ones."""

PARTICLES = 64
"""Weighted texts for each prompt, or more where more draws are asked for."""

LONGEST = 100_000
"""Tokens that no text has."""

SWEEP = 8
"""Texts side by side in a step of particle Gibbs, the current one among them."""


@told
def sample(
    prompts: Sequence[str],
    *,
    grammar: str | None = Sampling.grammar,
    json_schema: Mapping[str, Any] | bool | str | None = Sampling.json_schema,
    regex: str | None = Sampling.regex,
    choices: Sequence[str] | None = Sampling.choices,
    constraint: Objective | None = Sampling.constraint,
    draws: int = Sampling.draws,
    power: float = Sampling.power,
    chat: bool = Sampling.chat,
    max_length: int = Sampling.max_length,
    method: str = Sampling.method,
    tries: int = Sampling.tries,
    steps: int = Sampling.steps,
    seed: int = Sampling.seed,
    causal: given.Causal = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Texts after each prompt, drawn from p(text | prompt)^power over the texts that are allowed.

    What is allowed is said by one of the first five settings, and decided by a parser of the whole text; p includes the
    end of the text. The answers are the `texts` of the result, one for each chain, as often as they were drawn. They
    are independent draws by rejection, where that succeeds within `tries` of each; other chains start from a text that
    was written token by token under a mask, and take `steps` moves of Metropolis-Hastings, each a new end of the text.
    The mask proposes only, and one move in twenty is written without it, so that a text which the mask forbids by
    mistake is reached too; a report counts the texts on which mask and parser differed, where the parser is right.
    `textsearch.tasks.trust.report` says how the draws were made and whether to trust them.

    Args:
        prompts: what the texts answer or go on from.
        grammar: a grammar in Lark's EBNF, its text or the name of one that comes with textsearch.
        json_schema: a JSON schema, as data or as JSON.
        regex: a regular expression that the whole text matches.
        choices: the texts that may be drawn.
        constraint: any objective, for mixes: `Grammar(...) + Keywords(["dog"])`; its soft terms tilt the law.
        draws: draws for each prompt.
        power: above 1 is sharper: whole texts, not each token on its own, as a temperature would.
        chat: put the prompt in the model's chat format, if it has one.
        max_length: tokens of a text; what finds no end within them is no draw.
        method: "rejection" or "chains" alone; "auto" leaves to chains what rejection could not draw; "particle-gibbs"
            takes chains that write several texts a step; "weighted-rejection" a population of weighted texts, of which
            draws are picked: exact as draws grow in number; "masked" decodes token by token as is usual, which is
            another law.
        tries: texts that are tried for each draw without chains.
        steps: moves of every chain.
        seed: the same seed gives the same texts.
        causal: the model; by default SmolLM2-135M-Instruct.
        sampler: made of the moves, new ends of the text, in place of all that; one whose state is texts alone.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the prompts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: nothing or several things say what a text must be, or no text is allowed, or a prompt for which no
            draw was found; `textsearch.partial_result` has those of the others.
    """
    return answer(
        build,
        prompts,
        Sampling(
            grammar=grammar,
            json_schema=json_schema,
            regex=regex,
            choices=choices,
            constraint=constraint,
            draws=draws,
            power=power,
            chat=chat,
            max_length=max_length,
            method=method,
            tries=tries,
            steps=steps,
            seed=seed,
        ),
        Models(causal=causal),
        # chains start from a forbidden text, which not every sampler does
        sampler=None if sampler is None else partial(_from_anywhere, sampler),
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


def _from_anywhere(sampler: MakeSampler, moves: SuffixResampling) -> Drawing:
    """A sampler of the moves whose chains may start from a forbidden text."""
    return Drawing(None, 0, sampler(moves), _end_of(moves.lm))


def _end_of(lm: object) -> int | None:
    """The token that ends a text; None of a model that does not tell."""
    end: int | None = getattr(lm, "eos", None)
    return end


def build(
    prompts: Sequence[str],
    settings: Sampling,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `sample`: -log p and what is allowed, draws of whole texts, and new ends for moves; see there."""
    texts = strings("prompts", prompts, "prompts")
    if not texts:
        raise ValueError("prompts is empty: pass at least one, such as 'Write a date in 2024.'")
    allowed = constraint_of(settings)
    uses = ("vocabulary", "draw_suffixes", "suffix_log_probs")
    given.check(causal=models.causal, uses=uses)
    lm = given.causal(models.causal, progress, uses)
    starts = lm.vocabulary.encode([""] * len(texts))
    allowed.check(starts)
    check_room(allowed, lm.vocabulary, settings.max_length)
    asked_for = [(asked(lm, text) if settings.chat else None) or text for text in texts]
    moves = SuffixResampling(
        lm, asked_for, temperature=1 / settings.power, max_length=settings.max_length, constraint=allowed
    )
    first = independent(lm, asked_for, allowed, settings)
    # a step of adaptive rejection is all the tries of a draw
    tries = 0 if first is None else settings.tries if settings.method == "masked" else 1
    weighted = settings.method == WEIGHTED
    return Problem(
        objective=settings.power * Fluency(lm, asked_for) + allowed,
        moves=moves,
        sampler=lambda moves, steps: Drawing(first, tries, _going_on(lm, asked_for, moves, settings), _end_of(lm)),
        start=starts.repeat(max(settings.draws, PARTICLES) if weighted else settings.draws),
        steps=1 if weighted else tries + (settings.steps if settings.method in CHAINS else 0),
        seed=settings.seed,
        numbers=numbers,
        finish=lambda result: finished(result, texts, settings, numbers),
        until=all_rest,
    )


def _going_on(lm: Any, prompts: Sequence[str], moves: Any, settings: Sampling) -> Sampler[Any] | None:
    """What draws from the target where no independent draw was found, or was asked for."""
    if settings.method in ("auto", "chains"):
        return MetropolisHastings(moves)
    if settings.method == "particle-gibbs":
        return ParticleGibbs(lm, prompts, particles=SWEEP, power=settings.power, max_length=settings.max_length)
    if settings.method == WEIGHTED:
        return AdaptiveWeightedRejection(lm, prompts, power=settings.power, max_length=settings.max_length)
    return None


def constraint_of(settings: Sampling) -> Objective:
    """What the settings say of a text, as an objective.

    Raises:
        ValueError: nothing is said, or two things are, or no text is allowed.
    """
    stated = settings.stated
    value = getattr(settings, stated)
    allowed = _allowed(stated, value)
    for _, term in allowed.parts:
        languages = getattr(term, "languages", None)
        if languages is not None and any(
            one.is_dead("", b"") or getattr(one, "is_empty", False) for one in languages.values
        ):
            raise ValueError(f"{stated}={shown(value)} allows no text at all, not one: say less of what it must be")
    return allowed


def check_room(allowed: Objective, vocabulary: Vocabulary, most: int) -> None:
    """Refuse a language of whose texts none has at most so many tokens, as far as its terms tell."""
    for _, term in allowed.parts:
        fewest = term.fewest_tokens(vocabulary) if hasattr(term, "fewest_tokens") else 0
        if fewest > most:
            raise ValueError(
                f"max_length={most} is too small for {term.name}: the shortest text that is allowed has {fewest} tokens"
            )
        if not hasattr(term, "too_long"):
            continue
        too_long = [room for room in (most, LONGEST) if _is_too_long(term, vocabulary, room)]
        if too_long == [most]:
            raise ValueError(
                f"max_length={most} is too small for {term.name}: each text that is allowed has more tokens"
            )
        if too_long:
            raise ValueError(
                f"the tokens of the model write no text that {term.name} allows: say less of what it must be, or take "
                "another model"
            )


def _is_too_long(term: Any, vocabulary: Vocabulary, room: int) -> bool:
    """Whether that is proven of all inputs: where some may be answered, the others are told when those are."""
    count = len(term.languages.values) if hasattr(term, "languages") else 1
    told = term.too_long(Beginnings(vocabulary, 0, [[]] * count, list(range(count))), [room] * count)
    return told is not None and bool(told.all())


def _allowed(stated: str, value: Any) -> Objective:
    if stated == "choices":
        return Choices(value)
    if stated == "regex":
        return Pattern(value, full=True)
    if stated == "json_schema":
        return JSONSchema(value)
    if stated == "grammar":
        return Grammar(shipped(value) if value in named_grammars() else value)
    constraint: Objective = value
    return constraint


def independent(lm: TaskLM, prompts: Sequence[str], allowed: Objective, settings: Sampling) -> Sampler[Any] | None:
    """What draws whole texts, from the target unless `masked`; None where nothing bounds its weights, or for chains."""
    if settings.method in ("particle-gibbs", WEIGHTED):
        if not TOKENWISE.of(lm):
            raise ValueError(
                f"method={settings.method!r} writes token by token, and causal={shown(lm)} does not tell the next "
                "token, log_probs_after: take method='chains'"
            )
        return None
    if settings.method == "masked":
        return MaskedDecoding(lm, allowed, prompts, 1 / settings.power, settings.max_length)
    why = ""
    if settings.power < 1:
        why = f"power={settings.power:g} is below 1"
    elif allowed.lower_bound < 0:
        why = f"{allowed.name} may be negative, as far as its lower_bound says"
    elif not TOKENWISE.of(lm):
        why = f"causal={shown(lm)} does not tell the next token, log_probs_after"
    if why and settings.method == "rejection":
        raise ValueError(f"method='rejection' cannot draw here, for {why}: take method='chains'")
    if why or settings.method == "chains":
        return None
    tokenwise: Any = lm
    return AdaptiveRejection(
        tokenwise, prompts, max_length=settings.max_length, power=settings.power, max_attempts=settings.tries
    )


def finished(
    result: Generations, prompts: Sequence[str], settings: Sampling, numbers: Sequence[int] | None = None
) -> Generations:
    """The result with the chains that hold draws, and prompts for sources.

    Raises:
        ValueError: there is no draw for a prompt; the error carries the result of the others.
    """
    weighted = settings.method == WEIGHTED and LOG_WEIGHTS in result.recorded
    rows = picked(result, settings, numbers) if weighted else holding(result, settings)
    kept = replace(
        only(result, rows),
        sources=list(prompts),
        acceptance={kind: count for kind, count in result.acceptance.items() if kind != REST},
        drawn=True,
    )
    lacking = [number for number in range(len(prompts)) if number not in set(kept.inputs.tolist())]
    if lacking and not result.interrupted:
        error = ValueError(_no_draw(prompts[lacking[0]], settings))
        carry(error, kept)
        raise error
    return kept


def holding(result: Generations, settings: Sampling) -> list[int]:
    """The chains that hold a draw: an independent one, or a text that a chain has come to."""
    if INDEPENDENT not in result.recorded:
        return np.flatnonzero(np.isfinite(result.energies)).tolist()
    if not result.steps:
        return []
    held = result.recorded[INDEPENDENT][-1]
    if settings.method in CHAINS:
        held = held | (result.recorded[MOVED][-1] & np.isfinite(result.energies))
    return np.flatnonzero(held).tolist()


def picked(result: Generations, settings: Sampling, numbers: Sequence[int] | None) -> list[int]:
    """For each prompt as many chains as draws are wanted, by the weights of its population; a heavy one several times.

    A prompt of whose particles none has a weight has none.
    """
    log_weights = torch.tensor(result.recorded[LOG_WEIGHTS][-1])  # a copy: of a run on disk it may be read only
    found: list[int] = []
    for number, rows in rows_by_input(result.inputs):
        own = log_weights[rows]
        if bool(own.isfinite().any()):
            whose = number if numbers is None else numbers[number]
            comb = Rng.start(settings.seed, 1, number=whose, purpose="sample 1").uniform(0)
            chosen = systematic(own[None], comb, torch.tensor([settings.draws]))[0, : settings.draws]
            found += rows[chosen.numpy()].tolist()
    return found


def _no_draw(prompt: str, settings: Sampling) -> str:
    """That there is no draw after a prompt, and what to do about it."""
    few = f"in {settings.tries} tries for each of {settings.draws} draws: raise tries, or take method='chains'"
    several = max(settings.draws, PARTICLES)
    dead = f"by {several} particles, all of which came to nothing: raise draws, or take method='particle-gibbs'"
    how = {"rejection": few, "masked": few, WEIGHTED: dead}.get(
        settings.method,
        f"in {settings.steps} moves of {settings.draws} chains: raise steps, or max_length={settings.max_length} if "
        "texts are cut before their end, or ask in the prompt for what is allowed",
    )
    return f"no text that is allowed was found after {shown(prompt)} {how}"
