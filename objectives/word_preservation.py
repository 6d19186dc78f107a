"""Word preservation: the keywords of a source text, or words close to them, are still there.

The keyword part of UPSA's semantic similarity (Liu et al., 2020): each keyword is compared with the word of the text
that is nearest to it, and the worst kept keyword counts. Here the minimum is a smooth one, so that a second loss
counts as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import final

import torch
from torch import Tensor

from objectives.diversity import plain_words
from textsearch.batch import Batch
from textsearch.checks import keep, positive, string
from textsearch.kinds import ENCODER, MASKED, instance
from textsearch.models.protocols import EmbeddingLM, Encoder, unit_vectors
from textsearch.models.rendered import tokens_of
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, list_per_input, paired, text_per_input

_FLOOR = 0.01  # of the smooth minimum: a text that lost a keyword is unlikely, not forbidden

_FUNCTION_WORDS = """
    a about after again against all also am an and another any are aren't as at be because been before being between
    both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each either else etc
    ever every few for from further had has hasn't have haven't having he her here hers herself him himself his how i
    i'd i'll i'm i've if in into is isn't it it's its itself just least less many may me might more most much must my
    myself neither no nor not of off on once one only or other our ours out over own per rather same shall she should
    so some such than that that's the their theirs them themselves then there there's these they this those though
    through to too under until up upon us very was wasn't we were weren't what what's when where which while who whom
    whose why will with within without won't would wouldn't yes yet you you're you've your yours yourself
"""

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that a paraphrase may change at will."""


def keywords_of(text: str) -> list[str]:
    """The words of an English text that are no function words, each once; all its words if there are none.

    >>> keywords_of("How do I improve my pronunciation of English?")
    ['improve', 'pronunciation', 'english']
    >>> keywords_of("Who are you?")
    ['who', 'are', 'you']
    """
    every = list(dict.fromkeys(plain_words(text)))
    return [word for word in every if word not in FUNCTION_WORDS] or every


_EMBEDDING = replace(MASKED, has=(*MASKED.has, "input_embeddings"))


@final
@dataclass(frozen=True, eq=False)
class InputEmbeddings:
    """Word vectors from the input embeddings of a masked model: the mean over a word's pieces, centred, at length 1.

    Attributes:
        mlm: a masked model with `input_embeddings`.
    """

    mlm: EmbeddingLM
    _mean: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, _EMBEDDING)
        weights = self.mlm.input_embeddings().double().cpu()
        # all embeddings share a direction, which makes any two words look alike
        object.__setattr__(self, "_mean", weights[self.mlm.vocabulary.allowed.cpu()].mean(0))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, D) float64 vectors, one a word."""
        weights = self.mlm.input_embeddings()
        rows = tokens_of(self.mlm.vocabulary, texts) if texts else []
        means = [weights[row].double().cpu().mean(0) - self._mean if row else 0.0 * self._mean for row in rows]
        return torch.nn.functional.normalize(torch.stack(means), dim=1) if means else self._mean.new_zeros(0, 1)


@final
@dataclass(frozen=True)
class WordPreservation(Objective):
    """-log s nats, s the smooth minimum over the source's keywords of their cosine to the nearest word of the text.

    With c_i the largest cosine of keyword i to a word of the text, of m keywords,

        s = -1/k log( 1/m sum_i exp(-k c_i) ),

    which goes from the mean at small k to the minimum at large k. An s below .01 counts as .01, 4.6 nats: a lost
    keyword makes a text unlikely and no more. A weight P gives the factor s^P.

    Attributes:
        vectors: of single words, such as `InputEmbeddings(masked)`, or a sentence encoder.
        sources: one text for all inputs, or one for each: row r is judged by `sources[batch.inputs[r]]`.
        keywords: the words of each source to keep; by default those that are no English function words.
        k: sharpness of the minimum.

    Raises:
        ValueError: no sources, a k that is not positive, or other numbers of keyword lists than of sources.

    >>> from textsearch.testing import letters
    >>> class Letters:
    ...     def encode(self, texts):
    ...         return torch.tensor([[float(letter in text) for letter in "abc"] for text in texts]).double()
    >>> batch = letters("abc ").encode(["c b", "a", "b a"])
    >>> [round(float(energy), 2) for energy in WordPreservation(Letters(), "b c").energy(batch)]
    [0.0, 4.61, 2.67]
    """

    vectors: Encoder
    sources: str | Sequence[str]
    keywords: Sequence[Sequence[str]] | None = None
    _: KW_ONLY
    k: float = 10.0
    _wanted: PerInput[tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _known: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("vectors", self.vectors, ENCODER)
        sources = text_per_input("sources", self.sources)
        keep(
            self,
            sources=sources.values,
            k=positive("k", self.k, "number, such as 10; a larger one is nearer the minimum"),
        )
        if self.keywords is None:
            wanted = sources.map(lambda text: tuple(keywords_of(text)))
        else:
            given = list_per_input("keywords", self.keywords, string, "words", none=True)
            wanted = paired(sources, given).map(lambda pair: pair[1])
        keep(self, keywords=wanted.values, _wanted=wanted)

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "word preservation"

    @property
    def cost(self) -> Cost:
        """Word vectors are looked up, and remembered."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        texts = zip(batch.texts(), self._wanted.rows(batch), strict=True)
        pairs = [(plain_words(text), wanted) for text, wanted in texts]
        self._learn([word for pair in pairs for part in pair for word in part])
        values = [-math.log(min(max(self._kept(own, wanted), _FLOOR), 1.0)) + 0.0 for own, wanted in pairs]
        return torch.tensor(values, dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its source."""
        self._wanted.check(batch)

    def _kept(self, own: Sequence[str], wanted: Sequence[str]) -> float:
        """The smooth minimum."""
        if not own or not wanted:
            return 0.0 if wanted else 1.0
        mine = torch.stack([self._known[word] for word in own])
        # keyword by keyword: one product over all would round by their number
        nearest = torch.stack([(mine * self._known[word]).sum(1).max() for word in wanted])
        return float((math.log(len(wanted)) - (-self.k * nearest).logsumexp(0)) / self.k)

    def _learn(self, words: Sequence[str]) -> None:
        """Look up the vectors of words not met before."""
        fresh = [word for word in dict.fromkeys(words) if word not in self._known]
        if fresh:
            self._known.update(zip(fresh, unit_vectors(self.vectors, fresh), strict=True))
