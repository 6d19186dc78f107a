"""The noisy channel over characters: prices, per input, and texts that no mistake explains."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from objectives import CharacterChannel
from textsearch.batch import Batch
from textsearch.testing import letters

VOCABULARY = letters("abc")
A, B, C = 1, 2, 3


def test_each_input_is_held_against_its_own_text() -> None:
    written = VOCABULARY.encode(["aa", "ba"])
    channel = CharacterChannel(written, [[{C: 2.0}, {B: 3.0}], [{C: 1.0}, {C: 4.0}]])
    batch = VOCABULARY.encode(["cb", "bc"])
    assert channel.energy(batch).tolist() == [5.0, 4.0]
    assert channel.energy(batch.rows([1, 1, 0]).widen(5)).tolist() == [4.0, 4.0, 5.0]
    other = Batch.of([[A, B], [A, A]], VOCABULARY)
    assert channel.energy(other).tolist() == [3.0, math.inf]
    assert channel.energy(VOCABULARY.encode(["a", "bab"])).tolist() == [math.inf, math.inf]


def test_the_number_of_mistakes_has_a_price_of_its_own() -> None:
    written = VOCABULARY.encode(["aa", "b"])
    meant = [[{C: 2.0}, {B: 3.0}], [{C: 1.0}]]
    channel = CharacterChannel(written, meant, [[0.0, 4.0, 5.0], [0.5, 7.0]])
    texts = Batch.of([[A, A], [C, A], [C, B], [B], [C]], VOCABULARY)
    batch = replace(texts, inputs=torch.tensor([0, 0, 0, 1, 1]))
    assert channel.energy(batch).tolist() == [0.0, 6.0, 10.0, 0.5, 8.0]
    # the control: without them mistakes are independent
    assert CharacterChannel(written, meant).energy(batch).tolist() == [0.0, 2.0, 5.0, 0.0, 1.0]


def test_what_cannot_be_meant_is_refused() -> None:
    written = VOCABULARY.encode(["aa"])
    with pytest.raises(ValueError, match=r"meant has rows of \[1\] places, and the written texts have \[2\]"):
        CharacterChannel(written, [[{}]])
    with pytest.raises(ValueError, match="the price of token 2 is -1"):
        CharacterChannel(written, [[{2: -1}, {}]])
    with pytest.raises(ValueError, match="list for each text the prices of 0 to all of its places"):
        CharacterChannel(written, [[{}, {}]], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="prices must be at least 0 nats"):
        CharacterChannel(written, [[{}, {}]], [[0.0, -1.0, math.nan]])
    with pytest.raises(ValueError, match="written has 2 values, but there are 3 inputs"):
        CharacterChannel(VOCABULARY.encode(["a", "b"]), [[{}], [{}]]).check(VOCABULARY.encode(["a", "b", "c"]))
    assert CharacterChannel(written, [[{}, {}]]).energy(written.rows(torch.tensor([0]))).tolist() == [0.0]
