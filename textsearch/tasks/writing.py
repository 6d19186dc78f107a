"""Text under constraints of any mix, hard and soft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, final

import torch

from objectives import Fluency, Only
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Mixture, SpanEdit, Swap
from textsearch import Generations
from textsearch.batch import Vocabulary
from textsearch.calls import told
from textsearch.checks import sequence
from textsearch.kinds import shown
from textsearch.language.surface import within_a_sentence
from textsearch.models.classifier import TextClassifier
from textsearch.models.constrained import ConstrainedMaskedLM
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import CausalLM, Encoder
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import unrendered
from textsearch.objective import Objective
from textsearch.proposal import Proposal
from textsearch.rng import input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.by_input import ByInput
from textsearch.tasks.constraints import table
from textsearch.tasks.in_script import in_script, requests
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.request import Request
from textsearch.tasks.room import check_prompts, check_request, check_words
from textsearch.tasks.settings import Writing
from textsearch.tasks.starts.beginnings import beginnings, constraints, stated
from textsearch.tasks.starts.frames import Lexicon, frame, layout_numbers
from textsearch.tasks.written import as_written, word_for_word
from textsearch.waiting import waiting

EDITS = {(1, 1): 0.46, (0, 1): 0.12, (1, 0): 0.12, (2, 2): 0.14, (1, 2): 0.08, (2, 1): 0.08}
"""How often so many words are replaced by so many, where the number of words is free."""

SAME_LENGTH = {(1, 1): 0.65, (2, 2): 0.25, (3, 3): 0.1}
"""The same where it is not."""

COOLEST = 0.3
"""The temperature that the default sampler ends at, in units of the run's."""


def annealed(moves: Proposal, steps: int) -> Sampler[Any]:
    """The default sampler: Metropolis-Hastings, cooled."""
    return SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, COOLEST, max(steps, 1)))


@told
def write(
    requests: Sequence[Request | Mapping[str, Any]],
    *,
    chains: int = Writing.chains,
    steps: int = Writing.steps,
    seed: int = Writing.seed,
    temperature: float = Writing.temperature,
    different: bool = Writing.different,
    different_weight: float = Writing.different_weight,
    label_weight: float = Writing.label_weight,
    topic_weight: float = Writing.topic_weight,
    coherence_weight: float = Writing.coherence_weight,
    couplet_weight: float = Writing.couplet_weight,
    lang: str = Writing.lang,
    script: str = Writing.script,
    causal: given.Causal = None,
    masked: given.Masked = None,
    encoder: given.Encoder = None,
    classifier: TextClassifier | str | PathLike[str] | None = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | Path | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Sentences that are as each request wants them: `chains` chains for each, in one run.

    The energy is -log p(text | context) + label_weight * -log p(label | text) + topic_weight * 20 * (1 - cosine to the
    topic) + coherence_weight * -(what the context says of the text) + couplet_weight * characters of another part of
    speech than those of the first line, with hard terms for all the rest. Coherence is minus the pointwise mutual
    information of context and text: with fluency it makes -(1 + w) log p(x | context) + w log p(x).

    A chain starts where every hard term holds: drafts of the causal model that happen to fit come first (with a label
    or a topic, a chat model is asked for as many again). Where fewer than four fit, frames are made: the fixed parts,
    the letters of the acrostic, the required words and a word that rhymes are laid out at random within all bounds, and
    the masked model times the causal one fills the gaps from the left, each word among those that may stand there. For
    a regular expression the words that it spells out make the frame.

    Spans of words are replaced, inserted, deleted and rewritten, and two words swapped. At sites where an acrostic, a
    rhyme or a forbidden word rules out words, these are e^-12 times as likely to be proposed (`ConstrainedMaskedLM`).
    What is ruled out is a function of the other tokens and the place, so the acceptance ratio stays exact.

    Args:
        requests: dictionaries such as `{"prefix": "The book", "label": "positive"}`; see `Request` for all they may
            hold.
        chains: chains for each request.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: in whose units the default sampler cools; of the draws of another one.
        different: draw the texts of a request together, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        label_weight: of the label's term.
        topic_weight: of the topic's.
        coherence_weight: of the information that the context has of the text.
        couplet_weight: of a character that is not parallel to that of the first line.
        lang: "en" or "zh"; a word is one character then.
        script: of what is new in a Chinese text: "simplified", "traditional" or "hongkong"; by default what the input
            is written in, "none" to convert nothing. What the input says comes back as it was typed.
        causal: judges, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        masked: fills frames and proposes; by default the one that comes with textsearch.
        encoder: reads topics; by default all-MiniLM-L6-v2.
        classifier: judges labels: loaded, by name or by folder.
        sampler: made of the task's moves; by default they are annealed, which is a search. `MetropolisHastings` draws.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the requests among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a request that contradicts itself, or that no start was found for.
    """
    return answer(
        build,
        requests,
        Writing(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            label_weight=label_weight,
            topic_weight=topic_weight,
            coherence_weight=coherence_weight,
            couplet_weight=couplet_weight,
            lang=lang,
            script=script,
        ),
        Models(causal=causal, masked=masked, encoder=encoder, classifier=classifier),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


@in_script(requests)
def build(
    requests: Sequence[Request | Mapping[str, Any]],
    settings: Writing,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `write`: -log p and a term for all that is asked for, from drafts and filled frames; see there."""
    if isinstance(requests, Request):
        raise TypeError(f"requests={shown(requests)} is one request; pass a list of them, [Request(...)]")
    stated_requests = [
        Request.of(one) for one in sequence("requests", requests, "requests", "[{'prefix': 'The book'}]")
    ]
    speech = language(settings.lang)
    uses = ("score", "vocabulary", "next_log_probs", "continuations")
    given.check(causal=models.causal, uses=uses)
    models = speech.filled(models, "causal", "masked", progress=progress)
    wanted = [request.restated().bounded() for request in stated_requests]
    if not wanted:
        raise ValueError("requests is empty: pass at least one, such as {'prefix': 'The book'}")
    if empty := [number for number, request in enumerate(stated_requests) if not str(request)]:
        raise ValueError(f"nothing is asked of request {empty[0]}: name a prefix, a topic, ...")
    hard = constraints(wanted)
    own_numbers = input_numbers(numbers, len(wanted))
    for number, request in enumerate(wanted):
        if frame(request, layout_numbers(settings.seed, own_numbers[number], 0)) is None:
            raise ValueError(f"no text can be laid out for request {number} ({request}): loosen one of its terms")
    for one in table.CONSTRAINTS:
        if one.needs and getattr(models, one.needs) is None and stated(wanted, one.name):
            raise ValueError(f"a {one.name} needs {one.needs}=: the folder or name of a sequence {one.needs}")

    plain = given.masked(models.masked, progress)
    mlm = as_written(plain, [spelt_in(request) for request in wanted])
    hard.check(mlm.vocabulary.encode([speech.stop] * len(wanted)))
    for exact in word_for_word(mlm.vocabulary, wanted):
        hard = hard + exact
    different = settings.different * settings.different_weight
    lexicon = _lexicon(unrendered(plain.vocabulary))
    for request in wanted:
        check_request(request, mlm.vocabulary)
        check_words(request, lexicon)
    lm = given.causal(models.causal, progress, uses)
    prompts = ["".join(one.before(value, lm) for one, value in request.constraints()) for request in wanted]
    check_prompts(prompts, stated_requests, lm.vocabulary)
    objective: Objective = Fluency(lm, prompts) + hard
    judges = OwnJudges(lm, models, progress)
    for one in table.CONSTRAINTS:
        some = stated(wanted, one.name)
        term = one.soft(some.values, judges) if some else None
        if some and term is not None:
            objective += getattr(settings, one.weight) * Only(term, some.inputs)

    guided = ConstrainedMaskedLM(GuidedMaskedLM(mlm, lm, prompts), hard)
    with waiting("writing starts", progress):
        start = beginnings(
            wanted,
            objective,
            lm,
            guided,
            lexicon,
            prompts,
            chains=settings.chains,
            seed=settings.seed,
            numbers=numbers,
            different=different,
            lang=settings.lang,
        )
    pieces = pieces_of(mlm.vocabulary)
    # of some constraints, such as an acrostic, all texts have one number of words
    edits = ByInput(
        [SpanEdit(guided, EDITS, pieces), SpanEdit(guided, SAME_LENGTH, pieces)],
        [int(any(one.fixed_length for one, _ in request.constraints())) for request in stated_requests],
    )
    return Problem(
        objective=objective,
        moves=Mixture({edits: 0.95, Swap(mlm.vocabulary): 0.05}),
        sampler=annealed,
        # the final mark stays
        start=start.frozen(torch.arange(start.width) >= start.lengths[:, None] - 1),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=different,
        numbers=numbers,
        finish=lambda result: replace(result, sources=list(map(str, stated_requests))),
    )


@final
@dataclass(frozen=True, eq=False)
class OwnJudges:
    """The models that judge what requests ask for.

    Attributes:
        lm: the causal one, loaded.
        models: the others, as they were given.
        progress: show on standard error that one is being loaded.
    """

    lm: CausalLM
    models: Models
    progress: bool

    def causal(self) -> CausalLM:
        """The one that is there already."""
        return self.lm

    def encoder(self) -> Encoder:
        """Loaded where it is not."""
        return given.encoder(self.models.encoder, self.progress)

    def classifier(self) -> TextClassifier:
        """Loaded where it is not."""
        assert self.models.classifier is not None  # a request that needs one is refused without
        return given.classifier(self.models.classifier, self.progress)


# a stream of requests reads the same vocabulary again with every group
@remembered(most=2)
def _lexicon(vocabulary: Vocabulary) -> Lexicon:
    return Lexicon(vocabulary)


def spelt_in(request: Request) -> list[str]:
    """What is fixed of a text, as it is to be written wherever its words stand in the text.

    The capital at the very beginning is of the place and not of the word: the rule gives it back there, and a second
    "the" has none.

    >>> spelt_in(Request(template="The * ran to the *.")), spelt_in(Request(prefix="London is", suffix="the End."))
    (['the', 'ran to the', '.'], ['London is', 'the End.'])
    """
    begin = {"prefix": request.prefix, "template": request.template}
    return [
        within_a_sentence(text) if begin.get(name, "").startswith(text) else text for name, _, text in request.fixed()
    ]
