"""Samplers side by side: one sentence with three gaps, the same budget of model passes for each.

    python demos/compare_samplers.py

A sampler is good if few passes give many effective draws of a low energy; a biased one may look good and draw from
something else, which the energies here cannot tell. How far each is from the exact law: see the benchmarks.
"""

from typing import Any

from rich.console import Console
from rich.table import Table

from objectives import Fluency
from samplers import Cycle, Gibbs, MaskedResampling, MetropolisHastings, MultipleTry, ParallelTempering
from samplers.proposals import AllSites, LocallyBalanced, Replace
from samplers.starts.fill import fill_masks
from textsearch import Sampler, generate
from textsearch.models import causal_lm, masked_lm
from textsearch.run.until import Budget

TEMPLATE = "The [MASK] saw a [MASK] near the [MASK]."
CHAINS, PASSES = 4, 120


def main() -> None:
    console = Console(width=120)
    masked, lm = masked_lm(), causal_lm()
    one = MetropolisHastings(Replace(masked))
    samplers: dict[str, Sampler[Any]] = {
        "Metropolis-Hastings": one,
        "multiple-try": MultipleTry(Replace(masked), 4),
        "Gibbs and Metropolis-Hastings": Cycle([Gibbs(masked, 8), one]),
        "locally balanced": MetropolisHastings(LocallyBalanced(masked)),
        "all sites at once": MetropolisHastings(AllSites(masked, step_size=1.0)),
        "parallel tempering": ParallelTempering(one, (1.0, 1.6, 2.5)),
        "uncorrected resampling": MaskedResampling(masked),
    }
    start = fill_masks(masked, masked.vocabulary.encode([TEMPLATE]).repeat(CHAINS), seed=0)
    table = Table(title=f"{TEMPLATE}  {CHAINS} chains, {PASSES} model passes each", title_justify="left")
    for column in ("sampler", "draws from exp(-E)", "steps", "changed", "mean energy", "best", "best text"):
        table.add_column(column)
    for name, sampler in samplers.items():
        with console.status(name):
            rule = Budget(rows=CHAINS * PASSES)
            run = generate(Fluency(lm.forgetful()), sampler, start, steps=1000, seed=0, until=rule)
        half = run.trace[run.steps // 2 :]
        changed = sum(count.jump * count.proposed for count in run.acceptance.values()) / (run.steps * CHAINS)
        row = next(run.ranked())
        best = f"{run.best_energies[row]:.1f}"
        table.add_row(
            name, str(run.guarantee), str(run.steps), f"{changed:.2f}", f"{half.mean():.1f}", best, run.best_texts[row]
        )
    console.print(table)


if __name__ == "__main__":
    main()
