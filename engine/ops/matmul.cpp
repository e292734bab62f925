// Matrix products: matmul, linear, and tract's older form of them.
#include <algorithm>

#include "engine/ops/complex_items.h"
#include "engine/ops/items.h"
#include "engine/ops/products.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// The type of a product: floats keep theirs, a block-quantised operand takes the other one's, 8-bit integers
// give i32, wider integers keep theirs.
DataType product_type(const NodeReader& c, const Fact& a, const Fact& b) {
  require_plain(c, {&a, &b});
  if (is_block_quantized(a.dtype) && is_float(b.dtype)) return b.dtype;
  if (is_block_quantized(b.dtype) && is_float(a.dtype)) return a.dtype;
  const auto eight_bits = [](DataType t) { return t == DataType::i8 || t == DataType::u8; };
  if (eight_bits(a.dtype) && eight_bits(b.dtype)) return DataType::i32;
  require_same_types(c, {&a, &b});
  if (!is_float(a.dtype) && !is_integer(a.dtype) && !is_complex(a.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "matrices of type " + std::string(name_of(a.dtype)) + " are not multiplied");
  }
  return a.dtype;
}

// [batch..., m, n], with the trailing axes of an operand swapped where it is transposed.
DimShape product_shape(const NodeReader& c, const Fact& a, const Fact& b, bool transpose_a,
                       bool transpose_b) {
  const size_t rank = a.shape.size();
  const auto refuse = [&](const std::string& why) {
    return c.fail("shape-mismatch", prefix_of(c) + why)
        .note("the shapes are " + to_string(a.shape) + (transpose_a ? " transposed" : "") + " and " +
              to_string(b.shape) + (transpose_b ? " transposed" : ""));
  };
  if (b.shape.size() != rank || rank < 2) {
    throw c.fail("rank-mismatch", prefix_of(c) + "ranks are " + std::to_string(rank) + " and " +
                                      std::to_string(b.shape.size()) +
                                      ", but equal ranks of 2 or more are expected");
  }
  const Dim& k_a = a.shape[rank - (transpose_a ? 2 : 1)];
  const Dim& k_b = b.shape[rank - (transpose_b ? 1 : 2)];
  if (!agreed_extent(k_a, k_b)) {
    throw refuse("the inner extents are " + k_a.to_string() + " and " + k_b.to_string() +
                 ", but equal ones are expected");
  }
  DimShape out;
  for (size_t i = 0; i + 2 < rank; ++i) {
    try {
      out.push_back(Dim::broadcast(a.shape[i], b.shape[i]));
    } catch (const Error&) {
      throw refuse("batch extents " + a.shape[i].to_string() + " and " + b.shape[i].to_string() +
                   " do not broadcast");
    }
  }
  out.push_back(a.shape[rank - (transpose_a ? 1 : 2)]);
  out.push_back(b.shape[rank - (transpose_b ? 2 : 1)]);
  return out;
}

// Items as numbers in which sums are exact enough: doubles of floats, 64-bit patterns of integers.
std::vector<uint64_t> as_words(const Tensor& value) {
  std::vector<uint64_t> out;
  for (int64_t i = 0; i < value.size(); ++i) out.push_back(static_cast<uint64_t>(value.as_int(i)));
  return out;
}

void multiply(const double* a, const double* b, double* out, int64_t m, int64_t k, int64_t n) {
  matrix_product(a, b, out, m, k, n);
}
template <class N>
void multiply(const N* a, const N* b, N* out, int64_t m, int64_t k, int64_t n) {
  std::fill(out, out + m * n, N(0));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) out[i * n + j] += a[i * k + p] * b[p * n + j];
    }
  }
}

template <class N>
std::vector<N> matrix(const N* from, int64_t rows, int64_t columns, bool transposed) {
  std::vector<N> out(from, from + rows * columns);
  if (!transposed) return out;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[static_cast<size_t>(j * rows + i)] = from[i * columns + j];
  }
  return out;
}

struct Extents {
  Shape batch;
  int64_t m = 0, k = 0, n = 0;
};

Extents extents_of(const NodeReader& c, const Tensor& a, const Tensor& b, bool transpose_a,
                   bool transpose_b) {
  const size_t rank = a.shape().size();
  const DimShape shape = product_shape(c, fact_of(a.dtype(), to_dims(a.shape())),
                                       fact_of(b.dtype(), to_dims(b.shape())), transpose_a, transpose_b);
  Extents out;
  for (size_t i = 0; i + 2 < rank; ++i) out.batch.push_back(shape[i].value());
  out.m = shape[rank - 2].value();
  out.n = shape[rank - 1].value();
  out.k = a.shape()[rank - (transpose_a ? 2 : 1)];
  return out;
}

template <class N>
std::vector<N> batched(const Extents& e, const std::vector<N>& a, const Shape& a_shape, bool transpose_a,
                       const std::vector<N>& b, const Shape& b_shape, bool transpose_b) {
  const auto offsets = [&](const Shape& shape) {
    return broadcast_strides(Shape(shape.begin(), shape.end() - 2), e.batch);
  };
  const auto rows = [](const Shape& shape) { return shape[shape.size() - 2]; };
  const auto columns = [](const Shape& shape) { return shape.back(); };
  std::vector<N> out(static_cast<size_t>(volume_of(e.batch) * e.m * e.n));
  N* to = out.data();
  for (Odometer<2> o(e.batch, {offsets(a_shape), offsets(b_shape)}); o.more(); o.next(), to += e.m * e.n) {
    const auto left =
        matrix(a.data() + o.offset(0) * e.m * e.k, rows(a_shape), columns(a_shape), transpose_a);
    const auto right =
        matrix(b.data() + o.offset(1) * e.k * e.n, rows(b_shape), columns(b_shape), transpose_b);
    multiply(left.data(), right.data(), to, e.m, e.k, e.n);
  }
  return out;
}

Tensor product_of(const NodeReader& c, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                  DataType to) {
  const Extents e = extents_of(c, a, b, transpose_a, transpose_b);
  Shape shape = e.batch;
  shape.insert(shape.end(), {e.m, e.n});
  if (is_float(to)) {
    const auto sums = batched(e, as_doubles(dequantized(a)), a.shape(), transpose_a,
                              as_doubles(dequantized(b)), b.shape(), transpose_b);
    return cast_items(Tensor::of<double>(shape, sums), to);
  }
  if (is_complex(to)) {
    const auto sums =
        batched(e, as_complex(a), a.shape(), transpose_a, as_complex(b), b.shape(), transpose_b);
    return of_complex(shape, sums, to);
  }
  const auto sums = batched(e, as_words(a), a.shape(), transpose_a, as_words(b), b.shape(), transpose_b);
  return cast_items(Tensor::of<uint64_t>(shape, sums), to);
}

std::vector<Fact> infer_matmul(InferContext& c) {
  const Fact &a = c.input("A"), &b = c.input("B");
  const DataType type = product_type(c, a, b);
  return {fact_of(type, product_shape(c, a, b, c.logical("transposeA"), c.logical("transposeB")))};
}

std::vector<Tensor> eval_matmul(EvalContext& c) {
  return {product_of(c, c.input("A"), c.input("B"), c.logical("transposeA"), c.logical("transposeB"),
                     c.output_fact().dtype)};
}

// matmul(input, filter, transposeB = true) + bias
std::vector<Fact> infer_linear(InferContext& c) {
  const Fact &input = c.input("input"), &filter = c.input("filter");
  Fact out = fact_of(product_type(c, input, filter), {});
  out.shape = product_shape(c, input, filter, false, true);
  if (!c.has_input("bias")) return {out};
  const Fact& bias = c.input("bias");
  require_same_types(c, {&out, &bias});
  try {
    out.shape = broadcast_leading("linear", std::vector<const DimShape*>{&out.shape, &bias.shape});
  } catch (const Error& error) {
    throw c.fail(error.code(), error.message()).note("the bias of a linear layer has shape [1, channels]");
  }
  return {out};
}

std::vector<Tensor> eval_linear(EvalContext& c) {
  const DataType type = c.output_fact().dtype;
  const Tensor product = product_of(c, c.input("input"), c.input("filter"), false, true, type);
  if (!c.has_input("bias")) return {product};
  const Tensor& bias = c.input("bias");
  const Shape shape = broadcast_leading("linear", std::vector<const Shape*>{&product.shape(), &bias.shape()});
  if (is_complex(type)) {
    const auto x = as_complex(product), y = as_complex(bias);
    std::vector<Complex> sums;
    for (Odometer<2> o(shape,
                       {broadcast_strides(product.shape(), shape), broadcast_strides(bias.shape(), shape)});
         o.more(); o.next())
      sums.push_back(x[static_cast<size_t>(o.offset(0))] + y[static_cast<size_t>(o.offset(1))]);
    return {of_complex(shape, sums, type)};
  }
  Tensor out = Tensor::uninitialized(type, shape);
  dispatch(type, [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    using Sum = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;
    T* to = out.mutable_data<T>();
    for (Odometer<2> o(shape,
                       {broadcast_strides(product.shape(), shape), broadcast_strides(bias.shape(), shape)});
         o.more(); o.next()) {
      const auto x = static_cast<Sum>(widen(product.data<T>()[o.offset(0)])),
                 y = static_cast<Sum>(widen(bias.data<T>()[o.offset(1)]));
      *to++ = narrow<T>(static_cast<C>(x + y));
    }
  });
  return {out};
}

// Products of 8 bits are i32, which their bias is not.
constexpr TypeSet kWideInts{DataType::i16, DataType::i32, DataType::i64,
                            DataType::u16, DataType::u32, DataType::u64};

constexpr OpDef kRows[] = {
    {.name = "matmul", .infer = infer_matmul, .eval = eval_matmul, .types = kNumbers | kComplex},
    {.name = "linear", .infer = infer_linear, .eval = eval_linear, .types = kFloats | kComplex | kWideInts},
};

}  // namespace

std::span<const OpDef> matmul_rows() { return kRows; }

}  // namespace nnefrun
