"""Classifier: how likely a classifier finds a label for a text.

The attribute term of plug-and-play generation (PPLM, Dathathri et al., 2020) and of energies over whole texts
(Mix and Match, Mireshghallah et al., 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import keep
from textsearch.kinds import CLASSIFIER, instance
from textsearch.models.classifier import TextClassifier
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, text_per_input


@final
@dataclass(frozen=True)
class Classifier(Objective):
    """-log p(label | text) in nats: exp(-E) is the classifier's own probability.

    Attributes:
        model: `textsearch.models.text_classifier("path")`, a `LinearClassifier`, or anything with its two names.
        label: one of the model's labels, one for all inputs or one for each.

    Raises:
        ValueError: a label that the model does not have.

    >>> from textsearch.testing import letters
    >>> class Vowels:
    ...     labels = ("a", "e")
    ...     def log_probs(self, texts):
    ...         counts = torch.tensor([[text.count("a"), text.count("e")] for text in texts]).double()
    ...         return counts.log_softmax(1)
    >>> batch = letters("abe").encode(["ab", "aab"])
    >>> Classifier(Vowels(), "a").energy(batch).exp().round(decimals=3).tolist()
    [1.368, 1.135]
    """

    model: TextClassifier
    label: str | Sequence[str]
    _labels: PerInput[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        instance("model", self.model, CLASSIFIER)
        given = text_per_input("label", self.label, "labels")
        for label in given.values:
            if label not in self.model.labels:
                raise ValueError(
                    f"label={label!r} is none of the classifier's: choose from {', '.join(self.model.labels)}"
                )
        keep(self, label=given.values, _labels=given)

    @property
    def cost(self) -> Cost:
        """One model pass."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats."""
        numbers = torch.tensor([self.model.labels.index(label) for label in self.label], device=batch.device)
        wanted = numbers[self._labels.index(batch)]
        log_probs = self.model.log_probs(batch.texts()).to(batch.device, torch.float64)
        return -log_probs.gather(1, wanted[:, None])[:, 0]

    def check(self, batch: Batch) -> None:
        """Each input has its label."""
        self._labels.check(batch)
