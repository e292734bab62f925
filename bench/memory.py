#!/usr/bin/env python3
"""What nnefrun holds at its peak, against what it must: python3 bench/memory.py NNEFRUN FOLDER...

Below the folders lie networks: model.nnef.tgz and input_<k>_<name>.npy each. Every one is loaded and run a few times by
`nnefrun bench` in a process of its own. The limit of the peak (VmHWM) is 1.05 x (weights + arena) + 8 MB; that of the
packed weights 1.02 x the tensors of the archive as they are decoded in memory. MB are 1e6 bytes. A star marks what is
over a limit; weights of networks whose convolutions Winograd transforms may be, so they are weighed again without it.
Ends with status 1 when anything else is over.
"""
import argparse
import glob
import json
import os
import struct
import subprocess
import sys
import tarfile

PEAK_FACTOR, PEAK_ROOM, WEIGHT_FACTOR = 1.05, 8e6, 1.02


def inputs_of(folder):
    """Files input_<k>_<name>.npy in the order of k, or random numbers."""
    files = sorted(glob.glob(os.path.join(folder, "input_*.npy")), key=lambda f: int(os.path.basename(f).split("_")[1]))
    return [f"{os.path.basename(f).split('_', 2)[2][:-4]}={f}" for f in files] or ["random"]


def decoded_bytes(model):
    """Bytes of the tensors of an archive: what follows the 128 bytes of each header, whose second word says how many."""
    total = 0
    with tarfile.open(model) as archive:
        for member in archive:
            if member.name.endswith(".dat"):
                total += struct.unpack("<I", archive.extractfile(member).read(12)[4:8])[0]
    return total


def bench(options, folder, *more):
    command = [options.nnefrun, "bench", os.path.join(folder, "model.nnef.tgz"), "--json", "--min-time", "0.05", "--warmup", "0"]
    for value in inputs_of(folder):
        command += ["--input", value]
    done = subprocess.run(command + list(more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[:1]


def networks(folders):
    for folder in folders:
        found = [path for path, _, files in os.walk(folder, followlinks=True) if "model.nnef.tgz" in files]
        for path in sorted(found):
            yield os.path.relpath(path, folder) if path != folder else os.path.basename(path), path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nnefrun")
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    over = []
    print("| network | tensors | weights | arena | peak | limit | peak / limit |\n|---|---|---|---|---|---|---|", flush=True)
    for name, folder in networks(options.folders):
        report = bench(options, folder)
        if not isinstance(report, dict):
            print(f"| {name} | fails: {report} | | | | | |", flush=True)
            over.append(name)
            continue
        tensors = decoded_bytes(os.path.join(folder, "model.nnef.tgz"))
        weights, arena, peak = (report[f"{key}_bytes"] for key in ("weight", "arena", "peak_rss"))
        limit = PEAK_FACTOR * (weights + arena) + PEAK_ROOM
        heavy, mark = weights > WEIGHT_FACTOR * tensors, ""
        if heavy:
            plain = bench(options, folder, "--winograd", "off")
            is_winograd = isinstance(plain, dict) and plain["weight_bytes"] <= WEIGHT_FACTOR * tensors
            mark = " (Winograd)" if is_winograd else " *"
        if peak > limit or mark == " *":
            over.append(name)
        print(f"| {name} | {tensors / 1e6:.2f} | {weights / 1e6:.2f}{mark} | {arena / 1e6:.2f} | {peak / 1e6:.1f} "
              f"| {limit / 1e6:.1f} | {peak / limit:.3f}{' *' if peak > limit else ''} |", flush=True)
    if over:
        sys.exit("over a limit: " + ", ".join(over))


main()
