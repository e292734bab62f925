#!/usr/bin/env python3
"""Greedy text of language models by nnefrun, side by side: python3 generate.py NNEFRUN TOKENIZER.json MODEL... [--prompt TEXT]

The models are what torch_to_nnef writes of a decoder with key and value caches: the first input takes token ids i64 [1,S], the
first result holds logits [1,S,V], every other input in order takes what the result in its place gave before, and starts empty.
The tokenizer is a JSON object with `bos`, `eos` and a list `pieces` of {id, bytes, score} (llama2.c's byte-fallback merges).
Says for each model its text, and how many tokens it has in common with the first model's, from the start. Needs numpy.
"""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            table = json.load(file)
        self.bos, self.eos = table["bos"], table["eos"]
        self.pieces = {piece["id"]: bytes(piece["bytes"]) for piece in table["pieces"]}
        self.ids = {bytes(piece["bytes"]): piece["id"] for piece in table["pieces"]}
        self.scores = {piece["id"]: piece["score"] for piece in table["pieces"]}

    def encode(self, text):
        tokens = []
        for character in " " + text if text else "":
            data = character.encode()
            tokens += [self.ids[data]] if data in self.ids else [self.ids[b"<0x%02X>" % byte] for byte in data]
        while True:
            merges = [(-self.scores[self.ids[pair]], at, self.ids[pair]) for at in range(len(tokens) - 1)
                      if (pair := self.pieces[tokens[at]] + self.pieces[tokens[at + 1]]) in self.ids]
            if not merges:
                return [self.bos] + tokens
            _, at, merged = min(merges)
            tokens[at:at + 2] = [merged]

    def decode(self, tokens):
        data = b"".join(bytes([int(piece[3:5], 16)]) if piece.startswith(b"<0x") else piece
                        for piece in (self.pieces[token] for token in tokens if token not in (self.bos, self.eos)))
        return data.decode(errors="replace").removeprefix(" ")


def facts(nnefrun, model):
    """Inputs and results of the model: [(name, shape as text)]."""
    text = subprocess.run([nnefrun, "info", model, "--json"], check=True, capture_output=True, text=True).stdout
    info = json.loads(text)
    return info["inputs"], info["outputs"]


def generate(nnefrun, model, prompt, count, eos, arguments):
    inputs, results = facts(nnefrun, model)
    caches = {i["name"]: np.zeros([d if isinstance(d, int) else 0 for d in i["shape"]], np.float32) for i in inputs[1:]}
    tokens, fed = list(prompt), list(prompt)
    with tempfile.TemporaryDirectory() as folder:
        given, got = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
        while len(tokens) < len(prompt) + count and tokens[-1] != eos:
            np.savez(given, **{inputs[0]["name"]: np.array([fed], np.int64)}, **caches)
            subprocess.run([nnefrun, model, "--input", given, "--output", got] + arguments, check=True, stdout=subprocess.DEVNULL)
            out = np.load(got)
            caches = {i["name"]: out[r["name"]] for i, r in zip(inputs[1:], results[1:])}
            fed = [int(np.argmax(out[results[0]["name"]][0, -1]))]
            tokens += fed
    return tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nnefrun")
    parser.add_argument("tokenizer")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--prompt", default="Once upon a time")
    parser.add_argument("--count", type=int, default=64, help="tokens to add [64]")
    parser.add_argument("--accuracy", default="exact", help="nnefrun's --accuracy [exact]")
    options = parser.parse_args()
    tokenizer = Tokenizer(options.tokenizer)
    prompt = tokenizer.encode(options.prompt)
    first = None
    for model in options.models:
        tokens = generate(options.nnefrun, model, prompt, options.count, tokenizer.eos, ["--accuracy", options.accuracy])
        first = first or tokens
        same = next((i for i, (a, b) in enumerate(zip(first, tokens)) if a != b), min(len(first), len(tokens)))
        print(f"{model}: {same - len(prompt)} of {len(first) - len(prompt)} tokens as the first model's\n  {tokenizer.decode(tokens)}\n")


if __name__ == "__main__":
    main()
