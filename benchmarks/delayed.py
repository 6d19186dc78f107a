"""Does delayed acceptance pay? Against Metropolis-Hastings that gives energies up early, from the same warm texts.

    python -m benchmarks.delayed --size quick --out results

The two settings of `benchmarks.speed`: 12 free tokens under the pseudo-likelihood of a masked model, and a sentence
with keywords under a causal model that has read a request. The surrogates are nothing at all, which leaves the ratio
of the proposal to the first stage, and the unmasked likelihood under the masked model with a few weights a; in the
keyword setting the keywords are part of each, so that neither model reads a text without them. With `--ngram FOLDER`
the keyword setting has the fluency under that n-gram model (`training/ngram.py`) in place of the unmasked likelihood.

First, on chains of their own ("dev" below), moves are drawn and both energies of every new text worked out in full: how
well the surrogate's change follows the energy's, the weight by least squares through 0 over the moves that are not
hopeless (log ratio above -8), and what each weight would do:

- passed: share of different, allowed texts that the first stage lets pass,
- kept: moves taken, for each that Metropolis-Hastings takes,
- at most: kept / passed, the moves for each energy, to those of Metropolis-Hastings: what there is to gain if the
  surrogate costs nothing and every energy as much as any other. Early rejection has made those of refused texts the
  cheaper ones, so the true gain is less; at 1 or below, no surrogate is cheap enough.

Then all samplers run from the same warm texts with the same seeds, and nothing remembered from one another, several
times. Told are effective draws of the energy (rank-normalised bulk, Vehtari et al., 2021) for each second and each
token that the models read, as ratios to those of Metropolis-Hastings: the median over the repeats with the lowest and
highest, and a 95 % interval over chains drawn with replacement, the same for both. Seconds are of processor time, of
the steps after the first. R-hat tells whether the steps are enough: well above 1.01 the chains have not met, and
effective draws are a rough guess. Moves are texts of another energy than the one before: their ratio is far less noisy,
but says nothing of how far they go.

`quick` is 6 chains, one repeat and one weight: a look, in some minutes. `full` is 32 chains, three repeats, three
weights and no surrogate at all, in some hours. An interval of nan: in some draw of chains none ever moved.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.intervals import interval
from benchmarks.speed import KEYWORDS, ONE_PIECE, PASSAGE, SENTENCE
from benchmarks.textbook import EDITS
from objectives import Fluency, Keywords, PseudoLikelihood, UnmaskedLikelihood
from samplers import DelayedAcceptance, MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace, Swap
from textsearch import Batch, FunctionObjective, generate
from textsearch.models import CausalLM, causal_lm, masked_lm, ngram_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.usage import Usage
from textsearch.objective import Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.result.diagnostics import statistics
from textsearch.rng import Rng
from textsearch.run.loop import Progress
from textsearch.sampler import Sampler
from textsearch.tasks.keyword_sentences import request

PLAIN = "Metropolis-Hastings"
NOTHING = "nothing"
HOPELESS = -8.0
"""Log ratio below which a move counts for nothing when the weight is found."""

TOKENS = 12
FORECAST = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0)

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Setting:
    """What is sampled, with models that remember nothing yet.

    Attributes:
        name: for the tables.
        usages: model -> what has been asked of it so far.
        objective: the energy.
        proposal: the moves.
        start: one text.
        hard: what the surrogates have in common with the objective.
        unmasked: the surrogate but for its weight: the unmasked likelihood, or an n-gram model's fluency.
    """

    name: str
    usages: Mapping[str, Usage]
    objective: Objective
    proposal: Proposal
    start: Batch
    hard: Objective
    unmasked: Objective

    def surrogate(self, weight: float) -> Objective:
        """With a weight of 0, none but the common terms."""
        return self.hard + weight * self.unmasked if weight else self.hard


Load = Callable[[], Setting]


def masked_setting(lm: TransformersMaskedLM) -> Setting:
    """The beginning of the passage under the pseudo-likelihood."""
    lm = lm.forgetful()
    tokens = lm.vocabulary.encode([PASSAGE]).token_lists()[0][:TOKENS]
    return Setting(
        f"masked, {TOKENS} tokens",
        {"masked": lm.usage},
        PseudoLikelihood(lm),
        Replace(lm, pieces=ONE_PIECE, max_length=64),
        Batch.of([tokens], lm.vocabulary),
        FunctionObjective(lambda texts: [0.0] * len(texts), name=NOTHING),
        UnmaskedLikelihood(lm),
    )


def keyword_setting(
    lm: TransformersMaskedLM, causal: TransformersCausalLM, prompt: str, ngram: CausalLM | None = None
) -> Setting:
    """A sentence with keywords, after a request for one; with n-grams, they are the surrogate."""
    lm, causal = lm.forgetful(), causal.forgetful()
    replacing, inserting, swapping = EDITS
    return Setting(
        "keywords" if ngram is None else "keywords, n-grams",
        {"masked": lm.usage, "causal": causal.usage},
        Keywords(KEYWORDS) + Fluency(causal, prompt),
        Mixture(
            {
                Replace(lm, pieces=ONE_PIECE): replacing,
                InsertDelete(lm, pieces=ONE_PIECE): inserting,
                Swap(lm.vocabulary): swapping,
            }
        ),
        lm.vocabulary.encode([SENTENCE]),
        Keywords(KEYWORDS),
        UnmaskedLikelihood(lm) if ngram is None else Fluency(ngram),
    )


def warm(load: Load, chains: int, steps: int, seed: int, batch: Batch | None = None) -> Batch:
    """Texts of Metropolis-Hastings chains after so many steps, from the start or from where they were."""
    setting = load()
    start = setting.start.repeat(chains) if batch is None else batch
    return generate(setting.objective, MetropolisHastings(setting.proposal), start, steps=steps, seed=seed).batch


@final
@dataclass(frozen=True)
class Moves:
    """Moves to other texts that the hard terms allow, from texts that chains visit: one number each.

    Attributes:
        energy: change of the energy.
        unmasked: change of the unmasked likelihood.
        proposal: log q(x | x') - log q(x' | x).
        drawn: how many moves were drawn, null ones and forbidden ones among them.

    The energy itself as surrogate passes what is taken, and all that passes is taken:

    >>> change = np.array([1.0, 2.0, -0.5])
    >>> line = Moves(change, change, np.array([0.3, 0.0, -1.0]), 3).told([1.0])["weights"][0]
    >>> line["a"], round(line["passed"], 3), line["kept"]
    (1.0, 0.413, 1.0)
    """

    energy: Floats
    unmasked: Floats
    proposal: Floats
    drawn: int

    def told(self, weights: Sequence[float]) -> dict[str, Any]:
        """What a surrogate could do, from the moves alone."""
        log_ratio = self.proposal - self.energy
        near = log_ratio > HOPELESS
        taken = float(np.exp(log_ratio.clip(max=0.0)).mean())
        found: dict[str, Any] = {
            "moves": len(self.energy),
            "drawn": self.drawn,
            "near": float(near.mean()),
            "correlation": float(np.corrcoef(self.energy[near], self.unmasked[near])[0, 1]),
            "weight": float((self.energy * self.unmasked)[near].sum() / np.square(self.unmasked[near]).sum()),
            "taken": taken,
            "weights": [],
        }
        for weight in weights:
            first = self.proposal - weight * self.unmasked
            passed, second = np.exp(first.clip(max=0.0)), np.exp((log_ratio - first).clip(max=0.0))
            found["weights"].append(
                {"a": weight, "passed": float(passed.mean()), "kept": float((passed * second).mean()) / taken}
            )
        return found


def moves(load: Load, batch: Batch, steps: int, seed: int) -> Moves:
    """Those that `steps` steps draw, with energies worked out in full."""
    setting = load()
    sampler = MetropolisHastings(setting.proposal)
    state = sampler.init(setting.objective, batch)
    columns: list[Floats] = []
    with torch.inference_mode():
        for step in range(steps):
            rng = Rng.start(seed, len(batch), purpose="moves").at(step)
            # what the sampler is about to draw
            move = setting.proposal.propose(state.batch, rng.fold(0))
            other = ~move.batch.same_text(state.batch) & (move.log_backward > -math.inf)
            other &= evaluate(setting.hard, move.batch).energy < math.inf
            old, new = state.batch.rows(other), move.batch.rows(other)
            change = setting.objective.energy(new) - state.evaluation.energy[other]
            unmasked = setting.unmasked.energy(new) - setting.unmasked.energy(old)
            proposal = (move.log_backward - move.log_forward)[other]
            columns.append(torch.stack([change, unmasked, proposal]).numpy())
            state, _ = sampler.step(setting.objective, state, rng)
    energy, unmasked_all, proposal_all = np.concatenate(columns, 1)
    return Moves(energy, unmasked_all, proposal_all, steps * len(batch))


@final
@dataclass(frozen=True)
class Run:
    """What a sampler did, its first step left out.

    Attributes:
        energies: (T, B) nats.
        seconds: of processor time.
        tokens: model -> tokens that it read.
        changed: share of the steps after which the energy was another.
    """

    energies: Floats
    seconds: float
    tokens: Mapping[str, int]
    changed: float


def delayed(weight: float, setting: Setting) -> Sampler[Any]:
    """Behind the surrogate of that weight."""
    return DelayedAcceptance(setting.proposal, setting.surrogate(weight))


def sampled(load: Load, sampler: Callable[[Setting], Sampler[Any]], batch: Batch, steps: int, seed: int) -> Run:
    """So many steps from the texts, after a first that does not count."""
    setting = load()
    first: list[tuple[float, dict[str, Usage]]] = []

    def begin(progress: Progress) -> None:
        if progress.step == 1:
            first.append((time.process_time(), {name: replace(own) for name, own in setting.usages.items()}))

    result = generate(setting.objective, sampler(setting), batch, steps=1 + steps, seed=seed, callbacks=[begin])
    seconds = time.process_time() - first[0][0]
    tokens = {
        name: (own.tokens - own.padding) - (before.tokens - before.padding)
        for (name, own), before in zip(setting.usages.items(), first[0][1].values(), strict=True)
    }
    return Run(result.trace[1:], seconds, tokens, float((np.diff(result.trace, axis=0) != 0).mean()))


@dataclass(frozen=True)
class Size:
    """How much is run: chains, warm-up steps, steps of moves, steps of a run, repeats, weights of the surrogates."""

    chains: int
    warm_up: int
    moves: int
    steps: int
    repeats: int
    weights: tuple[float, ...]


SIZES = {"quick": Size(6, 20, 12, 150, 1, (1.25,)), "full": Size(32, 100, 20, 150, 3, (0.0, 0.75, 1.25, 2.0))}
PARTS = ("masked", "keywords")


Cost = Callable[[Run], float]
COSTS: dict[str, Cost] = {"second": lambda run: run.seconds, "token": lambda run: sum(run.tokens.values())}


def effective(energies: Floats) -> float:
    """Effective draws of (T, B) energies."""
    return statistics(energies.T).ess_bulk


def compared(plain: Sequence[Run], runs: Sequence[Run], seed: int) -> dict[str, Any]:
    """The figures of a sampler, run by run, and their ratios to those of plain Metropolis-Hastings."""
    steps = sum(run.energies.size for run in runs)
    mine, theirs = (np.concatenate([run.energies for run in of], 1) for of in (runs, plain))
    found: dict[str, Any] = {
        "ess": [effective(run.energies) for run in runs],
        "r_hat": [statistics(run.energies.T).r_hat for run in runs],
        "mean": [float(run.energies.mean()) for run in runs],
        "mcse": [statistics(run.energies.T).mcse for run in runs],
        "changed": [run.changed for run in runs],
        "seconds": [run.seconds for run in runs],
        "tokens": {name: sum(run.tokens[name] for run in runs) / steps for name in runs[0].tokens},
    }
    found["ms"] = 1000 * sum(found["seconds"]) / steps
    found["times moves a second"] = [
        a.changed / b.changed * b.seconds / a.seconds for a, b in zip(runs, plain, strict=True)
    ]
    for name, cost in COSTS.items():
        price = sum(map(cost, plain)) / sum(map(cost, runs))

        def ratio(chosen: NDArray[np.int64], price: float = price) -> float:
            return effective(mine[:, chosen]) / effective(theirs[:, chosen]) * price

        each = zip(runs, plain, strict=True)
        found[f"times a {name}"] = {
            "repeats": [effective(a.energies) / effective(b.energies) * cost(b) / cost(a) for a, b in each],
            "interval": interval(mine.shape[1], ratio, seed, draws=200),
        }
    return found


def cell(load: Load, size: Size, seed: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """All figures of a setting."""
    began = time.perf_counter()
    found: dict[str, Any] = {"setting": load().name}
    dev = warm(load, size.chains, size.warm_up, seed + 1000)
    found["moves"] = moves(load, dev, size.moves, seed + 1001).told(sorted({*FORECAST, *size.weights}))
    tell(f"{found['setting']}: moves, {time.perf_counter() - began:.0f} s")
    samplers: dict[str, Callable[[Setting], Sampler[Any]]] = {
        PLAIN: lambda setting: MetropolisHastings(setting.proposal)
    }
    for weight in size.weights:
        samplers[f"{weight:g} x unmasked" if weight else NOTHING] = functools.partial(delayed, weight)
    batch = warm(load, size.chains, size.warm_up, seed)
    runs: dict[str, list[Run]] = {name: [] for name in samplers}
    for repeat in range(size.repeats):
        # in turn, so that no sampler always comes first
        names = list(samplers)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            runs[name].append(sampled(load, samplers[name], batch, size.steps, seed + 1 + repeat))
        batch = warm(load, size.chains, size.warm_up, seed + 100 + repeat, batch)
        tell(f"{found['setting']}: repeat {repeat + 1}, {time.perf_counter() - began:.0f} s")
    found["samplers"] = {name: compared(runs[PLAIN], own, seed) for name, own in runs.items()}
    found["seconds"] = time.perf_counter() - began
    return found


def shown(found: Mapping[str, Any]) -> Sequence[Table]:
    """What the moves foretell, and what the runs were."""
    drawn = found["moves"]
    foretold = Table(
        "a",
        "passed",
        "kept",
        "at most",
        title=f"{found['setting']}: {drawn['moves']} different, allowed texts of {drawn['drawn']} moves",
        caption=f"near {drawn['near']:.2f}, of these: correlation {drawn['correlation']:.2f}, "
        f"least squares a = {drawn['weight']:.2f}; taken {drawn['taken']:.3f}",
    )
    for line in drawn["weights"]:
        foretold.add_row(
            f"{line['a']:g}", f"{line['passed']:.3f}", f"{line['kept']:.3f}", f"{line['kept'] / line['passed']:.2f} x"
        )
    columns = (
        "surrogate",
        *(f"times ESS a {name}" for name in COSTS),
        "times moves a second",
        "ESS a run",
        "R-hat",
        "changed",
        "ms a proposal",
    )
    table = Table(*columns, *(f"{name} tokens" for name in found["samplers"][PLAIN]["tokens"]), title=found["setting"])
    for name, own in found["samplers"].items():
        ratios = []
        for cost in COSTS:
            low, middle, high = np.quantile(own[f"times a {cost}"]["repeats"], (0, 0.5, 1))
            _, least, most = own[f"times a {cost}"]["interval"]
            plain = name == PLAIN
            ratios.append("1" if plain else f"{middle:.2f} ({low:.2f} to {high:.2f}) [{least:.2f}, {most:.2f}]")
        table.add_row(
            name,
            *map(escape, ratios),
            f"{np.median(own['times moves a second']):.2f}",
            f"{np.median(own['ess']):.0f}",
            f"{np.median(own['r_hat']):.2f}",
            f"{np.mean(own['changed']):.3f}",
            f"{own['ms']:.1f}",
            *(f"{tokens:.1f}" for tokens in own["tokens"].values()),
        )
    return foretold, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--chains", type=int, help="by default the size's")
    parser.add_argument("--steps", type=int, help="of a run; by default the size's")
    parser.add_argument("--repeats", type=int, help="by default the size's")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--ngram", type=Path, help="folder of an n-gram model, the surrogate of the keyword setting")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    size = SIZES[args.size]
    size = replace(
        size, chains=args.chains or size.chains, steps=args.steps or size.steps, repeats=args.repeats or size.repeats
    )
    args.out.mkdir(parents=True, exist_ok=True)
    written = args.out / "delayed.json"
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    console, progress = Console(width=200), Console(stderr=True)
    # processor time is that of one thread
    torch.set_num_threads(1)
    for part in args.part:
        lm = masked_lm(device="cpu")
        if part == "masked":
            load: Load = functools.partial(masked_setting, lm)
        else:
            causal = causal_lm(device="cpu")
            ngram = ngram_lm(args.ngram) if args.ngram else None
            load = functools.partial(keyword_setting, lm, causal, request(causal, KEYWORDS), ngram)
        found[part] = cell(load, size, args.seed, progress.print) | {
            "size": args.size,
            "steps": size.steps,
            "chains": size.chains,
            "device": platform.machine(),
            "torch": torch.__version__,
        }
        console.print(*shown(found[part]))
        written.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
