#!/usr/bin/env python3
"""What threads bring, against what this machine can give: python3 bench/threads.py NNEFRUN MODEL...

Each round measures, one after the other, for each model:
  one    a process with one thread, pinned to a core, alone
  twins  as many such processes at once as there are cores, each pinned to its own
  many   one process with as many threads

The ceiling is the throughput of the twins over that of one: what the cores give when nothing is shared but the memory
and the clock. The printed ratio is (throughput of many over one) divided by the ceiling. Of all rounds the fastest
counts, separately for one, twins (by their sum) and many: on a machine that others use, give it many short rounds, and
--fastest, which takes the fastest run of each process instead of its median. That is hard on the ratio, not kind: a twin's
fastest run may be one during which the other did not run.
"""
import argparse
import json
import os
import subprocess
import sys


def start(binary, model, inputs, cores, threads, seconds):
    command = ["taskset", "-c", ",".join(map(str, cores)), binary, "bench", model, "--json", "--threads", str(threads),
               "--min-time", str(seconds), "--warmup", str(seconds / 4)]
    for value in inputs:
        command += ["--input", value]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def nanoseconds(process, figure):
    text = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"a run failed with status {process.returncode}")
    return json.loads(text)[figure]


def inputs_of(model):
    """Files input_<k>_<name>.npy beside the model, or random numbers."""
    folder = os.path.dirname(os.path.abspath(model))
    files = sorted((f for f in os.listdir(folder) if f.startswith("input_") and f.endswith(".npy")),
                   key=lambda f: int(f.split("_")[1]))
    return [f"{f.split('_', 2)[2][:-4]}={os.path.join(folder, f)}" for f in files] or ["random"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nnefrun")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--cores", type=lambda text: [int(c) for c in text.split(",")], default=[0, 1])
    parser.add_argument("--fastest", action="store_true")
    options = parser.parse_args()
    figure = "min_ns" if options.fastest else "median_ns"
    count = len(options.cores)
    best = {}
    for number in range(options.rounds):
        print(f"round {number + 1}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        for model in options.models:
            inputs = inputs_of(model)

            def run(cores, threads):
                return start(options.nnefrun, model, inputs, cores, threads, options.seconds)
            one = 1e9 / nanoseconds(run(options.cores[:1], 1), figure)
            twins = [run([core], 1) for core in options.cores]
            twin = sum(1e9 / nanoseconds(process, figure) for process in twins)
            many = 1e9 / nanoseconds(run(options.cores, count), figure)
            best[model] = [max(a, b) for a, b in zip(best.get(model, [0, 0, 0]), [one, twin, many])]
    print(f"| network | 1 thread, ms | {count} threads, ms | speed-up | ceiling | share of it |\n|---|---|---|---|---|---|")
    for model, (one, twin, many) in best.items():
        name = os.path.basename(os.path.dirname(os.path.abspath(model)))
        print(f"| {name} | {1e3 / one:.2f} | {1e3 / many:.2f} | {many / one:.2f} | {twin / one:.2f} | {many / twin:.2f} |")


main()
