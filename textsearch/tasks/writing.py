"""Text under constraints of any mix, hard and soft."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from typing import Any

import torch

from objectives import Classifier, Coherence, Fluency, Only, Similarity
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Mixture, SpanEdit, Swap
from textsearch import Generations, generate
from textsearch.batch import Vocabulary
from textsearch.calls import told
from textsearch.checks import positive, run_of, sequence
from textsearch.kinds import CLASSIFIER, instance, shown
from textsearch.models import text_classifier
from textsearch.models.classifier import TextClassifier
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.reading.turns import remembered
from textsearch.objective import Objective
from textsearch.proposal import Proposal
from textsearch.result.display import waiting
from textsearch.rng import input_numbers
from textsearch.run.loop import Rule
from textsearch.run.partial import viewed
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.by_input import ByInput
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.lexical import LexicalMaskedLM
from textsearch.tasks.request import Request
from textsearch.tasks.room import check_letters, check_request
from textsearch.tasks.starts.beginnings import beginnings, constraints, stated
from textsearch.tasks.starts.frames import Lexicon, frame, layout_numbers
from textsearch.tasks.verses import in_lines
from textsearch.tasks.written import as_written, phrases_of

EDITS = {(1, 1): 0.46, (0, 1): 0.12, (1, 0): 0.12, (2, 2): 0.14, (1, 2): 0.08, (2, 1): 0.08}
"""How often so many words are replaced by so many, where the number of words is free."""

SAME_LENGTH = {(1, 1): 0.65, (2, 2): 0.25, (3, 3): 0.1}
"""The same where it is not."""

LABEL_WEIGHT = 16.0
"""Nats that log p(label | text) counts: texts differ by tens of nats in fluency, and a small classifier by few."""

COOLEST = 0.3
"""The temperature that the default sampler ends at, in units of the run's."""


def annealed(moves: Proposal, steps: int) -> Sampler[Any]:
    """The default sampler: Metropolis-Hastings, cooled."""
    return SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, COOLEST, max(steps, 1)))


@told
def write(
    requests: Sequence[Request | Mapping[str, Any]],
    *,
    chains: int = 8,
    steps: int = 150,
    seed: int = 0,
    temperature: float = 1.0,
    classifier: TextClassifier | str | PathLike[str] | None = None,
    label_weight: float = LABEL_WEIGHT,
    topic_weight: float = 1.0,
    coherence_weight: float = 0.5,
    lang: str = "en",
    causal: given.Causal = None,
    masked: given.Masked = None,
    encoder: given.Encoder = None,
    sampler: Callable[[Proposal], Sampler[Any]] | None = None,
    until: Rule | None = None,
    progress: bool = False,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Sentences that are as each request wants them: `chains` chains for each, in one run.

    The energy is -log p(text | context) + label_weight * -log p(label | text) + topic_weight * 20 * (1 - cosine to the
    topic) + coherence_weight * -(what the context says of the text), with hard terms for all the rest.

    Args:
        requests: dictionaries such as `{"prefix": "The book", "label": "positive"}`; see `Request` for all they may
            hold.
        chains: chains for each request.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: in whose units the default sampler cools; of the draws of another one.
        classifier: judges labels: loaded, by name or by folder.
        label_weight: of the label's term.
        topic_weight: of the topic's.
        coherence_weight: of the information that the context has of the text.
        lang: "en", or "zh" with models of your own; a word is one character then.
        causal: judges, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        masked: fills frames and proposes; by default the one that comes with textsearch.
        encoder: reads topics; by default all-MiniLM-L6-v2.
        sampler: made of the task's moves; by default they are annealed, which is a search. `MetropolisHastings` draws.
        until: stop early; see `textsearch.run.until`.
        progress: show what is being done on standard error.
        numbers: of the requests among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a request that contradicts itself, or that no start was found for.
    """
    steps, seed, chains, temperature = run_of(
        steps=steps, seed=seed, chains=chains, temperature=temperature, until=until, progress=progress
    )
    for name, weight in (
        ("label_weight", label_weight),
        ("topic_weight", topic_weight),
        ("coherence_weight", coherence_weight),
    ):
        positive(name, weight, remedy="; leave what it weighs out of the requests instead")
    given.check(causal=causal, masked=masked, encoder=encoder)
    given.moves_to_sampler(sampler)
    if not CLASSIFIER.of(classifier) and not isinstance(classifier, str | PathLike | None):
        instance("classifier", classifier, CLASSIFIER)
    if isinstance(requests, Request):
        raise TypeError(f"requests={shown(requests)} is one request; pass a list of them, [Request(...)]")
    stated_requests = [
        Request.of(one) for one in sequence("requests", requests, "requests", "[{'prefix': 'The book'}]")
    ]
    speech = language(lang)
    speech.check(causal=causal, masked=masked)
    wanted = [in_lines(request).bounded() for request in stated_requests]
    if not wanted:
        raise ValueError("requests is empty: pass at least one, such as {'prefix': 'The book'}")
    if empty := [number for number, request in enumerate(stated_requests) if not str(request)]:
        raise ValueError(f"nothing is asked of request {empty[0]}: name a prefix, a topic, ...")
    hard = constraints(wanted)
    own_numbers = input_numbers(numbers, len(wanted))
    for number, request in enumerate(wanted):
        if frame(request, layout_numbers(seed, own_numbers[number], 0)) is None:
            raise ValueError(f"no text can be laid out for request {number} ({request}): loosen one of its terms")
    if classifier is None and any(request.label for request in wanted):
        raise ValueError("a label needs classifier=: the folder or name of a sequence classifier")

    plain = given.masked(masked, progress)
    model = as_written(plain, [phrases_of(request) for request in wanted])
    hard.check(model.vocabulary.encode([speech.stop] * len(wanted)))
    lexicon = _lexicon(plain.vocabulary)
    for request in wanted:
        check_request(request, model.vocabulary)
        check_letters(request, lexicon)
    lm = given.causal(causal, progress)
    prompts = [request.context.rstrip() + "\n" if request.context else "" for request in wanted]
    objective: Objective = Fluency(lm, prompts) + hard
    if classifier is not None and (some := stated(wanted, "label")):
        judge = given_classifier(classifier, progress)
        objective += label_weight * Only(Classifier(judge, some.values), some.inputs)
    if some := stated(wanted, "topic"):
        objective += topic_weight * Only(Similarity(given.encoder(encoder, progress), some.values), some.inputs)
    if some := stated(wanted, "context"):
        objective += coherence_weight * Only(Coherence(lm, some.values), some.inputs)

    guided = LexicalMaskedLM(GuidedMaskedLM(model, lm, prompts), lexicon, wanted)
    with waiting("writing starts", progress):
        start = beginnings(wanted, objective, lm, guided, prompts, chains=chains, seed=seed, numbers=numbers)
    # the final mark stays
    start = start.frozen(torch.arange(start.width) >= start.lengths[:, None] - 1)
    pieces = pieces_of(model.vocabulary)
    # an acrostic says how many words there are
    edits = ByInput(
        [SpanEdit(guided, EDITS, pieces), SpanEdit(guided, SAME_LENGTH, pieces)],
        [int(bool(request.acrostic)) for request in stated_requests],
    )
    moves = Mixture({edits: 0.95, Swap(model.vocabulary): 0.05})
    return viewed(
        lambda: generate(
            objective,
            sampler(moves) if sampler else annealed(moves, steps),
            start,
            steps=steps,
            seed=seed,
            temperature=temperature,
            until=until,
            progress=progress,
            numbers=numbers,
        ),
        lambda result: replace(result, sources=list(map(str, stated_requests))),
    )


def given_classifier(given: TextClassifier | str | PathLike[str], progress: bool = False) -> TextClassifier:
    """The classifier that is meant."""
    if isinstance(given, str | PathLike):
        with waiting("loading the classifier", progress):
            return _classifier(str(given))
    return given


# a stream of requests reads the same vocabulary again with every group
@lru_cache(maxsize=2)
def _lexicon(vocabulary: Vocabulary) -> Lexicon:
    return Lexicon(vocabulary)


@remembered(most=2)
def _classifier(name: str) -> TextClassifier:
    return text_classifier(name)
