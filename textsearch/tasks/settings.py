"""Settings of the tasks: what each can be told, its defaults and its checks. The only place of either.

The functions of `textsearch.tasks` and the options of the command line take their defaults from here, and the command
line its words of help too. Light to import: `--help` does not wait for torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from textsearch.checks import MAX_CHAINS, MAX_DRAFTS, flag, keep, positive, run_of, seed_of, string, strings, whole
from textsearch.kinds import CONFUSIONS, OBJECTIVE, instance, nature, shown
from textsearch.tasks.lists import Listed, Sentences, check_keep, check_listed, check_sentences

if TYPE_CHECKING:
    from textsearch.language.confusions import Confusions
    from textsearch.language.literals import Keep
    from textsearch.objective import Objective


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of every task; each has defaults of its own.

    Attributes:
        steps: steps of every chain.
        seed: the same seed gives the same texts.
    """

    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        keep(self, steps=whole("steps", self.steps), seed=seed_of(self.seed))


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """Settings of every task whose chains the user chooses, besides those of `RunSettings`.

    Attributes:
        chains: chains for each input, run together.
        temperature: draws come from exp(-energy / temperature); below 1 is greedier.
    """

    chains: int = 8
    temperature: float = 1.0

    def __post_init__(self) -> None:
        told = run_of(steps=self.steps, seed=self.seed, chains=self.chains, temperature=self.temperature)
        keep(self, **told._asdict())


SCRIPTS = ("auto", "simplified", "traditional", "hongkong", "none")
"""What new Chinese text may be written in."""


@dataclass(frozen=True, kw_only=True)
class Worded(RunSettings):
    """Settings of tasks that write in more than one language, besides those of `RunSettings`.

    Attributes:
        lang: of the texts: en or zh (Chinese).
        script: of what is new in a Chinese text: simplified, traditional or hongkong; auto for what the input is
            written in, none to convert nothing, marks neither. What the input says comes back as it was typed.
    """

    lang: str = "en"
    script: str = "auto"

    def __post_init__(self) -> None:
        if self.lang != "en":
            # which language English is needs no look at the others
            from textsearch.tasks.languages import language

            language(self.lang)
        if self.script not in SCRIPTS:
            raise ValueError(f"script={shown(self.script)} is none of {', '.join(SCRIPTS)}")
        if self.lang == "en" and self.script not in ("auto", "none"):
            raise ValueError(f"script={self.script!r} is of Chinese: pass lang='zh', or leave it out")


@dataclass(frozen=True, kw_only=True)
class Several(Settings):
    """Settings of tasks whose inputs have many good answers, besides those of `Settings`.

    Attributes:
        different: draw the texts of an input together, so that they differ; see `Ensemble`.
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
class Correction(Settings, Worded):
    """Settings of `correct`, besides those of `Settings` and `Worded`.

    Its chains are cooled from `temperature` / 2 to a tenth of that.

    Attributes:
        strictness: times what every edit costs: above 1 fewer are made, below 1 more.
        keep: leave addresses, handles, code, file names, numbers with units and marks of markdown as they are: True or
            False, or True and some words besides: a list of words, or the name of a file with one a line.
        meaning: keep denials, numbers, persons (I, you, he, she, we) and modal verbs, unless misspelt.
        tokenised: the texts have, and keep, one space between any two tokens.
        confusions: what a word may have been meant to be; by default what the language confuses.
        lang: of the texts: en or zh (Chinese); characters are exchanged one for one then.
        listed: characters that are mistaken for others besides, in Chinese: lines of what is written and what may be
            meant, "未末", or the name of a file of them.
    """

    chains: int = 1
    strictness: float = 1.0
    keep: Keep = True
    meaning: bool = True
    tokenised: bool = False
    confusions: Confusions | None = None
    listed: Listed = ()

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        Worded.__post_init__(self)
        if self.confusions is not None:
            instance("confusions", self.confusions, CONFUSIONS)
        keep(self, listed=check_listed(self.listed))
        keep(
            self,
            strictness=positive("strictness", self.strictness, remedy=": 1 is usual, more keeps more as it was"),
            keep=check_keep(self.keep),
            meaning=flag("meaning", self.meaning),
            tokenised=flag("tokenised", self.tokenised),
        )
        if self.lang == "en" and self.listed:
            raise ValueError(f"listed={shown(self.listed)} is of Chinese characters: pass lang='zh', or leave it out")
        if self.lang != "en":
            self._check_other_language()

    def _check_other_language(self) -> None:
        """Refuse what English alone has."""
        for name, value in (("tokenised", True), ("meaning", False)):
            if getattr(self, name) is value:
                raise ValueError(f"{name}={value} is of English, and lang={self.lang!r}: leave one of them out")
        if self.confusions is not None and self.listed:
            raise ValueError("confusions and listed both say what may be meant: leave one of them out")


@final
@dataclass(frozen=True, kw_only=True)
class Infilling(Several, Worded):
    """Settings of `infill`, besides those of `Several` and `Worded`.

    Attributes:
        gap: how a gap is written in the texts; by default in any of the common ways.
        marks: a gap may be filled by a mark of punctuation too.
        exact: read every word that is one token of the masked model, for texts with one gap of one word.
        lang: of the texts: en or zh (Chinese); a gap is one character then.
    """

    # texts with the same words around their gaps are alike in any case
    different_weight: float = 10.0
    gap: str | None = None
    marks: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        Worded.__post_init__(self)
        if self.gap is not None and not (isinstance(self.gap, str) and self.gap.strip()):
            raise ValueError(f"gap={shown(self.gap)} must be what stands for a gap in the texts, such as '[MASK]'")
        keep(self, marks=flag("marks", self.marks), exact=flag("exact", self.exact))
        if self.exact and self.different:
            raise ValueError("exact=True lists every text, and different=True draws a few: leave one of them out")


@final
@dataclass(frozen=True, kw_only=True)
class KeywordSentences(Several, Worded):
    """Settings of `keywords`, besides those of `Several` and `Worded`.

    Attributes:
        inflections: whether dog is found in dogs too.
        in_order: the words must come in the order given.
        lang: of the texts: en, or zh (Chinese); its models are fetched from the hub, or your own.
        drafts: sentences that the causal model writes for each set, in waves of 16; the best of them start its chains.
        sentences: yours, or a file with one a line: those that hold some words are changed, and start the chains.
    """

    different_weight: float = 10.0
    inflections: bool = True
    in_order: bool = False
    drafts: int = 32
    sentences: Sentences = ()

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        Worded.__post_init__(self)
        keep(
            self,
            inflections=flag("inflections", self.inflections),
            in_order=flag("in_order", self.in_order),
            drafts=whole("drafts", self.drafts, 1, MAX_DRAFTS),
            sentences=check_sentences(self.sentences),
        )


KEYWORD_PRESETS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "fast": MappingProxyType({"drafts": 32, "chains": 8, "steps": 0}),
        "better": MappingProxyType({"drafts": 64, "chains": 8, "steps": 200}),
    }
)
"""Settings of `keywords` for less time and for lower energies; docs/results/first_sentence.md has what they cost."""


@final
@dataclass(frozen=True)
class Weights:
    """What the terms of a paraphrase's energy weigh.

    Attributes:
        fluency: nats for each nat by which a text is less likely, token for token, than the draft nearest to it.
        similarity: nats for a cosine of 0 to the source.
        preservation: power of the keywords' smallest cosine.
        diversity: power of 1 - BLEU to the source: more is farther from it.
        consensus: nats for an expected BLEU of 0 to the model's own drafts.
        brevity: nats for half the words of the source.
        polarity: nats for each denying word that comes or goes, in English.
        roles: nats for each two words that change places around a verb, and each new person, in English.
        numbers: nats for each number that comes or goes, in English.
    """

    fluency: float = 8.0
    similarity: float = 100.0
    preservation: float = 1.0
    diversity: float = 12.0
    consensus: float = 3.0
    brevity: float = 12.0
    polarity: float = 100.0
    roles: float = 100.0
    numbers: float = 100.0

    def __post_init__(self) -> None:
        keep(self, **{field.name: positive(field.name, getattr(self, field.name)) for field in fields(self)})


@final
@dataclass(frozen=True, kw_only=True)
class Paraphrasing(Several, Worded):
    """Settings of `paraphrase`, besides those of `Several` and `Worded`.

    Attributes:
        weights: of the terms.
        keep: keep addresses, handles, code, file names, numbers with units and marks of markdown as they are: True or
            False, or True and some words besides: a list of words, or the name of a file with one a line.
        meaning: keep denials, numbers, and who does what to whom, in English.
        pool: drafts for each text; its chains start from the best of them.
        lang: of the texts: en or zh (Chinese); a word is one character then.
    """

    chains: int = 3
    steps: int = 20
    weights: Weights = Weights()
    keep: Keep = True
    meaning: bool = True
    pool: int = 20

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        Worded.__post_init__(self)
        if not isinstance(self.weights, Weights):
            raise TypeError(
                f"weights={shown(self.weights)} is {nature(self.weights)}: pass Weights(...) of textsearch.tasks, such "
                "as Weights(diversity=8.0)"
            )
        keep(
            self,
            keep=check_keep(self.keep),
            meaning=flag("meaning", self.meaning),
            pool=whole("pool", self.pool, 1, MAX_DRAFTS),
        )


MAX_ANSWERS = 16
"""Answers of a passage that are asked for."""


@final
@dataclass(frozen=True, kw_only=True)
class Asking(Several):
    """Settings of `ask`, besides those of `Several`.

    Attributes:
        chains: chains for each answer.
        answer: what the questions ask for, words of the passage; by default answers are found in it.
        answers: answers that are found in a passage, at most.
        weight: of the answer's nats: above 1 the answer must follow more surely from passage and question.
        drafts: written for each answer; its chains start from the best of them.
    """

    chains: int = 2
    steps: int = 20
    different_weight: float = 10.0
    answer: str | None = None
    answers: int = 3
    weight: float = 2.0
    drafts: int = 16

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        if self.answer is not None and not string("answer", self.answer).strip():
            raise ValueError(f"answer={shown(self.answer)} is empty: write words of the passage, or leave it out")
        keep(
            self,
            answers=whole("answers", self.answers, 1, MAX_ANSWERS),
            weight=positive("weight", self.weight, remedy=": 1 weighs both directions alike"),
            drafts=whole("drafts", self.drafts, 1, MAX_DRAFTS),
        )


LANGUAGES = ("grammar", "json_schema", "regex", "choices", "constraint")
"""Settings of `sample` that say what a text must be; one of them is to be given."""

METHODS = ("auto", "rejection", "chains", "particle-gibbs", "weighted-rejection", "masked")
"""Ways in which `sample` draws."""

MAX_LENGTH = 4096
"""Tokens of a text that `sample` draws."""


@final
@dataclass(frozen=True, kw_only=True)
class Sampling(RunSettings):
    """Settings of `sample`, besides those of `RunSettings`; one of the first five says what a text must be.

    Attributes:
        grammar: a grammar in Lark's EBNF that parses every draw: the text of it, or the name of one that comes with
            textsearch.
        json_schema: a JSON schema that every draw is valid under, as data or as JSON.
        regex: a regular expression that the whole of every draw matches.
        choices: the texts that may be drawn.
        constraint: any objective, for mixes: Grammar(...) + Keywords(["dog"]).
        draws: draws for each prompt.
        power: draws come from p^power, p the model's law of the texts that are allowed; above 1 is sharper.
        chat: put the prompt in the model's chat format, if it has one.
        max_length: tokens of a text; what finds no end within them is no draw.
        method: how to draw: rejection alone, chains alone, auto, which leaves to chains what rejection could not draw,
            particle-gibbs, chains that write several texts a step, weighted-rejection, a population of weighted texts,
            or masked, the usual decoding, which is not the model's law.
        tries: texts that are tried for each draw without chains.
        steps: moves of every chain, where there are chains.
    """

    steps: int = 40
    grammar: str | None = None
    json_schema: Any = None
    regex: str | None = None
    choices: Sequence[str] | None = None
    constraint: Objective | None = None
    draws: int = 20
    power: float = 1.0
    chat: bool = True
    max_length: int = 128
    method: str = "auto"
    tries: int = 32

    def __post_init__(self) -> None:
        RunSettings.__post_init__(self)
        if self.grammar is not None and not string("grammar", self.grammar).strip():
            raise ValueError(f"grammar={shown(self.grammar)} is empty: write its rules, or the name of one")
        if self.json_schema is not None and not isinstance(self.json_schema, bool | str | Mapping):
            raise TypeError(
                f"json_schema={shown(self.json_schema)} is {nature(self.json_schema)}: pass a dictionary, or JSON"
            )
        if self.regex is not None:
            _check_expression(string("regex", self.regex))
        if self.choices is not None:
            keep(self, choices=_choices(self.choices))
        if self.constraint is not None:
            instance("constraint", self.constraint, OBJECTIVE)
        if self.method not in METHODS:
            raise ValueError(f"method={shown(self.method)} is none of {', '.join(METHODS)}")
        keep(
            self,
            draws=whole("draws", self.draws, 1, MAX_CHAINS),
            power=positive("power", self.power, remedy=": 1 is the model's own law, 4 is sharp"),
            chat=flag("chat", self.chat),
            max_length=whole("max_length", self.max_length, 1, MAX_LENGTH, unit="token"),
            tries=whole("tries", self.tries, 1),
        )

    @property
    def stated(self) -> str:
        """The setting that says what a text must be.

        Raises:
            ValueError: none does, or several do.
        """
        given = [name for name in LANGUAGES if getattr(self, name) is not None]
        if not given:
            raise ValueError(f"nothing says what a text must be: pass one of {', '.join(LANGUAGES)}")
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} both say what a text must be: pass one of them, or a sum of objectives as "
                "constraint"
            )
        return given[0]


def _check_expression(pattern: str) -> None:
    """Refuse an expression that is empty, or that a shell or a file has put the end of a line behind."""
    if not pattern:
        raise ValueError("regex='' matches the empty text alone: write what the whole text must match")
    if pattern.endswith("\n"):
        raise ValueError(
            f"regex={shown(pattern)} ends with the end of a line, which every text would have to end with: take it "
            r"away, or write \n if it is meant"
        )


def _choices(given: Sequence[str]) -> tuple[str, ...]:
    """The choices, each once."""
    found = tuple(dict.fromkeys(strings("choices", given)))
    if not found:
        raise ValueError("choices is empty: name the texts that may be drawn")
    for one in found:
        if not one.strip():
            raise ValueError(f"choices holds {one!r}, which is no text to read: leave it out")
    return found


@final
@dataclass(frozen=True, kw_only=True)
class Writing(Several, Worded):
    """Settings of `write`, besides those of `Several` and `Worded`.

    Attributes:
        label_weight: weight of the label.
        topic_weight: weight of the topic.
        coherence_weight: weight of the information that the context has of the text.
        couplet_weight: nats of a character that is not parallel to that of the first line.
        lang: of the texts: en or zh (Chinese); a word is one character then.
    """

    steps: int = 150
    # texts differ by tens of nats in fluency, and by few in what a small classifier says of them
    label_weight: float = 16.0
    topic_weight: float = 1.0
    coherence_weight: float = 0.5
    couplet_weight: float = 2.0

    def __post_init__(self) -> None:
        Several.__post_init__(self)
        Worded.__post_init__(self)
        for name in ("label_weight", "topic_weight", "coherence_weight", "couplet_weight"):
            weight = positive(name, getattr(self, name), remedy="; leave what it weighs out of the requests instead")
            keep(self, **{name: weight})
