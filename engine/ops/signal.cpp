// Fourier transforms and complex items (tract-opl 5.4.3 and 5.4.5). Real and imaginary parts are the two
// items of the last axis. Evaluation is in double, rounded once; nothing is normalised in either direction.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

using Complex = std::complex<double>;

// X[k] = sum x[t] e^(sign 2 pi i k t / n), halving while n is even.
std::vector<Complex> transformed(const std::vector<Complex>& x, double sign) {
  const size_t n = x.size();
  std::vector<Complex> out(n);
  const auto twiddle = [&](size_t k) {
    return std::polar(1.0, sign * 6.283185307179586476925 * static_cast<double>(k) / static_cast<double>(n));
  };
  if (n % 2 == 0 && n > 0) {
    std::vector<Complex> even(n / 2), odd(n / 2);
    for (size_t i = 0; i < n / 2; ++i) {
      even[i] = x[2 * i];
      odd[i] = x[2 * i + 1];
    }
    even = transformed(even, sign);
    odd = transformed(odd, sign);
    for (size_t k = 0; k < n / 2; ++k) {
      const Complex turned = twiddle(k) * odd[k];
      out[k] = even[k] + turned;
      out[k + n / 2] = even[k] - turned;
    }
    return out;
  }
  std::vector<Complex> roots(n);
  for (size_t k = 0; k < n; ++k) roots[k] = twiddle(k);
  for (size_t k = 0; k < n; ++k) {
    for (size_t t = 0; t < n; ++t) out[k] += x[t] * roots[k * t % n];
  }
  return out;
}

// The axis of the signal, which is not the last one; the last one holds two parts.
int64_t read_axis(const InferContext& c, const Fact& input) {
  require_rank(c, "input", input, 2);
  const int64_t axis = checked_axis(c, c.integer("axis"), input.rank());
  if (axis == input.rank() - 1) {
    throw c.fail("axis-out-of-range", c.signature().name + ": axis " + std::to_string(axis) +
                                          " holds the real and the imaginary part");
  }
  require_equal(c, "the last extent of the input", input.shape.back(), 2);
  return axis;
}

std::vector<Fact> infer_fft(InferContext& c) {
  const Fact& input = float_input(c, "input");
  read_axis(c, input);
  return {fact_of(input.dtype, input.shape)};
}

// Pairs along an axis: item (outer, t, inner) starts at ((outer * extent + t) * inner_count + inner) * 2.
struct Lines {
  int64_t outer = 1, extent = 0, inner = 1;

  Lines(const NodeReader& c, const Shape& shape, int64_t axis) {
    if (shape.back() != 2) {
      throw c.fail("shape-mismatch",
                   c.signature().name + ": the last extent must be 2, the shape is " + to_string(shape));
    }
    const auto along = static_cast<size_t>(axis);
    for (size_t i = 0; i < along; ++i) outer *= shape[i];
    for (size_t i = along + 1; i + 1 < shape.size(); ++i) inner *= shape[i];
    extent = shape[along];
  }
  size_t at(int64_t o, int64_t t, int64_t i) const {
    return static_cast<size_t>(((o * extent + t) * inner + i) * 2);
  }
};

std::vector<Tensor> eval_fft(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Lines lines(c, input.shape(), c.integer("axis"));
  const double sign = c.logical("inverse") ? 1 : -1;
  auto items = as_doubles(input);
  std::vector<Complex> line(static_cast<size_t>(lines.extent));
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t i = 0; i < lines.inner; ++i) {
      for (int64_t t = 0; t < lines.extent; ++t) {
        line[static_cast<size_t>(t)] = {items[lines.at(o, t, i)], items[lines.at(o, t, i) + 1]};
      }
      const auto spectrum = transformed(line, sign);
      for (int64_t t = 0; t < lines.extent; ++t) {
        items[lines.at(o, t, i)] = spectrum[static_cast<size_t>(t)].real();
        items[lines.at(o, t, i) + 1] = spectrum[static_cast<size_t>(t)].imag();
      }
    }
  }
  return {cast_items(Tensor::of<double>(input.shape(), items), input.dtype())};
}

std::vector<Fact> infer_stft(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const auto axis = static_cast<size_t>(read_axis(c, input));
  const int64_t frame = c.integer("frame"), stride = c.integer("stride");
  require_range(c, "frame", frame, 1, int64_t{1} << 31);
  require_range(c, "stride", stride, 1, int64_t{1} << 31);
  if (c.has_input("window")) {
    const Fact& window = c.input("window");
    float_input(c, "window");
    require_rank(c, "window", window, 1, 1);
    if (window.shape[0].is_constant() && window.shape[0].value() > frame) {
      throw c.fail("shape-mismatch", c.signature().name + ": the window has " + window.shape[0].to_string() +
                                         " items, a frame only " + std::to_string(frame));
    }
  }
  const Dim room = input.shape[axis] - frame;
  if (room.is_constant() && room.value() < 0) {
    throw c
        .fail("shape-mismatch", c.signature().name + ": a frame of " + std::to_string(frame) +
                                    " does not fit into a signal of " + input.shape[axis].to_string())
        .note(describe("input", input));
  }
  DimShape shape = input.shape;
  shape[axis] = Dim::floor_div(room, stride) + 1;
  shape.insert(shape.begin() + static_cast<int64_t>(axis) + 1, Dim(frame));
  return {fact_of(input.dtype, std::move(shape))};
}

std::vector<Tensor> eval_stft(EvalContext& c) {
  const Tensor& input = c.input("input");
  const int64_t axis = c.integer("axis"), frame = c.integer("frame"), stride = c.integer("stride");
  const Lines lines(c, input.shape(), axis);
  if (lines.extent < frame) {
    throw c.fail("shape-mismatch", c.signature().name + ": a frame of " + std::to_string(frame) +
                                       " does not fit into a signal of " + std::to_string(lines.extent));
  }
  const int64_t frames = (lines.extent - frame) / stride + 1;
  // A short window stands in the middle of the frame, zeros around it.
  std::vector<double> window(static_cast<size_t>(frame), c.has_input("window") ? 0.0 : 1.0);
  if (c.has_input("window")) {
    const auto given = as_doubles(c.input("window"));
    if (given.size() > window.size()) {
      throw c.fail("shape-mismatch", c.signature().name + ": the window is longer than a frame");
    }
    std::copy(given.begin(), given.end(),
              window.begin() + static_cast<int64_t>((window.size() - given.size()) / 2));
  }
  Shape shape = input.shape();
  shape[static_cast<size_t>(axis)] = frames;
  shape.insert(shape.begin() + axis + 1, frame);
  const auto items = as_doubles(input);
  std::vector<double> out(static_cast<size_t>(volume_of(shape)));
  std::vector<Complex> line(static_cast<size_t>(frame));
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t f = 0; f < frames; ++f) {
      for (int64_t i = 0; i < lines.inner; ++i) {
        for (int64_t t = 0; t < frame; ++t) {
          const size_t at = lines.at(o, f * stride + t, i);
          line[static_cast<size_t>(t)] = Complex(items[at], items[at + 1]) * window[static_cast<size_t>(t)];
        }
        const auto spectrum = transformed(line, -1);
        for (int64_t t = 0; t < frame; ++t) {
          const auto at = static_cast<size_t>((((o * frames + f) * frame + t) * lines.inner + i) * 2);
          out[at] = spectrum[static_cast<size_t>(t)].real();
          out[at + 1] = spectrum[static_cast<size_t>(t)].imag();
        }
      }
    }
  }
  return {cast_items(Tensor::of<double>(shape, out), input.dtype())};
}

// ---- complex items ----

struct Parts {
  DataType complex_type, part;
};
constexpr Parts kParts[] = {{DataType::complex32, DataType::f16},
                            {DataType::complex64, DataType::f32},
                            {DataType::complex128, DataType::f64}};

std::vector<Fact> infer_complex_to_inner_dim(InferContext& c) {
  const Fact& x = c.input("x");
  for (const Parts& parts : kParts) {
    if (x.dtype != parts.complex_type) continue;
    DimShape shape = x.shape;
    shape.emplace_back(2);
    return {fact_of(parts.part, std::move(shape))};
  }
  throw c.fail("dtype-mismatch", c.signature().name + ": the argument must be complex")
      .note(describe("x", x));
}

std::vector<Fact> infer_inner_dim_to_complex(InferContext& c) {
  const Fact& x = c.input("x");
  require_rank(c, "x", x, 1);
  require_equal(c, "the last extent", x.shape.back(), 2);
  for (const Parts& parts : kParts) {
    if (x.dtype == parts.part) return {fact_of(parts.complex_type, {x.shape.begin(), x.shape.end() - 1})};
  }
  throw c.fail("dtype-mismatch", c.signature().name + ": the argument must be f16, f32 or f64")
      .note(describe("x", x));
}

// The same bytes seen as pairs, or pairs seen as complex items.
std::vector<Tensor> eval_reinterpret(EvalContext& c) {
  const Tensor& x = c.input("x");
  Shape shape = x.shape();
  if (is_complex(x.dtype())) {
    shape.push_back(2);
  } else {
    if (shape.back() != 2) {
      throw c.fail("shape-mismatch",
                   c.signature().name + ": the last extent must be 2, the shape is " + to_string(shape));
    }
    shape.pop_back();
  }
  Tensor out = Tensor::uninitialized(c.output_fact().dtype, shape);
  if (x.byte_size() > 0) std::memcpy(out.mutable_bytes(), x.bytes(), x.byte_size());
  return {out};
}

constexpr OpDef kRows[] = {
    {.name = "tract_core_fft", .infer = infer_fft, .eval = eval_fft, .types = kFloats},
    {.name = "tract_core_stft", .infer = infer_stft, .eval = eval_stft, .types = kFloats},
    {.name = "tract_core_complex_to_inner_dim",
     .infer = infer_complex_to_inner_dim,
     .eval = eval_reinterpret,
     .types = kComplex},
    {.name = "tract_core_inner_dim_to_complex",
     .infer = infer_inner_dim_to_complex,
     .eval = eval_reinterpret,
     .types = TypeSet{DataType::f16, DataType::f32, DataType::f64}},
};

}  // namespace

std::span<const OpDef> signal_rows() { return kRows; }

}  // namespace nnefrun
