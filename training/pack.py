"""Pack a trained masked language model into the package: int8 rows, a tokenizer, and the loss before and after.

python -m training.pack trained/model --heldout heldout.txt --out textsearch/models/checkpoints/minilm_mlm_en
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertForMaskedLM

from textsearch.models.checkpoints.quantized import load_packed, pack
from training.masked_lm import Corpus, evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = BertForMaskedLM.from_pretrained(args.model)
    corpus = Corpus(args.heldout, tokenizer)
    print("before", evaluate(model, corpus))

    args.out.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    save_file(pack({name: value for name, value in state.items() if name not in tied}), args.out / "model.safetensors")
    (args.out / "model.safetensors").chmod(0o644)
    model.config.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)

    packed, _ = load_packed(args.out, torch.float32)
    print("after", evaluate(packed, corpus))
    print("bytes", sum(path.stat().st_size for path in args.out.iterdir()))


if __name__ == "__main__":
    main()
