"""Settings of the tasks: what each can be told, its defaults and its checks. The only place of either.

The functions of `textsearch.tasks` and the options of the command line take their defaults from here, and the command
line its words of help too. Light to import: `--help` does not wait for torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, final

from textsearch.checks import MAX_DRAFTS, flag, keep, positive, run_of, whole
from textsearch.kinds import CONFUSIONS, instance, nature, shown

if TYPE_CHECKING:
    from textsearch.language.confusions import Confusions
    from textsearch.language.literals import Keep


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every task is told; each has defaults of its own.

    Attributes:
        chains: chains for each input, run together.
        steps: steps of every chain.
        seed: the same seed gives the same texts.
        temperature: draws come from exp(-energy / temperature); below 1 is greedier.
    """

    chains: int = 8
    steps: int = 100
    seed: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        told = run_of(steps=self.steps, seed=self.seed, chains=self.chains, temperature=self.temperature)
        keep(self, **told._asdict())


@dataclass(frozen=True, kw_only=True)
class Several(Settings):
    """What tasks are told besides whose inputs have many good answers.

    Attributes:
        different: draw the texts of an input as one set that keeps apart, for answers that differ; see `Ensemble`.
        different_weight: nats that two texts of an input cost if they share all their words, none if they share no one.
    """

    different: bool = False
    different_weight: float = 20.0

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        keep(
            self,
            different=flag("different", self.different),
            different_weight=positive("different_weight", self.different_weight, remedy="; different=False is without"),
        )
        if self.different and self.chains < 2:
            raise ValueError(
                f"different=True keeps the texts of an input apart, and chains={self.chains} makes one text: ask for "
                "more chains"
            )


@final
@dataclass(frozen=True, kw_only=True)
class Correction(Settings):
    """What `correct` is told besides; its chains are cooled from `temperature` / 2 down to a tenth of that.

    Attributes:
        strictness: times what every edit costs: above 1 fewer are made, below 1 more.
        keep: leave addresses, handles, code, file names, numbers with units and marks of markdown as they are: True or
            False, or True and some words besides: a list of words, or the name of a file with one a line.
        meaning: keep denials, numbers, persons (I, you, he, she, we) and modal verbs, unless misspelt.
        tokenised: the texts have, and keep, one space between any two tokens.
        confusions: what a word may have been meant to be; by default what English confuses.
    """

    chains: int = 1
    strictness: float = 1.0
    keep: Keep = True
    meaning: bool = True
    tokenised: bool = False
    confusions: Confusions | None = None

    def __post_init__(self) -> None:
        from textsearch.language.literals import Kept

        Settings.__post_init__(self)
        words = self.keep
        if not isinstance(words, bool | str | os.PathLike):
            # read once, should it be a generator; what is no list of words is told by `Kept`
            words = words if isinstance(words, str | bytes) or not hasattr(words, "__iter__") else tuple(words)
        Kept.of(words)
        if self.confusions is not None:
            instance("confusions", self.confusions, CONFUSIONS)
        keep(
            self,
            strictness=positive("strictness", self.strictness, remedy=": 1 is usual, more keeps more as it was"),
            keep=words,
            meaning=flag("meaning", self.meaning),
            tokenised=flag("tokenised", self.tokenised),
        )


@final
@dataclass(frozen=True, kw_only=True)
class Infilling(Several):
    """What `infill` is told besides.

    Attributes:
        gap: how a gap is written in the texts; by default in any of the common ways.
        marks: a gap may be filled by a mark of punctuation too.
        exact: read every word that is one token of the masked model, for texts with one gap of one word.
        lang: of the texts: en, or zh (Chinese) with models of your own; a gap is one character then.
    """

    # texts with the same words around their gaps are alike in any case
    different_weight: float = 10.0
    gap: str | None = None
    marks: bool = False
    exact: bool = False
    lang: str = "en"

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        if self.gap is not None and not (isinstance(self.gap, str) and self.gap.strip()):
            raise ValueError(f"gap={shown(self.gap)} must be what stands for a gap in the texts, such as '[MASK]'")
        keep(self, marks=flag("marks", self.marks), exact=flag("exact", self.exact))
        if self.exact and self.different:
            raise ValueError("exact=True lists every text, and different=True draws a few: leave one of them out")
        _check_language(self.lang)


@final
@dataclass(frozen=True, kw_only=True)
class KeywordSentences(Several):
    """What `keywords` is told besides.

    Attributes:
        inflections: whether dog is found in dogs too.
        in_order: the words must come in the order given.
        lang: of the texts: en, or zh (Chinese) with models of your own, which take no requests.
        drafts: drafts for each set, the second half from beginnings of the best; the best of all start its chains.
    """

    different_weight: float = 10.0
    inflections: bool = True
    in_order: bool = False
    lang: str = "en"
    drafts: int = 32

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        keep(
            self,
            inflections=flag("inflections", self.inflections),
            in_order=flag("in_order", self.in_order),
            drafts=whole("drafts", self.drafts, 1, MAX_DRAFTS),
        )
        _check_language(self.lang)


@final
@dataclass(frozen=True)
class Weights:
    """What the terms of a paraphrase's energy weigh.

    Attributes:
        fluency: of the causal model's nats.
        similarity: nats for a cosine of 0 to the source.
        preservation: power of the keywords' smallest cosine.
        diversity: power of 1 - BLEU to the source: more is farther from it.
        consensus: nats for an expected BLEU of 0 to the model's own drafts.
        polarity: nats for each denying word that comes or goes, in English.
        roles: nats for each two words that change places around a verb, and each new person, in English.
        numbers: nats for each number that comes or goes, in English.
    """

    fluency: float = 0.25
    similarity: float = 10.0
    preservation: float = 1.0
    diversity: float = 12.0
    consensus: float = 40.0
    polarity: float = 100.0
    roles: float = 100.0
    numbers: float = 100.0

    def __post_init__(self) -> None:
        keep(self, **{field.name: positive(field.name, getattr(self, field.name)) for field in fields(self)})


@final
@dataclass(frozen=True, kw_only=True)
class Paraphrasing(Several):
    """What `paraphrase` is told besides.

    Attributes:
        weights: of the terms.
        pool: drafts for each text; its chains start from the best of them.
        lang: of the texts: en, or zh (Chinese) with models of your own; a word is one character then.
    """

    chains: int = 3
    steps: int = 20
    weights: Weights = Weights()
    pool: int = 20
    lang: str = "en"

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        if not isinstance(self.weights, Weights):
            raise TypeError(
                f"weights={shown(self.weights)} is {nature(self.weights)}: pass Weights(...) of textsearch.tasks, such "
                "as Weights(diversity=8.0)"
            )
        keep(self, pool=whole("pool", self.pool, 1, MAX_DRAFTS))
        _check_language(self.lang)


@final
@dataclass(frozen=True, kw_only=True)
class Writing(Several):
    """What `write` is told besides.

    Attributes:
        label_weight: weight of the label.
        topic_weight: weight of the topic.
        coherence_weight: weight of the information that the context has of the text.
        lang: of the texts: en, or zh (Chinese) with models of your own; a word is one character then.
    """

    steps: int = 150
    # texts differ by tens of nats in fluency, and by few in what a small classifier says of them
    label_weight: float = 16.0
    topic_weight: float = 1.0
    coherence_weight: float = 0.5
    lang: str = "en"

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        for name in ("label_weight", "topic_weight", "coherence_weight"):
            weight = positive(name, getattr(self, name), remedy="; leave what it weighs out of the requests instead")
            keep(self, **{name: weight})
        _check_language(self.lang)


def _check_language(code: str) -> None:
    """Refuse a language that the tasks do not know; which of them English is needs no look at the others."""
    if code != "en":
        from textsearch.tasks.languages import language

        language(code)
