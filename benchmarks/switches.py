"""What each switch of the model path gains or costs on this machine, and what it does to the numbers.

    python -m benchmarks.switches --size quick --out results

Three settings, nothing remembered but the prompt:

- `masked`: 256 rows of 12 + 2 tokens, one of them masked and asked for.
- `causal`: 32 rows of 24 tokens that share no beginning, each asked for what follows.
- `prompt`: 32 rows of 4 new tokens behind a prompt that has been read, each new token asked for what follows.

Rows are stretches of one English text, all of one length: the library's passes (`TOGETHER` rows) have no padding to
read, which mixed lengths would add. Every repeat gives each switch a turn; told are rows a second as a ratio to the
default of the same repeat, the median with the lowest and the highest. On the CPU seconds are those that this process
had a processor (`busy` is their share of the clock's); on an accelerator the clock's, and the device is waited for.

Then the numbers: the largest change of a token's log-probability against the default, over all rows that were read, and
that of the first `ALONE` rows each read alone: if not zero, a chain depends on its neighbours, and the switch is not
exact. A model that fails the engine's own test of flat passes, "unfit for flat", is read flat all the same.
"""

from __future__ import annotations

import argparse
import copy
import functools
import importlib.util
import inspect
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.speed import KEYWORDS, PASSAGE, SENTENCE
from textsearch import Batch
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.reading.last_layer import last_output
from textsearch.models.reading.projection import hidden_states, log_sums, logits_at
from textsearch.tasks.keyword_sentences import request

TEXT = f"{PASSAGE} {SENTENCE}"
TOGETHER, ALONE, SLOW = 32, 4, 8
"""Rows that the library's own passes read at a time, that are read alone too, and that are read where it is slow."""

PARTS = {"masked": (256, 12), "causal": (32, 24), "prompt": (32, 4)}
"""Rows, and tokens of a row but special ones and the prompt."""

REPEATS = {"quick": 3, "full": 9}


@final
@dataclass(frozen=True)
class Row:
    """All ids that a model reads; it is asked for the log-probability of `wanted` at, or behind, `places`."""

    tokens: list[int]
    places: list[int]
    wanted: list[int]


Read = Callable[[Sequence[Row]], Callable[[], Tensor]]
"""Rows -> what is timed, which gives (R, places) float64 log-probabilities; what comes before it is not timed."""


@final
@dataclass(frozen=True)
class Switch:
    """A way to read rows, at most `most`; None if it is not to be had here."""

    name: str
    read: Read | None
    note: str = ""
    most: int | None = None


def by_masked(lm: TransformersMaskedLM, *, narrow: bool = True, by_columns: bool = True) -> Read:
    """The engine's way, with nothing remembered; read flat whatever its test says."""

    def read(rows: Sequence[Row]) -> Callable[[], Tensor]:
        fresh, (before, after) = lm.forgetful(), lm._frame
        fresh.__dict__.update(_flat=True, _door=last_output(lm.model) if narrow else None)
        texts = [row.tokens[len(before) : len(row.tokens) - len(after)] for row in rows]
        batch, number = Batch.of(texts, lm.vocabulary), torch.arange(len(rows))
        place, wanted = torch.tensor([[row.places[0] - len(before), row.wanted[0]] for row in rows]).unbind(1)
        if by_columns:
            return lambda: fresh.token_log_probs(batch, number, place, wanted)[:, None]
        return lambda: fresh.log_probs(batch, number, place)[number, wanted, None].double()

    return read


def by_causal(lm: TransformersCausalLM, *, prompt: Sequence[int], by_columns: bool = True) -> Read:
    """The engine's way, with nothing remembered but the prompt; read flat whatever its test says."""
    tree = lm.forgetful().tree
    tree.flat = True

    def run(rows: Sequence[Row]) -> Tensor:
        found = tree.read([row.tokens for row in rows])
        slots = [own[place] for own, row in zip(found, rows, strict=True) for place in row.places]
        wanted = [token for row in rows for token in row.wanted]
        if by_columns:
            return torch.tensor(tree.log_probs(slots, wanted), dtype=torch.float64).view(len(rows), -1)
        log_probs = tree.logits(slots).log_softmax(-1)
        return log_probs[torch.arange(len(slots)), torch.tensor(wanted)].double().view(len(rows), -1).cpu()

    def read(rows: Sequence[Row]) -> Callable[[], Tensor]:
        tree.read([prompt])
        kept = set(tree._path(prompt, {})[0])
        # leaves come first
        for node in [node for node in tree._nodes if node not in kept]:
            tree._drop(node)
        return lambda: run(rows)

    return read


def by_library(model: Any, outputs: int, hidden: Callable[[Tensor], Tensor] | None, *, full: bool = False) -> Read:
    """Rows of one length, asked places alone projected behind `hidden`; without it all, and put through log-softmax.

    If `full`, each pass is of `TOGETHER` rows, filled up with copies.
    """

    def read(rows: Sequence[Row]) -> Tensor:
        count = TOGETHER if full else len(rows)
        ids = torch.tensor([rows[min(i, len(rows) - 1)].tokens for i in range(count)], device=model.device)
        if hidden is not None:
            return _asked(model, outputs, hidden(ids), rows)
        log_probs: Tensor = model(input_ids=ids).logits[..., :outputs].float().log_softmax(-1)
        return log_probs[_indices(rows, model.device)].double().view(len(rows), -1).cpu()

    return lambda rows: lambda: torch.cat([read(rows[i : i + TOGETHER]) for i in range(0, len(rows), TOGETHER)])


def by_library_cache(model: Any, outputs: int, prompt: Sequence[int]) -> Read:
    """The library's own keys and values of the prompt, one copy a row, which are there already."""
    # renamed in transformers 5.24
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    first = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=True).past_key_values

    def read(rows: Sequence[Row]) -> Callable[[], Tensor]:
        cache = copy.deepcopy(first)
        cache.batch_repeat_interleave(len(rows))
        ids = torch.tensor([row.tokens[len(prompt) :] for row in rows], device=model.device)
        own = [replace(row, places=[place - len(prompt) for place in row.places]) for row in rows]
        return lambda: _asked(model, outputs, hidden_states(model, input_ids=ids, **{name: cache}), own)

    return read


class Body(torch.nn.Module):
    """What `hidden_states` gives, without its door."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        head = getattr(model, "cls", None)
        self.base = model.base_model
        self.between = head.predictions.transform if head is not None else torch.nn.Identity()

    def forward(self, ids: Tensor) -> Tensor:
        """(B, W, d) of (B, W) ids."""
        hidden: Tensor = self.between(self.base(input_ids=ids, use_cache=False)[0])
        return hidden


def compiled(model: Any, mode: str | None) -> Callable[[Tensor], Tensor]:
    """The body, compiled for one shape."""
    run: Callable[[Tensor], Tensor] = torch.compile(Body(model), dynamic=False, mode=mode)
    return run


def by_onnx(model: Any, ids: Tensor) -> Callable[[Tensor], Tensor]:
    """The body by ONNX Runtime, for texts in the shape of `ids`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "model.onnx"
        torch.onnx.export(Body(model).eval(), (ids,), path, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda ids: torch.from_numpy(session.run(None, {name: ids.numpy()})[0])


def _indices(rows: Sequence[Row], device: torch.device) -> tuple[Tensor, ...]:
    triples = [(i, *pair) for i, row in enumerate(rows) for pair in zip(row.places, row.wanted, strict=True)]
    return torch.tensor(triples, device=device).unbind(1)


def _asked(model: Any, outputs: int, hidden: Tensor, rows: Sequence[Row]) -> Tensor:
    *where, wanted = _indices(rows, model.device)
    own = hidden[*where]
    return (logits_at(model, own, wanted).double() - log_sums(model, own, outputs).double()).view(len(rows), -1).cpu()


def int8(model: Any) -> Any:
    """A copy whose matrices but the vocabulary's are int8, and what they multiply too, with one scale for all rows."""
    head = model.get_output_embeddings()
    names = {name for name, own in model.named_modules() if isinstance(own, torch.nn.Linear) and own is not head}
    with warnings.catch_warnings(action="ignore"):
        quantize: Any = torch.ao.quantization.quantize_dynamic
        return quantize(copy.deepcopy(model), names, dtype=torch.qint8)


def switches(part: str, lm: Any, prompt: Sequence[int], width: int, without: Sequence[str]) -> Iterator[Switch]:
    """All that can be had in a setting, the default first; rows have `width` tokens."""
    masked, on, outputs = part == "masked", lm.model.device.type, lm.vocabulary.size

    engine: Any = by_masked if masked else functools.partial(by_causal, prompt=prompt)

    def other(name: str, model: Any, most: int | None = None) -> Switch:
        own = replace(lm.forgetful(), model=model)
        unfit = not (own._flat if masked else own.tree.flat)
        return Switch(name, engine(own), "unfit for flat" if unfit else "", most)

    yield Switch(f"default: flat, float32, {lm.max_tokens} tokens a pass", engine(lm))
    slow = SLOW if part == "prompt" else None
    yield Switch("library, all places projected", by_library(lm.model, outputs, None), "", slow)
    plain = by_library(lm.model, outputs, lambda ids: hidden_states(lm.model, input_ids=ids))
    yield Switch("library, asked places projected", plain, "", slow)
    if part == "prompt":
        yield Switch("library, its own cache of the prompt", by_library_cache(lm.model, outputs, prompt))
    if masked:
        yield Switch("last layer not narrowed", engine(lm, narrow=False))
    yield Switch("vocabulary not summed by columns", engine(lm, by_columns=False))
    if part != "prompt":
        for most in sorted({128, 256, 512, 1024, 4096 if masked else 1024} - {lm.max_tokens}):
            yield Switch(f"max_tokens={most}", engine(replace(lm.forgetful(), max_tokens=most)))
    if "bfloat16" not in without:
        half, few = copy.deepcopy(lm.model).bfloat16(), 64 if masked else SLOW
        yield other("bfloat16 weights", half, few if on == "cpu" else None)
    if "int8" not in without and on == "cpu":
        own = int8(lm.model) if hasattr(torch.ao, "quantization") else None
        yield other("int8 products", own) if own else Switch("int8 products", None, "not in this torch")
    if "compiled" not in without and part != "prompt":
        had = on == "cuda" or any(map(shutil.which, ("g++", "clang++")))
        hidden = compiled(lm.model, "reduce-overhead" if on == "cuda" else None)
        read = by_library(lm.model, outputs, hidden, full=True) if had else None
        yield Switch("library, compiled", read, "" if had else "no compiler here")
    if "onnx" not in without and masked and on == "cpu":
        had = all(map(importlib.util.find_spec, ("onnxruntime", "onnxscript")))
        run = by_onnx(lm.model, torch.zeros(TOGETHER, width, dtype=torch.int64)) if had else None
        read = by_library(lm.model, outputs, run, full=True) if run else None
        yield Switch("library, ONNX Runtime", read, "" if had else "pip install onnxruntime onnxscript")


def clock(device: str) -> float:
    """Seconds."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(chosen: Sequence[Switch], rows: Sequence[Row], repeats: int, device: str) -> list[dict[str, Any]]:
    """Of each switch: rows a second of every repeat, the largest change, and whether a row alone is the same."""
    found, answers = list[dict[str, Any]](), list[Tensor]()
    for switch in chosen:
        found.append({"switch": switch.name, "note": switch.note, "rates": []})
        if switch.read is not None:
            mine, since = rows[: switch.most], time.perf_counter()
            answers.append(switch.read(mine)())
            first = time.perf_counter() - since
            alone = torch.cat([switch.read([row])() for row in mine[:ALONE]])
            changes = (answers[-1] - answers[0][: len(mine)], alone - answers[-1][:ALONE])
            change, change_alone = (float(own.abs().max()) for own in changes)
            found[-1] |= {"rows": len(mine), "first": first, "change": change, "change_alone": change_alone}
    began, turns = (time.perf_counter(), time.process_time()), list(zip(chosen, found, strict=True))
    for _ in range(repeats):
        turns.reverse()  # none always comes behind the same other
        for switch, own in turns:
            if switch.read is not None:
                run, since = switch.read(rows[: switch.most]), clock(device)
                run()
                own["rates"].append(own["rows"] / (clock(device) - since))
    busy = (time.process_time() - began[1]) / (time.perf_counter() - began[0])
    return [{**own, "busy": busy} for own in found]


def table(part: str, found: Sequence[dict[str, Any]]) -> Table:
    """The first line is the default, in rows a second; the others are ratios to it."""
    shown = Table(title=part, caption=f"busy {found[0]['busy']:.0%}", caption_justify="left")
    for name in ("switch", "rows/s", "to the default", "largest change, nats", "change alone", "first, s", ""):
        shown.add_column(name, justify="left" if name == "switch" else "right")
    for own in found:
        told = [""] * 5
        if own["rates"]:
            low, middle, high = np.quantile(np.array(own["rates"]) / np.array(found[0]["rates"]), (0, 0.5, 1))
            told = [f"{np.median(own['rates']):.1f}", f"{middle:.2f} [{low:.2f}, {high:.2f}]"]
            changes = [f"{own[name]:.1e}" if own[name] else "same bits" for name in ("change", "change_alone")]
            told += [*changes, f"{own['first']:.1f}"]
        shown.add_row(own["switch"], *told, own["note"])
    return shown


def load(part: str, device: str) -> tuple[Any, list[int], list[Row]]:
    """The model of a setting, its prompt and its rows."""
    lm: Any = (masked_lm if part == "masked" else causal_lm)(device=device)
    (count, length), [tokens] = PARTS[part], lm.vocabulary.encode([TEXT]).token_lists()
    stretches = [[*tokens, *tokens][begin : begin + length] for begin in range(len(tokens))]
    if part != "masked":
        prompt = lm.after([[]], [request(lm, KEYWORDS)])[0] if part == "prompt" else []
        places = [len(prompt) + place for place in range(length)]
        apart = list({own[0]: own for own in stretches}.values())
        return lm, prompt, [Row([*prompt, *own], places, [*own[1:], lm.eos]) for own in apart[:count]]
    (before, after), rows = lm._frame, []
    for number in range(count):
        own, place = list(stretches[number % len(stretches)]), (number + number // len(stretches)) % length
        wanted, own[place] = own[place], lm.vocabulary.mask_id
        rows.append(Row([*before, *own, *after], [len(before) + place], [wanted]))
    return lm, [], rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=REPEATS, default="quick")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--without", nargs="+", choices=("bfloat16", "int8", "compiled", "onnx"), default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    written = args.out / "switches.json"
    everything: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    for part in args.part:
        lm, prompt, rows = load(part, args.device)
        with torch.no_grad():
            found = measure(
                list(switches(part, lm, prompt, len(rows[0].tokens), args.without)),
                rows,
                REPEATS[args.size],
                args.device,
            )
        Console(width=160).print(table(part, found))
        everything[part] = {"switches": found, "threads": args.threads, "device": args.device}
        written.write_text(json.dumps(everything, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
