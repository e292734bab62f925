"""Inner loops of the Cortex-A53 for products of Q4_0 weights with 8-bit activations: kernels/q40_q80/neon_a53_loops.inc.

A loop takes one block of 32 depths a turn: eight rows of weights against four rows of activations, or against one. Codes
are multiplied as they are, 0 to 15, by `smull`/`smlal` into 16 bits: four products a lane (at most 4 * 15 * 127), then a
tree of `addp` over four sums (16 products, 30480), one `saddlp`, minus eight times the sum of the activations, `scvtf`,
and the two scales. Every 128-bit operation takes a cycle, so the order is written down by hand, one row of weights after
the other with the end of the row before spread between its products: no result is waited for. Loads are `ldr d` in a cycle of
their own, with `ins` of the load before, and `ldr x` beside a 128-bit operation that was there anyway. Nothing but a
product may stand four cycles after an `fmla` (its sum is in the adder then).

Layout of a block of weights: eight scales (f16), then 16 bytes for each row: byte i holds depth i low, 16 + i high.
Of activations: four rows of 32 codes, four scales, four sums times -8 (160 bytes); or one row, four times its scale,
four times its sum (64 bytes).
"""

GENERALS = ["x8", "x9", "x10", "x11", "x12", "x13", "x14"]
W, X, COUNT = "x15", "x16", "x17"
BLOCK = 8 * 18


class Turn:
    """Lines of one turn, a cycle each, in order; loads are given as what they bring."""

    def __init__(self, steps):
        self.steps, self.lines = steps, []      # pointer -> bytes it moves by in one turn

    def q(self, text):
        self.lines.append([text])

    def load(self, register, pointer, offset):
        self.lines.append([("load", register, pointer, offset)])

    def finish(self):
        """Places `ldr x` and `ins`, the pointers and the branch. Returns the lines and what the first turn finds loaded."""
        count = len(self.lines)
        loads = [i for i, line in enumerate(self.lines) if isinstance(line[0], tuple)]
        taken = {count - 1}      # the branch
        before = []
        for k, i in enumerate(loads):
            _, register, pointer, offset = self.lines[i][0]
            name = GENERALS[k % len(GENERALS)]
            at = loads[k + 1] if k + 1 < len(loads) else loads[0] + count
            beside = at - 3
            while beside % count in taken or isinstance(self.lines[beside % count][0], tuple):
                beside -= 1
            taken.add(beside % count)
            upper = offset + 8 - beside // count * self.steps[pointer]     # seen from the turn in which it stands
            self.lines[beside % count].append(("load", name, pointer, upper))
            if at >= count or beside < 0:      # the first turn inserts what was loaded before it
                before.append(f"ldr {name}, [{pointer}, #{offset + 8 - at // count * self.steps[pointer]}]")
            self.lines[at % count].append(f"ins {register}.d[1], {name}")
        free = [i for i in range(count - 1) if i not in taken and not isinstance(self.lines[i][0], tuple)]
        moved = {}
        for (pointer, step), i in zip(self.steps.items(), free[-1 - len(self.steps):-1]):
            self.lines[i].append(f"add {pointer}, {pointer}, #{step}")
            moved[pointer] = i
        self.lines[free[-1]].append(f"subs {COUNT}, {COUNT}, #1")
        assert len(self.lines[-1]) == 1
        self.lines[-1].append("b.ne 1b")
        text = []
        for i, line in enumerate(self.lines):
            parts = []
            for part in line:
                if isinstance(part, tuple):
                    _, register, pointer, offset = part
                    register = "d" + register[1:] if register[0] == "v" else register
                    part = f"ldr {register}, [{pointer}, #{offset - (self.steps[pointer] if i > moved[pointer] else 0)}]"
                parts.append(part)
            text.append(parts)
        return text, before


def products(c, low, high, xa, xb):
    return [f"smull {c}.8h, {low}.8b, {xa}.8b", f"smlal2 {c}.8h, {low}.16b, {xa}.16b",
            f"smlal {c}.8h, {high}.8b, {xb}.8b", f"smlal2 {c}.8h, {high}.16b, {xb}.16b"]


def four_rows():
    x = [f"v{i}" for i in range(8)]
    sums = [f"v{8 + i}" for i in range(8)]
    c = ["v16", "v17", "v18", "v19"]
    t, u, low, high, raw = ["v20", "v21"], "v22", "v23", "v24", ["v25", "v26"]
    scale, minus, scales_low, scales_high, mask = "v27", "v28", "v29", "v30", "v31"
    step = 160

    def end_of(r):
        v = t[r % 2]
        lane = f"{scales_low if r < 4 else scales_high}.s[{r % 4}]"
        return {"t23": f"addp {u}.8h, {c[2]}.8h, {c[3]}.8h", "t": f"addp {v}.8h, {v}.8h, {u}.8h",
                "saddlp": f"saddlp {v}.4s, {v}.8h", "add": f"add {v}.4s, {v}.4s, {minus}.4s", "scvtf": f"scvtf {v}.4s, {v}.4s",
                "fmul": f"fmul {v}.4s, {v}.4s, {scale}.4s", "fmla": f"fmla {sums[r]}.4s, {v}.4s, {lane}"}

    order = ("0a 0b t23 0c 0d t 1a 1b saddlp 1c 1d add 2a 2b scvtf 2c t01 2d fmul 3a 3b low fmla 3c 3d high").split()
    turn = Turn({W: BLOCK, X: step})
    for r in range(8):
        before, following = end_of((r - 1) % 8), raw[(r + 1) % 2]
        for what in order:
            if what[0].isdigit():
                j = int(what[0])
                turn.q(products(c[j], low, high, x[2 * j], x[2 * j + 1])["abcd".index(what[1])])
            elif what == "t01":
                turn.q(f"addp {t[r % 2]}.8h, {c[0]}.8h, {c[1]}.8h")
            elif what == "low":
                turn.q(f"and {low}.16b, {following}.16b, {mask}.16b")
            elif what == "high":
                turn.q(f"ushr {high}.16b, {following}.16b, #4")
            else:
                turn.q(before[what])
            if what == "0a":        # the codes of this row are unpacked
                turn.load(raw[r % 2], W, 16 + 16 * ((r + 2) % 8) + (BLOCK if r >= 6 else 0))
            if r == 0 and what == "add":
                turn.load(minus, X, 144)
            if r == 0 and what == "fmul":
                turn.load(scale, X, 128)
            if r == 0 and what == "3c":
                turn.load(scales_high, W, 0)
            if r == 1 and what == "2a":
                turn.q(f"fcvtl {scales_low}.4s, {scales_high}.4h")
            if r == 1 and what == "2c":
                turn.q(f"fcvtl2 {scales_high}.4s, {scales_high}.8h")
            if r == 7 and what[0].isdigit() and what[1] == "d":
                j = int(what[0])
                turn.load(x[2 * j], X, step + 32 * j)
                turn.load(x[2 * j + 1], X, step + 32 * j + 16)
    lines, loaded = turn.finish()
    setup = [f"movi {v}.2d, #0" for v in sums + c + t + [u, scales_high]] + [f"movi {mask}.16b, #15"]
    setup += [f"ldr q{v[1:]}, [{X}, #{16 * i}]" for i, v in enumerate(x)]
    setup += [f"ldr q{scale[1:]}, [{X}, #128]", f"ldr q{minus[1:]}, [{X}, #144]", f"ldr q{raw[0][1:]}, [{W}, #16]",
              f"ldr q{raw[1][1:]}, [{W}, #32]", f"and {low}.16b, {raw[0]}.16b, {mask}.16b", f"ushr {high}.16b, {raw[0]}.16b, #4"]
    last = end_of(7)
    after = [last[what] for what in ("t23", "t", "saddlp", "add", "scvtf", "fmul", "fmla")]
    after += [f"str q{v[1:]}, [x7, #{16 * i}]" for i, v in enumerate(sums)]
    return setup + loaded, lines, after


def one_row():
    xa, xb, sums = "v0", "v1", ["v2", "v3"]
    c = ["v4", "v5", "v6", "v7"]
    t, u = ["v16", "v17"], "v18"
    low, high, raw = ["v19", "v20"], ["v21", "v22"], ["v23", "v24"]
    scale, minus, scales_low, scales_high, mask = "v25", "v26", "v27", "v28", "v31"
    step = 64

    def end_of(half):
        v = t[half]
        scales = scales_low if half == 0 else scales_high
        return {"t23": f"addp {u}.8h, {c[2]}.8h, {c[3]}.8h", "t": f"addp {v}.8h, {v}.8h, {u}.8h",
                "saddlp": f"saddlp {v}.4s, {v}.8h", "add": f"add {v}.4s, {v}.4s, {minus}.4s", "scvtf": f"scvtf {v}.4s, {v}.4s",
                "fmul": f"fmul {v}.4s, {v}.4s, {scale}.4s", "fmla": f"fmla {sums[half]}.4s, {v}.4s, {scales}.4s"}

    # `low` and `high` are the codes of the row after the one at hand
    order = ("0a 0b t23 low0 0c 0d t high0 1a 1b saddlp low1 1c 1d add high1 2a 2b scvtf low2 2c t01 2d high2 fmul 3a low3 3b "
             "3c fmla 3d high3").split()
    turn = Turn({W: BLOCK, X: step})
    for half in range(2):
        before = end_of(1 - half)
        for what in order:
            if what[0].isdigit():
                j = int(what[0])
                turn.q(products(c[j], low[j % 2], high[j % 2], xa, xb)["abcd".index(what[1])])
            elif what == "t01":
                turn.q(f"addp {t[half]}.8h, {c[0]}.8h, {c[1]}.8h")
            elif what[:3] == "low":
                j = int(what[3])
                turn.q(f"and {low[(j + 1) % 2]}.16b, {raw[(j + 1) % 2]}.16b, {mask}.16b")
            elif what[:4] == "high":
                j = int(what[4])
                turn.q(f"ushr {high[(j + 1) % 2]}.16b, {raw[(j + 1) % 2]}.16b, #4")
            else:
                turn.q(before[what])
            if what in ("0a", "1a", "2a", "3a"):    # the codes of this row are unpacked
                r = 4 * half + int(what[0])
                turn.load(raw[r % 2], W, 16 + 16 * ((r + 2) % 8) + (BLOCK if r >= 6 else 0))
            if half == 0 and what == "add":
                turn.load(minus, X, 48)
            if half == 0 and what == "3c":
                turn.load(scale, X, 32)
            if half == 0 and what == "3d":
                turn.load(scales_high, W, 0)
            if half == 1 and what == "1c":
                turn.q(f"fcvtl {scales_low}.4s, {scales_high}.4h")
            if half == 1 and what == "2a":
                turn.q(f"fcvtl2 {scales_high}.4s, {scales_high}.8h")
            if half == 1 and what == "3b":
                turn.load(xa, X, step)
            if half == 1 and what == "3d":
                turn.load(xb, X, step + 16)
    lines, loaded = turn.finish()
    setup = [f"movi {v}.2d, #0" for v in sums + c + t + [u, scales_high]] + [f"movi {mask}.16b, #15"]
    setup += [f"ldr q0, [{X}, #0]", f"ldr q1, [{X}, #16]", f"ldr q{scale[1:]}, [{X}, #32]", f"ldr q{minus[1:]}, [{X}, #48]",
              f"ldr q{raw[0][1:]}, [{W}, #16]", f"ldr q{raw[1][1:]}, [{W}, #32]",
              f"and {low[0]}.16b, {raw[0]}.16b, {mask}.16b", f"ushr {high[0]}.16b, {raw[0]}.16b, #4"]
    last = end_of(1)
    after = [last[what] for what in ("t23", "t", "saddlp", "add", "scvtf", "fmul", "fmla")]
    after += [f"str q{v[1:]}, [x7, #{16 * i}]" for i, v in enumerate(sums)]
    return setup + loaded, lines, after


def function(name, comment, loop):
    setup, lines, after = loop
    text = [f"// {comment}", f"NNEFRUN_INLINE void {name}(const uint8_t* w, const uint8_t* x, int64_t blocks, float* sums) {{",
            "  __asm__ volatile("]
    for line in ["mov x15, %0", "mov x16, %1", "mov x17, %2", "mov x7, %3"] + setup + [".p2align 4", "1:"]:
        text.append(f'      "{line}\\n"')
    for line in lines:
        text.append(f'      "{"; ".join(line)}\\n"')
    for line in after:
        text.append(f'      "{line}\\n"')
    clobbers = [f"v{i}" for i in range(32)] + ["x7"] + GENERALS + [W, X, COUNT, "cc", "memory"]
    text.append('      :: "r"(w), "r"(x), "r"(blocks), "r"(sums)')
    text.append("      : " + ", ".join(f'"{c}"' for c in clobbers) + ");")
    return "\n".join(text + ["}"]) + "\n"


def render():
    head = "// Written by kernels/schedule_a53.py, from schedule_a53_q40.py, which says how; each line is one cycle of a\n"
    head += "// Cortex-A53.\n// clang-format off\n"
    head += "// sums[row of weights][4 rows of activations], and sums[row of weights]. REQUIRES: blocks > 0; 16 bytes behind\n"
    head += "// the weights' block after the last, and a block of activations behind the last, may be read.\n"
    four, one = four_rows(), one_row()
    return head + \
        function("multiply_four_rows", f"{len(four[1])} cycles for 1024 products", four) + \
        function("multiply_one_row", f"{len(one[1])} cycles for 256 products", one) + \
        "// clang-format on\n"
