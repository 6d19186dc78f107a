"""Toy vocabularies and models small enough to enumerate, for laws that a sampler or objective must obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.checks import strings
from textsearch.models.masking import FREE, dead, dead_behind, masked, mixed, unmasked_rows
from textsearch.models.protocols import Scores
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.models.recipes import reduced_as_one
from textsearch.models.usage import Usage
from textsearch.objective import Objective
from textsearch.rng import Rng, categorical


@final
@dataclass(frozen=True, eq=False)
class LetterVocabulary:
    """One token a letter; id 0 is "_", the mask, and an upper-case letter goes on the word before it.

    Attributes:
        letters: V - 1 of them, each once; letter i has the id i + 1.
    """

    letters: str
    one_spelling = True

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced_as_one(self)

    @property
    def size(self) -> int:
        """The letters and the mask."""
        return len(self.letters) + 1

    @property
    def mask_id(self) -> int:
        """Zero."""
        return 0

    @property
    def allowed(self) -> Tensor:
        """(V,) all but the mask."""
        return torch.arange(self.size) > 0

    @property
    def token_bytes(self) -> tuple[bytes, ...]:
        """V strings of bytes, the letters in UTF-8."""
        return tuple(letter.encode() for letter in "_" + self.letters)

    @property
    def continues(self) -> Tensor:
        """(V,) the upper-case letters."""
        return torch.tensor([False] + [letter.isupper() for letter in self.letters])

    def encode(self, texts: Sequence[str]) -> Batch:
        """One token a letter; a letter outside the vocabulary is an error.

        Raises:
            ValueError: a text holds another character.
        """
        alphabet, texts = "_" + self.letters, strings("texts", texts)
        for text in texts:
            if strange := set(text) - set(alphabet):
                raise ValueError(f"{text!r} holds {sorted(strange)}, not among the letters {self.letters!r}")
        return Batch.of([[alphabet.index(letter) for letter in text] for text in texts], self)

    def decode(self, batch: Batch) -> list[str]:
        """The letters."""
        alphabet = "_" + self.letters
        return ["".join(alphabet[token] for token in row) for row in batch.token_lists()]


def letters(alphabet: str) -> LetterVocabulary:
    """A vocabulary of single letters.

    Args:
        alphabet: the letters, each once.

    >>> letters("ab").encode(["ba"]).tokens.tolist()
    [[2, 1]]
    """
    return LetterVocabulary(alphabet)


@final
@dataclass(frozen=True, eq=False)
class TableMaskedLM:
    """A masked language model with random conditionals, deliberately not those of any joint distribution.

    The logits at a site are a sum over the other sites of a table entry for (signed distance, their token), plus one
    for the row's length: every conditional depends on everything around it.

    Attributes:
        vocabulary: the tokens.
        table: (2 * reach + 1, V, V) float64, indexed by distance + reach, the other token, the token asked for.
        by_length: (reach + 1, V) float64.
        usage: counts what the model has read so far.
    """

    vocabulary: LetterVocabulary
    table: Tensor
    by_length: Tensor
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def random(vocabulary: LetterVocabulary, seed: int, reach: int = 8, scale: float = 0.8) -> TableMaskedLM:
        """Tables drawn from a normal distribution."""
        rng = torch.Generator().manual_seed(seed)
        size = vocabulary.size
        table = scale * torch.randn(2 * reach + 1, size, size, generator=rng, dtype=torch.float64)
        by_length = scale * torch.randn(reach + 1, size, generator=rng, dtype=torch.float64)
        return TableMaskedLM(vocabulary, table, by_length)

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities at `positions` (K,) of `rows` (K,)."""
        asked = torch.unique(rows)
        self.usage.count((len(asked), batch.width), int(batch.lengths[asked].sum()))
        reach = self.by_length.shape[0] - 1
        column = torch.arange(batch.width, device=batch.device)
        distance = column - positions[:, None]
        near = batch.present[rows] & (distance != 0) & (distance.abs() <= reach)
        entries = self.table.to(batch.device)[distance.clamp(-reach, reach) + reach, batch.tokens[rows]]
        logits = self.by_length.to(batch.device)[batch.lengths[rows].clamp(max=reach)]
        # one column at a time: the order of the sum, and so its last bit, does not depend on the padding
        for j in range(batch.width):
            logits = logits + torch.where(near[:, j, None], entries[:, j], 0.0)
        return logits.log_softmax(-1)


@final
@dataclass(frozen=True, eq=False)
class TableCausalLM:
    """A causal language model with random conditionals; id 0, the mask of the toy vocabularies, ends a text.

    The logits of what comes next are a sum over all tokens before it, those of the prompt too, of a table entry for
    (distance, their token), plus one for the place in the text.

    Attributes:
        vocabulary: the tokens.
        table: (reach + 1, V, V) float64, indexed by distance, the token before, the token asked for.
        by_place: (reach + 1, V) float64.
        usage: counts what the model has read so far.

    >>> model = TableCausalLM.random(letters("ab"), seed=0)
    >>> batch = letters("ab").encode(["", "ab"])
    >>> cuts = torch.zeros(2, dtype=torch.int64)
    >>> bool((model.score(batch).log_prob == model.suffix_log_probs(batch, cuts)).all())
    True
    """

    vocabulary: Vocabulary
    table: Tensor
    by_place: Tensor
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def random(vocabulary: Vocabulary, seed: int, reach: int = 8, scale: float = 0.8) -> TableCausalLM:
        """Tables drawn from a normal distribution."""
        rng = torch.Generator().manual_seed(seed)
        size = vocabulary.size
        table = scale * torch.randn(reach + 1, size, size, generator=rng, dtype=torch.float64)
        by_place = scale * torch.randn(reach + 1, size, generator=rng, dtype=torch.float64)
        return TableCausalLM(vocabulary, table, by_place)

    @property
    def eos(self) -> int:
        """0, the mask of the letters."""
        return 0

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row's text and its end, given the prompt."""
        log_prob = self.suffix_log_probs(batch, torch.zeros_like(batch.lengths), prompt=prompt)
        return Scores(log_prob, batch.lengths + 1)

    def suffix_log_probs(
        self,
        batch: Batch,
        cuts: Tensor,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> Tensor:
        """(B,) log-probability of what stands behind the first `cuts[b]` tokens, and of the end."""
        left = self._left(prompt, len(batch)).to(batch.device)
        self.usage.count((len(batch), batch.width + 1), int(batch.lengths.sum()))
        ended = torch.nn.functional.pad(batch.tokens, (0, 1))
        log_free = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        log_masked = torch.zeros_like(log_free)
        # place by place: the order of the sum, and so its last bit, does not depend on the padding
        for place in range(batch.width + 1):
            at = torch.full_like(batch.lengths, place)
            law = self._following(left, batch.tokens, at, temperature)
            asked = (cuts <= place) & (place <= batch.lengths)
            log_free += law.gather(1, ended[:, place, None])[:, 0].where(asked, 0.0)
            if constraint is not None:
                law = self._masked(law, constraint, batch, batch.tokens, at, asked)
                log_masked += law.gather(1, ended[:, place, None])[:, 0].where(asked, 0.0)
        if constraint is None:
            return log_free
        rows, numbers = batch.token_lists(), batch.inputs.tolist()
        gone = dead_behind(constraint, self.vocabulary, 0, rows, cuts.tolist(), numbers)
        gone_rows = torch.tensor(gone, dtype=torch.bool, device=batch.device)
        return mixed(log_masked, log_free, free).masked_fill(gone_rows, -torch.inf)

    def log_probs_after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int = 0) -> Tensor:
        """(K, V) log-probabilities of the token that follows each row of tokens after its prompt."""
        batch = Batch.of(rows, self.vocabulary)
        self.usage.count((len(batch), 1), len(batch))
        return self._following(self.vocabulary.encode(list(prompts)), batch.tokens, batch.lengths, 1.0)

    def draw_suffixes(
        self,
        batch: Batch,
        cuts: Tensor,
        rng: Rng,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        most: int | Sequence[int],
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b with everything behind its first `cuts[b]` tokens resampled, its log-probability, whether it ended."""
        left = self._left(prompt, len(batch)).to(batch.device)
        room = torch.as_tensor(most, device=batch.device).expand(len(batch))
        most = int(room.max()) if len(batch) else 0
        tokens, row = batch.widen(most + 1).tokens.clone(), torch.arange(len(batch), device=batch.device)
        written = torch.zeros(len(batch), most + 1, dtype=torch.int64, device=batch.device)
        counts = torch.zeros_like(batch.lengths)
        log_free = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        log_masked = torch.zeros_like(log_free)
        ended = torch.zeros(len(batch), dtype=torch.bool, device=batch.device)
        going, unmasked = cuts <= room, unmasked_rows(rng, free)
        for place in range(most + 1):
            self.usage.count((len(batch), 1), int(going.sum()))
            at = (cuts + place).clamp(max=most)
            plain = law = self._following(left, tokens, at, temperature)
            if constraint is not None:
                narrow = self._masked(plain, constraint, batch, tokens, at, going)
                law = torch.where(unmasked[:, None], plain, narrow)
                # nothing is drawn where nothing may follow
                going = going & (law.amax(-1) > -torch.inf)
                law = law.where(going[:, None], plain)
            token = categorical(law, rng.uniform(place))
            ends = going & (token == 0)
            on = going & (token != 0) & (at < room)
            log_free += plain.gather(1, token[:, None])[:, 0].where(ends | on, 0.0)
            if constraint is not None:
                log_masked += narrow.gather(1, token[:, None])[:, 0].where(ends | on, 0.0)
            ended |= ends
            written[:, place] = token * on
            tokens[row[on], at[on]] = token[on]
            counts += on
            going = on
            if constraint is not None and bool(on.any()):
                here = on.nonzero().squeeze(-1)
                kept = [one[:end] for one, end in zip(tokens[here].tolist(), (at[here] + 1).tolist(), strict=True)]
                gone = dead(constraint, Beginnings(self.vocabulary, 0, kept, batch.inputs[here].tolist()))
                going = going.index_put((here,), ~torch.tensor(gone, device=batch.device))
        log_prob = log_free if constraint is None else mixed(log_masked, log_free, free)
        return with_suffixes(batch, cuts, written, counts), log_prob, ended

    def _left(self, prompt: str | Sequence[str], rows: int) -> Batch:
        return (
            self.vocabulary.encode([prompt]).repeat(rows) if isinstance(prompt, str) else self.vocabulary.encode(prompt)
        )

    def _masked(
        self, law: Tensor, constraint: Objective, batch: Batch, tokens: Tensor, places: Tensor, asked: Tensor
    ) -> Tensor:
        """`law` (B, V) under the mask of a constraint, for the rows that are `asked` (B,) for: others as they were."""
        rows = asked.nonzero().squeeze(-1)
        if len(rows) == 0:
            return law
        kept = [row[:place] for row, place in zip(tokens[rows].tolist(), places[rows].tolist(), strict=True)]
        return law.index_copy(
            0, rows, masked(law[rows], constraint, Beginnings(self.vocabulary, 0, kept, batch.inputs[rows].tolist()))
        )

    def _following(self, left: Batch, tokens: Tensor, places: Tensor, temperature: float) -> Tensor:
        """(B, V) log-probabilities at `places` (B,) of `tokens` (B, N), after those before it and `left` of them."""
        reach, table = self.by_place.shape[0] - 1, self.table.to(tokens.device)
        logits = self.by_place.to(tokens.device)[places.clamp(max=reach)]
        for j in range(left.width):
            distance = (places + left.lengths - j).clamp(0, reach)
            logits = logits + table[distance, left.tokens[:, j]].where(left.present[:, j, None], 0.0)
        for j in range(tokens.shape[1]):
            distance = (places - j).clamp(0, reach)
            logits = logits + table[distance, tokens[:, j]].where((j < places)[:, None], 0.0)
        return (logits / temperature).log_softmax(-1)
