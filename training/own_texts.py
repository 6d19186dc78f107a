"""Texts of daily life that a small instruct model writes itself, as good sentences for `training.corrector`.

    python -m training.own_texts --out essays.jsonl --minutes 11

Essays, letters, stories and opinions are asked for, each about one of the topics below. Writes JSON lines, a request
and the text; a second run adds to them.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch

from textsearch.models import causal_lm

TOPICS = """school;my family;learning a language;a holiday;food and cooking;health;exercise;friendship;moving house;a
journey by train;money;work;a first job;children;parents;old age;the weather;the sea;mountains;city life;village life;
music;films;books;newspapers;television;the internet;telephones;computers;games;sport;football;animals;a pet;gardens;
farming;factories;shops;clothes;fashion;traffic;bicycles;aeroplanes;energy;pollution;water;forests;science;medicine;
hospitals;doctors;teachers;students;university;examinations;history;art;museums;theatre;dance;religion;traditions;
festivals;weddings;neighbours;volunteers;government;laws;crime;police;elections;taxes;war and peace;poverty;rich and
poor;trade;banks;tourism;hotels;restaurants;coffee;sleep;dreams;fear;happiness;success;failure;risk;patience;honesty;
memory;time;the future;the past;technology;robots;space;language;reading;writing a letter;a meeting;a team;leadership;a
good manager;advice;a mistake;a lesson learned;an accident;a storm;a birthday;a present;a photograph;a bridge;a river;a
market;a library;a sports club;a phone call;a neighbour's dog;housework;saving water;recycling;working at home;studying
abroad;speaking in public;making decisions;keeping promises;learning from others;living alone;social media;privacy;
advertising;news;a new road;public transport;food prices;the climate"""

FORMS = (
    "Write a short essay about {}.",
    "Write a letter to a friend about {}.",
    "Give your opinion on {} and three reasons.",
    "Tell a short story about {}.",
    "Explain to a student what is important about {}.",
    "Write an e-mail to a teacher about {}.",
    "Describe an experience with {} in the first person.",
    "What are the advantages and disadvantages of {}?",
    "Argue for or against something to do with {}.",
    "Write a diary entry about {}.",
    "Summarise a lecture on {} and what the professor says.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--causal", help="model that writes; by default SmolLM2-135M-Instruct")
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--batch", type=int, default=48, help="texts at a time")
    parser.add_argument("--most", type=int, default=220, help="tokens of a text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    rng = random.Random(given.seed)
    lm = causal_lm(given.causal)
    model, tokenizer = lm.model.to(torch.bfloat16), lm.vocabulary.tokenizer
    tokenizer.padding_side = "left"
    topics = TOPICS.replace("\n", " ").split(";")
    begun, written = time.monotonic(), 0
    with given.out.open("a", encoding="utf-8") as out:
        while time.monotonic() - begun < 60.0 * given.minutes:
            requests = [rng.choice(FORMS).format(rng.choice(topics).strip()) for _ in range(given.batch)]
            rows = tokenizer([lm.ask(request) for request in requests], return_tensors="pt", padding=True)
            with torch.inference_mode():
                found = model.generate(
                    **rows,
                    do_sample=True,
                    temperature=0.8,
                    top_p=0.95,
                    max_new_tokens=given.most,
                    eos_token_id=lm.eos,
                    pad_token_id=lm.eos,
                )
            texts = tokenizer.batch_decode(found[:, rows["input_ids"].shape[1] :], skip_special_tokens=True)
            for request, text in zip(requests, texts, strict=True):
                out.write(json.dumps([request, text], ensure_ascii=False) + "\n")
            written += len(texts)
            print(f"{written} texts", flush=True)


if __name__ == "__main__":
    main()
