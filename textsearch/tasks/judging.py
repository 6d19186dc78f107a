"""What judges a corrected text: a language model, and one that is asked to correct the source.

A language model alone takes what is rare for what is wrong. One that is asked to correct the source sees what was
written, and much of what is rare but right it copies. The energy is a product of both experts (Hinton, 2002),

    (1 - share) * -log p(x)  +  share * -log p(x | request to correct the source).

The second is a channel too: what it copies it need not be paid for, so edits cost less than otherwise. Beside the
default model it is that model taught to correct, `english_corrector`; another model that takes requests is asked
itself, with examples some of which have nothing to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, final

import torch

from objectives import Conditional, Fluency, Only
from textsearch.models.corrector import ASK, prompt
from textsearch.models.defaults import corrector_beside
from textsearch.models.protocols import CausalLM, TaskLM, asked
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.tasks.channel import COSTS


@final
@dataclass(frozen=True)
class Weights:
    """What a model's answer counts; see docs/results/correct.md for how they were chosen.

    Attributes:
        share: of the model that was asked to correct the source.
        edits: times the costs of edits.
        sentence: nats for each sentence that is changed.
    """

    share: float
    edits: float
    sentence: float


TAUGHT = Weights(share=0.6, edits=0.2, sentence=2.5)
"""Where the model was taught to correct."""

ASKED = Weights(share=0.25, edits=0.5, sentence=COSTS["sentence"])
"""Where a model is asked that knows no more than the request."""

DRAFTS = 4
"""Drafts that a taught model writes of a text: the likeliest one, and some at random."""

_WARM, _COLD = 0.8, 0.01
"""Temperatures of the others and of the likeliest."""

EXAMPLES = (
    ("She go to school yesterday becouse she had exam.", "She went to school yesterday because she had an exam."),
    ("The river begins in the hills and flows to the sea.", "The river begins in the hills and flows to the sea."),
    ("There is many informations on this topics.", "There is much information on these topics."),
    ("He said that the first two were built in 1950.", "He said that the first two were built in 1950."),
    ("In my opinion , people should to help each others .", "In my opinion , people should help each other ."),
)
"""Sentences, and what they should be: some are right, and one is tokenised."""


@final
@dataclass(frozen=True)
class Corrector:
    """A model that is asked to correct texts.

    Attributes:
        lm: the model.
        prompts: for each text what it is asked; empty for one that is too long to be asked about.
        weights: what its answer counts.
        taught: whether it writes drafts that are worth looking at.
    """

    lm: CausalLM
    prompts: Sequence[str]
    weights: Weights
    taught: bool

    @staticmethod
    def of(lm: CausalLM, sources: Sequence[str]) -> Corrector | None:
        """Whom to ask about some texts beside `lm`; None if `lm` takes no requests."""
        if (own := corrector_beside(lm)) is not None:
            prompts = [_fitting(own, prompt(own.vocabulary, text), text) for text in sources]
            return Corrector(own, prompts, TAUGHT, True)
        # whether the model takes requests at all: what judges a text does not depend on those beside it
        if not request(lm, EXAMPLES[0][0]):
            return None
        return Corrector(lm, [request(lm, text) for text in sources], ASKED, False)

    def drafts(self, sources: Sequence[str], seed: int, numbers: Sequence[int] | None = None) -> list[list[str]]:
        """Corrected texts of each source as the model writes them; none where it was not taught, or is not asked."""
        found: list[list[str]] = [[] for _ in sources]
        if not self.taught:
            return found
        lm = cast(TaskLM, self.lm)
        own = [number for number, prompt in enumerate(self.prompts) if prompt]
        lengths = lm.vocabulary.encode([sources[number] for number in own]).lengths.tolist()
        for temperature, count in ((_COLD, 1), (_WARM, DRAFTS - 1)):
            rng = Rng.of(seed, torch.tensor(own, dtype=torch.int64), numbers, chains=count, purpose="corrected drafts")
            rows = [(number, length) for number, length in zip(own, lengths, strict=True) for _ in range(count)]
            prompts, most = [self.prompts[number] for number, _ in rows], [8 + length * 3 // 2 for _, length in rows]
            texts = lm.continuations(prompts, rng.fold(count), temperature=temperature, most=most)
            for (number, _), text in zip(rows, texts, strict=True):
                found[number].append(text)
        return found


def request(lm: CausalLM, text: str) -> str:
    """The prompt that asks `lm` to correct a text; empty for a model that takes no requests, or none so long."""
    asking = asked(lm, ASK + text, [(ASK + one, other) for one, other in EXAMPLES]) or ""
    return _fitting(lm, asking, text) if asking else ""


def _fitting(lm: CausalLM, prompt: str, text: str) -> str:
    """The prompt, or nothing where the model has no room for it and a corrected text that is twice as long."""
    vocabulary = getattr(lm, "vocabulary", None)
    if vocabulary is not None:
        try:
            vocabulary.encode([prompt + text + text])
        except ValueError:
            return ""
    return prompt


def judging(
    lm: CausalLM, sources: Sequence[str], asked: Corrector | None
) -> tuple[list[tuple[float, Objective]], list[float]]:
    """Weights and terms that judge the corrections of some texts, and for each the factor on the costs of its edits."""
    if asked is None:
        return [(1.0, Fluency(lm))], [1.0] * len(sources)
    share, prompts = asked.weights.share, asked.prompts
    # a text that is too long to be asked about is judged by the model alone
    told = [number for number, prompt in enumerate(prompts) if prompt]
    long = [number for number, prompt in enumerate(prompts) if not prompt]
    terms: list[tuple[float, Objective]] = [(1.0 - share, Fluency(lm))]
    if asked.lm is lm or not long:
        terms.append((share, Conditional(asked.lm, prompts)))
    else:
        terms += [(share, Only(Fluency(lm), long))]
        terms += [(share, Only(Conditional(asked.lm, [prompts[number] for number in told]), told))] if told else []
    return terms, [asked.weights.edits if prompt else 1.0 for prompt in prompts]
