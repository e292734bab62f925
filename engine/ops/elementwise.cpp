// Element-wise operators of two and three tensors: arithmetic, comparisons, logic, bits, select, clamp.
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/ops/complex_items.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/registry.h"

namespace nnefrun {
namespace {

// Operands and the result of a binary row over the broadcast shape, by linear item offsets.
struct Pair {
  Tensor out;
  std::vector<int64_t> a, b;
  Pair(const NodeReader& c, const Tensor& x, const Tensor& y, DataType result) {
    const Shape shape =
        broadcast_leading(c.signature().name, std::vector<const Shape*>{&x.shape(), &y.shape()});
    a = broadcast_strides(x.shape(), shape);
    b = broadcast_strides(y.shape(), shape);
    out = Tensor::uninitialized(result, shape);
  }
  template <class F>
  void each(F&& f) {
    int64_t i = 0;
    for (Odometer<2> o(out.shape(), {a, b}); o.more(); o.next()) f(i++, o.offset(0), o.offset(1));
  }
};

Error in_context(const NodeReader& c, const Error& error) {
  return c.fail(error.code(), prefix_of(c) + error.message());
}

DimShape broadcast_facts(const NodeReader& c, const std::vector<const Fact*>& facts) {
  std::vector<const DimShape*> shapes;
  shapes.reserve(facts.size());
  for (const Fact* fact : facts) shapes.push_back(&fact->shape);
  try {
    return broadcast_leading(c.signature().name, shapes);
  } catch (const Error& error) {
    Error placed = c.fail(error.code(), error.message());
    for (const auto& text : error.notes()) placed.note(text);
    throw placed;
  }
}

// --- arithmetic ---

enum class Types : uint8_t { numbers, integers, logical, bits };  // bits: integers and logical

struct Binary {
  std::string_view name;
  Types types;
  float (*f32)(float, float) = nullptr;
  double (*f64)(double, double) = nullptr;
  int64_t (*i64)(int64_t, int64_t) = nullptr;
  uint64_t (*u64)(uint64_t, uint64_t) = nullptr;
};

template <class F, class I, class U>
constexpr Binary number(std::string_view name, F f, I i, U u) {
  return {name, Types::numbers, f, f, i, u};
}
// Signed operands are widened to 64 bits, so that one function on the bits serves both kinds.
template <class U>
constexpr Binary bits(std::string_view name, Types types, U u) {
  return {name,
          types,
          nullptr,
          nullptr,
          [](int64_t a, int64_t b) {
            return static_cast<int64_t>(U{}(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
          },
          u};
}

template <class U>
constexpr Binary wrapping(std::string_view name, U u) {
  Binary out = bits(name, Types::numbers, u);
  out.f32 = u;
  out.f64 = u;
  return out;
}

int64_t divide(int64_t a, int64_t b) {
  if (b == 0) throw Error("division-by-zero", "an integer is divided by zero");
  if (b == -1 && a == INT64_MIN) throw Error("integer-overflow", "the smallest integer is divided by -1");
  return a / b;
}
uint64_t divide_unsigned(uint64_t a, uint64_t b) {
  if (b == 0) throw Error("division-by-zero", "an integer is divided by zero");
  return a / b;
}

uint64_t power_unsigned(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent != 0; exponent >>= 1, base *= base) {
    if (exponent & 1) result *= base;
  }
  return result;
}
// A negative exponent gives what truncation leaves of the fraction.
int64_t power(int64_t base, int64_t exponent) {
  if (exponent >= 0)
    return static_cast<int64_t>(power_unsigned(static_cast<uint64_t>(base), static_cast<uint64_t>(exponent)));
  if (base == 0) throw Error("division-by-zero", "zero is raised to a negative power");
  if (base == 1 || base == -1) return exponent % 2 == 0 ? 1 : base;
  return 0;
}

uint64_t checked_count(uint64_t count) {
  if (count > static_cast<uint64_t>(INT64_MAX))
    throw Error("shift-out-of-range", "a shift count is negative");
  return count;
}
uint64_t shift_left(uint64_t a, uint64_t count) { return checked_count(count) > 63 ? 0 : a << count; }
int64_t shift_left_signed(int64_t a, int64_t count) {
  return static_cast<int64_t>(shift_left(static_cast<uint64_t>(a), static_cast<uint64_t>(count)));
}
uint64_t shift_right(uint64_t a, uint64_t count) { return checked_count(count) > 63 ? 0 : a >> count; }
int64_t shift_right_signed(int64_t a, int64_t count) {
  return a >> std::min<uint64_t>(checked_count(static_cast<uint64_t>(count)), 63);
}

// The operand that is a number wins over NaN.
template <class T>
T number_min(T a, T b) {
  return std::isnan(a) ? b : b < a ? b : a;
}
template <class T>
T number_max(T a, T b) {
  return std::isnan(a) ? b : b > a ? b : a;
}

constexpr auto kSmaller = [](auto a, auto b) { return a < b ? a : b; };
constexpr auto kLarger = [](auto a, auto b) { return a > b ? a : b; };

constexpr Binary kBinary[] = {
    wrapping("add", [](auto a, auto b) { return a + b; }),
    wrapping("sub", [](auto a, auto b) { return a - b; }),
    wrapping("mul", [](auto a, auto b) { return a * b; }),
    number(
        "div", [](auto a, auto b) { return a / b; }, divide, divide_unsigned),
    number(
        "pow", [](auto a, auto b) { return std::pow(a, b); }, power, power_unsigned),
    number("min", kSmaller, kSmaller, kSmaller),
    number("max", kLarger, kLarger, kLarger),
    number(
        "nnefrun_fmin", [](auto a, auto b) { return number_min(a, b); }, kSmaller, kSmaller),
    number(
        "nnefrun_fmax", [](auto a, auto b) { return number_max(a, b); }, kLarger, kLarger),
    {"tract_shl", Types::integers, nullptr, nullptr, shift_left_signed, shift_left},
    {"tract_shr", Types::integers, nullptr, nullptr, shift_right_signed, shift_right},
    bits("tract_core_bitand", Types::bits, [](auto a, auto b) { return a & b; }),
    bits("tract_core_bitor", Types::bits, [](auto a, auto b) { return a | b; }),
    bits("tract_core_bitxor", Types::bits, [](auto a, auto b) { return a ^ b; }),
    bits("tract_core_xor", Types::logical, [](auto a, auto b) { return a ^ b; }),
    bits("and", Types::bits, [](auto a, auto b) { return decltype(a)(a != 0 && b != 0); }),
    bits("or", Types::bits, [](auto a, auto b) { return decltype(a)(a != 0 || b != 0); }),
};

const Binary& binary_of(const NodeReader& c) {
  for (const Binary& binary : kBinary) {
    if (binary.name == c.signature().name) return binary;
  }
  throw c.fail("internal", prefix_of(c) + "is not a binary operator");
}

// a op b on shape values; nullopt when it has no such form.
std::optional<Dim> combine(std::string_view name, const Dim& a, const Dim& b) {
  if (name == "add") return a + b;
  if (name == "sub") return a - b;
  if (name == "mul") return a * b;
  if (name == "min" || name == "nnefrun_fmin") return Dim::min(a, b);
  if (name == "max" || name == "nnefrun_fmax") return Dim::max(a, b);
  if (name == "div") {
    if (a.is_constant() && b.is_constant()) return divide(a.value(), b.value());
    if (const auto exact = Dim::exact_div(a, b)) return exact;
    // Truncation and floor part for negative dividends only; extents have none.
    if (b.is_constant() && b.value() <= 0) return std::nullopt;
    return Dim::floor_div(a, b);
  }
  if (name == "pow" && b.is_constant() && b.value() >= 0 && b.value() <= 8) {
    Dim result = 1;
    for (int64_t i = 0; i < b.value(); ++i) result = result * a;
    return result;
  }
  if (a.is_constant() && b.is_constant() && name == "tract_shl")
    return shift_left_signed(a.value(), b.value());
  if (a.is_constant() && b.is_constant() && name == "tract_shr")
    return shift_right_signed(a.value(), b.value());
  return std::nullopt;
}

// Calls f(i, a, b) with known shape values over the broadcast shape; false when they are not known.
template <class F>
bool each_known(const Fact& x, const Fact& y, const Fact& out, F&& f) {
  const auto a = known_dims(x), b = known_dims(y);
  if (!a || !b || !out.is_static()) return false;
  const auto shape = out.static_shape();
  if (volume_of(*shape) > kMaxKnownItems) return false;
  const auto a_strides = broadcast_strides(*x.static_shape(), *shape),
             b_strides = broadcast_strides(*y.static_shape(), *shape);
  for (Odometer<2> o(*shape, {a_strides, b_strides}); o.more(); o.next()) {
    if (!f((*a)[static_cast<size_t>(o.offset(0))], (*b)[static_cast<size_t>(o.offset(1))])) return false;
  }
  return true;
}

bool takes_complex(std::string_view name) {
  return name == "add" || name == "sub" || name == "mul" || name == "div" || name == "pow";
}

std::vector<Fact> infer_binary(InferContext& c) {
  const Fact &x = *c.inputs.at(0), &y = *c.inputs.at(1);
  const Binary& binary = binary_of(c);
  require_plain(c, {&x, &y});
  require_same_types(c, {&x, &y});
  const bool logical = x.dtype == DataType::boolean, integer = is_integer(x.dtype);
  const bool fits = binary.types == Types::numbers
                        ? integer || is_float(x.dtype) ||
                              (x.dtype == DataType::string && binary.name == "add") ||
                              (is_complex(x.dtype) && takes_complex(binary.name))
                    : binary.types == Types::integers ? integer
                    : binary.types == Types::logical  ? logical
                                                      : integer || logical;
  if (!fits) {
    throw c.fail("dtype-unsupported", prefix_of(c) + "operands of type " + std::string(name_of(x.dtype)) +
                                          " have no such operation; cast them");
  }
  Fact out = fact_of(x.dtype, broadcast_facts(c, {&x, &y}));
  std::vector<Dim> values;
  try {
    const bool known = each_known(x, y, out, [&](const Dim& a, const Dim& b) {
      const auto value = combine(binary.name, a, b);
      if (value) values.push_back(*value);
      return value.has_value();
    });
    if (known) set_known_dims(out, std::move(values));
  } catch (const Error&) {
    return {out};  // overflow and division by zero: eval will tell
  }
  return {out};
}

Tensor add_strings(Pair& pair, const Tensor& x, const Tensor& y) {
  std::vector<std::string> strings(static_cast<size_t>(pair.out.size()));
  pair.each([&](int64_t i, int64_t a, int64_t b) {
    strings[static_cast<size_t>(i)] =
        x.strings()[static_cast<size_t>(a)] + y.strings()[static_cast<size_t>(b)];
  });
  return Tensor::of_strings(pair.out.shape(), std::move(strings));
}

Tensor combine_complex(Pair& pair, std::string_view name, const Tensor& x, const Tensor& y) {
  const auto a = as_complex(x), b = as_complex(y);
  std::vector<Complex> out(static_cast<size_t>(pair.out.size()));
  pair.each([&](int64_t i, int64_t ia, int64_t ib) {
    const Complex p = a[static_cast<size_t>(ia)], q = b[static_cast<size_t>(ib)];
    out[static_cast<size_t>(i)] = name == "add"   ? p + q
                                  : name == "sub" ? p - q
                                  : name == "mul" ? p * q
                                  : name == "div" ? p / q
                                                  : std::pow(p, q);
  });
  return of_complex(pair.out.shape(), out, x.dtype());
}

std::vector<Tensor> eval_binary(EvalContext& c) {
  const Tensor &x = c.inputs.at(0), &y = c.inputs.at(1);
  const Binary& binary = binary_of(c);
  Pair pair(c, x, y, x.dtype());
  if (x.dtype() == DataType::string) return {add_strings(pair, x, y)};
  if (is_complex(x.dtype())) return {combine_complex(pair, binary.name, x, y)};
  const bool exact =
      binary.name == "div";  // a quotient that leaves the type is an error, everything else wraps
  try {
    dispatch(x.dtype(), [&](auto tag) {
      using T = decltype(tag);
      using C = ComputeType<T>;
      const T *a = x.data<T>(), *b = y.data<T>();
      T* out = pair.out.mutable_data<T>();
      pair.each([&](int64_t i, int64_t ia, int64_t ib) {
        if constexpr (std::is_same_v<C, float>) {
          out[i] = narrow<T>(binary.f32(widen(a[ia]), widen(b[ib])));
        } else if constexpr (std::is_same_v<C, double>) {
          out[i] = binary.f64(a[ia], b[ib]);
        } else if constexpr (std::is_same_v<T, bool>) {
          out[i] = binary.u64(a[ia], b[ib]) != 0;
        } else if constexpr (std::is_signed_v<T>) {
          const int64_t value = binary.i64(a[ia], b[ib]);
          if (exact && value > std::numeric_limits<T>::max()) {
            throw Error("integer-overflow", "the smallest integer is divided by -1");
          }
          out[i] = static_cast<T>(value);
        } else {
          out[i] = static_cast<T>(binary.u64(a[ia], b[ib]));
        }
      });
    });
  } catch (const Error& error) {
    throw in_context(c, error);
  }
  return {pair.out};
}

// --- comparisons ---

enum class Order : uint8_t { lt, gt, le, ge, eq, ne };

Order order_of(const NodeReader& c) {
  const std::string& name = c.signature().name;
  return name == "lt"   ? Order::lt
         : name == "gt" ? Order::gt
         : name == "le" ? Order::le
         : name == "ge" ? Order::ge
         : name == "eq" ? Order::eq
                        : Order::ne;
}

template <class T>
bool holds(Order order, const T& a, const T& b) {
  switch (order) {
    case Order::lt: return a < b;
    case Order::gt: return a > b;
    case Order::le: return a <= b;
    case Order::ge: return a >= b;
    case Order::eq: return a == b;
    default: return a != b;
  }
}

// The answer for shape values, when it is the same for all symbols from 0 on.
std::optional<bool> decided(Order order, const Dim& a, const Dim& b) {
  const Dim ahead = a - b;
  if (ahead.is_constant()) return holds<int64_t>(order, ahead.value(), 0);
  const bool above = ahead.is_at_least(1), below = (-ahead).is_at_least(1);
  if (above || below) return holds<int64_t>(order, above ? 1 : -1, 0);
  if (order == Order::ge && ahead.is_at_least(0)) return true;
  if (order == Order::lt && ahead.is_at_least(0)) return false;
  if (order == Order::le && (-ahead).is_at_least(0)) return true;
  if (order == Order::gt && (-ahead).is_at_least(0)) return false;
  return std::nullopt;
}

std::vector<Fact> infer_compare(InferContext& c) {
  const Fact &x = *c.inputs.at(0), &y = *c.inputs.at(1);
  require_plain(c, {&x, &y});
  require_same_types(c, {&x, &y});
  const Order order = order_of(c);
  const bool ordered = order != Order::eq && order != Order::ne;
  if ((is_complex(x.dtype) && ordered) || is_block_quantized(x.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "operands of type " + std::string(name_of(x.dtype)) + " are not compared");
  }
  Fact out = fact_of(DataType::boolean, broadcast_facts(c, {&x, &y}));
  std::vector<bool> answers;
  try {
    const bool known = each_known(x, y, out, [&](const Dim& a, const Dim& b) {
      const auto answer = decided(order, a, b);
      if (answer) answers.push_back(*answer);
      return answer.has_value();
    });
    if (known) out.constant = std::make_shared<const Tensor>(Tensor::of<bool>(*out.static_shape(), answers));
  } catch (const Error&) {
    return {out};
  }
  return {out};
}

std::vector<Tensor> eval_compare(EvalContext& c) {
  const Tensor &x = c.inputs.at(0), &y = c.inputs.at(1);
  const Order order = order_of(c);
  Pair pair(c, x, y, DataType::boolean);
  bool* out = pair.out.mutable_data<bool>();
  if (x.dtype() == DataType::string) {
    pair.each([&](int64_t i, int64_t a, int64_t b) {
      out[i] = holds(order, x.strings()[static_cast<size_t>(a)], y.strings()[static_cast<size_t>(b)]);
    });
    return {pair.out};
  }
  if (is_complex(x.dtype())) {
    const auto a = as_complex(x), b = as_complex(y);
    pair.each([&](int64_t i, int64_t ia, int64_t ib) {
      out[i] = (a[static_cast<size_t>(ia)] == b[static_cast<size_t>(ib)]) == (order == Order::eq);
    });
    return {pair.out};
  }
  dispatch(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T *a = x.data<T>(), *b = y.data<T>();
    pair.each([&](int64_t i, int64_t ia, int64_t ib) { out[i] = holds(order, widen(a[ia]), widen(b[ib])); });
  });
  return {pair.out};
}

// --- three operands ---

std::vector<Fact> infer_select(InferContext& c) {
  const Fact &condition = c.input("condition"), &yes = c.input("true_value"), &no = c.input("false_value");
  require_boolean(c, condition, "condition");
  require_same_types(c, {&yes, &no});
  Fact out = fact_of(yes.dtype, broadcast_facts(c, {&condition, &yes, &no}));
  out.quant = yes.quant;
  if (is_block_quantized(out.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "block-quantised values are not selected one by one; cast them");
  }
  const auto shape = out.static_shape();
  const auto a = known_dims(yes), b = known_dims(no);
  if (condition.constant && shape && a && b && volume_of(*shape) <= kMaxKnownItems) {
    std::vector<Dim> values;
    for (Odometer<3> o(*shape, {broadcast_strides(*condition.static_shape(), *shape),
                                broadcast_strides(*yes.static_shape(), *shape),
                                broadcast_strides(*no.static_shape(), *shape)});
         o.more(); o.next()) {
      const bool take = condition.constant->data<bool>()[o.offset(0)];
      values.push_back(take ? (*a)[static_cast<size_t>(o.offset(1))]
                            : (*b)[static_cast<size_t>(o.offset(2))]);
    }
    set_known_dims(out, std::move(values));
  }
  return {out};
}

std::vector<Tensor> eval_select(EvalContext& c) {
  const Tensor &condition = c.input("condition"), &yes = c.input("true_value"), &no = c.input("false_value");
  const Shape shape =
      broadcast_leading("select", std::vector<const Shape*>{&condition.shape(), &yes.shape(), &no.shape()});
  Tensor out = Tensor::uninitialized(yes.dtype(), shape);
  Odometer<3> o(shape, {broadcast_strides(condition.shape(), shape), broadcast_strides(yes.shape(), shape),
                        broadcast_strides(no.shape(), shape)});
  if (yes.dtype() == DataType::string) {
    std::vector<std::string> strings;
    for (; o.more(); o.next()) {
      const bool take = condition.data<bool>()[o.offset(0)];
      strings.push_back(take ? yes.strings()[static_cast<size_t>(o.offset(1))]
                             : no.strings()[static_cast<size_t>(o.offset(2))]);
    }
    return {Tensor::of_strings(shape, std::move(strings))};
  }
  const size_t size = item_size(yes.dtype());
  for (std::byte* to = out.mutable_bytes(); o.more(); o.next(), to += size) {
    const bool take = condition.data<bool>()[o.offset(0)];
    const std::byte* from = take ? yes.bytes() + static_cast<size_t>(o.offset(1)) * size
                                 : no.bytes() + static_cast<size_t>(o.offset(2)) * size;
    std::memcpy(to, from, size);
  }
  return {out};
}

std::vector<Fact> infer_clamp(InferContext& c) {
  const Fact &x = c.input("x"), &a = c.input("a"), &b = c.input("b");
  require_plain(c, {&x, &a, &b});
  require_same_types(c, {&x, &a, &b});
  if (!is_float(x.dtype) && !is_integer(x.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "values of type " + std::string(name_of(x.dtype)) + " are not clamped");
  }
  return {fact_of(x.dtype, broadcast_facts(c, {&x, &a, &b}))};
}

// The selects of the standard. clamp is max(min(x, b), a): a wins when the bounds cross, NaN becomes b.
// nnefrun_clip is min(max(x, a), b): b wins when the bounds cross, NaN becomes a.
std::vector<Tensor> eval_clamp(EvalContext& c) {
  const Tensor &x = c.input("x"), &a = c.input("a"), &b = c.input("b");
  const Shape shape =
      broadcast_leading(c.signature().name, std::vector<const Shape*>{&x.shape(), &a.shape(), &b.shape()});
  const bool low_last = c.signature().name == "clamp";
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  dispatch(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = out.mutable_data<T>();
    for (Odometer<3> o(shape, {broadcast_strides(x.shape(), shape), broadcast_strides(a.shape(), shape),
                               broadcast_strides(b.shape(), shape)});
         o.more(); o.next()) {
      const auto low = widen(a.data<T>()[o.offset(1)]), high = widen(b.data<T>()[o.offset(2)]);
      const auto value = widen(x.data<T>()[o.offset(0)]);
      *to++ = narrow<T>(low_last ? kLarger(kSmaller(value, high), low) : kSmaller(kLarger(value, low), high));
    }
  });
  return {out};
}

constexpr OpDef binary_row(std::string_view name, TypeSet types) {
  return {.name = name, .infer = infer_binary, .eval = eval_binary, .elementwise = true, .types = types};
}
constexpr OpDef compare_row(std::string_view name, TypeSet types) {
  return {.name = name, .infer = infer_compare, .eval = eval_compare, .types = types};
}

constexpr OpDef kRows[] = {
    binary_row("add", kNumbers | kComplex | kStrings),
    binary_row("sub", kNumbers | kComplex),
    binary_row("mul", kNumbers | kComplex),
    binary_row("div", kNumbers | kComplex),
    binary_row("pow", kNumbers | kComplex),
    binary_row("min", kNumbers),
    binary_row("max", kNumbers),
    binary_row("nnefrun_fmin", kNumbers),
    binary_row("nnefrun_fmax", kNumbers),
    binary_row("tract_shl", kInts),
    binary_row("tract_shr", kInts),
    binary_row("tract_core_bitand", kInts | kBool),
    binary_row("tract_core_bitor", kInts | kBool),
    binary_row("tract_core_bitxor", kInts | kBool),
    binary_row("tract_core_xor", kBool),
    binary_row("and", kInts | kBool),
    binary_row("or", kInts | kBool),
    compare_row("lt", kPlain | kStrings),
    compare_row("gt", kPlain | kStrings),
    compare_row("le", kPlain | kStrings),
    compare_row("ge", kPlain | kStrings),
    compare_row("eq", kItems),
    compare_row("ne", kItems),
    {.name = "select", .infer = infer_select, .eval = eval_select, .types = kItems},
    {.name = "clamp", .infer = infer_clamp, .eval = eval_clamp, .types = kNumbers},
    {.name = "nnefrun_clip", .infer = infer_clamp, .eval = eval_clamp, .types = kNumbers},
};

}  // namespace

std::span<const OpDef> elementwise_rows() { return kRows; }

}  // namespace nnefrun
