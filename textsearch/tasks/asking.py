"""Questions that a passage answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch

from objectives import Answered, Conditional, ngram_likeness
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import SuffixResampling
from samplers.starts.apart import apart
from textsearch import Batch, Generations
from textsearch.batch import Vocabulary, concatenate
from textsearch.calls import told
from textsearch.checks import MAX_TOKENS, string
from textsearch.kinds import nature, shown
from textsearch.language.answers import Answer, answers_of, holds, kind_of
from textsearch.models.protocols import TaskLM, asked
from textsearch.objective import Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.rng import Rng, input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.question_form import Pair, first_question, form, last_resort, one_question_each
from textsearch.tasks.settings import MAX_ANSWERS, Asking
from textsearch.waiting import note, waiting

Example = tuple[str, str, str]
"""A passage, an answer and the question."""

_BRIDGE = "The old bridge was built in 1894 by the engineer John Barry."
_ISLAND = "Most of the island's 4,000 people live in the town of Port Ellen."

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "date": (
        (_BRIDGE, "1894", "When was the old bridge built?"),
        ("On 3 May 2010 the museum opened a new hall.", "3 May 2010", "On what day did the museum open a new hall?"),
        ("She moved to Rome in the 1950s and stayed there.", "the 1950s", "When did she move to Rome?"),
    ),
    "number": (
        (_ISLAND, "4,000", "How many people live on the island?"),
        ("The tower is 120 metres tall and has two lifts.", "120 metres", "How tall is the tower?"),
        (
            "The farm lost 30 percent of its trees in the storm.",
            "30 percent",
            "How much of its trees did the farm lose?",
        ),
    ),
    "name": (
        (_BRIDGE, "John Barry", "Who built the old bridge?"),
        (_ISLAND, "Port Ellen", "Where do most of the island's people live?"),
        ("The Danube flows through Vienna.", "The Danube", "Which river flows through Vienna?"),
    ),
    "term": (
        ("Bats find insects in the dark by echolocation.", "echolocation", "How do bats find insects in the dark?"),
        ("The roof was made of copper, which turned green.", "copper", "What was the roof made of?"),
        ("The team lost because its captain was ill.", "its captain was ill", "Why did the team lose?"),
    ),
}
"""Of each kind of answer what the model is shown, in both directions."""

OPENINGS: Mapping[str, tuple[str, ...]] = {
    "date": ("When", "In what year"),
    "number": ("How many", "How much", "How"),
    "name": ("Who", "What", "Where", "Which"),
    "term": ("What", "How", "Why", "Where"),
}
"""Of each kind of answer how questions for it begin: every other draft begins so, whatever the model would write."""

HEAT = 0.8
"""Temperature of the tokens of drafts and of new ends."""

_ROOM = 40
"""Tokens of a draft."""

_TEXT = "\ue000"
"""Stands for the question where a prompt is cut; of the private use area, so that nothing else is it."""


def forward(lm: TaskLM, pair: Pair) -> str:
    """The prompt after which `lm` writes a question; plain text for a model that takes no requests."""

    def request(passage: str, answer: str) -> str:
        return f"Passage: {passage}\nAnswer: {answer}\nWrite the question."

    return _prompt(lm, request(pair.passage, pair.answer.text), pair, lambda one: (request(*one[:2]), one[2]))


def backward(lm: TaskLM, pair: Pair) -> tuple[str, str]:
    """What `lm` reads before a question and behind it, before it answers."""

    def request(passage: str, question: str) -> str:
        return f"Passage: {passage}\nQuestion: {question}\nAnswer in a few words from the passage."

    prompt = _prompt(lm, request(pair.passage, _TEXT), pair, lambda one: (request(one[0], one[2]), one[1]))
    # the request comes last, and in it the question behind the passage
    before, _, behind = prompt.rpartition(_TEXT)
    return before, behind


def _prompt(lm: TaskLM, request: str, pair: Pair, turn: Callable[[Example], tuple[str, str]]) -> str:
    """The request behind examples for answers of the kind."""
    examples = [turn(one) for one in EXAMPLES[pair.answer.kind]]
    found = asked(lm, request, examples)
    if found is not None:
        return found
    return "".join(f"{asks}\n{says}\n\n" for asks, says in examples) + f"{request}\n"


def energy(lm: TaskLM, pairs: Sequence[Pair], weight: float = Asking.weight) -> Objective:
    """E(q) = -log p(q | passage, answer) - weight * log p(answer | passage, q), +inf for what has not the form.

    A question is one sentence that ends with a question mark, stands alone, and does not hold the answer.
    """
    before, behind = zip(*(backward(lm, pair) for pair in pairs), strict=True)
    answered = Answered(lm, [pair.answer.text for pair in pairs], before=before, behind=behind)
    return form(pairs) + Conditional(lm, [forward(lm, pair) for pair in pairs]) + weight * answered


def annealed(moves: Proposal, steps: int) -> Sampler[Any]:
    """The default sampler: Metropolis-Hastings, cooled."""
    return SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, 0.2, max(steps, 1)))


@told
def ask(
    passages: Sequence[str | Mapping[str, str]],
    *,
    chains: int = Asking.chains,
    steps: int = Asking.steps,
    seed: int = Asking.seed,
    temperature: float = Asking.temperature,
    different: bool = Asking.different,
    different_weight: float = Asking.different_weight,
    answer: str | None = Asking.answer,
    answers: int = Asking.answers,
    weight: float = Asking.weight,
    drafts: int = Asking.drafts,
    causal: given.Causal = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Questions that the passages answer: `chains` chains for each answer, in one run.

    The energy of a question q about the answer a in nats::

        - log p(q | passage, a) - weight * log p(a | passage, q)

    and +inf for a text that is not one sentence with a question mark at its end, that holds the answer, or that
    points out of itself ("When did he win?" of a passage without a "he", "What is the answer?"). The records of the
    result have the answer of each question: the best question about each answer comes first.

    Args:
        passages: a sentence or a few each; with an answer of its own as {"passage": ..., "answer": ...}.
        chains: chains for each answer.
        steps: of every chain.
        seed: the same seed gives the same questions.
        temperature: in whose units the default sampler cools; of the draws of another one.
        different: draw the questions about an answer as one set that keeps apart, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        answer: what the questions about passages without an answer of their own ask for, words that stand there; by
            default dates, numbers, names and terms are found, see `textsearch.language.answers`.
        answers: that are found in a passage, at most.
        weight: of the answer's nats: above 1 the answer must follow more surely.
        drafts: written for each answer; its chains start from the best of them.
        causal: judges both ways, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        sampler: made of the task's moves, which write new ends; by default they are annealed, which is a search.
            `MetropolisHastings` draws.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the passages among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: no passages, an empty one, one that does not hold its answer, or one in which no answer was found.
    """
    return _answered(
        passages,
        Asking(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            answer=answer,
            answers=answers,
            weight=weight,
            drafts=drafts,
        ),
        Models(causal=causal),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


def _answered(passages: Sequence[str | Mapping[str, str]], settings: Asking, models: Models, **run: Any) -> Generations:
    """What the function of every task does; here a setting has the name of `answer`."""
    return answer(build, passages, settings, models, **run)


def build(
    passages: Sequence[str | Mapping[str, str]],
    settings: Asking,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `ask`; finds answers, and writes the drafts that its chains start from.

    Each answer is an input of the problem; `finish` gives them back to their passages.
    """
    if isinstance(passages, str | Mapping):
        raise TypeError(f"passages={shown(passages)} is {nature(passages)}: pass a list of passages")
    asked_for = [passage_of(one, settings.answer) for one in passages]
    if not asked_for:
        raise ValueError("passages is empty: pass at least one")
    numbers = input_numbers(numbers, len(asked_for))
    uses = ("score", "vocabulary", "continuations", "draw_suffixes", "suffix_log_probs")
    given.check(causal=models.causal, uses=uses)
    found = [
        [Answer(own, kind_of(own))] if own is not None else found_in(passage, settings.answers)
        for passage, own in asked_for
    ]
    pairs = [Pair(asked_for[number][0], one, number) for number, own in enumerate(found) for one in own]
    own_numbers = _numbers(numbers, [len(own) for own in found])
    different = settings.different * settings.different_weight
    lm = by_lines(given.causal(models.causal, progress, uses))
    vocabulary = lm.vocabulary
    resorts = [last_resort(pair, vocabulary) for pair in pairs]
    objective = energy(lm, pairs, settings.weight)
    with waiting("writing questions", progress), torch.inference_mode():
        texts = drafted(lm, pairs, settings.drafts, settings.seed, own_numbers)
        rows = concatenate([_rows(own, place, vocabulary) for place, own in enumerate(texts)])
        energies = evaluate(objective, rows).energy
        starts = []
        for place, pair in enumerate(pairs):
            index = ((rows.inputs == place) & energies.isfinite()).nonzero().squeeze(-1)
            if len(index) == 0:
                note(f"no draft asks for {pair.answer.text!r}: the chains start from {resorts[place]!r}", progress)
                starts.append(_rows([resorts[place]] * settings.chains, place, vocabulary))
                continue
            starts.append(apart(rows.rows(index), energies[index], settings.chains, ngram_likeness, different))
    return Problem(
        objective=objective,
        # under the mask few new ends are written in vain
        moves=SuffixResampling(
            lm, [forward(lm, pair) for pair in pairs], temperature=HEAT, constraint=one_question_each(pairs)
        ),
        sampler=annealed,
        start=concatenate(starts),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=different,
        numbers=own_numbers,
        finish=partial(by_passage, pairs=pairs, passages=[passage for passage, _ in asked_for]),
    )


def passage_of(asked_for: str | Mapping[str, str], answer: str | None = None) -> tuple[str, str | None]:
    """A passage and the answer that is asked for, each in one line; None for whatever is found there.

    Raises:
        TypeError: it is neither a text nor a mapping of them.
        ValueError: it is empty, or does not hold the answer.

    >>> passage_of({"passage": "Bats fly.", "answer": "bats"}), passage_of("Bats fly.")
    (('Bats fly.', 'bats'), ('Bats fly.', None))
    """
    if isinstance(asked_for, Mapping):
        if strange := [name for name in asked_for if name not in ("passage", "answer")]:
            raise ValueError(f"{shown(asked_for)} has {shown(strange[0])}: it may have passage and answer")
        passage = string("passage", asked_for.get("passage", ""))
        own = asked_for.get("answer")
        answer = answer if own is None else string("answer", own)
    elif isinstance(asked_for, str):
        passage = string("passage", asked_for)
    else:
        raise TypeError(
            f"{shown(asked_for)} is {nature(asked_for)}: pass a passage as a string, or "
            '{"passage": "...", "answer": "..."}'
        )
    if not passage.strip():
        raise ValueError(f"passage={shown(passage)} is empty: leave it out")
    if answer is not None and not answer.strip():
        raise ValueError(f"answer={shown(answer)} of {shown(passage)} is empty: name words of it, or leave it out")
    if answer is not None and not holds(passage, answer):
        raise ValueError(
            f"{shown(passage)} does not hold the answer {shown(answer)}: name words that stand there, or leave the "
            "answer out"
        )
    return " ".join(passage.split()), answer if answer is None else " ".join(answer.split())


def found_in(passage: str, most: int) -> list[Answer]:
    """The answers that are found in a passage.

    Raises:
        ValueError: there are none.
    """
    found = answers_of(passage, most)
    if not found:
        raise ValueError(f"no date, number, name or term was found in {shown(passage)}: name an answer, answer=...")
    return found


def _numbers(numbers: Sequence[int], counts: Sequence[int]) -> list[int]:
    """A number for each answer, which depends on its passage's and on its own place there."""
    if any(number >= 2**32 // MAX_ANSWERS for number in numbers):
        raise ValueError(f"numbers holds {max(numbers)}: numbers of passages lie below 2^28, since each has answers")
    return [
        number * MAX_ANSWERS + place for number, count in zip(numbers, counts, strict=True) for place in range(count)
    ]


def by_lines(lm: TaskLM) -> TaskLM:
    """The model; of one that takes no requests, if it can, the same where the end of a line ends a text."""
    if asked(lm, "") is not None or not hasattr(lm, "ending_with"):
        return lm
    line = lm.vocabulary.encode(["\n"]).token_lists()[0]
    ending: TaskLM = lm.ending_with(line[0]) if len(line) == 1 else lm
    return ending


def drafted(lm: TaskLM, pairs: Sequence[Pair], drafts: int, seed: int, numbers: Sequence[int]) -> list[list[str]]:
    """For each pair its drafts, up to their first question mark; every other one begins as questions of its kind do."""
    owners = [place for place in range(len(pairs)) for _ in range(drafts)]
    openings = [opening for pair in pairs for opening in openings_of(pair.answer.kind, drafts)]
    prompts = [forward(lm, pair) for pair in pairs]
    found = lm.continuations(
        [prompts[place] + opening for place, opening in zip(owners, openings, strict=True)],
        Rng.of(seed, torch.tensor(owners, dtype=torch.int64), numbers, purpose="drafts of questions"),
        temperature=HEAT,
        top_p=0.95,
        most=_ROOM,
    )
    texts: list[list[str]] = [[] for _ in pairs]
    for place, opening, rest in zip(owners, openings, found, strict=True):
        texts[place].append(first_question(opening + rest))
    return texts


def openings_of(kind: str, drafts: int) -> list[str]:
    """How each draft begins; nothing is said of every other one.

    >>> openings_of("date", 5)
    ['', 'When', '', 'In what year', '']
    """
    own = OPENINGS[kind]
    return [own[number // 2 % len(own)] if number % 2 else "" for number in range(drafts)]


def _rows(texts: Sequence[str], place: int, vocabulary: Vocabulary) -> Batch:
    """The texts as rows of one input, without those that moves could not edit."""
    batch = vocabulary.encode([text for text in texts if text])
    batch = replace(batch, inputs=torch.full_like(batch.inputs, place))
    return batch.rows((batch.lengths <= MAX_TOKENS).nonzero().squeeze(-1))


def by_passage(result: Generations, *, pairs: Sequence[Pair], passages: Sequence[str]) -> Generations:
    """The result of answers as one of passages; its records have the answers, the best question about each first."""
    owners = torch.tensor([pair.number for pair in pairs])

    def moved(batch: Batch) -> Batch:
        return replace(batch, inputs=owners.to(batch.device)[batch.inputs])

    of_passage: list[list[tuple[int, int]]] = [[] for _ in passages]
    met = [0] * len(pairs)
    for row in result.ranked():
        place = int(result.inputs[row])
        of_passage[pairs[place].number].append((met[place], row))
        met[place] += 1
    records = [
        {
            "input": number,
            "text": result.best_texts[row],
            "answer": pairs[int(result.inputs[row])].answer.text,
            "energy": float(result.best_energies[row]),
            "terms": {
                said: float(result.best_terms[name][row])
                for name, said in result.concerned[int(result.inputs[row])].items()
            },
        }
        for number, own in enumerate(of_passage)
        # rows come from the best: the sort keeps their order
        for _, row in sorted(own, key=lambda one: one[0])
    ]
    return replace(
        result,
        inputs=owners.numpy()[result.inputs].astype(np.int64),
        sources=list(passages),
        concerned={
            pair.number: result.concerned[place] for place, pair in enumerate(pairs) if place in result.concerned
        },
        batch=moved(result.batch),
        best_batch=moved(result.best_batch),
        listed=tuple(records),
    )
