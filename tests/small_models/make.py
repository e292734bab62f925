#!/usr/bin/env python3
"""Writes the small models of this folder and what they must answer: graph.nnef, .dat, .npz and manifest.json.

Weights and inputs are random numbers with a fixed seed; the answers are computed here by numpy in float64, operation
by operation, and rounded to float32. Needs numpy. Run it from anywhere; it writes beside itself.
"""
import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(20)
rows = []


def weights(*shape):
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 4)).astype(np.float32)


def write_dat(path, array):
    """A tensor file of NNEF 1.0: 128 bytes of header, then float32."""
    header = struct.pack("<2sBBII8II", b"N\xef", 1, 0, array.nbytes, array.ndim,
                         *(list(array.shape) + [0] * (8 - array.ndim)), 32)
    with open(path, "wb") as file:
        file.write(header.ljust(128, b"\0") + array.tobytes())


def save(name, dialect, text, variables, runs, one_session=False):
    folder = os.path.join(HERE, name)
    os.makedirs(os.path.join(folder, "model"), exist_ok=True)
    with open(os.path.join(folder, "model", "graph.nnef"), "w") as file:
        file.write(text.lstrip())
    for label, array in variables.items():
        write_dat(os.path.join(folder, "model", label + ".dat"), array)
    for k, (inputs, outputs) in enumerate(runs):
        suffix = "" if len(runs) == 1 else f"-{k}"
        np.savez_compressed(os.path.join(folder, f"inputs{suffix}.npz"), **inputs)
        np.savez_compressed(os.path.join(folder, f"outputs{suffix}.npz"),
                            **{key: value.astype(np.float32) for key, value in outputs.items()})
    row = {"id": name, "dialect": dialect, "atol": 1e-5, "rtol": 1e-5}
    if one_session:
        row["cycles"] = len(runs)
    rows.append(row)


def f64(array):
    return array.astype(np.float64)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv2d(x, w, stride, pad, groups=1):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    n, c, h, width = x.shape
    o, per_group, kh, kw = w.shape
    out_h, out_w = (h - kh) // stride + 1, (width - kw) // stride + 1
    y = np.zeros((n, o, out_h, out_w))
    for channel in range(o):
        first = channel // (o // groups) * per_group
        for i in range(out_h):
            for j in range(out_w):
                window = x[:, first:first + per_group, i * stride:i * stride + kh, j * stride:j * stride + kw]
                y[:, channel, i, j] = (window * w[channel]).sum((1, 2, 3))
    return y


def mlp():
    w1, b1, w2, b2 = weights(17, 10), weights(1, 17), weights(5, 17), weights(1, 5)
    x = rng.standard_normal((3, 10)).astype(np.float32)
    hidden = np.maximum(f64(x) @ f64(w1).T + f64(b1), 0)
    y = softmax(hidden @ f64(w2).T + f64(b2))
    save("mlp", "khronos", """
version 1.0;

graph mlp(x) -> (y)
{
    x = external(shape = [3, 10]);
    w1 = variable(shape = [17, 10], label = 'w1');
    b1 = variable(shape = [1, 17], label = 'b1');
    w2 = variable(shape = [5, 17], label = 'w2');
    b2 = variable(shape = [1, 5], label = 'b2');
    sum1 = linear(x, w1, b1);
    hidden = relu(sum1);
    sum2 = linear(hidden, w2, b2);
    y = softmax(sum2);
}
""",
         {"w1": w1, "b1": b1, "w2": w2, "b2": b2}, [({"x": x}, {"y": y})])


def convolutions():
    w1, depthwise, w2 = weights(6, 3, 3, 3), weights(6, 1, 3, 3), weights(6, 6, 1, 1)
    mean, variance = weights(1, 6), np.abs(weights(1, 6)) + np.float32(0.5)
    offset, scale = weights(1, 6), weights(1, 6)
    x = rng.standard_normal((2, 3, 11, 9)).astype(np.float32)
    a = conv2d(f64(x), f64(w1), stride=2, pad=1)
    shape = (1, 6, 1, 1)
    a = (f64(offset).reshape(shape) + f64(scale).reshape(shape) * (a - f64(mean).reshape(shape))
         / np.sqrt(f64(variance).reshape(shape) + 1e-3))
    a = np.clip(a, 0, 6)
    b = conv2d(conv2d(a, f64(depthwise), 1, 1, groups=6), f64(w2), 1, 0)
    y = np.maximum(a + b, 0).mean((2, 3))
    save("convolutions", "khronos", """
version 1.0;
extension KHR_enable_fragment_definitions;
extension KHR_enable_operator_expressions;

fragment relu6(x: tensor<scalar>) -> (y: tensor<scalar>)
{
    y = clamp(x, 0.0, 6.0);
}

graph convolutions(x) -> (y)
{
    x = external(shape = [2, 3, 11, 9]);
    w1 = variable(shape = [6, 3, 3, 3], label = 'w1');
    depthwise = variable(shape = [6, 1, 3, 3], label = 'depthwise');
    w2 = variable(shape = [6, 6, 1, 1], label = 'w2');
    mean = variable(shape = [1, 6], label = 'mean');
    variance = variable(shape = [1, 6], label = 'variance');
    offset = variable(shape = [1, 6], label = 'offset');
    scale = variable(shape = [1, 6], label = 'scale');
    stem = conv(x, w1, stride = [2, 2], padding = [(1, 1), (1, 1)]);
    a = relu6(batch_normalization(stem, mean, variance, offset, scale, epsilon = 0.001));
    b = conv(conv(a, depthwise, groups = 0, padding = [(1, 1), (1, 1)]), w2, padding = [(0, 0), (0, 0)]);
    y = squeeze(mean_reduce(relu(a + b), axes = [2, 3]), axes = [2, 3]);
}
""", {"w1": w1, "depthwise": depthwise, "w2": w2, "mean": mean, "variance": variance, "offset": offset,
      "scale": scale}, [({"x": x}, {"y": y})])


def recurrent():
    wz, uz, wh, uh = weights(8, 4), weights(8, 8), weights(8, 4), weights(8, 8)
    state, runs = np.zeros((1, 8)), []
    for _ in range(4):
        x = rng.standard_normal((1, 4)).astype(np.float32)
        z = sigmoid(f64(x) @ f64(wz).T + state @ f64(uz).T)
        candidate = np.tanh(f64(x) @ f64(wh).T + state @ f64(uh).T)
        state = (1 - z) * state + z * candidate
        runs.append(({"x": x}, {"h": state}))
    save("recurrent", "khronos", """
version 1.0;
extension KHR_enable_operator_expressions;

graph recurrent(x) -> (h)
{
    x = external(shape = [1, 4]);
    wz = variable(shape = [8, 4], label = 'wz');
    uz = variable(shape = [8, 8], label = 'uz');
    wh = variable(shape = [8, 4], label = 'wh');
    uh = variable(shape = [8, 8], label = 'uh');
    state = variable(shape = [1, 8], label = 'state');
    z = sigmoid(linear(x, wz) + linear(state, uz));
    candidate = tanh(linear(x, wh) + linear(state, uh));
    h = (1.0 - z) * state + z * candidate;
    next = update(state, h);
}
""", {"wz": wz, "uz": uz, "wh": wh, "uh": uh, "state": np.zeros((1, 8), np.float32)}, runs, one_session=True)


def attention():
    wq, wk, wv = weights(12, 12), weights(12, 12), weights(12, 12)
    runs = []
    for length in (5, 1, 9):
        x = rng.standard_normal((1, length, 12)).astype(np.float32)
        q, k, v = (f64(x) @ f64(w) for w in (wq, wk, wv))
        y = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(12)) @ v
        runs.append(({"x": x}, {"y": y}))
    save("attention", "tract", """
version 1.0;
extension tract_registry tract_core;
extension tract_symbol S;

graph attention(x) -> (y)
{
    x = tract_core_external(shape = [1, S, 12], datum_type = 'f32');
    wq = variable<scalar>(shape = [12, 12], label = 'wq');
    wk = variable<scalar>(shape = [12, 12], label = 'wk');
    wv = variable<scalar>(shape = [12, 12], label = 'wv');
    q = matmul(x, unsqueeze(wq, axes = [0]));
    k = matmul(x, unsqueeze(wk, axes = [0]));
    v = matmul(x, unsqueeze(wv, axes = [0]));
    scores = mul(matmul(q, k, transposeB = true), 0.28867513459481287);
    y = matmul(softmax(scores, axes = [2]), v);
}
""", {"wq": wq, "wk": wk, "wv": wv}, runs)


if __name__ == "__main__":
    mlp()
    convolutions()
    recurrent()
    attention()
    with open(os.path.join(HERE, "manifest.json"), "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
