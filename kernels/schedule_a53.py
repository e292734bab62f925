#!/usr/bin/env python3
"""Orders the inner loops of the Cortex-A53 kernels and writes them as inline assembly, one line for each cycle.

    schedule_a53.py            writes kernels/*/neon_a53_loops.inc
    schedule_a53.py --check    fails when these files differ from what would be written

docs/cortex-a53.md explains the machine's rules and draws a loop. In short: one 128-bit FMLA a cycle; four cycles after an
FMLA no vector register may be loaded or inserted into; a 128-bit load is done as `ldr d` + `ins`, which share a cycle
without an FMLA (a hole), and `ldr x`, which goes beside an FMLA. So the holes stand four cycles apart.

A loop is a ring of cycles. Of all patterns of holes the shortest one is taken for which an order of the FMLAs exists that
respects all latencies and the number of registers; the search is seeded, so that the files are reproducible. Loads run
ahead of their FMLAs; where the ring is cut open, what belongs to an earlier or later turn becomes the text before and
after the loop, so that nothing is read beyond the operands.
"""

import argparse
import collections
import math
import pathlib
import random
import re
import sys

import schedule_a53_int8
import schedule_a53_q40

FMA_CHAIN = 4        # cycles from an accumulator to itself
AFTER_VECTOR = 3     # ldr d to a reader
AFTER_INSERT = 2     # ins to a reader
AFTER_GENERAL = 3    # ldr x to ins
ADDER = 4            # an FMLA holds the adder this long after its issue
AFTER_ADDRESS = 2    # add to an address
OPERANDS = [f"v{i}" for i in range(31, 15, -1)]
GENERALS = [f"x{i}" for i in range(9, 15)]
POINTERS = ["x15", "x16", "x17"] + [f"x{i}" for i in range(8, 0, -1)]      # x18 belongs to the platform


class Load:
    """One operand register: `width` 16 (ldr d, ldr x, ins), 8 (ldr d) or 4 (ldr s) bytes at [pointer, offset]."""

    def __init__(self, pointer, offset, width):
        self.pointer, self.offset, self.width = pointer, offset, width


class Fma:
    """acc += vector * lanes[lane], all of lanes when lane is None. vector and lanes are indices of loads."""

    def __init__(self, acc, vector, lanes, lane):
        self.acc, self.vector, self.lanes, self.lane = acc, vector, lanes, lane


class Work:
    """One turn of a loop.

    order(rng): its loads and FMLAs, in a random permissible order
    accumulators: how many; they are the first operands of the asm statement
    pointers: name -> what it advances by in one turn, an immediate, "far" (a register) or "table" (the next entry of
              the table that the pointer "table" walks along)
    setup: instructions before the first load; they may name pointers, "far" and the inputs of the asm statement
    """

    def __init__(self, order, accumulators, pointers, setup, prefetches=()):
        self.order, self.accumulators, self.pointers, self.setup, self.prefetches = \
            order, accumulators, pointers, setup, prefetches
        self.steps = ["table", "delta"] if "table" in pointers.values() else ["far"]     # registers that pointers need
        self.registers = min(16, 32 - accumulators)
        loads, fmas = order(random.Random(0))
        self.loads, self.fmas = len(loads), len(fmas)


def hole_patterns(length, holes):
    """Sets of cycles without FMLA. Orbits of +4 on the ring: whole ones waste nothing, a part wastes its first hole."""
    together = math.gcd(ADDER, length)
    orbit = length // together
    whole, rest = divmod(holes, orbit)
    starts = [0, 2, 1, 3]
    if whole > together or (whole == together and rest):
        return
    chosen = set()
    for start in starts[:whole] if together > 1 or whole == 0 else [0]:
        chosen |= {(start + ADDER * i) % length for i in range(orbit)}
    if not rest:
        yield chosen
        return
    for start in range(length):
        part = {(start + ADDER * i) % length for i in range(rest)}
        if not part & chosen and len(part) == rest:
            yield chosen | part
            if not whole:
                return      # the ring may be turned


class Order:
    """Vector loads, inserts and FMLAs of one turn, each in its cycle (those of the next turns are `length` later)."""


def color(arcs, length, registers, rng):
    """Registers for arcs [start, end] on the ring, or None."""
    clash = [[((b0 - a0) % length <= a1 - a0) or ((a0 - b0) % length <= b1 - b0) for b0, b1 in arcs] for a0, a1 in arcs]
    for _ in range(30):
        first = rng.randrange(length)
        names = {}
        for i in sorted(range(len(arcs)), key=lambda i: (arcs[i][0] - first) % length):
            free = [r for r in range(registers) if not any(names.get(j) == r for j in range(len(arcs)) if j != i and clash[i][j])]
            if not free:
                break
            # the one that has been idle shortest leaves the others for longer arcs
            names[i] = free[0] if rng.random() < 0.5 else rng.choice(free)
        else:
            return names
    return None


def attempt(work, length, holes, rng):
    loads, fmas = work.order(rng)
    usable = sorted(h for h in holes if (h - ADDER) % length in holes)
    if len(usable) < len(loads):
        return None
    slots = [c for c in range(length) if c not in holes]
    turn = rng.randrange(len(usable))
    picked = sorted(rng.sample(range(len(usable)), len(loads))) if len(usable) > len(loads) else list(range(len(loads)))
    hole_at = lambda n: usable[n % len(usable)] + n // len(usable) * length
    low = [hole_at(turn + p) for p in picked]                 # cycles of ldr d
    insert = [None] * len(loads)
    carried = collections.Counter(t % length for t in low)    # a hole holds two of ldr d and ins
    for i, load in enumerate(loads):
        if load.width < 16:
            continue
        n = turn + picked[i] + 1
        while carried[hole_at(n) % length] >= 2:
            n += 1
            if n > turn + picked[i] + len(usable):
                return None
        insert[i] = hole_at(n)
        carried[insert[i] % length] += 1
    ready = [low[i] + AFTER_VECTOR if insert[i] is None else insert[i] + AFTER_INSERT for i in range(len(loads))]
    # the earliest place on the ring at which all FMLAs, in this order, find their operands
    slot_at = lambda n: slots[n % len(slots)] + n // len(slots) * length
    def index_from(t):
        turns, rest = divmod(t, length)
        n = next((i for i, s in enumerate(slots) if s >= rest), len(slots))
        return turns * len(slots) + n
    phase = max(index_from(max(ready[f.vector], ready[f.lanes])) - i for i, f in enumerate(fmas))
    at = [slot_at(phase + i) for i in range(len(fmas))]
    seen = {}
    for i, f in enumerate(fmas):
        if f.acc in seen and at[i] - seen[f.acc] < FMA_CHAIN:
            return None
        seen[f.acc] = at[i]
    for i, f in enumerate(fmas):
        if f.acc in seen and at[i] + length - seen[f.acc] < FMA_CHAIN:
            return None
        seen.pop(f.acc, None)
    last = [0] * len(loads)
    for i, f in enumerate(fmas):
        for operand in (f.vector, f.lanes):
            last[operand] = max(last[operand], at[i])
    if any(last[i] - low[i] >= length for i in range(len(loads))):
        return None
    names = color([(low[i], last[i]) for i in range(len(loads))], length, work.registers, rng)
    if names is None:
        return None
    order = Order()
    order.length, order.holes, order.loads, order.fmas = length, holes, loads, fmas
    order.low, order.insert, order.at = low, insert, at
    order.vector = [OPERANDS[names[i]] for i in range(len(loads))]
    return order


class Fitter:
    """Scalar instructions into the free second slots beside FMLAs, and into holes that carry no vector load."""

    def __init__(self, order):
        self.length = order.length
        self.free, self.memory = {}, set()
        for c in range(order.length):
            self.free[c] = 2 if c in order.holes else 1
        for t in order.low:
            self.free[t % order.length] -= 1
            self.memory.add(t % order.length)
        for t in order.insert:
            if t is not None:
                self.free[t % order.length] -= 1

    def fits(self, t, memory=False):
        c = t % self.length
        return self.free[c] > 0 and not (memory and c in self.memory)

    def take(self, t, memory=False):
        self.free[t % self.length] -= 1
        if memory:
            self.memory.add(t % self.length)


def fit(work, order, cut):
    """All operations of one turn as (cycle, rank, text); None when something finds no place."""
    length = order.length
    fitter = Fitter(order)
    if cut % length in order.holes or not fitter.fits(cut):
        return None
    fitter.take(cut)                                  # the branch, in the last cycle
    ops = []
    uses = {p: [] for p in work.pointers}
    busy = {}                                         # general register -> intervals on the ring
    for i, load in enumerate(order.loads):
        uses[load.pointer].append(order.low[i])
        kind = {16: "d", 8: "d", 4: "s"}[load.width]
        ops.append((order.low[i], 0, f"ldr {kind}{order.vector[i][1:]}, [{{{load.pointer}}}, #{load.offset}]"))
        if load.width < 16:
            continue
        for t in range(order.insert[i] - AFTER_GENERAL, order.insert[i] - AFTER_GENERAL - length + 4, -1):
            if not fitter.fits(t, True):
                continue
            span = {c % length for c in range(t, order.insert[i] + 1)}
            name = next((g for g in GENERALS if not busy.get(g, set()) & span), None)
            if name is not None:
                break
        else:
            return None
        fitter.take(t, True)
        busy.setdefault(name, set()).update(span)
        uses[load.pointer].append(t)
        ops.append((t, 1, f"ldr {name}, [{{{load.pointer}}}, #{load.offset + 8}]"))
        ops.append((order.insert[i], 1, f"ins {order.vector[i]}.d[1], {name}"))
    for i, f in enumerate(order.fmas):
        lanes = "4s" if f.lane is None else f"s[{f.lane}]"
        ops.append((order.at[i], 0, f"fmla %{f.acc}.4s, {order.vector[f.vector]}.4s, {order.vector[f.lanes]}.{lanes}"))
    for pointer, stride in work.pointers.items():
        if not uses[pointer]:
            continue
        for t in range(max(uses[pointer]) + 1, min(uses[pointer]) + length - AFTER_ADDRESS + 1):
            if fitter.fits(t):
                break
        else:
            return None
        fitter.take(t)
        step = {"far": "{far}", "table": "{delta}"}.get(stride, stride)
        ops.append((t, 1, f"add {{{pointer}}}, {{{pointer}}}, {step}"))
        if stride == "table":
            for before in range(t - AFTER_GENERAL, t - length + 1, -1):
                if fitter.fits(before, True):
                    break
            else:
                return None
            fitter.take(before, True)
            ops.append((before, 1, "ldr {delta}, [{table}], #8"))
    for t in range(cut - 1, cut - length, -1):
        if fitter.fits(t):
            break
    else:
        return None
    fitter.take(t)
    control = (t, 1, "subs {count}, {count}, #1")
    extra = []
    for pointer, offset in work.prefetches:
        # after the pointer has moved or before: a line earlier or later does not matter
        t = next((t for t in range(length) if fitter.fits(t, True) and t not in order.holes), None)
        if t is None:
            continue
        fitter.take(t, True)
        extra.append((t, 1, f"prfm pldl1keep, [{{{pointer}}}, #{offset}]"))
    return ops, control, extra


def emit(work, order, ops, control, extra, cut):
    """Lines before, in and after the loop, each line one cycle; and the least number of turns."""
    length = order.length
    begin = min(t for t, *_ in ops)
    base = cut + 1
    while base > begin:
        base -= length
    while base + length <= begin:
        base += length
    stage = lambda t: (t - base) // length
    stages = max(stage(t) for t, *_ in ops)
    def body(wanted, loop):
        rows = {}
        for t, rank, text in ops:
            if wanted(stage(t)):
                rows.setdefault((t - base) % length, []).append((rank, text))
        if loop:
            for t, rank, text in [control] + extra:
                rows.setdefault((t - base) % length, []).append((rank, text))
            rows.setdefault(length - 1, []).append((2, "b.ne 1b"))
        lines = []
        for c in range(length):
            texts = [text for rank, text in sorted(rows.get(c, []), key=lambda r: r[0])]
            if loop:
                following = sorted(rows.get((c + 1) % length, []), key=lambda r: r[0])
                while len(texts) < 2 and (not texts or not following or pairs(texts[-1], following[0][1])):
                    texts.append("nop")
            if texts:
                lines.append(texts)
        return lines
    before = [line for turn in range(stages) for line in body(lambda s: s <= turn, False)]
    after = [line for turn in range(1, stages + 1) for line in body(lambda s: s >= turn, False)]
    return before, body(lambda s: True, True), after, stages


def pairs(old, new):
    """Whether the machine would issue `new` in the cycle of `old`, where the order wants it later."""
    wide = lambda text: text.startswith("fmla")
    vector_load = lambda text: text.startswith(("ldr d", "ldr s", "ldr q"))
    if wide(new):
        return False
    if wide(old) and vector_load(new):
        return False
    memory = ("ldr", "prfm", "str")
    return not (old.startswith(memory) and new.startswith(memory))


def solve(work, shortest=0, tries=4000, seed=1):
    """The shortest ring, and of the first orders found for it the one with the least text around the loop."""
    rng = random.Random(seed)
    for length in range(max(shortest, work.fmas + work.loads), 4 * (work.fmas + work.loads) + 9):
        best = None
        for pattern in hole_patterns(length, length - work.fmas):
            for _ in range(tries):
                order = attempt(work, length, pattern, rng)
                if order is None:
                    continue
                for cut in range(length):
                    fitted = fit(work, order, cut)
                    if fitted is None:
                        continue
                    text = emit(work, order, *fitted, cut)
                    cost = len(text[0]) + len(text[2])
                    if text[3] == 1 and (best is None or cost < best[0]):
                        best = (cost, text)
                if best is not None:
                    return best[1], length
    raise SystemExit("no order found")


# ---------------------------------------------------------------------------------------------------------------------
# The loops
# ---------------------------------------------------------------------------------------------------------------------

PANEL_ROWS = 8          # mr of the row in kernels/matmul/neon_a53.cpp
PANEL_COLUMNS = 12      # nr


def tile(rows, columns, unroll):
    """`rows` rows by `columns` vectors of a product: A packed in panels, B with any step. Lanes of A times vectors of B."""
    groups = (rows + 3) // 4

    def order(rng):
        loads, fmas = [], []
        for k in range(unroll):
            parts = [("a", g) for g in range(groups)] + [("b", v) for v in range(columns)]
            rng.shuffle(parts)
            index = {}
            for which, n in parts:
                index[which, n] = len(loads)
                left = rows - 4 * n
                loads.append(Load("a", (k * PANEL_ROWS + 4 * n) * 4, 16 if left > 2 else 8 if left == 2 else 4)
                             if which == "a" else Load(f"b{k}", 16 * n, 16))
            products = [(g, v) for g in range(groups) for v in range(columns)]
            rng.shuffle(products)
            if rng.random() < 0.5:
                products.sort(key=lambda p: max(index["a", p[0]], index["b", p[1]]))     # in the order of arrival
            for g, v in products:
                for r in range(4 * g, min(rows, 4 * g + 4)):
                    fmas.append(Fma(r * columns + v, index["b", v], index["a", g], r % 4))
        return loads, fmas

    pointers = {"a": f"#{unroll * PANEL_ROWS * 4}"} | {f"b{k}": "far" for k in range(unroll)}
    setup = ["mov {a}, {A}", "mov {b0}, {B}"] + [f"add {{b{k}}}, {{b{k - 1}}}, {{STEP}}" for k in range(1, unroll)]
    return Work(order, rows * columns, pointers, setup + times("STEP", unroll), [("a", 384), ("b0", 384)])


def times(name, factor):
    """far = name * factor"""
    if factor == 3:
        return [f"add {{far}}, {{{name}}}, {{{name}}}, lsl #1"]
    return [f"lsl {{far}}, {{{name}}}, #{factor.bit_length() - 1}"]


def thin(rows, columns, panels=0, unroll=1):
    """`rows` rows of x, contiguous along p, times `columns` vectors of W; four steps of p, times unroll, in a turn.

    panels 0: W is read in place, rows apart by STEP. Else that many panels, apart by STEP, of columns / panels vectors.
    """
    width = columns // max(1, panels)

    def order(rng):
        loads, fmas = [], []
        places = list(range(columns))
        rng.shuffle(places)     # once: few accumulators must come round evenly
        for p in range(4 * unroll):
            if p % 2 == 0:      # two steps of x at a time: four would live longer than a turn
                x = [len(loads) + i for i in range(rows)]
                loads += [Load(f"x{i}", 4 * p, 8) for i in range(rows)]
            products = []
            for v in places:
                products += [(v, i, len(loads)) for i in range(rows)]
                loads.append(Load(f"w{v // width}", (p * width + v % width) * 16, 16) if panels else
                             Load(f"w{p}", 16 * v, 16))
            fmas += [Fma(i * columns + v, w, x[i], p % 2) for v, i, w in products]
        return loads, fmas

    pointers = {f"x{i}": f"#{16 * unroll}" for i in range(rows)}
    setup = ["mov {x0}, {X}"] + [f"add {{x{i}}}, {{x{i - 1}}}, {{XSTEP}}" for i in range(1, rows)] + ["mov {w0}, {W}"]
    if panels:
        pointers |= {f"w{i}": f"#{width * 64 * unroll}" for i in range(panels)}
        setup += [f"add {{w{i}}}, {{w{i - 1}}}, {{STEP}}" for i in range(1, panels)]
        prefetches = [("w0", 512), ("w0", 576), ("w0", 640)][:width] * unroll if panels == 1 else \
            [(f"w{i}", 512 + 64 * j) for i in range(panels) for j in range(width)]
    else:
        pointers |= {f"w{p}": "far" for p in range(4 * unroll)}
        setup += [f"add {{w{p}}}, {{w{p - 1}}}, {{STEP}}" for p in range(1, 4 * unroll)] + times("STEP", 4 * unroll)
        prefetches = []
    return Work(order, rows * columns, pointers, setup, prefetches)


def dot(rows, columns, unroll):
    """`rows` rows of A against `columns` rows of B, both contiguous along p: lanes hold partial sums."""

    def order(rng):
        loads, fmas = [], []
        for q in range(unroll):
            a = [len(loads) + i for i in range(rows)]
            loads += [Load(f"a{i}", 16 * q, 16) for i in range(rows)]
            for j in range(columns):
                fmas += [Fma(i * columns + j, len(loads), a[i], None) for i in range(rows)]
                loads.append(Load(f"b{j}", 16 * q, 16))
        return loads, fmas

    pointers = {f"a{i}": f"#{16 * unroll}" for i in range(rows)} | {f"b{j}": f"#{16 * unroll}" for j in range(columns)}
    setup = ["mov {a0}, {A}"] + [f"add {{a{i}}}, {{a{i - 1}}}, {{ASTEP}}" for i in range(1, rows)]
    setup += ["mov {b0}, {B}"] + [f"add {{b{j}}}, {{b{j - 1}}}, {{BSTEP}}" for j in range(1, columns)]
    return Work(order, rows * columns, pointers, setup, [(f"b{j}", 256) for j in range(columns)])


def positions(rows, columns, step):
    """One channel block of `rows` positions, `step` items apart, times `columns` blocks of weights, which lie one after the
    other. From turn to turn x moves by the entries of a table."""

    def order(rng):
        loads, fmas, index = [], [], {}
        places = list(range(rows))
        if rng.random() < 0.5:
            rng.shuffle(places)
        first = {}
        for lane in range(4):
            for r in places:
                for v in range(columns):
                    for part in (("w", lane, v), ("x", r, 0)):
                        first.setdefault(part, len(first))
                    fmas.append((("w", lane, v), ("x", r, 0), r * columns + v, lane))
        jitter = rng.choice((0, 1, 3))
        for part in sorted(first, key=lambda p: first[p] + rng.random() * jitter):
            which, n, v = part
            index[part] = len(loads)
            loads.append(Load("x", n * step * 4, 16) if which == "x" else Load("w", (n * columns + v) * 16, 16))
        return loads, [Fma(acc, index[w], index[x], lane) for w, x, acc, lane in fmas]

    pointers = {"x": "table", "w": f"#{columns * 64}"}
    setup = ["mov {x}, {X}", "mov {w}, {W}", "mov {table}, {TABLE}"]
    return Work(order, rows * columns, pointers, setup, [("w", 256 + 64 * j) for j in range(columns)])


def filter_row(taps, stride, positions):
    """One row of a depthwise filter for `positions` neighbouring positions of a channel block: vectors times vectors."""
    columns = (positions - 1) * stride + taps

    def order(rng):
        # from position to position or from weight to weight; a sum rests for three FMLAs
        by_weight, jitter = rng.uniform(0.3, 2.5), rng.choice((0, 0.5, 1))
        left = {(r, k): r + k * by_weight + rng.random() * jitter for r in range(positions) for k in range(taps)}
        products = []
        while left:
            resting = [r for r, _ in products[1 - FMA_CHAIN:]]
            products.append(min([p for p in left if p[0] not in resting] or left, key=left.get))
            del left[products[-1]]
        first = {}
        for i, (r, k) in enumerate(products):
            for part in (("w", k), ("x", r * stride + k)):
                first.setdefault(part, i + rng.random() * jitter)
        parts = sorted(first, key=first.get)
        loads = [Load(which, 16 * n, 16) for which, n in parts]
        index = {part: i for i, part in enumerate(parts)}
        return loads, [Fma(r, index["x", r * stride + k], index["w", k], None) for r, k in products]

    setup = ["mov {x}, {X}", "mov {w}, {W}", "mov {far}, {STEP}"]
    return Work(order, positions, {"x": "far", "w": f"#{16 * taps}"}, setup)


# C++ name, arguments of the function, how many steps of p a turn has, loop, length of the ring. The length is the shortest
# for which an order was found; it only saves the search among shorter ones.
TILE = "const float* a, const float* b, int64_t step, int64_t turns"
THIN = "const float* x, int64_t x_step, const float* w, int64_t step, int64_t turns"
DOT = "const float* a, int64_t a_step, const float* b, int64_t b_step, int64_t turns"
POSITIONS = "const float* x, const int64_t* table, const float* w, int64_t turns"
FILTER_ROW = "const float* x, int64_t step, const float* w, int64_t turns"
INPUTS = {FILTER_ROW: "x step w turns", POSITIONS: "x table w turns", TILE: "a b step turns", THIN: "x x_step w step turns", DOT: "a a_step b b_step turns"}
MATMUL = [(f"TileLoop<{r}, {c}>", TILE, u, tile(r, c, u), length) for r, c, u, length in (
    (1, 3, 4, 30), (2, 3, 2, 21), (3, 3, 2, 27), (4, 3, 2, 32), (5, 3, 2, 40), (6, 3, 2, 47), (7, 3, 2, 53), (8, 3, 2, 59),
    (1, 2, 4, 22), (2, 2, 4, 29), (3, 2, 2, 19), (4, 2, 2, 23), (5, 2, 2, 29), (6, 2, 2, 32), (7, 2, 2, 37), (8, 2, 2, 41),
    (2, 1, 4, 16), (4, 1, 4, 25), (8, 1, 2, 23))]
MATMUL += [("PanelLoop<1>", THIN, 4, thin(1, 3, 1), 28), ("PanelLoop<2>", THIN, 4, thin(1, 4, 2), 36)]
MATMUL += [(f"RowLoop<{r}>", THIN, 4, thin(r, 4), length) for r, length in ((1, 37), (2, 53), (3, 71), (4, 89), (5, 107))]
MATMUL += [("DotLoop<1, 8>", DOT, 16, dot(1, 8, 4), 76), ("DotLoop<2, 4>", DOT, 8, dot(2, 4, 2), 30)]
BLOCKED = [(f"PositionLoop<{r}, {c}, {step}>", POSITIONS, 4, positions(r, c, step), length) for r, c, length in (
    (8, 2, 81), (7, 2, 76), (6, 2, 66), (5, 2, 56), (4, 2, 45), (8, 1, 48)) for step in (4, 8)]
BLOCKED += [(f"FilterRowLoop<{taps}, {stride}, {p}>", FILTER_ROW, 1, filter_row(taps, stride, p), length)
            for taps, stride, lengths in ((3, 1, (38, 34, 30, 26, 22)), (3, 2, (45, 40, 35, 31, 26)),
                                          (5, 1, (58, 52, 46, 40, 34)), (5, 2, (66, 58, 51, 44, 37)))
            for p, length in zip((8, 7, 6, 5, 4), lengths)]
FILES = {"matmul": MATMUL, "blocked": BLOCKED}


def written(loops):
    out = ["// Written by kernels/schedule_a53.py, which says how; each line is one cycle of a Cortex-A53. docs/cortex-a53.md",
           "// explains it. The arguments are pointers, steps in bytes, and the number of turns, at least 2.", "// clang-format off", ""]
    for name, arguments, steps, work, length in loops:
        (before, body, after, _), length = solve(work, length)
        inputs = {n.replace("_", "").upper(): f"%{work.accumulators + i}" for i, n in enumerate(INPUTS[arguments].split())}
        names = dict(zip(dict.fromkeys([*work.pointers, *work.steps, "count"]), POINTERS))
        if len(names) > len(POINTERS):
            raise SystemExit(f"{name}: too many pointers")
        show = lambda line: '          "' + "; ".join(text.format(**names, **inputs) for text in line) + '\\n"'
        clear = [f"movi %{i}.2d, #0" for i in range(work.accumulators)]
        out += [f"// {length} cycles for {work.fmas} FMLAs and {work.loads} loads: {length / work.fmas:.3f}",
                "template <>", f"struct {name} {{", f"  static constexpr int kSteps = {steps};",
                f"  static NNEFRUN_INLINE void run(V (&c)[{work.accumulators}], {arguments}) {{", "    __asm__ volatile("]
        out += [show(clear[i:i + 4]) for i in range(0, len(clear), 4)]
        out += [show([text]) for text in work.setup] + [show(["sub {count}, {TURNS}, #1"])]
        out += [show(line) for line in before] + ['          ".p2align 4\\n"', '          "1:\\n"'] + [show(line) for line in body]
        out += [show(line) for line in after]
        clobbers = sorted({w for line in before + body + after for t in line for w in re.findall(r"\b[vx]\d+\b", t)} |
                          {"v" + w for line in body for t in line for w in re.findall(r"\bd(\d+)\b", t)} |
                          set(names.values()), key=lambda r: (r[0], int(r[1:])))
        out += wrap("          : ", [f'"=&w"(c[{i}])' for i in range(work.accumulators)])
        out += wrap("          : ", [f'"r"({n})' for n in INPUTS[arguments].split()])
        out += wrap("          : ", [f'"{r}"' for r in clobbers] + ['"cc"', '"memory"'])
        out[-1] += ");"
        out += ["  }", "};", ""]
    return "\n".join(out + ["// clang-format on", ""])


def wrap(head, items):
    lines, line = [], head
    for i, item in enumerate(items):
        item += "," if i + 1 < len(items) else ""
        if len(line) + len(item) > 120:
            lines.append(line.rstrip())
            line = " " * len(head)
        line += item + " "
    return lines + [line.rstrip()]


def main():
    parser = argparse.ArgumentParser(description="Orders the inner loops of the Cortex-A53 kernels; see the top of the file")
    parser.add_argument("--check", action="store_true", help="only compare the files with what would be written")
    check = parser.parse_args().check
    different = []
    texts = {family: written(loops) for family, loops in FILES.items()}
    texts |= {"q40_q80": schedule_a53_q40.render(), "int8": schedule_a53_int8.render()}
    for family, text in texts.items():
        path = pathlib.Path(__file__).parent / family / "neon_a53_loops.inc"
        if check and path.read_text(encoding="utf-8") != text:
            different.append(str(path))
        elif not check:
            path.write_text(text, encoding="utf-8")
    if different:
        sys.exit("not what schedule_a53.py writes: " + " ".join(different))


if __name__ == "__main__":
    main()
