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

--peers onnxruntime,openvino,ncnn measures those engines in the same rounds and in the same way (threads_peer.py, run by
this Python), each against its own ceiling.
"""
import argparse
import itertools
import json
import os
import subprocess
import sys


def our_command(options, model, threads):
    command = [options.nnefrun, "bench", model, "--json", "--threads", str(threads), "--min-time", str(options.seconds),
               "--warmup", str(options.seconds / 4)]
    for name, file in input_files(model) or [(None, "random")]:
        command += ["--input", file if name is None else f"{name}={file}"]
    return command


def peer_command(engine, options, model, threads):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "threads_peer.py")
    return [sys.executable, script, engine, model, str(threads), str(options.seconds)]


def start(command, cores):
    return subprocess.Popen(["taskset", "-c", ",".join(map(str, cores))] + command, stdout=subprocess.PIPE)


def nanoseconds(process, figure):
    text = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"a run failed with status {process.returncode}")
    return json.loads(text)[figure]


def input_files(model):
    """(name, path) of the files input_<k>_<name>.npy beside the model."""
    folder = os.path.dirname(os.path.abspath(model))
    files = sorted((f for f in os.listdir(folder) if f.startswith("input_") and f.endswith(".npy")),
                   key=lambda f: int(f.split("_")[1]))
    return [(f.split("_", 2)[2][:-4], os.path.join(folder, f)) for f in files]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nnefrun")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--cores", type=lambda text: [int(c) for c in text.split(",")], default=[0, 1])
    parser.add_argument("--fastest", action="store_true")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    figure = "min_ns" if options.fastest else "median_ns"
    count = len(options.cores)
    best = {}
    for number in range(options.rounds):
        print(f"round {number + 1}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        for model, engine in itertools.product(options.models, ["nnefrun"] + options.peers):
            def run(cores, threads):
                ours = engine == "nnefrun"
                return start(our_command(options, model, threads) if ours else
                             peer_command(engine, options, model, threads), cores)
            one = 1e9 / nanoseconds(run(options.cores[:1], 1), figure)
            twins = [run([core], 1) for core in options.cores]
            twin = sum(1e9 / nanoseconds(process, figure) for process in twins)
            many = 1e9 / nanoseconds(run(options.cores, count), figure)
            key = (model, engine)
            best[key] = [max(a, b) for a, b in zip(best.get(key, [0, 0, 0]), [one, twin, many])]
    print(f"| network | engine | 1 thread, ms | {count} threads, ms | speed-up | ceiling | share of it |")
    print("|---|---|---|---|---|---|---|")
    for (model, engine), (one, twin, many) in best.items():
        name = os.path.basename(os.path.dirname(os.path.abspath(model)))
        print(f"| {name} | {engine} | {1e3 / one:.2f} | {1e3 / many:.2f} | {many / one:.2f} | {twin / one:.2f} | "
              f"{many / twin:.2f} |")


if __name__ == "__main__":
    main()
