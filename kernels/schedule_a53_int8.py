"""Inner loops of the Cortex-A53 for products of 8-bit codes: kernels/int8/neon_a53_loops.inc.

Codes of the left side are 16-bit numbers already, weights are widened in the loop (`sxtl`), and `smlal` by element multiplies four
columns with one item of a row into 32 bits: exact for all codes, unlike sums of two products in 16 bits. Every such operation
takes a cycle and holds nothing else up, so the order is written down: 8 columns, `rows` rows, one step of the depth after
the other, with the weights of the step after it widened in between. Loads are placed by schedule_a53_q40.py's Turn: each takes a
cycle of its own, which it shares with the end of the load before it.

Layouts: weights [depth][8 columns], one byte each; left side [depth][rows], two bytes each. A turn is four steps of the depth, or eight
where there is one row.
"""

from schedule_a53_q40 import COUNT, GENERALS, Turn, W, X

COLUMNS = 8


def rows_loop(rows):
    """8 or 4 rows: 16 or 8 sums in v16 and after."""
    a = [f"v{i}" for i in range(rows // 2)]         # items of the left side, eight to a register
    raw, wide = ["v4", "v5"], ["v6", "v7"]          # weights of two steps; of one step, widened
    turn = Turn({W: 4 * COLUMNS, X: 8 * rows})
    # what is loaded when its register has been read for the last time: in the step after; that of the last step in the next turn
    loads = {0: [], 1: [(raw[0], W, 4 * COLUMNS)], 2: [], 3: [(raw[1], W, 4 * COLUMNS + 16)]}
    steps = 8 // rows                               # of the depth in one register
    for i, register in enumerate(a):
        last = steps * i + steps - 1
        loads[(last + 1) % 4].insert(0, (register, X, 16 * i + (8 * rows if last < 3 else 0)))
    for k in range(4):
        following = (k + 1) % 4
        for r in range(rows):
            item = f"{a[k // steps]}.h[{k % steps * rows + r}]"
            for half, (suffix, width) in enumerate((("", "4h"), ("2", "8h"))):
                turn.q(f"smlal{suffix} v{16 + 2 * r + half}.4s, {wide[k % 2]}.{width}, {item}")
            if r in (0, 1) and r < len(loads[k]):
                turn.load(*loads[k][r])
            if r == rows // 2:
                turn.q(f"sxtl{'2' if following % 2 else ''} {wide[following % 2]}.8h, {raw[following // 2]}.{'16b' if following % 2 else '8b'}")
    lines, loaded = turn.finish()
    setup = [f"ldr q{register[1:]}, [{X}, #{16 * i}]" for i, register in enumerate(a)]
    setup += [f"ldr q{raw[0][1:]}, [{W}, #0]", f"ldr q{raw[1][1:]}, [{W}, #16]", "ldr q16, [x6]", "ldr q17, [x6, #16]"]
    setup += [f"mov v{16 + i}.16b, v{16 + i % 2}.16b" for i in range(2, 2 * rows)] + [f"sxtl {wide[0]}.8h, {raw[0]}.8b"]
    return setup + loaded, lines, [f"str q{16 + i}, [x7, #{16 * i}]" for i in range(2 * rows)]


def one_row():
    a, following_a = "v0", "v1"
    raw, wide = ["v2", "v3", "v4", "v5"], ["v6", "v7"]
    turn = Turn({W: 8 * COLUMNS, X: 16})
    for k in range(8):
        following = (k + 1) % 8
        turn.q(f"smlal v16.4s, {wide[k % 2]}.4h, {a}.h[{k}]")
        turn.q(f"sxtl{'2' if following % 2 else ''} {wide[following % 2]}.8h, {raw[following // 2]}.{'16b' if following % 2 else '8b'}")
        turn.q(f"smlal2 v17.4s, {wide[k % 2]}.8h, {a}.h[{k}]")
        if k == 7:
            turn.q(f"mov {a}.16b, {following_a}.16b")
        if k == 1:
            turn.load(following_a, X, 16)
        if k % 2 == 0:
            turn.load(raw[k // 2], W, 8 * COLUMNS + 16 * (k // 2))
    lines, loaded = turn.finish()
    setup = [f"ldr q{a[1:]}, [{X}]"] + [f"ldr q{register[1:]}, [{W}, #{16 * i}]" for i, register in enumerate(raw)]
    setup += ["ldr q16, [x6]", "ldr q17, [x6, #16]", f"sxtl {wide[0]}.8h, {raw[0]}.8b"]
    return setup + loaded, lines, ["str q16, [x7]", "str q17, [x7, #16]"]


def function(name, comment, loop):
    setup, lines, after = loop
    show = lambda text: f'      "{text}\\n"'
    text = [f"// {comment}", f"NNEFRUN_INLINE void {name}(const int8_t* w, const int16_t* x, int64_t turns, const int32_t* start,",
            f"{' ' * (len(name) + 21)}int32_t* sums) {{", "  __asm__ volatile("]
    text += [show(line) for line in ["mov x15, %0", "mov x16, %1", "mov x17, %2", "mov x6, %3", "mov x7, %4"] + setup + [".p2align 4", "1:"]]
    text += [show("; ".join(line)) for line in lines] + [show(line) for line in after]
    clobbers = [f"v{i}" for i in range(32)] + ["x6", "x7"] + GENERALS + [W, X, COUNT, "cc", "memory"]
    text += ['      :: "r"(w), "r"(x), "r"(turns), "r"(start), "r"(sums)', "      : " + ", ".join(f'"{c}"' for c in clobbers) + ");"]
    return "\n".join(text + ["}"]) + "\n"


def render():
    head = "// Written by kernels/schedule_a53.py, from schedule_a53_int8.py, which says how; each line is one cycle of a\n"
    head += "// Cortex-A53.\n// clang-format off\n"
    head += "// sums[row][8 columns] = start[8 columns] + products. REQUIRES: turns > 0; behind the last turn the weights and\n"
    head += "// the left side of one turn more may be read.\n"
    loops = [(f"multiply_{rows}_rows", rows_loop(rows), 4 * rows * COLUMNS) for rows in (8, 4)] + [("multiply_1_row", one_row(), 64)]
    return head + "".join(function(name, f"{len(loop[1])} cycles for {products} products", loop) for name, loop, products in loops) + \
        "// clang-format on\n"
