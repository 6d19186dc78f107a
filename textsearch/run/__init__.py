"""One run, however it is driven: the step, who is in the batch, what is kept of it.

Chains come and go step by step, as requests do in servers of language models (Yu et al., "Orca: a distributed serving
system for transformer-based generative models", OSDI 2022). They know nothing of it: what a chain draws is a function
of (seed, its number, its own step), so each does what it would have done alone.
"""
