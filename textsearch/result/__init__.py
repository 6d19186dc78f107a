"""What a run gives back, and how it is looked at: statistics, figures, tables, a live line."""

from textsearch.result.generations import Acceptance, Generations

__all__ = ["Acceptance", "Generations"]
