"""The table of objectives: every one that the package exports has a line here, and all laws are checked line by line.

To add an objective: its file, its line in the package's `__init__.py`, and one line in `OBJECTIVES`,

    "MyObjective": Entry(lambda models, values: MyObjective(values), [four values, one for each input]),

with values that make the energies of the texts differ. Then

    python -m pytest tests/objectives/test_table.py -k MyObjective
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, final

import torch
from torch import Tensor

import objectives as o
from tests.models.tiny import TEXTS, Tiny
from textsearch.batch import Batch
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.objective import Objective


@final
@dataclass(frozen=True)
class LetterCounts:
    """An encoder, and a classifier by the number of letters."""

    labels: tuple[str, ...] = ("short", "middling", "long")

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, 26) of length 1."""
        counts = torch.tensor([[text.lower().count(chr(97 + i)) + 0.01 for i in range(26)] for text in texts])
        return torch.nn.functional.normalize(counts.reshape(len(texts), 26), dim=1)

    def log_probs(self, texts: Sequence[str]) -> Tensor:
        """(B, 3)."""
        sizes = torch.tensor([len(text) for text in texts], dtype=torch.float64)
        return (-(sizes[:, None] - torch.tensor([0.0, 20.0, 50.0])).abs() / 10).log_softmax(1)


def pieces(text: str) -> list[str]:
    """Words and what stands between them."""
    return re.findall(r"\w+|\W", text)


def sizes(word: str) -> tuple[str]:
    """A kind of tone, for a couplet of English words."""
    return ("long" if len(word) > 2 else "short",)


@final
@dataclass(frozen=True)
class Models:
    """Tiny ones, with nothing remembered."""

    masked: TransformersMaskedLM
    causal: TransformersCausalLM


@cache
def loaded(tiny: Tiny) -> Models:
    """Loaded once a session."""
    return Models(tiny.masked(), tiny.causal())


@final
@dataclass(frozen=True)
class Entry:
    """An objective, how to make one and what for.

    Attributes:
        make: from models and one value for each input.
        values: four; None for an objective that treats all inputs alike.
    """

    make: Callable[[Models, Any], Objective]
    values: Sequence[Any] | None = None


def texts(models: Models) -> Batch:
    """Rows of four inputs, in no order, in the masked model's tokens."""
    batch = models.masked.vocabulary.encode([*TEXTS, "the dog sat and the dog ran", "no no no no", *"7373"])
    return Batch(batch.tokens, batch.lengths, batch.editable, torch.arange(len(batch)) * 3 % 4, batch.vocabulary)


SENTENCES = ["The old dog sat.", "A cat ran to London.", "I said no.", "We saw dogs on Monday."]
WORDS = [["dog"], ["cat"], ["know"], ["mat"]]


def edited(kind: Callable[..., Objective], models: Models, values: str | Sequence[str]) -> Objective:
    """Any token may have been meant to be any other."""
    written = models.masked.vocabulary.encode([values] if isinstance(values, str) else values)
    any_token = dict.fromkeys(range(models.masked.vocabulary.size), 2.0)
    return kind(written, [[any_token] * len(row) for row in written.token_lists()])


OBJECTIVES: dict[str, Entry] = {
    "Acrostic": Entry(lambda _, values: o.Acrostic(values, whole=False), ["t", "a", "i", "w"]),
    "Answered": Entry(
        lambda models, values: o.Answered(models.causal, values, before="The dog sat.", behind=" no"),
        ["the dog", "No", "a mat", "I"],
    ),
    "Canonical": Entry(lambda *_: o.Canonical()),
    "Choices": Entry(lambda _, values: o.Choices(values), [[TEXTS[0], "dog"], ["no"], ["No!", "I"], [TEXTS[3]]]),
    "CharacterChannel": Entry(partial(edited, o.CharacterChannel), ["cat dog", "no no no dog", "No!", ""]),
    "Classifier": Entry(lambda _, values: o.Classifier(LetterCounts(), values), ["short", "long", "middling", "long"]),
    "Closeness": Entry(lambda _, values: o.Closeness(values, 2.0), SENTENCES),
    "Coherence": Entry(lambda models, values: o.Coherence(models.causal, values), SENTENCES),
    "Conditional": Entry(lambda models, values: o.Conditional(models.causal, values), SENTENCES),
    "Consensus": Entry(lambda _, values: o.Consensus(values), [[text, "the dog"] for text in SENTENCES]),
    "Couplet": Entry(lambda _, values: o.Couplet(values, sizes), ["we do", "I", "dog", "it"]),
    "Brevity": Entry(lambda _, values: o.Brevity(values), SENTENCES),
    "Diversity": Entry(lambda _, values: o.Diversity(values), SENTENCES),
    "AsFluentAs": Entry(
        lambda models, values: o.AsFluentAs(["The old dog sat."], values, models.causal), [[0.1], [0.5], [1.0], [2.0]]
    ),
    "Fluency": Entry(lambda models, values: o.Fluency(models.causal, values), SENTENCES),
    "FluencyPerToken": Entry(lambda models, values: o.FluencyPerToken(models.causal, values), SENTENCES),
    "Forbidden": Entry(lambda _, values: o.Forbidden(values), WORDS),
    "Grammar": Entry(
        lambda _, values: o.Grammar(values),
        ["start: /.+/", 'start: "no" | "dog"', "start: /[A-Z].*/", "start: /[^!]+/"],
    ),
    "InPlace": Entry(partial(edited, o.InPlace), ["cat dog", "no no no dog", "No!", ""]),
    "JSONSchema": Entry(
        lambda _, values: o.JSONSchema(values), [{"minimum": 5}, {"minimum": 4}, {"maximum": 5}, {"maximum": 4}]
    ),
    "Keywords": Entry(lambda _, values: o.Keywords(values), WORDS),
    "Length": Entry(lambda _, values: o.Length(values, sd=2.0), [1, 6, 3, 12]),
    "LengthBetween": Entry(lambda _, values: o.LengthBetween(low=values), [2, 12, 5, 3]),
    "Only": Entry(lambda _, values: o.Only(o.Length(values, sd=2.0), inputs=range(4)), [1, 6, 3, 12]),
    "ParallelSpeech": Entry(
        lambda _, values: o.ParallelSpeech(values, lambda text: [sizes(word)[0] for word in text.split()]), SENTENCES
    ),
    "Pattern": Entry(lambda _, values: o.Pattern(values), ["dog", "cat", "know", r"\d"]),
    "Polarity": Entry(lambda _, values: o.Polarity(values), ["not", "never not", "without hardly not", "no no no no"]),
    "Prefix": Entry(lambda _, values: o.Prefix(values), ["The dog", "A red", "I", "We saw"]),
    "Preserve": Entry(lambda _, values: o.Preserve(values), ["I said no", "You can", "We saw two", "no no no no"]),
    "PseudoLikelihood": Entry(lambda models, _: o.PseudoLikelihood(models.masked)),
    "Repeats": Entry(lambda *_: o.Repeats()),
    "Rhyme": Entry(lambda _, values: o.Rhyme(values), ["sat", "day", "red", "cat"]),
    "Roles": Entry(
        lambda _, values: o.Roles(values),
        ["mat sat dog ran", "You saw him", "mat sat dog old", "London hot cat red a I we"],
    ),
    "Similarity": Entry(lambda _, values: o.Similarity(LetterCounts(), values), SENTENCES),
    "Suffix": Entry(lambda _, values: o.Suffix(values), ["mat", "London", "said", "Monday"]),
    "Template": Entry(lambda _, values: o.Template(values), ["The * mat.", "A *", "I *", "We *"]),
    "UnmaskedLikelihood": Entry(lambda models, _: o.UnmaskedLikelihood(models.masked)),
    "Verbatim": Entry(lambda _, values: o.Verbatim(values), [["dog"], ["no", "no"], ["I"], []]),
    "WholeWords": Entry(
        lambda _, values: o.WholeWords(values, pieces), [["dog", "mat"], ["red", "c"], ["no"], ["ran"]]
    ),
    "Wishes": Entry(
        lambda _, values: o.Wishes(values), [{"dog": 3.0}, {"cat": 1.0, "the": 2.5}, {"know": 4.0, "said": 0.5}, {}]
    ),
    "WordPreservation": Entry(lambda _, values: o.WordPreservation(LetterCounts(), values), SENTENCES),
}
