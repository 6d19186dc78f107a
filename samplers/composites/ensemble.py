"""Ensembles: the texts of an input as one state, which keep away from one another.

Parallel chains that know nothing of one another find the same few texts. Here k texts x_1 .. x_k are drawn together
from

    pi(x_1, .., x_k)  proportional to  prod_i exp(-E(x_i) / T) * prod_(i<j) exp(-w r(x_i, x_j) / T),

a pairwise Markov field over texts, by Gibbs' sweep (Geman and Geman, 1984): one member after another takes a step of
any sampler towards its law given the others, exp(-(E(x_i) + w sum_j r(x_i, x_j)) / T).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from samplers.composites.wrapped import Wrapper, plain_start, promised
from samplers.populations import Populations
from textsearch import tree
from textsearch.batch import Batch
from textsearch.checks import function, keep, positive
from textsearch.kinds import shown
from textsearch.objective import Cost, Evaluation, Objective, Sum
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler

Repulsion = Callable[[Sequence[str], Sequence[str]], Iterable[float]]
"""(texts, others) -> how alike each pair is, one number of at least 0 for each; the same with the two exchanged."""


@final
@dataclass(frozen=True, eq=False)
class EnsembleState:
    """The members of all ensembles.

    Attributes:
        chains: their texts, with the energies that each has of its own.
        repulsion: (B,) float64 nats, w sum_j r(x_b, x_j) over the others of its ensemble.
        joint_energy: (B,) float64 nats, sum_i E(x_i) + w sum_(i<j) r(x_i, x_j) of the ensemble that each is in.
    """

    chains: ChainState
    repulsion: Tensor
    joint_energy: Tensor

    @property
    def batch(self) -> Batch:
        """The texts of the members."""
        return self.chains.batch

    @property
    def evaluation(self) -> Evaluation:
        """The energies that they have of their own."""
        return self.chains.evaluation


@final
@dataclass(frozen=True)
class Ensemble(Wrapper[ChainState, EnsembleState]):
    """Run `sampler` on the chains of each input as one state, whose members keep away from one another.

    Exact if `sampler` is: each step leaves pi (see the module) as it is. All chains of an input are members of its one
    ensemble, so `generate(..., chains=8)` draws 8 different texts; for several ensembles give the input several times.
    Ensembles do not look at one another, whatever shares a batch. A step moves every member once, in the order of their
    numbers, each with its own random numbers: k of them take k rounds, in each of which one member of every ensemble
    moves, so that many inputs at once keep the passes full.

    The energies of a run are those that the texts have of their own. The best texts are those of the best ensemble, the
    one of lowest joint energy, and stay together. Members of one ensemble are no independent chains: R-hat and
    effective sizes of a run say nothing of them.

    Each step records "repulsion" (B,), what a member pays for its likeness to the others, in nats.

    Attributes:
        sampler: the kernel, such as `MetropolisHastings`, whose state is texts and energies only.
        repulsion: r, how alike two texts are, such as `objectives.ngram_likeness` or a `VectorLikeness`: a symmetric
            function of two texts, called with two lists of them.
        weight: w, nats for a pair whose r is 1.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("abc"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [3.0 * text.count("a") for text in texts], name="few a")
    >>> def same(texts, others):
    ...     return [sum(map(str.__eq__, *pair)) for pair in zip(texts, others)]
    >>> generate(few_a, Ensemble(chain, same, weight=5.0), ["aaa"], steps=200, seed=0, chains=2).best_texts
    ['ccb', 'bbc']
    """

    sampler: Sampler[ChainState]
    repulsion: Repulsion
    weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        function("repulsion", self.repulsion, "a function of two lists of texts", "objectives.ngram_likeness")
        must = "number of nats for a pair of likeness 1; without any repulsion take the sampler itself"
        keep(self, weight=positive("weight", self.weight, must))

    @property
    def guarantee(self) -> Guarantee:
        """Exact if the sampler is, else biased."""
        return promised([self.sampler])

    def init(self, objective: Objective, batch: Batch) -> EnsembleState:
        """The texts with their energies, which must be finite."""
        start = plain_start(self.sampler, objective, batch, "Ensemble")
        return self._state(start, Populations.of(batch.inputs, torch.arange(len(batch), device=batch.device)))

    def step(
        self, objective: Objective, state: EnsembleState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[EnsembleState, Info]:
        """One step of every member, one after another; `temperature` may be (B,), the same within an ensemble."""
        sets = Populations.of(state.batch.inputs, rng.chain)
        _check_heat(temperature, sets)
        texts, order = state.batch.texts(), sets.rows.tolist()
        inputs = state.batch.inputs.tolist()
        moved: list[ChainState] = []
        infos: list[Info] = []
        turns: list[Tensor] = []
        for member in range(sets.rows.shape[1]):
            turn = sets.rows[sets.present[:, member], member]
            rows = turn.tolist()
            present = [own for own, there in zip(order, sets.present[:, member].tolist(), strict=True) if there]
            others = {
                inputs[row]: tuple(texts[other] for other in dict.fromkeys(own) if other != row)
                for row, own in zip(rows, present, strict=True)
            }
            heat = temperature[turn] if isinstance(temperature, Tensor) else temperature
            after, info = self._moved(objective, state.chains.rows(turn), others, rng.rows(turn), heat)
            for row, text in zip(rows, after.batch.texts(), strict=True):
                texts[row] = text
            moved.append(after)
            infos.append(info)
            turns.append(turn)
        back = torch.cat(turns).argsort()
        found = self._state(tree.rows(tree.concatenate(moved), back), sets)
        recorded = {name: torch.cat([info.recorded[name] for info in infos])[back] for name in infos[0].recorded}
        accepted, kind, log_ratio = (
            torch.cat([getattr(info, name) for info in infos])[back] for name in ("accepted", "kind", "log_ratio")
        )
        return found, Info(accepted, kind, log_ratio, {**recorded, "repulsion": found.repulsion})

    def _moved(
        self,
        objective: Objective,
        chains: ChainState,
        others: Mapping[int, tuple[str, ...]],
        rng: Rng,
        temperature: float | Tensor,
    ) -> tuple[ChainState, Info]:
        """One member of each ensemble after a step towards its law given the `others` of its input."""
        term = _Away(self.repulsion, others)
        joint = Sum((*objective.parts, (self.weight, term)))
        own = chains.evaluation
        away = self.weight * term.energy(chains.batch)
        given = Evaluation(own.energy + away, torch.cat([own.terms, away[:, None]], 1))
        after, info = self.sampler.step(joint, ChainState(chains.batch, given), rng, temperature)
        terms = after.evaluation.terms[:, :-1]
        # added up in the order of evaluation, so that an energy is that of its text, bit for bit
        energy = torch.zeros_like(after.evaluation.energy)
        for column in sorted(range(terms.shape[1]), key=lambda column: objective.parts[column][1].cost):
            energy = energy + terms[:, column]
        energy = energy.where(after.evaluation.energy < math.inf, math.inf)
        return ChainState(after.batch, Evaluation(energy, terms)), info

    def _state(self, chains: ChainState, sets: Populations) -> EnsembleState:
        """The members with what they pay for their likeness, which is refused where it is none."""
        texts = chains.batch.texts()
        pairs = [
            (one, other)
            for own, there in zip(sets.rows.tolist(), sets.present.tolist(), strict=True)
            for place, one in enumerate(own)
            for other in own[:place]
            if there[place]
        ]
        paid = torch.zeros(len(texts), dtype=torch.float64)
        first, second = [texts[one] for one, _ in pairs], [texts[other] for _, other in pairs]
        values = alike(self.repulsion, [*first, *second], [*second, *first])
        for (one, other), forth, back in zip(pairs, values, values[len(pairs) :], strict=False):
            if not math.isclose(forth, back, rel_tol=1e-9, abs_tol=1e-9):
                raise ValueError(
                    f"repulsion is {forth:g} for {shown(texts[one])} and {shown(texts[other])}, and {back:g} the other "
                    "way round: no law has such members; take the mean of both"
                )
            paid[one] += self.weight * forth
            paid[other] += self.weight * forth
        paid = paid.to(chains.batch.device)
        table = sets.table(chains.evaluation.energy + 0.5 * paid, 0.0)
        # cumsum adds from left to right, so that neither padding nor other ensembles change the last bits
        return EnsembleState(chains, paid, table.cumsum(1)[:, -1][sets.number])


@final
@dataclass(frozen=True, eq=False)
class _Away(Objective):
    """sum_j r(x, x_j) of a member, over the others of its input.

    Attributes:
        repulsion: r.
        others: input -> texts.
    """

    repulsion: Repulsion
    others: Mapping[int, tuple[str, ...]]

    @property
    def name(self) -> str:
        """As it is charged to."""
        return "repulsion"

    @property
    def cost(self) -> Cost:
        """What the likeness says of itself; cheap if it says nothing."""
        return Cost(getattr(self.repulsion, "cost", Cost.CHEAP))

    @property
    def lower_bound(self) -> float:
        """No pair is less alike."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) in units of r."""
        own = list(zip(batch.texts(), batch.inputs.tolist(), strict=True))
        counts = [len(self.others[number]) for _, number in own]
        texts = [text for (text, _), count in zip(own, counts, strict=True) for _ in range(count)]
        values = alike(self.repulsion, texts, [other for _, number in own for other in self.others[number]])
        ends = [0]
        for count in counts:
            ends.append(ends[-1] + count)
        sums = [math.fsum(values[begin:end]) for begin, end in itertools.pairwise(ends)]
        return torch.tensor(sums, dtype=torch.float64, device=batch.device)


def alike(repulsion: Repulsion, texts: Sequence[str], others: Sequence[str]) -> list[float]:
    """How alike the pairs are.

    Raises:
        TypeError: the function gives no number for each pair.
        ValueError: a number that is negative or not finite.
    """
    if not texts:
        return []
    given: Any = repulsion(list(texts), list(others))
    try:
        values = [float(value) for value in given]
    except (TypeError, ValueError) as error:
        raise TypeError(f"repulsion gave {shown(given)} for {len(texts)} pairs: return one number for each") from error
    if len(values) != len(texts):
        raise ValueError(f"repulsion gave {len(values)} numbers for {len(texts)} pairs: return one for each")
    for value, one, other in zip(values, texts, others, strict=True):
        if not 0 <= value < math.inf:
            raise ValueError(
                f"repulsion gave {value:g} for {shown(one)} and {shown(other)}: a likeness is a finite number of at "
                "least 0"
            )
    return values


def _check_heat(temperature: float | Tensor, sets: Populations) -> None:
    """Refuse members of one ensemble at several temperatures: their laws given the others would be of no joint law."""
    if isinstance(temperature, Tensor) and temperature.ndim:
        heat = temperature[sets.rows]
        if bool((heat != heat[:, :1]).any()):
            raise ValueError(
                "the members of one ensemble have several temperatures: give all chains of an input the same one; "
                "AdaptiveTemperature, which gives each its own, goes with no Ensemble"
            )
