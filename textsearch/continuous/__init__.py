"""Continuous batching: the chains of a few inputs share a batch, and a finished input makes room for a waiting one.

Scheduling step by step, as servers of language models do (Yu et al., "Orca: a distributed serving system for
transformer-based generative models", OSDI 2022). Chains know nothing of it: what a chain draws is a function of (seed,
its number, its own step), so each does what it would have done in any other company.
"""

from textsearch.continuous.company import Divisible
from textsearch.continuous.each import Answer

__all__ = ["Answer", "Divisible"]
