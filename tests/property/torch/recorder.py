"""What the families of make_cases.py share: random tensors and the files that the cases are written to.

A case is one row of the engine: the statement that calls it, its inputs x0, x1, ... and PyTorch's answers y0, y1, ...
A family is written as NAME.json (one line for each case) and NAME.npz, which holds all items of one type in one
array, in the order in which the cases use them: inputs first, then answers, case after case.
"""

import json

import numpy as np
import torch

f64, f32, f16, bf16 = torch.float64, torch.float32, torch.float16, torch.bfloat16
i64, i32, i16, i8, u8, boolean = torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool
c64, c128 = torch.complex64, torch.complex128
FLOATS = [f64, f32, f16, bf16]
SHORT = [f16, bf16]
INTEGERS = [i64, i32, i16, i8, u8]
NAMES = {
    f64: "f64",
    f32: "f32",
    f16: "f16",
    bf16: "bf16",
    i64: "i64",
    i32: "i32",
    i16: "i16",
    i8: "i8",
    u8: "u8",
    boolean: "bool",
    c64: "complex64",
    c128: "complex128",
}
# Distance of 1 from the next number, and the smallest number above 0.
EPSILON = {f64: 2.0**-52, f32: 2.0**-23, f16: 2.0**-10, bf16: 2.0**-7, c64: 2.0**-23, c128: 2.0**-52}
SMALLEST = {f64: 2.0**-1074, f32: 2.0**-149, f16: 2.0**-24, bf16: 2.0**-133, c64: 2.0**-149, c128: 2.0**-1074}

random = np.random.default_rng(20261125)


class Constant:
    """An input that is given both ways: from outside, and as a variable of the graph."""

    def __init__(self, tensor):
        self.tensor = tensor


def up(x):
    """Where answers are computed: in f64, whatever the type of the inputs."""
    return x.to(f64) if x.is_floating_point() else x.to(c128) if x.is_complex() else x


def trailing(x, rank):
    """NNEF aligns shapes at the first axis: ones are appended."""
    return x.reshape(list(x.shape) + [1] * (rank - x.ndim))


def aligned(*xs):
    rank = max(x.ndim for x in xs)
    return [trailing(x, rank) for x in xs]


def shape(rank, low=1, high=4):
    return [int(n) for n in random.integers(low, high + 1, rank)]


def floats(dims, dtype=f32, low=-2.0, high=2.0):
    return torch.from_numpy(random.uniform(low, high, dims)).to(dtype)


def noise(dims, dtype=f32):
    """Of few digits, so that the files stay small."""
    return torch.from_numpy(random.standard_normal(dims)).to(f16).to(dtype)


def integers(dims, dtype=i64, low=-9, high=10):
    if dtype == u8:
        low = max(low, 0)
    return torch.from_numpy(random.integers(low, high, dims)).to(dtype)


def bools(dims):
    return torch.from_numpy(random.integers(0, 2, dims).astype(bool))


def any_values(dims, dtype):
    """Items of any type, for rows that only move them."""
    if dtype == boolean:
        return bools(dims)
    if dtype in (c64, c128):
        return torch.complex(floats(dims, f64), floats(dims, f64)).to(dtype)
    return noise(dims, dtype) if dtype in FLOATS else integers(dims, dtype, -100, 100)


def specials(dtype):
    """NaN, infinities, both zeros, denormals, the largest and smallest normal numbers, halves, ends of exp."""
    info = torch.finfo(dtype)
    s = SMALLEST[dtype]
    values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        float("inf"),
        -float("inf"),
        float("nan"),
        s,
        -s,
        5 * s,
        info.tiny,
        -info.tiny,
        info.max,
        info.min,
        0.5,
        -0.5,
        1.5,
        -1.5,
        2.5,
        -2.5,
        3.5,
        0.49999997,
        -0.49999997,
        8388609.0,
        -8388607.5,
        3.1415927,
        -3.1415927,
        1e-4,
        -1e-4,
        10.0,
        -10.0,
        88.5,
        89.5,
        -87.0,
        -95.0,
        -104.0,
        16.6,
        -17.4,
        700.0,
        1e4,
        -1e4,
        65519.0,
        2.0,
    ]
    return torch.tensor(values, dtype=f64).to(dtype)


class Family:
    def __init__(self, name):
        self.name, self.cases, self.items = name, [], {}

    def _store(self, tensor):
        name = NAMES[tensor.dtype]
        if tensor.numel() > 0:
            flat = tensor.detach().contiguous().reshape(-1)
            flat = flat.view(torch.int16).numpy().view(np.uint16) if tensor.dtype == bf16 else flat.numpy()
            self.items.setdefault(name, []).append(flat)
        return name + str(list(tensor.shape)).replace(" ", "")

    def add(
        self,
        row,
        text,
        inputs,
        answers,
        ulps=0.0,
        scale=None,
        dialect="engine",
        fragments="",
        rtol=None,
        atol=None,
        dtype=None,
    ):
        """answers: computed in f64 and already shaped; floats among them are rounded to `dtype`, which is that of the
        first float input unless given.

        What may differ, by this rule: |got - answer| <= atol + rtol * |answer|, rtol = ulps * EPSILON[dtype]. Where
        items are sums, `scale` is the size of what is summed (the same operator on absolute values, or the largest
        answer), and atol = ulps * EPSILON * scale; else atol is `ulps` times the smallest number. ulps = 0: equal.
        `rtol` and `atol` instead: where the definition leaves a choice, as for 8-bit codes.
        """
        answers = [answers] if isinstance(answers, torch.Tensor) else list(answers)
        plain = [x.tensor if isinstance(x, Constant) else x for x in inputs]
        if dtype is None:
            dtype = next((x.dtype for x in plain if x.is_floating_point() or x.is_complex()), f32)
        real = dtype if dtype not in (c64, c128) else {c64: f32, c128: f64}[dtype]
        rounded = []
        for y in answers:
            y = y.resolve_conj()
            if y.is_complex():
                y = y.to({f32: c64, f64: c128}[real])
            elif y.is_floating_point():
                y = y.to(real)
            rounded.append(y)
        case = {"row": row, "text": text}
        if dialect != "engine":
            case["dialect"] = dialect
        if fragments:
            case["fragments"] = fragments
        case["in"] = [
            self._store(x.tensor) + "w" if isinstance(x, Constant) else self._store(x) for x in inputs
        ]
        case["out"] = [self._store(y) for y in rounded]
        if rtol is None and ulps:
            rtol = ulps * EPSILON[dtype]
        if rtol:
            if scale is True:
                scale = 0.0
                for y in rounded:
                    finite = y[torch.isfinite(y)] if y.numel() else y
                    if finite.numel():
                        scale = max(scale, float(finite.abs().to(f64).max()))
            elif isinstance(scale, torch.Tensor):
                scale = float(scale.abs().to(f64).max()) if scale.numel() else 0.0
            case["rtol"] = float("%.3g" % rtol)
            size = rtol * scale if scale else (rtol / EPSILON[dtype]) * SMALLEST[dtype]
            case["atol"] = max(float("%.3g" % size), 5e-324)
        if atol is not None:
            case["atol"] = atol
        self.cases.append(case)

    def write(self, folder):
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in self.cases)
        with open(f"{folder}/{self.name}.json", "w") as file:
            file.write('{"cases":[\n' + lines + "\n]}\n")
        np.savez_compressed(
            f"{folder}/{self.name}.npz", **{k: np.concatenate(v) for k, v in self.items.items()}
        )
