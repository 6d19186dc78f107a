"""The weights of an energy, tuned by Optuna (Akiba et al., 2019) until draws are as they are wanted.

python demos/tune_weights.py            # needs the extra tuning

A toy that runs in seconds: words of five letters, under an energy of two terms. Wanted are words of four in the mean,
of which a tenth are e; what the terms must weigh for that is not to be seen from their definitions.
"""

from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace
from textsearch import FunctionObjective, generate
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abcde"), seed=0)
MOVES = Mixture({Replace(MODEL, max_length=8): 0.5, InsertDelete(MODEL, max_length=8): 0.5})
LENGTH = FunctionObjective(lambda texts: [float(len(text)) for text in texts], name="length")
FEW_E = FunctionObjective(lambda texts: [float(text.count("e")) for text in texts], name="e")
MEAN, SHARE = 4.0, 0.1
"""What is wanted: letters in a word, and how many of them are e."""


def drawn(length: float, e: float, *, seed: int = 0, steps: int = 80) -> list[str]:
    """Draws from exp(-E) with these weights; the first half of the steps is left out."""
    run = generate(
        length * LENGTH + e * FEW_E,
        MetropolisHastings(MOVES),
        ["ab"],
        steps=steps,
        chains=16,
        seed=seed,
        warm_up=steps // 2,
        thin=5,
    )
    return [text for texts in run.samples for text in texts]


def loss(texts: list[str]) -> float:
    """How far the draws are from what is wanted."""
    letters_drawn = max(sum(map(len, texts)), 1)
    share = sum(text.count("e") for text in texts) / letters_drawn
    return (letters_drawn / len(texts) - MEAN) ** 2 + 100 * (share - SHARE) ** 2


def tune(trials: int) -> dict[str, float]:
    """The best weights that so many trials found."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial({"length": 1.0, "e": 1.0})

    def trial(trial: optuna.Trial) -> float:
        # the same random numbers for all weights: what differs is what they do
        weights = {name: trial.suggest_float(name, 0.05, 4.0, log=True) for name in ("length", "e")}
        return loss(drawn(weights["length"], weights["e"]))

    study.optimize(trial, n_trials=trials)
    return dict(study.best_params)


if __name__ == "__main__":
    best = tune(trials=20)
    for name, weights in (("before", {"length": 1.0, "e": 1.0}), ("after", best)):
        # on draws that were not tuned on
        far = loss(drawn(weights["length"], weights["e"], seed=1))
        print(f"{name}: {weights}, loss {far:.3f}")
