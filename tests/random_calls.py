# mypy: disable-error-code="arg-type, attr-defined, call-arg, dict-item, list-item, misc, no-untyped-call, operator"
"""A grammar of calls of the public API, good and bad arguments mixed, on toys small enough to run in milliseconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import objectives
import samplers
import samplers.proposals as moves
import textsearch
from samplers.starts import masks
from tests.random_parts import ArrayEncoder, Outer, Toy
from textsearch import Batch, FunctionObjective, Generations, schedule, tasks
from textsearch.language.confusions import ListedConfusions
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.objective import Sum
from textsearch.run import until
from textsearch.run.coupling import meeting_times
from textsearch.tasks import Weights, stream
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

WORDS = letters("abc ")
MASKED = TableMaskedLM.random(WORDS, seed=0)
CAUSAL = TableCausalLM.random(WORDS, seed=1)
TEXTS = ("ab", "abc", "a b", "c ab a", "b", "cab", "a", "bb aa")


class Calls:
    """Draws values and calls; about one argument in `odds` is wrong."""

    def __init__(self, seed: int, odds: int = 8, models: Mapping[str, Any] | None = None) -> None:
        self.random = random.Random(seed)
        self.odds = odds
        self.depth = 0
        self.models = dict(models or {})

    # values

    def wrong(self) -> Any:
        """Something that a caller may give in place of what is wanted."""
        pick: list[Callable[[], Any]] = [
            lambda: None,
            lambda: self.random.choice([-1, 0, -7, 2.5, True, False, math.nan, math.inf, -math.inf, 10**9, 10**30]),
            lambda: self.random.choice(["", "a", "gpt2", b"ab", "x" * 300, "ab\ud800"]),
            lambda: self.random.choice([[], (), {}, set(), {"a"}, {"a": 1}, [None], [1, 2], ["a", 3], [["a"], "b"]]),
            lambda: self.random.choice([np.array([1.0, 2.0]), np.array("a"), np.float64("nan"), np.True_]),
            lambda: self.random.choice([torch.arange(2), torch.tensor(True), torch.zeros(0), torch.nn.Linear(1, 1)]),
            lambda: self.random.choice([object(), object, len, lambda *given: None, Toy, 1j, range(3)]),
            lambda: self.random.choice(
                [moves.Replace, samplers.MetropolisHastings, objectives.Fluency, moves.Uniform, until.Settled]
            ),
            lambda: self.random.choice([MASKED, CAUSAL, WORDS, Toy(), WORDS.encode(["ab"])]),
            lambda: self.random.choice([self.proposal, self.sampler, self.objective, self.independent])(),
        ]
        return self.random.choice(pick)()

    def maybe(self, good: Callable[[], Any]) -> Any:
        """Mostly what `good` gives; nothing nested deeper than a caller would write."""
        if self.random.randrange(self.odds) == 0:
            return self.wrong()
        return good()

    def count(self, low: int, high: int) -> Any:
        number = self.random.randint(low, high)
        return self.random.choice([number, number, np.int64(number), np.int32(number), torch.tensor(number)])

    def real(self, low: float, high: float) -> Any:
        number = self.random.uniform(low, high)
        return self.random.choice([number, number, np.float64(number), np.float32(number), torch.tensor(number)])

    def texts(self, most: int = 3) -> Any:
        chosen = [self.random.choice(TEXTS) for _ in range(self.random.randint(1, most))]
        forms: list[Callable[[list[str]], Any]] = [list, tuple, np.array, iter, lambda given: (one for one in given)]
        return self.random.choice(forms)(chosen)

    def one_or_each(self) -> Any:
        return self.random.choice([lambda: self.random.choice(TEXTS), self.texts])()

    def options(self, **options: Callable[[], Any]) -> dict[str, Any]:
        """Some of the keyword arguments; rarely one that is misspelt."""
        chosen = {name: self.maybe(make) for name, make in options.items() if self.random.random() < 0.4}
        if self.random.randrange(60) == 0:
            chosen["stepz"] = 3
        return chosen

    def flag(self) -> Any:
        return self.random.choice([True, False, np.True_])

    # parts

    def of(self, makers: list[Callable[[], Any]]) -> Any:
        """One of the makers, the first where parts lie within parts already."""
        self.depth += 1
        try:
            return makers[0]() if self.depth > 3 else self.random.choice(makers)()
        finally:
            self.depth -= 1

    def masked(self) -> Any:
        return self.maybe(lambda: MASKED)

    def causal(self) -> Any:
        return self.maybe(lambda: CAUSAL)

    def proposal(self) -> Any:
        size: dict[str, Callable[[], Any]] = {"max_length": lambda: self.count(4, 9)}
        edits = {"pieces": lambda: [1.0], **size}
        table = [{(1, 1): 1.0}, {(1, 1): 0.5, (0, 1): 0.25, (1, 0): 0.25}, {(1, 2): 1.0}, {(1, "a"): 1.0}, {3: 1.0}]
        power: dict[str, Callable[[], Any]] = {"power": lambda: self.real(0.3, 2)}
        return self.of(
            [
                lambda: moves.Replace(self.masked(), **self.options(**edits)),
                lambda: moves.InsertDelete(self.masked(), **self.options(insert=lambda: self.real(0.1, 0.9), **edits)),
                lambda: moves.BlockInfill(self.masked(), **self.options(words=lambda: [1, self.count(1, 3)], **edits)),
                lambda: moves.SpanEdit(
                    self.masked(), self.maybe(lambda: self.random.choice(table)), **self.options(**edits)
                ),
                lambda: moves.Swap(self.maybe(lambda: WORDS)),
                lambda: moves.LocallyBalanced(self.masked(), **self.options(balance=lambda: moves.barker, **power)),
                lambda: moves.PathAuxiliary(self.masked(), **self.options(sites=lambda: self.count(1, 3), **power)),
                lambda: moves.MetropolisedGibbs(self.masked(), **self.options(**power)),
                lambda: moves.AllSites(self.masked(), self.maybe(lambda: self.real(0.1, 2)), **self.options(**power)),
                lambda: moves.SuffixResampling(
                    self.causal(),
                    **self.options(prompt=self.one_or_each, temperature=lambda: self.real(0.5, 2), **size),
                ),
                lambda: moves.PrefixResampling(
                    self.maybe(lambda: RightToLeftLM(CAUSAL)),
                    **self.options(temperature=lambda: self.real(0.5, 2), **size),
                ),
                lambda: moves.Copy(self.masked(), self.maybe(self.one_or_each), **self.options(**edits)),
                lambda: moves.Mixture(
                    self.maybe(lambda: {self.proposal(): self.maybe(lambda: self.real(0.1, 1)) for _ in range(2)})
                ),
                lambda: Outer(self.proposal()),
            ]
        )

    def independent(self) -> Any:
        return self.of(
            [
                lambda: moves.Uniform(self.maybe(lambda: WORDS)),
                lambda: moves.Fill(self.masked()),
                lambda: moves.FromLeft(
                    self.causal(), **self.options(prompt=self.one_or_each, max_length=lambda: self.count(3, 8))
                ),
                lambda: moves.FromRight(
                    self.maybe(lambda: RightToLeftLM(CAUSAL)), **self.options(max_length=lambda: self.count(3, 8))
                ),
                lambda: Outer(self.independent()),
            ]
        )

    def sampler(self) -> Any:
        inner = lambda: self.maybe(self.sampler)  # noqa: E731
        drawn = lambda: self.maybe(self.independent)  # noqa: E731
        left: Any = {
            "prompt": self.one_or_each,
            "power": lambda: self.real(0.5, 3),
            "max_length": lambda: self.count(3, 8),
        }
        return self.of(
            [
                lambda: samplers.MetropolisHastings(self.maybe(self.proposal)),
                lambda: samplers.Gibbs(
                    self.masked(), self.maybe(lambda: self.count(2, 5)), **self.options(block=lambda: self.count(1, 2))
                ),
                lambda: samplers.MultipleTry(self.maybe(self.proposal), self.maybe(lambda: self.count(2, 4))),
                lambda: samplers.DelayedAcceptance(self.maybe(self.proposal), self.maybe(self.objective)),
                lambda: samplers.ImportanceSampling(drawn()),
                lambda: samplers.IteratedResampling(drawn(), self.maybe(lambda: self.count(2, 4))),
                lambda: samplers.Rejection(drawn(), self.maybe(lambda: self.real(5, 50))),
                lambda: samplers.QuasiRejection(drawn(), self.maybe(lambda: self.real(-5, 5))),
                lambda: samplers.MaskedResampling(
                    self.masked(), **self.options(top_k=lambda: self.count(1, 4), burn_in=lambda: self.count(0, 4))
                ),
                lambda: samplers.AnnealedSMC(
                    drawn(), inner(), **self.options(ess=lambda: self.real(0, 1), keep=lambda: self.real(0.1, 0.9))
                ),
                lambda: samplers.ParticleGibbs(
                    self.causal(),
                    **self.options(
                        particles=lambda: self.count(2, 5),
                        free=lambda: self.real(0, 1),
                        ess=lambda: self.real(0, 1),
                        ancestors=self.flag,
                        **left,
                    ),
                ),
                lambda: samplers.AdaptiveWeightedRejection(
                    self.causal(), **self.options(ess=lambda: self.real(0, 1), **left)
                ),
                lambda: samplers.Cycle(self.maybe(lambda: [self.sampler(), inner()])),
                lambda: samplers.Mixture(self.maybe(lambda: {self.sampler(): self.real(0.1, 1), inner(): 2})),
                lambda: samplers.Thinned(inner(), self.maybe(lambda: self.count(1, 4))),
                lambda: samplers.Restarts(inner(), self.maybe(lambda: self.count(1, 9))),
                lambda: samplers.RestartsWhenStuck(inner(), self.maybe(lambda: self.count(1, 9))),
                lambda: samplers.SimulatedAnnealing(inner(), self.maybe(self.schedule)),
                lambda: samplers.ParallelTempering(
                    inner(), self.maybe(lambda: [1, self.maybe(lambda: self.count(2, 4))])
                ),
                lambda: samplers.Ensemble(inner(), objectives.ngram_likeness, self.maybe(lambda: self.real(0.1, 9))),
                lambda: samplers.AdaptiveTemperature(
                    inner(), **self.options(target=lambda: self.real(0.1, 0.9), warm_up=lambda: self.count(1, 9))
                ),
                lambda: Outer(self.sampler()),
            ]
        )

    def schedule(self) -> Any:
        kind = self.random.choice([schedule.linear, schedule.geometric, schedule.logarithmic])
        ends = [self.maybe(lambda: self.real(0.1, 3)) for _ in range(2)]
        return self.random.choice(
            [lambda: kind(*ends, self.maybe(lambda: self.count(1, 9))), lambda: schedule.constant(ends[0])]
        )()

    def function(self) -> Any:
        values = [1.0, 0.5, 2, math.inf, math.nan, None, "a", [1.0], np.float64(1.0), 1j]
        value = values[self.random.randrange(3)] if self.random.randrange(4) else self.random.choice(values)
        return self.random.choice(
            [lambda texts: [value * 1 for _ in texts], lambda texts: [value for _ in texts], lambda texts: value]
        )

    def objective(self) -> Any:
        each = lambda: self.maybe(self.one_or_each)  # noqa: E731
        lists = lambda: self.maybe(lambda: [["a"], ["a", "b"], ["ab"]])  # noqa: E731
        return self.of(
            [
                lambda: objectives.Fluency(self.causal(), **self.options(prompt=self.one_or_each)),
                lambda: FunctionObjective(self.maybe(self.function), **self.options(name=lambda: "mine")),
                lambda: objectives.FluencyPerToken(self.causal()),
                lambda: objectives.PseudoLikelihood(self.masked()),
                lambda: objectives.UnmaskedLikelihood(self.masked()),
                lambda: objectives.Conditional(self.causal(), each()),
                lambda: objectives.Answered(self.causal(), each(), **self.options(before=self.one_or_each)),
                lambda: objectives.Coherence(
                    self.causal(), each(), **self.options(between=lambda: " ", information=self.flag)
                ),
                lambda: objectives.Similarity(
                    self.maybe(lambda: self.random.choice([Toy(), ArrayEncoder()])),
                    each(),
                    **self.options(sharpness=lambda: self.real(1, 9), at_least=lambda: self.real(-1, 0)),
                ),
                lambda: objectives.WordPreservation(
                    self.maybe(Toy), each(), **self.options(k=lambda: self.real(1, 9), keywords=lists)
                ),
                lambda: objectives.Consensus(lists(), **self.options(weights=lambda: [[1.0], [1.0, 2.0], [3]])),
                lambda: objectives.Classifier(
                    self.maybe(Toy), self.maybe(lambda: self.random.choice(["a", ["a", "b", "a"]]))
                ),
                lambda: objectives.CharacterChannel(
                    self.maybe(lambda: WORDS.encode(["ab"])), [[{}, {1: self.real(0, 3)}]]
                ),
                lambda: objectives.Closeness(self.maybe(self.texts), **self.options(edit=lambda: self.real(0.1, 3))),
                lambda: objectives.Diversity(each()),
                lambda: objectives.Repeats(),
                lambda: objectives.Keywords(
                    self.maybe(lambda: self.random.choice([["a"], lists()])),
                    **self.options(in_order=self.flag, freeze_tokens=self.flag),
                ),
                lambda: objectives.Forbidden(self.maybe(lambda: ["cc"])),
                lambda: objectives.WholeWords(lists(), self.maybe(lambda: str.split)),
                lambda: objectives.Length(self.maybe(lambda: self.count(1, 4)), self.maybe(lambda: self.real(0.5, 2))),
                lambda: objectives.LengthBetween(
                    self.maybe(lambda: self.count(0, 1)), self.maybe(lambda: self.count(3, 9))
                ),
                lambda: objectives.Pattern(
                    self.maybe(lambda: "[abc]"), **self.options(forbid=self.flag, timeout=lambda: 0.5)
                ),
                lambda: objectives.Prefix(self.maybe(lambda: "a"), **self.options(freeze_tokens=self.flag)),
                lambda: objectives.Only(self.maybe(self.objective), self.maybe(lambda: [0, self.count(1, 3)])),
                lambda: self.maybe(self.objective) + self.maybe(self.objective),
                lambda: self.maybe(lambda: self.real(0.1, 3)) * self.objective(),
                lambda: self.objective() * self.maybe(lambda: self.real(0.1, 3)),
                lambda: sum([self.objective(), self.maybe(self.objective)]),
                lambda: Sum(self.maybe(lambda: [(self.maybe(lambda: self.real(0.1, 3)), self.maybe(self.objective))])),
            ]
        )

    def rule(self) -> Any:
        return self.random.choice(
            [
                lambda: until.Settled(self.maybe(lambda: self.count(1, 5))),
                lambda: until.Reached(self.maybe(lambda: self.real(0, 5))),
                lambda: until.Budget(**self.options(rows=lambda: self.count(1, 99), seconds=lambda: self.real(0.1, 3))),
                lambda: until.Converged(
                    **self.options(r_hat=lambda: 1.2, ess=lambda: self.real(1, 5), every=lambda: 2)
                ),
                lambda: lambda progress: progress.step > 2,
            ]
        )()

    # calls

    def run(self, **more: Callable[[], Any]) -> dict[str, Any]:
        """Keyword arguments of a run; rarely one that is needed is forgotten."""
        needed = {"steps": self.maybe(lambda: self.count(0, 5)), "seed": self.maybe(lambda: self.count(0, 9))}
        if self.random.randrange(30) == 0:
            needed.popitem()
        # a run without an end is what was asked for, and no mistake
        if isinstance(needed.get("steps"), int) and not isinstance(needed["steps"], bool) and needed["steps"] > 99:
            needed["steps"] = 3
        options = {
            "chains": lambda: self.count(1, 4),
            "temperature": lambda: self.real(0.3, 3),
            "warm_up": lambda: self.count(0, 2),
            "thin": lambda: self.count(1, 2),
            "until": self.rule,
        }
        return needed | self.options(**options, **more)

    def inputs(self) -> Any:
        return self.maybe(lambda: self.random.choice([self.texts, lambda: WORDS.encode(["ab", "_ab"])])())

    def three(self) -> tuple[Any, Any, Any]:
        """Objective, sampler, inputs; rarely in another order."""
        given = [self.maybe(self.objective), self.maybe(self.sampler), self.inputs()]
        if self.random.randrange(30) == 0:
            self.random.shuffle(given)
        return given[0], given[1], given[2]

    def generate(self) -> Any:
        callbacks: Callable[[], Any] = lambda: [lambda progress: self.random.choice([None, False, True])]  # noqa: E731
        result = textsearch.generate(*self.three(), **self.run(callbacks=callbacks))
        return self.look(result)

    def generate_each(self) -> Any:
        options = self.run(batch_inputs=lambda: self.count(1, 3), in_order=self.flag)
        return [
            answer.error or self.look(answer.result) for answer in textsearch.generate_each(*self.three(), **options)
        ]

    def look(self, result: Any) -> Any:
        """What people do with a result."""
        warm_up: dict[str, Callable[[], Any]] = {"warm_up": lambda: self.count(0, 3)}
        looks: list[Callable[[], Any]] = [
            lambda: str(result),
            lambda: result.summary(**self.options(quantities=lambda: {"a": len}, **warm_up)),
            lambda: result.diversity(**self.options(**warm_up)),
            lambda: str(result.moves()) + str(result.accounting()),
            lambda: result.table(self.maybe(lambda: self.count(0, 9))),
            lambda: [*result.to_records(), result.to_pandas()],
            lambda: samplers.importance_summary(result),
            lambda: samplers.accepted_texts(self.maybe(lambda: result)),
            lambda: samplers.resampled_texts(result, self.maybe(lambda: self.count(0, 5)), self.maybe(lambda: 0)),
            lambda: samplers.round_trips(self.maybe(lambda: result.recorded.get("walkers"))),
        ]
        return self.random.choice(looks)()

    def streamed(self) -> Any:
        objective, sampler = self.maybe(self.objective), self.maybe(self.sampler)

        def task(texts: Any, *, seed: int, steps: int = 3, numbers: Any = None) -> Generations:
            given = {} if numbers is None else {"numbers": numbers}
            return textsearch.generate(objective, sampler, texts, steps=steps, seed=seed, **given)

        options = self.options(
            batch_inputs=lambda: self.count(1, 3), done=lambda: self.count(0, 1), seed=lambda: self.count(0, 9)
        )
        return list(stream(self.maybe(lambda: task), self.maybe(self.texts), **options))

    def helper(self) -> Any:
        weights = lambda: self.maybe(lambda: [0.0, self.real(-3, 0), -math.inf])  # noqa: E731
        energies = lambda: self.maybe(lambda: np.ones((4, 2, 3)))  # noqa: E731
        run = {"steps": self.maybe(lambda: self.count(2, 6)), "seed": 0, "chains": self.maybe(lambda: 2)}
        if isinstance(run["steps"], int) and run["steps"] > 99:
            run["steps"] = 3
        inputs = self.inputs()
        calls: list[Callable[[], Any]] = [
            lambda: samplers.effective_sample_size(weights()),
            lambda: samplers.log_normaliser(weights()),
            lambda: samplers.weighted_mean(weights(), self.maybe(lambda: [1.0, 2.0, 3.0])),
            lambda: samplers.systematic_resampling(
                weights(), self.maybe(lambda: self.count(0, 9)), self.maybe(lambda: 0)
            ),
            lambda: samplers.tvd_and_acceptance(weights(), self.maybe(lambda: [0.0, self.real(-2, 2)])),
            lambda: samplers.guess_log_bound(weights(), **self.options(margin=lambda: self.real(0, 2))),
            lambda: samplers.swap_rates(energies(), self.maybe(lambda: [1.0, 2.0])),
            lambda: samplers.log_partition(energies(), self.maybe(lambda: [1.0, 2.0])),
            lambda: masks.random_lengths(
                *(self.maybe(lambda: self.count(1, 5)) for _ in range(3)), seed=self.maybe(lambda: 1)
            ),
            lambda: masks.all_masks(self.maybe(lambda: WORDS), self.maybe(lambda: [self.count(1, 5)])),
            lambda: Batch.of(
                self.maybe(lambda: [[1, 2], [self.maybe(lambda: 3)]]),
                WORDS,
                **self.options(width=lambda: self.count(2, 5)),
            ),
            lambda: WORDS.encode(self.maybe(self.texts)),
            lambda: samplers.tuned(
                self.maybe(self.sampler), self.maybe(self.objective), inputs, rounds=self.maybe(lambda: 2), **run
            ),
            lambda: meeting_times(
                self.maybe(self.objective), self.maybe(self.sampler), inputs, lag=self.maybe(lambda: 1), **run
            ),
            lambda: ListedConfusions(
                self.maybe(lambda: {"a": {"b": "confusion"}}), **self.options(inserted=lambda: ["a"])
            ),
            self.schedule,
            self.rule,
            self.sampled,
        ]
        return self.random.choice(calls)()

    def sampled(self) -> Any:
        """Draws of texts that are allowed, on the toy."""
        languages: dict[str, Callable[[], Any]] = {
            "choices": self.texts,
            "regex": lambda: self.random.choice(["a+", "(ab|c)*", "[abc]{1,3}"]),
            "constraint": self.objective,
        }
        stated = self.random.choice(list(languages))
        settings = {stated: self.maybe(languages[stated])} | self.options(
            power=lambda: self.real(0.5, 3),
            chat=self.flag,
            method=lambda: self.random.choice(["auto", "rejection", "chains"]),
            seed=lambda: self.count(0, 9),
            sampler=lambda: samplers.MetropolisHastings,
        )
        small = {
            "draws": lambda: self.count(1, 4),
            "tries": lambda: self.count(1, 4),
            "steps": lambda: self.count(0, 4),
        }
        settings |= {name: self.maybe(make) for name, make in small.items()} | {"max_length": 6}
        for name in small:
            if isinstance(settings[name], int) and settings[name] > 99:
                settings[name] = 3
        model = self.maybe(lambda: CAUSAL)
        # a name that may be one is asked for on the network, and so is the default model
        model = "/no/such/folder" if isinstance(model, str) and model else CAUSAL if model is None else model
        return tasks.sample(self.maybe(lambda: ["a", "b c"]), causal=model, **settings)

    def task(self) -> Any:
        """A call of a ready-made task, on the models that were given."""
        words = lambda: [self.random.choice(["dog", "cat", "mat", "old house"]) for _ in range(2)]  # noqa: E731
        sentences = lambda: self.random.choice([["The dog sat."], ("A cat ran.", "The dog ran.")])  # noqa: E731
        chosen = self.random.choice(["keywords", "paraphrase", "infill", "correct", "write", "stream"])
        options = {
            "chains": lambda: self.count(1, 2),
            "seed": lambda: self.count(0, 9),
            "temperature": lambda: self.real(0.3, 3),
            "progress": lambda: False,
        }
        more: dict[str, Callable[[], Any]] = {
            "until": self.rule,
            "sampler": lambda: samplers.MetropolisHastings,
            "lang": lambda: "en",
        }
        own: dict[str, dict[str, Callable[[], Any]]] = {
            "keywords": {"inflections": self.flag, "in_order": self.flag, **more},
            "paraphrase": {
                "weights": lambda: Weights(diversity=self.maybe(lambda: self.real(1, 9))),
                "keep": lambda: self.random.choice([True, False, ["dog", "sat"]]),
                "meaning": self.flag,
                **more,
            },
            "infill": {"lang": lambda: "en"},
            "correct": {"strictness": lambda: self.real(0.5, 2), "tokenised": self.flag},
            "write": {"label_weight": lambda: self.real(1, 9), "classifier": lambda: Toy(), **more},
            "stream": {"batch_inputs": lambda: self.count(1, 2), "done": lambda: self.count(0, 1)},
        }
        inputs: dict[str, Callable[[], Any]] = {
            "keywords": lambda: [self.maybe(words), words()],
            "paraphrase": sentences,
            "infill": lambda: ["The [MASK] sat.", "A [MASK] cat."],
            "correct": sentences,
            "write": lambda: [self.maybe(lambda: {"prefix": "the dog", "words": [4, 8]})],
            "stream": sentences,
        }
        fewer = {"keywords": {"drafts": 2}, "paraphrase": {"pool": 2}, "correct": {"confusions": ListedConfusions({})}}
        wanted = ("causal", "masked", *(["encoder"] if chosen in ("paraphrase", "write") else []))
        settings = {name: self.maybe(lambda name=name: self.models[name]) for name in wanted}
        settings |= {"steps": self.maybe(lambda: self.count(0, 2)), **fewer.get(chosen, {})}
        settings["steps"] = 1 if isinstance(settings["steps"], int) and settings["steps"] > 99 else settings["steps"]
        settings |= self.options(**options, **own[chosen])
        for name in wanted:
            # a name that may be one is asked for on the network: whether there is one is not the question here
            if isinstance(settings[name], str) and 0 < len(settings[name]) < 9:
                settings[name] = "/no/such/folder"
            elif settings[name] is None:  # the default model, which would have to be fetched
                settings[name] = self.models[name]
        given = self.maybe(inputs[chosen])
        if chosen == "stream":
            return list(stream(self.maybe(lambda: tasks.infill), given, **settings))
        return getattr(tasks, chosen)(given, **settings)

    def call(self) -> Any:
        """One call, its arguments with it."""
        kinds = [self.generate] * 5 + [self.generate_each] * 2 + [self.streamed, self.helper, self.helper]
        return self.random.choice(kinds)()
