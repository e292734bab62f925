#!/usr/bin/env python3
"""Cycles per multiply-accumulate (of four items; of 16 in integer loops) of the inner loops in the built NEON objects, by an issue model of the Cortex-A53.

    bench/a53_table.py --model a53_model.py                     prints the table
    bench/a53_table.py --model a53_model.py --check             fails where a loop is worse than bench/a53_baseline.txt
    bench/a53_table.py --model a53_model.py --write-baseline    stores the table as the new baseline

The model is a script that is not part of this repository (NNEFRUN_A53_MODEL may name it too); it is called as
`a53_model.py LOOP.s --json` and answers with `fmla` and `cycles_per_fmla`. Without it there is nothing to print, and the
script says so. Loops without any jump but their last are judged: those are the ones that run often. The objects come from `cmake --preset aarch64-cross`; docs/cortex-a53.md
tells what the figures mean. Beside each of them stands the figure of llvm-mca where that is installed; it knows less of this
core, so it is shown and not judged.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench" / "a53_baseline.txt"
LEAST_FMLAS = 4
COMPILED_TOLERANCE = 1.03     # another compiler orders the plain loops a little differently; assembly stays as it is

Loop = collections.namedtuple("Loop", "name text")
FAMILIES = ("matmul", "conv", "blocked", "q40_q80", "int8")
NOT_SHOWN = r"activate_row|true>"      # activations; tiles whose last vector is cut off, a column of panels at most
BRANCH = r"(b|b\.\w+|bl|blr|br|ret|cbn?z|tbn?z)(\s|$)"


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def tool(name):
    found = shutil.which(f"aarch64-linux-gnu-{name}")
    if found is None:
        sys.exit(f"a53_table.py: aarch64-linux-gnu-{name} is not installed (binutils-aarch64-linux-gnu)")
    return found


def short(name):
    name = re.sub(r"nnefrun::kernels::|\(anonymous namespace\)::|void |\[clone .*\]", "", name)
    return re.sub(r"\(.*", "", name).strip()


def loops_of(path):
    """Innermost loops with multiply-accumulates, function by function, in the order of their text."""
    plain = [line.split() for line in output(tool("nm"), path).splitlines()]
    clear = [line.split(maxsplit=2) for line in output(tool("nm"), "-C", path).splitlines()]
    names = {p[2]: short(c[2]) for p, c in zip(plain, clear) if len(p) == 3 and p[1] in "tT"}
    symbol, code = None, []
    for raw in output(tool("objdump"), "-d", "--no-show-raw-insn", path).splitlines() + ["0 <>:"]:
        head = re.match(r"[0-9a-f]+ <(.*)>:", raw)
        if head:
            if symbol in names:
                yield from innermost(names[symbol], code)
            symbol, code = head.group(1), []
            continue
        match = re.match(r"\s*([0-9a-f]+):\s+(.*)", raw)
        if match:
            code.append((match.group(1), re.sub(r"\s*(//|<).*", "", match.group(2)).strip()))


def innermost(name, code):
    at = {address: i for i, (address, _) in enumerate(code)}
    found = []
    for end, (_, text) in enumerate(code):
        match = re.match(r"(?:b\.\w+|cbn?z|tbn?z|b)\s.*?([0-9a-f]+)$", text)
        if not match or at.get(match.group(1), end) >= end:
            continue
        body = [t for _, t in code[at[match.group(1)]:end + 1]]
        if sum(t.startswith(("fmla", "smlal")) for t in body) >= LEAST_FMLAS and not any(re.match(BRANCH, t) for t in body[:-1]):
            found.append(body)
    for number, body in enumerate(found, 1):
        yield Loop(name + (f" #{number}" if len(found) > 1 else ""), body)


def mca_cycles(loop):
    """Cycles of one turn by llvm-mca; None without it."""
    program = shutil.which("llvm-mca") or shutil.which("llvm-mca-14")
    if program is None:
        return None
    done = subprocess.run([program, "-mtriple=aarch64-linux-gnu", "-mcpu=cortex-a53", "-iterations=100"], input="\n".join(loop.text[:-1]),
                          capture_output=True, text=True)
    match = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    return int(match.group(1)) / 100 if match else None


def measure(model, objects):
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "loop.s"
        for path in objects:
            for loop in loops_of(path):
                if re.search(NOT_SHOWN, loop.name):
                    continue
                jump = re.sub(r"[0-9a-f]+$", "1b", loop.text[-1])
                source.write_text("1:\n" + "\n".join(loop.text[:-1] + [jump]) + "\n", encoding="utf-8")
                answer = subprocess.run([sys.executable, model, source, "--json"], capture_output=True, text=True)
                name = f"{path.name.split('.')[0]} {path.parent.name} {loop.name}"
                if answer.returncode != 0:
                    print(f"NOT JUDGED: {name}: {answer.stderr.strip()}")
                    continue
                result = json.loads(answer.stdout)
                mca = mca_cycles(loop)
                if any(t.startswith(("smull", "smlal")) for t in loop.text):      # FMLAs only scale: count products, 16 a piece
                    units, cycles = result["macs"] / 16, result["cycles_per_16_macs"]
                else:
                    units, cycles = result["fmla"], result["cycles_per_fmla"]
                rows[name] = units, cycles, mca / units if mca else None
    return rows


def main():
    parser = argparse.ArgumentParser(description="Table of the NEON loops in an issue model of the Cortex-A53; see the top of the file")
    parser.add_argument("--model", default=os.environ.get("NNEFRUN_A53_MODEL"), help="path of the model script")
    parser.add_argument("--build", default=ROOT / "build" / "aarch64-cross", help="build folder of the preset aarch64-cross")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write-baseline", action="store_true")
    arguments = parser.parse_args()
    if not arguments.model or not pathlib.Path(arguments.model).is_file():
        print(f"NOT RUN: the issue model of the Cortex-A53 is missing ({arguments.model or 'give --model or NNEFRUN_A53_MODEL'})")
        return
    objects = sorted(p for p in pathlib.Path(arguments.build).glob("kernels/**/*.o") if p.name.startswith("neon") and p.parent.name in FAMILIES)
    if not objects:
        sys.exit(f"a53_table.py: no NEON objects below {arguments.build}; build the preset aarch64-cross first")
    rows = measure(arguments.model, objects)
    print(f"{'loop (integer products: 16 of them instead of an FMLA)':64s} {'FMLAs':>6s} {'cycles/FMLA':>12s} {'llvm-mca':>9s}")
    for name, (fmla, cycles, mca) in rows.items():
        print(f"{name:64s} {fmla:6g} {cycles:12.3f} {f'{mca:9.3f}' if mca else '':>9s}")
    if arguments.write_baseline:
        lines = [f"{cycles:.3f} {name}" for name, (_, cycles, _) in rows.items()]
        BASELINE.write_text("# Cycles per FMLA in the issue model; written by bench/a53_table.py --write-baseline\n" +
                            "\n".join(lines) + "\n", encoding="utf-8")
    if arguments.check:
        known = [line.split(maxsplit=1) for line in BASELINE.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
        worse = []
        for figure, name in known:
            assembly = name.startswith("neon_a53 ")
            if name not in rows:
                # compiled loops come and go with the code around them; assembly does not
                (worse.append if assembly else print)(f"{name}: gone (was {figure})")
                continue
            tolerance = 1 if assembly else COMPILED_TOLERANCE
            if rows[name][1] > float(figure) * tolerance + 0.0006:
                worse.append(f"{name}: {rows[name][1]:.3f}, was {figure}")
        print("\n".join(["worse than the baseline:"] + worse) if worse else f"{len(known)} loops are not worse than the baseline")
        if worse:
            sys.exit(1)


if __name__ == "__main__":
    main()
