"""What judges a corrected text: a language model, and the same model asked to correct the source.

A language model alone takes what is rare for what is wrong. Asked to correct the source, with examples some of which
have nothing to correct, it sees what was written, and much of what is rare but right it copies. The energy is a product
of both experts (Hinton, 2002),

    (1 - SHARE) * -log p(x)  +  SHARE * -log p(x | request to correct the source).

The second is a channel too: what it copies it need not be paid for, so edits cost `EDITS` of what they cost otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from objectives import Conditional, Fluency
from textsearch.models.protocols import CausalLM, asked
from textsearch.objective import Objective

SHARE = 0.25
"""Of the model that was asked to correct the source."""

EDITS = 0.5
"""Times the costs of edits, where a model is asked; chosen with `SHARE`, see docs/results/correct.md."""

ASK = "Correct the mistakes, and change nothing else: "

EXAMPLES = (
    ("She go to school yesterday becouse she had exam.", "She went to school yesterday because she had an exam."),
    ("The river begins in the hills and flows to the sea.", "The river begins in the hills and flows to the sea."),
    ("There is many informations on this topics.", "There is much information on these topics."),
    ("He said that the first two were built in 1950.", "He said that the first two were built in 1950."),
    ("In my opinion , people should to help each others .", "In my opinion , people should help each other ."),
)
"""Sentences, and what they should be: some are right, and one is tokenised."""


def request(lm: CausalLM, text: str) -> str:
    """The prompt that asks `lm` to correct a text; empty for a model that takes no requests, or none so long."""
    prompt = asked(lm, ASK + text, [(ASK + one, other) for one, other in EXAMPLES]) or ""
    vocabulary = getattr(lm, "vocabulary", None)
    if prompt and vocabulary is not None:
        try:
            # with room for a corrected text that is twice as long
            vocabulary.encode([prompt + text + text])
        except ValueError:
            return ""
    return prompt


def judging(lm: CausalLM, sources: Sequence[str]) -> tuple[list[tuple[float, Objective]], list[float]]:
    """Weights and terms that judge the corrections of some texts, and for each the factor on the costs of its edits."""
    # whether the model takes requests at all: what judges a text does not depend on those beside it
    if not request(lm, EXAMPLES[0][0]):
        return [(1.0, Fluency(lm))], [1.0] * len(sources)
    prompts = [request(lm, text) for text in sources]
    terms: list[tuple[float, Objective]] = [(1.0 - SHARE, Fluency(lm)), (SHARE, Conditional(lm, prompts))]
    # a text that is too long to be asked about is judged by the model alone, as p(x | no request) = p(x)
    return terms, [EDITS if prompt else 1.0 for prompt in prompts]
