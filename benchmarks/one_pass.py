"""A text autoencoder beside masked models: how well it tells tokens, how alike its energies are, what samplers gain.

    python -m benchmarks.one_pass heldout.txt --seeds 3 --seconds 60

First, pseudo-likelihoods of held-out sentences. Told are nats a token; the rank correlation (Spearman, 1904) over
sentences with the packaged masked model's, of nats a token, as those of whole texts follow the length; and processor
time a text, models forgetful, in turns within one run. The packaged model is read in three ways: masked, a pass for
each token; as it stands, in one pass; and so with the correction that follows from masks as dropout (Su, 2021), the
embedding of a token e_x replaced by what training showed on average, .85 e_x + .15 e_[MASK].

Then chains on a whole sentence, from the same start and for about the same processor time, with several seeds:
effective draws of the energy (rank-normalised bulk, Vehtari et al., 2021) a second, R-hat, how often the text changed,
and the mean energy, each as the mean over seeds with the least and the greatest. Proposals and energies share their
models, and so what is remembered of texts. Targets are the pseudo-likelihoods of the autoencoder and of the packaged
model and the fluency under the causal model. Intervals of the first table are 95 % by the bootstrap over sentences.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from benchmarks.intervals import interval, shown
from objectives import Fluency, PseudoLikelihood, UnmaskedLikelihood
from samplers import DelayedAcceptance, Gibbs, MetropolisHastings
from samplers.proposals import AllSites, LocallyBalanced, MetropolisedGibbs, PathAuxiliary, Replace
from textsearch import Batch, generate
from textsearch.models import causal_lm, masked_lm, text_autoencoder
from textsearch.models.autoencoder.lm import TextAutoencoder
from textsearch.models.masked import TransformersMaskedLM
from textsearch.objective import Objective
from textsearch.result.diagnostics import statistics
from textsearch.sampler import Sampler

SHARE = 0.15
"""Of the tokens that the packaged model was shown as masks, in the end."""

Floats = NDArray[np.float64]


def as_dropout(mlm: TransformersMaskedLM, share: float = SHARE) -> TransformersMaskedLM:
    """The model with the embedding of each token as training showed it on average; what it writes is as before."""
    model = copy.deepcopy(mlm.model)
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    words = embeddings.weight.detach()
    mask = words[mlm.vocabulary.mask_id].clone()
    embeddings.weight = torch.nn.Parameter(words * (1 - share) + share * mask, requires_grad=False)
    return TransformersMaskedLM(model, mlm.vocabulary, mlm.max_tokens, mlm.max_bytes)


def energies(objective: Callable[[], Objective], batch: Batch, repeats: int) -> tuple[Floats, float]:
    """(B,) nats of the texts, one at a time, and milliseconds a text, the fastest of some repeats."""
    times, found = [], np.zeros(len(batch))
    for _ in range(repeats):
        own = objective()
        began = time.process_time()
        with torch.inference_mode():
            found = np.array([float(own.energy(batch.rows([row]))) for row in range(len(batch))])
        times.append(1e3 * (time.process_time() - began) / len(batch))
    return found, min(times)


def pseudo_likelihoods(
    packaged: TransformersMaskedLM,
    autoencoder: TextAutoencoder,
    other: TransformersMaskedLM | None,
    batch: Batch,
    seed: int,
) -> Table:
    """The first table."""
    ways: dict[str, Callable[[], Objective]] = {
        "packaged masked model, a pass a token": lambda: PseudoLikelihood(packaged.forgetful()),
        "the same, one pass as it stands": lambda: UnmaskedLikelihood(packaged.forgetful()),
        "the same, one pass, masks as dropout": lambda: UnmaskedLikelihood(as_dropout(packaged)),
        "text autoencoder, one pass": lambda: PseudoLikelihood(autoencoder.forgetful()),
    }
    if other is not None:
        ways["masked model of its size and training"] = lambda: PseudoLikelihood(other.forgetful())
    sizes = batch.lengths.numpy().astype(np.float64)
    table = Table(
        caption=f"{len(batch)} sentences, {sizes.mean():.1f} tokens on average",
        caption_justify="left",
        title="energies",
    )
    for column in ("read", "nats a token", "rank correlation", "ms a text", "of the first"):
        table.add_column(column, justify="left" if column == "read" else "right")
    first: Floats | None = None
    cost = 0.0
    for name, objective in ways.items():
        found, ms = energies(objective, batch, repeats=2)
        if first is None:
            first, cost = found, ms
        like, own = first / sizes, found / sizes
        nats = interval(len(found), lambda rows, f=found: float(f[rows].sum() / sizes[rows].sum()), seed)  # type: ignore[misc]
        rank = interval(len(found), lambda rows, a=like, b=own: float(spearmanr(a[rows], b[rows])[0]), seed)  # type: ignore[misc]
        table.add_row(name, shown(nats, 2), shown(rank, 2), f"{ms:.1f}", f"{ms / cost:.3f}")
    return table


@dataclass(frozen=True)
class Models:
    """The two that propose, with nothing remembered."""

    masked: TransformersMaskedLM
    autoencoder: TextAutoencoder

    def fresh(self) -> Models:
        """The same with nothing remembered."""
        return Models(self.masked.forgetful(), self.autoencoder.forgetful())


def samplers(by: Models) -> Mapping[str, Sampler[Any]]:
    """Single-site Metropolis-Hastings, and what is informed by either model."""
    one: tuple[float, ...] = (1.0,)
    masked, autoencoder = by.masked, by.autoencoder
    return {
        "Metropolis-Hastings, one word, masked model": MetropolisHastings(Replace(masked, pieces=one)),
        "Metropolis-Hastings, one word, autoencoder": MetropolisHastings(Replace(autoencoder, pieces=one)),
        "metropolised Gibbs, masked model": MetropolisHastings(MetropolisedGibbs(masked)),
        "metropolised Gibbs, autoencoder": MetropolisHastings(MetropolisedGibbs(autoencoder)),
        "metropolised Gibbs, sites alike, autoencoder": MetropolisHastings(MetropolisedGibbs(autoencoder, 0.0)),
        "metropolised Gibbs, doubt squared, autoencoder": MetropolisHastings(MetropolisedGibbs(autoencoder, 2.0)),
        "delayed acceptance, autoencoder as surrogate": DelayedAcceptance(
            Replace(masked, pieces=one), PseudoLikelihood(autoencoder)
        ),
        "delayed acceptance, metropolised Gibbs, autoencoder as surrogate": DelayedAcceptance(
            MetropolisedGibbs(autoencoder), PseudoLikelihood(autoencoder)
        ),
        "Gibbs, 6 candidates, autoencoder": Gibbs(autoencoder, 6),
        "locally balanced, masked model": MetropolisHastings(LocallyBalanced(masked)),
        "locally balanced, autoencoder": MetropolisHastings(LocallyBalanced(autoencoder)),
        "path-auxiliary, 2 sites, autoencoder": MetropolisHastings(PathAuxiliary(autoencoder, sites=2)),
        "all sites, autoencoder": MetropolisHastings(AllSites(autoencoder, step_size=0.1, power=2.0)),
    }


def draws(
    title: str,
    target: Callable[[Models], Objective],
    models: Models,
    start: Batch,
    *,
    chains: int,
    seconds: float,
    seeds: Sequence[int],
    only: Sequence[str],
) -> Table:
    """Effective draws a second of each sampler, of about so many seconds each."""
    table = Table(
        title=title,
        caption=f"{chains} chains, about {seconds:.0f} s of each seed; mean, least and greatest of {len(seeds)} seeds",
        caption_justify="left",
    )
    table.add_column("sampler")
    for column in ("ms a step", "steps", "changed", "draws a second", "draws a 1,000 steps", "R-hat", "mean energy"):
        table.add_column(column, justify="right")
    batch = start.repeat(chains)
    names = [name for name in samplers(models) if not only or any(part in name for part in only)]
    # in turns: a machine that is slow for a while is so for all
    told = [[_figures(name, target, models, batch, seconds, seed) for name in names] for seed in seeds]
    for name, figures in zip(names, np.array(told).transpose(1, 2, 0), strict=True):
        table.add_row(name, *(_spread(one, digits) for one, digits in zip(figures, (0, 0, 2, 2, 1, 2, 1), strict=True)))
    return table


def _figures(
    name: str, target: Callable[[Models], Objective], models: Models, batch: Batch, seconds: float, seed: int
) -> tuple[float, ...]:
    """Of one run: ms a step, steps, share that changed a text, draws a second and in 1,000 steps, R-hat, energy."""
    by = models.fresh()
    pilot = 6
    taken = _run(target(by), samplers(by)[name], batch, pilot, seed)[1] / pilot
    steps = int(min(max(seconds / taken, 12), 20_000))
    by = models.fresh()
    trace, spent = _run(target(by), samplers(by)[name], batch, steps, seed + 1000)
    kept = trace[len(trace) // 5 :]
    share = float((np.diff(trace, axis=0) != 0).mean())
    told = statistics(kept.T)
    found = told.ess_bulk * (len(trace) / len(kept)) if share else 0.0
    return 1e3 * spent / steps, steps, share, found / spent, 1e3 * found / steps, told.r_hat, float(kept.mean())


def _spread(values: Floats, digits: int) -> str:
    return shown((float(values.mean()), float(values.min()), float(values.max())), digits)


def _run(objective: Objective, sampler: Sampler[Any], batch: Batch, steps: int, seed: int) -> tuple[Floats, float]:
    """(T, B) energies, and seconds of processor time."""
    began = time.process_time()
    result = generate(objective, sampler, batch, steps=steps, seed=seed)
    return np.asarray(result.trace, dtype=np.float64), time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heldout", type=Path, help="one sentence a line")
    parser.add_argument("--autoencoder", type=Path, help="folder of one; by default the packaged one")
    parser.add_argument("--masked", type=Path, help="a masked model of the same size, trained as long")
    parser.add_argument("--part", nargs="+", choices=("energies", "autoencoder", "masked", "fluency"), default=[])
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument(
        "--tokens", type=int, nargs="+", default=[12], help="of the sentences that chains start from, the first of each"
    )
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each sampler and seed")
    parser.add_argument("--only", nargs="+", default=[], help="samplers, by parts of their names")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    args = parser.parse_args()
    parts = args.part or ["energies", "autoencoder", "masked", "fluency"]
    packaged = masked_lm()
    autoencoder = text_autoencoder(args.autoencoder, vocabulary=packaged.vocabulary)
    texts = args.heldout.read_text(encoding="utf-8").splitlines()
    console = Console(width=170)
    if "energies" in parts:
        other = None if args.masked is None else masked_lm(args.masked)
        if other is not None:
            other = TransformersMaskedLM(other.model, packaged.vocabulary, other.max_tokens, other.max_bytes)
        batch = packaged.vocabulary.encode(texts[: args.sentences])
        console.print(pseudo_likelihoods(packaged, autoencoder, other, batch, args.seed))
    lengths = packaged.vocabulary.encode(texts).lengths.tolist()
    if missing := sorted(set(args.tokens) - set(lengths)):
        parser.error(f"--tokens {missing[0]}: {args.heldout} has no sentence of so many")
    starts = [packaged.vocabulary.encode([texts[lengths.index(tokens)]]) for tokens in args.tokens]
    targets: dict[str, Callable[[Models], Objective]] = {
        "autoencoder": lambda by: PseudoLikelihood(by.autoencoder),
        "masked": lambda by: PseudoLikelihood(by.masked),
        "fluency": lambda by: Fluency(causal_lm()),
    }
    for part, start in itertools.product(parts, starts):
        if part in targets:
            found = draws(
                f"{part}: {start.texts()[0]}",
                targets[part],
                Models(packaged, autoencoder),
                start,
                chains=args.chains,
                seconds=args.seconds,
                seeds=range(args.seed, args.seed + args.seeds),
                only=args.only,
            )
            console.print(found)


if __name__ == "__main__":
    main()
