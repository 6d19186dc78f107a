"""Corrected texts: as close to what was written as their fluency allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from os import PathLike
from typing import final

import torch
from torch import Tensor

from objectives import Closeness, Preserve
from objectives.preserve import facts
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Clusters, Corrections
from textsearch import Batch, Generations
from textsearch.calls import told
from textsearch.checks import strings
from textsearch.kinds import shown
from textsearch.language.confusions import Confusions, EnglishConfusions
from textsearch.language.literals import Keep, Kept
from textsearch.language.words import TIGHT, WordVocabulary, apart, attached, bare, gap, marked
from textsearch.models.protocols import CausalLM
from textsearch.objective import Cost, Limit, Objective
from textsearch.rng import input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.schedule import geometric
from textsearch.tasks import chinese_correction
from textsearch.tasks import resolve as given
from textsearch.tasks.channel import COSTS, ChangedSentences, Channel, NonWords, StrayCapitals, shouted
from textsearch.tasks.descending import descended
from textsearch.tasks.drafted import Edit, differences, improved, months, replaced, suggested
from textsearch.tasks.in_script import in_script, written_texts
from textsearch.tasks.judging import Corrector, judging
from textsearch.tasks.lists import Listed
from textsearch.tasks.problem import MakeSampler, Models, OwnSampler, Problem, Stage, answer
from textsearch.tasks.restoring import restored
from textsearch.tasks.settings import Correction
from textsearch.tasks.unexplained import Unexplained
from textsearch.waiting import waiting

FINISH = Fraction(1, 5)
"""The share of the steps that are made with the price of a changed sentence in the energy."""

HOTTEST, COOLER, COLDEST = 0.5, 0.1, 0.05
"""Temperatures, in units of the run's: at the start, at the start of the last share of the steps, and at the end."""

MEANING = 100.0
"""Nats for each denial, number, person or modal verb that comes, goes or is exchanged."""


@told
def correct(
    texts: Sequence[str],
    *,
    chains: int = Correction.chains,
    steps: int = Correction.steps,
    seed: int = Correction.seed,
    temperature: float = Correction.temperature,
    strictness: float = Correction.strictness,
    keep: Keep = Correction.keep,
    meaning: bool = Correction.meaning,
    tokenised: bool = Correction.tokenised,
    confusions: Confusions | None = Correction.confusions,
    lang: str = Correction.lang,
    script: str = Correction.script,
    listed: Listed = Correction.listed,
    causal: given.Causal = None,
    masked: given.Masked = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """The texts with their mistakes mended, unchanged where no edit is worth its cost: all of them in one run.

    Chains start from the best that the edits of some drafts and the likeliest spellings of unknown words come to
    together, or from the text itself where that is better, and are cooled from `temperature` / 2 down to a tenth of
    that, at first without the price of a changed sentence. The trace is that of the last fifth of the steps.

    The energy of x for a source s, in nats, is .4 * -log p(x) + .6 * -log p(x | request to correct s) + strictness *
    (.2 * the costs of the cheapest edits that lead from s to x + 2.5 * the number of sentences that are changed): a
    product of two experts (Hinton, 2002), the second of them the default model taught to correct, which writes the
    drafts too. What no mistake explains costs strictness * nats of its own, whichever model judges, the term
    "unexplained": 4 for the first letter that an unknown word is farther from another than from the nearest, 8 for the
    second, 4 for a "but" or an "also" that comes, goes or gives way, 12 for a word that is not akin to the old one, or
    comes or goes and is not among those that often do. A `causal` of yours is asked itself, and counts .75 alone and
    .25 asked, edits .5 and sentences 4. A model that takes no requests is not asked, nor is any about a text that is
    too long for it: -log p(x) counts in full then, and so do the costs. A cost is -log p(this mistake) up to a constant
    (Kernighan et al., 1990). A language model likes short and frequent texts, so an edit must pay for itself by a
    margin (Bryant and Briscoe, 2018). A word that no list knows pays 1 nat and 5 for each letter beyond the first, and
    1 less for a slip: letters in another order, or one doubled. The nats for a sentence are a prior of two parts
    (George and McCulloch, 1993): most sentences are right, and those that are not have more than one mistake.

    A state is words as they are written, each with the gap before it, not the pieces of a model, so that nothing
    changes that no move touched. A word may have been meant to be an inflection of its stem, a spelling at most two
    letters away or of the same consonants, a listed confusion, a small word of its class, or itself with another
    capital. The masked model reads four words on either side of each place, and an edit is drawn by how much better it
    finds it than what stands there (Zanella, 2020): improbable words go first. For four steps in five the energy has
    no price of a sentence; then sentences that are not worth it are put back, and the last fifth has it.

    Args:
        texts: sentences, or a few of them together.
        chains: chains for each text; one is enough for most.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: times the schedule; above 1 the search goes further afield.
        strictness: times the cost of every edit; above 1 fewer are made.
        keep: leave alone, letter by letter, addresses, handles, code, names of files, numbers with their units and
            marks of markdown; a list of words, or the name of a file with one a line, is left alone besides. See
            `textsearch.language.literals`.
        meaning: keep denials, numbers, persons and modal verbs, unless they come of a misspelt word: `Preserve`.
        tokenised: the texts come, and `best_texts` and `texts` go, with one space between any two tokens.
        confusions: what a word may have been meant to be; by default that of the language.
        lang: "en" or "zh": characters are exchanged one for one then, see
            docs/correct_chinese.md.
        script: of what is new in a Chinese text: "simplified", "traditional" or "hongkong"; by default what the input
            is written in, "none" to convert nothing. What the input says comes back as it was typed.
        listed: in Chinese, characters that are mistaken for others besides: lines of what is written and what may be
            meant, "未末", or the name of a file of them.
        causal: judges; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch. In Chinese it judges, and may be left out.
        sampler: made of the task's moves; by default they are annealed, which is a search.
        until: stop early; see `textsearch.run.until`. Each of the two searches ends by it.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: an empty text, or a file of words that cannot be read.
    """
    return answer(
        build,
        texts,
        Correction(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            strictness=strictness,
            keep=keep,
            meaning=meaning,
            tokenised=tokenised,
            confusions=confusions,
            lang=lang,
            script=script,
            listed=listed,
        ),
        Models(causal=causal, masked=masked),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


@in_script(written_texts)
def build(
    texts: Sequence[str],
    settings: Correction,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `correct`: a search that is free to change sentences, and one that pays for each; see there."""
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    for text in texts:
        if not text.strip():
            raise ValueError(f"{text!r} is an empty text: leave it out")
        if any("\ud800" <= one <= "\udfff" for one in text):
            raise ValueError(f"{shown(text)} holds half of a character (a surrogate): decode it again, or take it out")
    if settings.lang != "en":
        return chinese_correction.build(texts, settings, models, numbers=numbers, progress=progress)
    for text in texts:
        if TIGHT in text:
            raise ValueError(f"{shown(text)} holds U+{ord(TIGHT):04X}, which is no character: take it out")
    mlm, lm = given.masked(models.masked, progress), given.causal(models.causal, progress)
    read = reading(texts, settings, lm, numbers=input_numbers(numbers, len(texts)), progress=progress)
    free, channel, sources = read.free(lm), read.channel, read.sources
    objective = free + ChangedSentences(sources, channel)
    moves = Corrections(mlm, read.clusters)
    with waiting("spelling", progress), torch.inference_mode():
        spelling = differences(sources, spelled(sources, moves, channel))
        spelling = [own + capitals for own, capitals in zip(spelling, months(sources), strict=True)]
        drafts = [[own, *others] for own, others in zip(spelling, read.drafts, strict=True)]
        start = improved(free, sources, drafts)
    return Problem(
        objective=free,
        moves=moves,
        sampler=cooled(HOTTEST),
        start=start.repeat(settings.chains),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        numbers=numbers,
        finish=partial(as_given, texts=texts, tokenised=settings.tokenised),
        # the price of a changed sentence is a wall before its first edit: most of the steps do not know of it
        after=(
            Stage(
                "finish of a correction",
                objective,
                cooled(COOLER),
                partial(begun, objective=objective, sources=sources, moves=moves),
                FINISH,
            ),
        ),
    )


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """Some texts as they are read before any search: their words, what each may have been meant to be, and drafts.

    Attributes:
        sources: the texts; what no move may touch is frozen.
        clusters: which words may stand for which.
        channel: what each edit costs.
        meant: what words may have been meant to be.
        meaning: whether denials, numbers, persons and modal verbs are kept.
        even: the texts as models read them.
        asked: a model that is asked to correct them, if one is.
        drafts: for each text the edits of each draft of it.
    """

    sources: Batch
    clusters: Clusters
    channel: Channel
    meant: Confusions
    meaning: bool
    even: Sequence[str]
    asked: Corrector | None
    drafts: Sequence[Sequence[Sequence[Edit]]]

    def free(self, lm: CausalLM) -> Objective:
        """The energy without the price of a changed sentence."""
        judges, scale = judging(lm, self.even, self.asked)
        total: Objective = Closeness(self.sources, self.channel, scale)
        total += Closeness(self.sources, Unexplained(self.meant, self.channel.strictness), label="unexplained")
        for weight, judge in judges:
            total += weight * EvenlySpaced(judge)
        rules = self.rules
        return total if rules is None else total + rules

    @property
    def rules(self) -> Objective | None:
        """What is written badly whatever a model says, and what must not be meant otherwise."""
        if not isinstance(self.meant, EnglishConfusions):
            return None
        total = NonWords(self.meant) + StrayCapitals(self.sources, self.meant)
        if self.meaning:
            total += MEANING * Preserve(self.sources.texts(), doubtful(self.sources, self.meant))
        return total


def reading(
    texts: Sequence[str], settings: Correction, lm: CausalLM, *, numbers: Sequence[int], progress: bool = False
) -> Reading:
    """The words of some texts, and what `lm` or a model that was taught to correct writes in their place."""
    kept, tokenised = Kept.of(settings.keep), settings.tokenised
    english = settings.confusions or EnglishConfusions()
    if settings.meaning and isinstance(english, EnglishConfusions):
        # what would always be refused is not proposed
        english = replace(english, inserted=tuple(word for word in english.inserted if not facts(word)))
    inner = [" ".join(text.split()) if tokenised else text.strip() for text in texts]
    cut = [attached(text.split(), kept.spans(text)) if tokenised else marked(text, kept.spans(text)) for text in inner]
    if isinstance(english, EnglishConfusions):
        cut = [spared(row, english) for row in cut]
    rows = [[token for token, _ in row] for row in cut]
    written = WordVocabulary.of(token for row in rows for token in row)
    even = replace(written.batch(rows), vocabulary=written.evenly_spaced).texts()
    # the request is English, as what may have been meant must be
    asked = Corrector.of(lm, even) if isinstance(english, EnglishConfusions) else None
    sentence = COSTS["sentence"] if asked is None else asked.weights.sentence
    channel = Channel(english, {**COSTS, "sentence": sentence}, strictness=settings.strictness)
    drafts: list[list[tuple[Edit, ...]]] = [[] for _ in rows]
    if asked is not None and isinstance(english, EnglishConfusions):
        with waiting("writing drafts", progress), torch.inference_mode():
            texts_of = asked.drafts(even, settings.seed, numbers)
        for number, row in enumerate(cut):
            stays = [inside or name for (_, inside), name in zip(row, names(rows[number], english), strict=True)]
            own = ([token for token, _ in marked(text, kept.spans(text))] for text in texts_of[number])
            drafts[number] = [suggested(rows[number], stays, draft, english) for draft in own]
    with waiting("looking up words", progress):
        others = [replaced(row, own) for row, own in zip(rows, drafts, strict=True)]
        clusters = Clusters.of(rows, english, sealed=[sealed(row) for row in cut], suggested=others)
    sources = clusters.vocabulary.batch(rows)
    sources = sources.frozen(_padded([[inside for _, inside in row] for row in cut], sources))
    if isinstance(english, EnglishConfusions):
        sources = sources.frozen(_padded([names(row, english) for row in rows], sources))
    return Reading(sources, clusters, channel, english, settings.meaning, even, asked, drafts)


def cooled(hottest: float) -> OwnSampler:
    """Metropolis-Hastings from one temperature down to .05 within the steps of a search."""
    return lambda moves, steps: SimulatedAnnealing(
        MetropolisHastings(moves), geometric(hottest, COLDEST, max(steps, 1))
    )


def begun(found: Generations, *, objective: Objective, sources: Batch, moves: Corrections) -> Batch:
    """Where the last search begins: of what was found, what is worth its price, and no likely edit left undone."""
    start = restored(objective, sources, found.best_batch)
    # who broke the run off waits for the answer
    return start if found.interrupted else descended(objective, start, moves)


def as_given(result: Generations, *, texts: Sequence[str], tokenised: bool) -> Generations:
    """The result with its texts spaced, and between what stands around them, as their sources are."""
    if tokenised:
        return replace(result, texts=_apart(result.batch), best_texts=_apart(result.best_batch), sources=list(texts))
    around = [(text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]) for text in texts]
    return replace(
        result,
        texts=_between(around, result.batch),
        best_texts=_between(around, result.best_batch),
        sources=list(texts),
    )


@final
@dataclass(frozen=True)
class EvenlySpaced(Objective):
    """An objective that reads the words of a text, and one space wherever the text has more, or a tab.

    What stands between words is kept as it is and is nobody's mistake: a model should not judge it.

    Attributes:
        objective: of the text.
    """

    objective: Objective

    @property
    def name(self) -> str:
        """That of the objective."""
        return self.objective.name

    @property
    def cost(self) -> Cost:
        """That of the objective."""
        return self.objective.cost

    @property
    def lower_bound(self) -> float:
        """That of the objective."""
        return self.objective.lower_bound

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        return self.objective.energy(self._even(batch))

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) nats, +inf for what is shown to lie above the limit."""
        return self.objective.energy_within(self._even(batch), limit)

    def check(self, batch: Batch) -> None:
        """Of the objective."""
        self.objective.check(self._even(batch))

    @staticmethod
    def _even(batch: Batch) -> Batch:
        assert isinstance(batch.vocabulary, WordVocabulary)
        return replace(batch, vocabulary=batch.vocabulary.evenly_spaced)


def _between(around: Sequence[tuple[str, str]], batch: Batch) -> list[str]:
    """The texts, each between the white space that its source begins and ends with."""
    found = zip(batch.texts(), batch.inputs.tolist(), strict=True)
    return [around[number][0] + text + around[number][1] for text, number in found]


def spared(row: Sequence[tuple[str, bool]], confusions: EnglishConfusions) -> list[tuple[str, bool]]:
    """Tokens and whether they stay; in a text in capitals throughout all words that a list knows do.

    Language models have read too little in capitals to judge more of it than spelling.
    """
    if not shouted([token for token, _ in row]):
        return list(row)
    return [(token, inside or confusions.known(bare(token))) for token, inside in row]


def sealed(row: Sequence[tuple[str, bool]]) -> list[str]:
    """Of tokens and whether they stay, those that nothing may be glued to.

    All that stay but plain numbers; of a text in capitals throughout, all.
    """
    if shouted([token for token, _ in row]):
        return [token for token, _ in row]
    return [token for token, inside in row if inside and any(not (c.isdigit() or c in ".,:/") for c in bare(token))]


def names(row: Sequence[str], confusions: EnglishConfusions) -> list[bool]:
    """Of the tokens of a text, which are written as names: they stay as they are.

    A word that is a name within a sentence is one at the beginning of a sentence of the same text too. In a text that
    is in capitals throughout, capitals tell no names.
    """
    begins, found, loud = True, [], shouted(row)
    for token in row:
        word = bare(token)
        begins = begins or "\n" in gap(token)
        found.append(not loud and confusions.name(word, begins))
        begins = word in {".", "!", "?", "..."} or (begins and not any(letter.isalnum() for letter in word))
    own = {bare(token) for token, name in zip(row, found, strict=True) if name}
    return [bare(token) in own for token in row]


def doubtful(sources: Batch, confusions: EnglishConfusions) -> list[list[str]]:
    """For each text the words that no list knows, as what each may have been meant to be: "not note" for "nto"."""
    words = sources.vocabulary
    assert isinstance(words, WordVocabulary)
    found = []
    for row, editable in zip(words.words(sources), sources.editable.tolist(), strict=True):
        own = [bare(token) for token, may in zip(row, editable, strict=False) if may]
        meant = (confusions.of(word) for word in own if not confusions.known(word))
        found.append([" ".join(others).replace(TIGHT, "") for others in meant])
    return found


def _padded(rows: Sequence[Sequence[bool]], batch: Batch) -> Tensor:
    """(B, N) bool."""
    full = [[*row, *[False] * (batch.width - len(row))] for row in rows]
    return torch.tensor(full, dtype=torch.bool, device=batch.device).reshape(len(rows), batch.width)


def _apart(batch: Batch) -> list[str]:
    words = batch.vocabulary
    assert isinstance(words, WordVocabulary)
    return [apart(row) for row in words.words(batch)]


def spelled(sources: Batch, moves: Corrections, channel: Channel) -> Batch:
    """The texts with each word that no list knows given way to what the masked model and the channel like best.

    A word with a capital within a sentence may be a name, and stays.
    """
    words, clusters = moves.vocabulary.tokens, moves.clusters
    if not isinstance(channel.confusions, EnglishConfusions):
        return sources
    known = torch.tensor([channel.confusions.known(bare(word)) for word in words])
    capital = torch.tensor([bare(word)[:1].isupper() for word in words])
    begins = torch.nn.functional.pad(clusters.ends_sentence(sources.device)[sources.tokens], (1, 0), value=True)[:, :-1]
    homes = clusters.homes_of(sources.inputs[:, None].expand_as(sources.tokens), sources.tokens)
    doubtful = ~known[sources.tokens] & (begins | ~capital[sources.tokens]) & sources.editable & (homes >= 0)
    rows, places = doubtful.nonzero().unbind(1)
    if not len(rows):
        return sources
    old = sources.tokens[rows, places]
    candidates = clusters.members[homes[rows, places]]
    log_p = moves.reader.suits(sources.rows(rows), places, places + 1, candidates)
    for number, (one, others) in enumerate(zip(old.tolist(), candidates.tolist(), strict=True)):
        costs = [channel(bare(words[one]), bare(words[other])) for other in others if other >= 0]
        log_p[number, : len(costs)] -= torch.tensor(costs, dtype=torch.float64)
    best = candidates.gather(1, log_p.argmax(1, keepdim=True))[:, 0]
    return replace(sources, tokens=sources.tokens.index_put((rows, places), best))
