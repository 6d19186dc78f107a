"""The table of laws, printed: kernel x law x figure. `python -m tests.samplers.table`, or some kernels by name."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from tests.samplers.kernels import KERNELS
from tests.samplers.laws import Case, Draws, balance, bias, deviation, fault_p_value, p_value, same_chains

COLUMNS = {
    "kernel": 24,
    "guarantee": 10,
    "states": 6,
    "|pi P - pi|": 11,
    "SE": 5,
    "p on target": 11,
    "alone": 6,
}


def row(case: Case | Draws) -> tuple[str, ...]:
    """The figures of one kernel."""
    if isinstance(case, Draws):
        found = bias(case, case.sampler)
        return (case.sampler.guarantee.value, "", "weighted", f"{found.errors:.1f}", f"{found.p:.3f}", "")
    counted = deviation(case)
    return (
        case.sampler.guarantee.value,
        str(len(case.space.target)),
        f"{balance(case).invariance:.1e}",
        "inf" if counted.impossible else f"{counted.errors:.1f}",
        f"{p_value(case.space, case.sampler, steps=case.steps):.3f}",
        "differ" if same_chains(case) else "equal",
    )


def twin_p(case: Case | Draws, twin: Any) -> float:
    """How sure it is that the twin is broken."""
    return bias(case, twin).p if isinstance(case, Draws) else fault_p_value(case.space, twin, steps=case.steps)


def cells(values: tuple[str, ...], last: str) -> str:
    """One line of the table."""
    padded = [
        value.ljust(width) if number < 2 else value.rjust(width)
        for number, (value, width) in enumerate(zip(values, COLUMNS.values(), strict=True))
    ]
    return "  ".join([*padded, last])


def main(names: list[str]) -> None:
    """Print the lines of `names`, or all."""
    if unknown := set(names) - set(KERNELS):
        raise SystemExit(f"no kernel is called {sorted(unknown)[0]!r}; there are: {', '.join(KERNELS)}")
    torch.set_num_threads(1)
    print(cells(tuple(COLUMNS), "broken twin, and its p: the hardest to catch of all"))
    began = time.perf_counter()
    for name in names or KERNELS:
        case = KERNELS[name]
        caught = {what: twin_p(case, twin) for what, twin in case.twins.items()}
        hardest = max(caught, key=lambda what: caught[what])
        print(cells((name, *row(case)), f"{hardest}, {caught[hardest]:.0e} (of {len(caught)})"), flush=True)
    print(
        "\nSE: largest deviation of 4,096 runs from each state, in standard errors; of weighted draws, of their means"
    )
    print("Kernels that promise nothing are held against the law that they have on the toy, not against the target.")
    print(f"p: chi-square of 20,000 chains that start on that law; {time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main(sys.argv[1:])
