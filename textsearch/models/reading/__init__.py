"""How a model reads a batch: what is read at all, in which passes, and what is remembered of them."""
