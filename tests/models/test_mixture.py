"""Mixtures of causal models: the law of a text is the product of weighted means, and what is drawn has it."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest
import torch

from samplers.proposals import SuffixResampling
from tests.models.ngrams import saved, toy
from textsearch.batch import Batch
from textsearch.cli.models import fingerprint, model_name
from textsearch.models.mixture import FILE, MixtureLM, is_mixture_folder, mixture_lm
from textsearch.rng import Rng
from textsearch.tasks import resolve
from textsearch.testing import check_proposal


def mixed(first: float = 1.0, second: float = 3.0) -> MixtureLM:
    return MixtureLM([toy(3), toy(1)], [first, second])


def test_each_law_is_the_weighted_mean_and_a_text_has_their_product() -> None:
    lm = mixed()
    assert lm.weights == (0.25, 0.75)
    parts = [toy(3), toy(1)]
    laws = [own.next_log_probs(["the c", ""]).exp() for own in parts]
    torch.testing.assert_close(lm.next_log_probs(["the c", ""]).exp(), 0.25 * laws[0] + 0.75 * laws[1])
    text = "the cat"
    row = lm.vocabulary.encode([text]).token_lists()[0]
    steps = [lm.next_log_probs([text[:size]])[0, token] for size, token in enumerate([*row, lm.eos])]
    found = lm.score(lm.vocabulary.encode([text, "a"])).log_prob
    assert found[0] == pytest.approx(float(sum(steps)), abs=1e-6)
    # the control: a mean of the laws of whole texts is another law
    whole = sum(
        weight * float(own.score(lm.vocabulary.encode([text])).log_prob.exp())
        for weight, own in zip(lm.weights, parts, strict=True)
    )
    assert abs(math.log(whole) - float(found[0])) > 0.1


def test_what_is_drawn_has_the_law_that_is_told() -> None:
    lm = mixed()
    rng = Rng.start(3, 4000, purpose="mixture")
    start = Batch.of([[]] * 4000, lm.vocabulary)
    drawn, told, ended = lm.draw_suffixes(start, start.lengths, rng, most=1)
    torch.testing.assert_close(
        lm.suffix_log_probs(drawn.rows(ended), torch.zeros(int(ended.sum()), dtype=torch.int64)), told[ended]
    )
    first = torch.tensor([row[0] if row else lm.eos for row in drawn.token_lists()])
    law = lm.next_log_probs([""])[0].exp()
    counts = torch.bincount(first, minlength=len(law))[: len(law)] / 4000
    assert (counts - law).abs().max() < 4 * (0.25 / 4000) ** 0.5
    # the control: another mixture is told apart by as many draws
    assert (counts - mixed(3.0, 0.01).next_log_probs([""])[0].exp()).abs().max() > 4 * (0.25 / 4000) ** 0.5


def test_moves_that_draw_from_it_are_exact() -> None:
    lm = mixed()
    check_proposal(SuffixResampling(lm, max_length=3), [a + b for a in "cat" for b in "aht"], chains=4000)


def test_it_is_loaded_from_a_folder_and_travels(tmp_path: Path) -> None:
    names = [saved(tmp_path / str(order), toy(order)).name for order in (3, 1)]
    folder = tmp_path / "mixture"
    folder.mkdir()
    assert not is_mixture_folder(folder)
    (folder / FILE).write_text(json.dumps({"models": [f"../{name}" for name in names], "weights": [1, 3]}))
    text = mixed().vocabulary.encode(["the hat"])
    wanted = mixed().score(text).log_prob
    for lm in (mixture_lm(folder), resolve.causal(str(folder)), pickle.loads(pickle.dumps(mixture_lm(folder)))):
        torch.testing.assert_close(lm.score(text).log_prob, wanted)
    # the command line takes it, and knows it from one of other models
    assert model_name(str(folder)) == str(folder)
    known = fingerprint("causal", str(folder))
    assert known == fingerprint("causal", str(folder))
    saved(tmp_path / "1", toy(2))
    assert known != fingerprint("causal", str(folder))
    (folder / FILE).write_text(json.dumps({"models": [str(folder), "../1"], "weights": [1, 3]}))
    with pytest.raises(ValueError, match="a mixture itself"):
        mixture_lm(folder)
    (folder / FILE).write_text("{}")
    with pytest.raises(ValueError, match="says no mixture"):
        mixture_lm(folder)


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(ValueError, match="two models or more"):
        MixtureLM([toy(3)], [1.0])
    with pytest.raises(ValueError, match="must be positive"):
        mixed(0.0)
    with pytest.raises(ValueError, match="next to nothing"):
        mixed(1e-320, 1e300)
    with pytest.raises(TypeError, match="lms"):
        MixtureLM(toy(3), [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes no prompts"):
        mixed().next_log_probs(["a"], "say: ")
