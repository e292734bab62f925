"""Functions of one, two and three tensors item by item, casts."""

import itertools

import torch
import torch.nn.functional as F

from recorder import *

SHAPES = [[], [0], [1], [2, 0, 3], [3, 5], [2, 1, 3, 1, 2, 1], [7, 11]]


def round_half_up(x):
    below = torch.floor(x)
    return torch.where(x - below >= 0.5, below + 1, below)


def round_half_away(x):
    return torch.sign(x) * torch.where(
        x.abs() - torch.floor(x.abs()) >= 0.5, torch.ceil(x.abs()), torch.floor(x.abs())
    )


# row: function, lowest and highest random argument, tolerance in ulps
UNARY = {
    "abs": (torch.abs, -9, 9, 0),
    "neg": (torch.neg, -9, 9, 0),
    "sign": (lambda x: torch.where(torch.isnan(x), x, torch.sign(x)), -9, 9, 0),
    "floor": (torch.floor, -9, 9, 0),
    "ceil": (torch.ceil, -9, 9, 0),
    "round": (round_half_up, -9, 9, 0),
    "nnefrun_round_half_away": (round_half_away, -9, 9, 0),
    "tract_core_round_even": (torch.round, -9, 9, 0),
    "copy": (lambda x: x, -9, 9, 0),
    "sqr": (lambda x: x * x, -9, 9, 1),
    "sqrt": (torch.sqrt, 0, 99, 1),
    "rcp": (torch.reciprocal, -9, 9, 1),
    "rsqrt": (torch.rsqrt, 0.01, 99, 3),
    "exp": (torch.exp, -20, 20, 4),
    "log": (torch.log, 0.001, 99, 4),
    "log2": (torch.log2, 0.001, 99, 4),
    "sin": (torch.sin, -9, 9, 4),
    "cos": (torch.cos, -9, 9, 4),
    "tan": (torch.tan, -1.5, 1.5, 6),
    "asin": (torch.asin, -1, 1, 4),
    "acos": (torch.acos, -1, 1, 4),
    "atan": (torch.atan, -9, 9, 4),
    "sinh": (torch.sinh, -9, 9, 6),
    "cosh": (torch.cosh, -9, 9, 6),
    "tanh": (torch.tanh, -9, 9, 6),
    "asinh": (torch.asinh, -9, 9, 6),
    "acosh": (torch.acosh, 1, 99, 6),
    "atanh": (torch.atanh, -0.99, 0.99, 6),
    "sigmoid": (torch.sigmoid, -20, 20, 6),
    "silu": (F.silu, -20, 20, 6),
    "softplus": (lambda x: F.softplus(x, threshold=1e9), -20, 20, 6),
    "tract_core_erf": (torch.erf, -4, 4, 6),
    "tract_core_hard_swish": (F.hardswish, -5, 5, 4),
    "selu": (lambda x: 1.05070102 * torch.where(x < 0, 1.67326319 * torch.expm1(x), x), -9, 9, 8),
    "gelu": (lambda x: x * torch.sigmoid(1.702 * x), -9, 9, 8),
    "nnefrun_gelu": (F.gelu, -6, 6, 8),
    "tract_core_gelu_approx": (lambda x: F.gelu(x, approximate="tanh"), -6, 6, 8),
    "relu": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), -9, 9, 0),
    "rsqr": (lambda x: 1 / (x * x), 0.01, 9, 4),
}
# These are computed by formulas whose steps overflow, lose digits or meet 0 * inf before f64 does: only plain arguments.
PLAIN_ONLY = {"rsqr", "gelu", "tract_core_gelu_approx", "nnefrun_gelu", "tract_core_hard_swish"}
# Results close to 0 are differences of numbers close to 1: absolute.
ABSOLUTE = {
    "selu",
    "nnefrun_gelu",
    "tract_core_gelu_approx",
    "gelu",
    "sin",
    "cos",
    "tan",
    "acos",
    "log",
    "log2",
    "tract_core_hard_swish",
}


def unary(family):
    for row, (function, low, high, ulps) in UNARY.items():
        for dtype in FLOATS:
            sets = [
                floats(SHAPES[int(random.integers(0, len(SHAPES)))], dtype, low, high),
                floats([37], dtype, low, high),
            ]
            if row not in PLAIN_ONLY:
                sets.append(specials(dtype))
            for x in sets:
                scale = 1.0 if row in ABSOLUTE else None
                if row == "silu":  # denormal products are lost when the sigmoid is
                    scale = torch.finfo(dtype).tiny / EPSILON[dtype]
                family.add(row, f"y0 = {row}(x0);", [x], function(up(x)), ulps, scale=scale)
    for row, function in {
        "abs": torch.abs,
        "neg": torch.neg,
        "sign": torch.sign,
        "sqr": lambda x: x * x,
        "floor": lambda x: x,
        "ceil": lambda x: x,
        "round": lambda x: x,
    }.items():
        for dtype in INTEGERS:
            info = torch.iinfo(dtype)
            x = torch.tensor([0, 1, 2, 5, 100, info.max, info.max - 1, info.min, info.min + 1], dtype=dtype)
            family.add(row, f"y0 = {row}(x0);", [x], function(x))
    for dims in SHAPES:
        family.add("not", "y0 = not(x0);", [x := bools(dims)], ~x)
        family.add("tract_core_bitnot", "y0 = tract_core_bitnot(x0);", [x := integers(dims, i32)], ~x)
    for dtype in INTEGERS + [boolean]:
        family.add("tract_core_bitnot", "y0 = tract_core_bitnot(x0);", [x := any_values([9], dtype)], ~x)
    for dtype in FLOATS:
        x = specials(dtype)
        family.add("tract_core_is_nan", "y0 = tract_core_is_nan(x0);", [x], torch.isnan(x))
        family.add("tract_core_is_inf", "y0 = tract_core_is_inf(x0);", [x], torch.isinf(x))
        family.add(
            "tract_core_is_inf",
            "y0 = tract_core_is_inf(x0, detect_negative = false);",
            [x],
            torch.isposinf(x),
        )
        family.add(
            "tract_core_is_inf",
            "y0 = tract_core_is_inf(x0, detect_positive = false);",
            [x],
            torch.isneginf(x),
        )
        for exponent in [2.0, 0.5, -1.0, 3.0, 1.75, 0.0]:
            x = torch.cat([floats([21], dtype, 0.01, 9), specials(dtype)[:7]])
            family.add(
                "tract_core_pow_const",
                f"y0 = tract_core_pow_const(x0, exponent = {exponent});",
                [x],
                torch.pow(up(x), torch.full_like(up(x), exponent)),
                4,
            )
        x = floats([41], dtype, -9, 9)
        for alpha in [1.0, 0.25, 1.5]:
            family.add("elu", f"y0 = elu(x0, alpha = {alpha});", [x], F.elu(up(x), alpha), 6, scale=1.0)
            family.add(
                "leaky_relu", f"y0 = leaky_relu(x0, alpha = {alpha});", [x], F.leaky_relu(up(x), alpha), 1
            )
        x = specials(dtype)
        family.add("elu", "y0 = elu(x0);", [x], F.elu(up(x)), 6, scale=1.0)
        family.add("leaky_relu", "y0 = leaky_relu(x0, alpha = 0.125);", [x], F.leaky_relu(up(x), 0.125), 1)
        x = floats([2, 3, 5], dtype)
        family.add(
            "nnefrun_gelu",
            "y0 = nnefrun_gelu(x0, approximation = 'tanh');",
            [x],
            F.gelu(up(x), approximate="tanh"),
            8,
            scale=1.0,
        )
        family.add("softabs", "y0 = softabs(x0, epsilon = 0.25);", [x], torch.sqrt(up(x) ** 2 + 0.25), 4)
        a = floats([1, 3], dtype, 0.1, 0.9)
        family.add("prelu", "y0 = prelu(x0, x1);", [x, Constant(a)], F.prelu(up(x), up(a)[0]), 1)


BINARY = {
    "add": (torch.add, 1),
    "sub": (torch.sub, 1),
    "mul": (torch.mul, 1),
    "div": (torch.div, 1),
    "pow": (torch.pow, 4),
    "min": (lambda x, y: torch.where(x < y, x, y), 0),
    "max": (lambda x, y: torch.where(x > y, x, y), 0),
    "nnefrun_fmin": (torch.fmin, 0),
    "nnefrun_fmax": (torch.fmax, 0),
    "lt": (torch.lt, 0),
    "gt": (torch.gt, 0),
    "le": (torch.le, 0),
    "ge": (torch.ge, 0),
    "eq": (torch.eq, 0),
    "ne": (torch.ne, 0),
}
PAIRS = [
    ([], []),
    ([3], []),
    ([], [2, 3]),
    ([2], [2, 3]),
    ([2, 3], [2, 3]),
    ([2, 1, 4], [1, 3, 4]),
    ([1, 3], [2, 3, 4, 5]),
    ([2, 3, 1, 2, 1, 2], [1, 3, 2, 1, 3, 2]),
    ([0], [0, 3]),
    ([2, 0, 3], [2, 1, 3]),
    ([2, 3, 4], [2, 1, 4]),
    ([4, 1], [1, 5]),
    ([2, 3, 33], [1, 1, 33]),
    ([5, 37], [5]),
]


def binary(family):
    for row, (function, ulps) in BINARY.items():
        call = f"y0 = {row}(x0, x1);"
        for dtype in FLOATS:
            picked = range(len(PAIRS)) if dtype == f32 else random.integers(0, len(PAIRS), 3)
            for p in picked:
                draw = (lambda s: floats(s, dtype, 0.1, 3)) if row == "pow" else (lambda s: noise(s, dtype))
                x, y = draw(PAIRS[p][0]), draw(PAIRS[p][1])
                family.add(row, call, [x, y], function(*aligned(up(x), up(y))), ulps)
            x = specials(dtype)[:28].reshape(-1, 1)
            y = torch.cat([specials(dtype)[:17], torch.tensor([3.0, -3.0, 7.0], dtype=dtype)]).reshape(1, -1)
            if dtype in (f32, f16):
                family.add(row, call, [x, Constant(y)], function(up(x), up(y)), ulps)
            # bf16 of a quotient of denormals etc. is the same as that of f32.
    for row in ["add", "sub", "mul", "min", "max", "lt", "gt", "le", "ge", "eq", "ne"]:
        for dtype in INTEGERS:
            info = torch.iinfo(dtype)
            x = torch.tensor([0, 1, 2, 7, 100, info.max, info.max - 1, info.min, info.min + 1], dtype=dtype)
            x, y = x.reshape(-1, 1), x.reshape(1, -1)
            family.add(row, f"y0 = {row}(x0, x1);", [x, y], BINARY[row][0](x, y))
    for dtype in INTEGERS:
        x, y = integers([40], dtype, -100, 100), integers([40], dtype, 1, 9)
        y = y if dtype == u8 else y * (1 - 2 * integers([40], dtype, 0, 2))
        family.add("div", "y0 = div(x0, x1);", [x, y], torch.div(x, y, rounding_mode="trunc"))
        bits = 8 * x.element_size()
        n = integers([40], dtype, 0, bits)
        family.add("tract_shl", "y0 = tract_shl(x0, x1);", [x, n], torch.bitwise_left_shift(x, n))
        family.add("tract_shr", "y0 = tract_shr(x0, x1);", [x, n], torch.bitwise_right_shift(x, n))
        b = integers([4, 1], dtype, -128, 128) if dtype != u8 else integers([4, 1], dtype, 0, 256)
        a = x.reshape(4, 10)
        for row, function in {
            "and": torch.bitwise_and,
            "or": torch.bitwise_or,
            "xor": torch.bitwise_xor,
        }.items():
            family.add(f"tract_core_bit{row}", f"y0 = tract_core_bit{row}(x0, x1);", [a, b], function(a, b))
    for dtype in (i64, i32):
        x, n = integers([6, 1], dtype, -5, 6), integers([1, 5], dtype, 0, 5)
        family.add("pow", "y0 = pow(x0, x1);", [x, n], torch.pow(x, n))
    for a, b in PAIRS:
        x, y = bools(a), bools(b)
        p, q = aligned(x, y)
        for row, function in {
            "and": torch.logical_and,
            "or": torch.logical_or,
            "tract_core_xor": torch.logical_xor,
            "tract_core_bitand": torch.logical_and,
            "tract_core_bitor": torch.logical_or,
            "tract_core_bitxor": torch.logical_xor,
        }.items():
            if not row.startswith("tract_core_bit") or len(a) == len(b) == 2:
                family.add(row, f"y0 = {row}(x0, x1);", [x, y], function(p, q))
        for row in ("eq", "ne"):
            if len(a) != 1:
                family.add(row, f"y0 = {row}(x0, x1);", [x, y], BINARY[row][0](p, q))


def ternary(family):
    for dtype in FLOATS + [i64, i32, u8, boolean]:
        for c, a, b in [
            ([2, 3], [2, 3], [2, 3]),
            ([2], [2, 3, 4], []),
            ([2, 1, 4], [], [1, 3]),
            ([0], [0, 2], [1]),
            ([], [3], [3, 2]),
            ([2, 1, 2, 1, 2, 1], [1, 2, 1, 2], [2, 2, 2, 2, 2, 2]),
        ]:
            condition, x, y = bools(c), any_values(a, dtype), any_values(b, dtype)
            family.add(
                "select",
                "y0 = select(x0, x1, x2);",
                [condition, x, y],
                torch.where(*aligned(condition, x, y)),
            )
    for dtype in FLOATS:
        x = specials(dtype)
        low, high = torch.tensor(-1.5, dtype=dtype), torch.tensor(2.25, dtype=dtype)

        def clamp(x, a, b):
            return BINARY["max"][0](BINARY["min"][0](x, b), a)

        family.add(
            "clamp", "y0 = clamp(x0, x1, x2);", [x, Constant(low), Constant(high)], clamp(x, low, high)
        )
        a, b, v = noise([2, 1, 4], dtype), noise([1, 3], dtype), noise([2, 3, 4], dtype)
        family.add("clamp", "y0 = clamp(x0, x1, x2);", [v, a, b], clamp(*aligned(v, a, b)))
        c = [noise([2, 3, 4], dtype) for _ in range(4)]
        for n in (1, 2, 4):
            names = ", ".join(f"x{i}" for i in range(n))
            family.add("add_n", f"y0 = add_n([{names}]);", c[:n], sum(up(x) for x in c[:n]), 4, scale=4.0)
        family.add("copy_n", "[y0, y1] = copy_n(x0, times = 2);", c[:1], [c[0], c[0]])


def casts(family):
    everything = FLOATS + INTEGERS + [boolean]
    for source, target in itertools.product(everything, everything):
        if source in FLOATS:
            # Beyond the target's range PyTorch's answer depends on the machine: inside of it, and with fractions.
            x = torch.cat(
                [floats([12], source, -100, 100), torch.tensor([0.0, -0.0, 0.999, -0.999], dtype=source)]
            )
            if target == u8:
                x = x.abs()
            if target in FLOATS:
                x = torch.cat([x, specials(source)])
        elif source == boolean:
            x = bools([3, 4])
        else:
            info = torch.iinfo(source)
            x = torch.cat(
                [integers([6], source, -100, 100), torch.tensor([info.min, info.max, 0, 1], dtype=source)]
            )
            if source == i64 and target in FLOATS:
                x = x.clamp(-(2**52), 2**52)
        y = x.to(target)
        family.add(
            "tract_core_cast", f"y0 = tract_core_cast(x0, to = '{NAMES[target]}');", [x], y, dtype=target
        )


def families():
    for name, generate in {"unary": unary, "binary": binary, "ternary": ternary, "casts": casts}.items():
        family = Family(name)
        generate(family)
        yield family
