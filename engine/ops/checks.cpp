#include "engine/ops/checks.h"

namespace nnefrun {

std::string describe(std::string_view parameter, const Fact& fact) {
  return "`" + std::string(parameter) + "` is " + fact.to_string();
}

namespace {

Error wrong_type(const InferContext& c, std::string_view parameter, const Fact& fact, const char* expected) {
  return c.fail("dtype-mismatch", c.signature().name + ": `" + std::string(parameter) + "` must be " +
                                      expected + ", but it is " + fact.to_string());
}

}  // namespace

const Fact& float_input(const InferContext& c, std::string_view parameter) {
  const Fact& fact = c.input(parameter);
  if (!is_float(fact.dtype) || fact.quant) throw wrong_type(c, parameter, fact, "a float tensor");
  return fact;
}

const Fact& number_input(const InferContext& c, std::string_view parameter) {
  const Fact& fact = c.input(parameter);
  if ((!is_float(fact.dtype) && !is_integer(fact.dtype)) || fact.quant) {
    throw wrong_type(c, parameter, fact, "a tensor of plain numbers");
  }
  return fact;
}

void require_same_dtype(const InferContext& c, std::string_view a, const Fact& fact_a, std::string_view b,
                        const Fact& fact_b) {
  if (fact_a.dtype == fact_b.dtype && !fact_a.quant && !fact_b.quant) return;
  throw c
      .fail("dtype-mismatch", c.signature().name + ": `" + std::string(a) + "` and `" + std::string(b) +
                                  "` must have the same plain type")
      .note(describe(a, fact_a))
      .note(describe(b, fact_b));
}

void require_rank(const NodeReader& c, std::string_view parameter, const Fact& fact, int minimum,
                  int maximum) {
  if (fact.rank() >= minimum && fact.rank() <= maximum) return;
  const std::string expected = minimum == maximum ? std::to_string(minimum)
                               : maximum >= 64    ? "at least " + std::to_string(minimum)
                                               : std::to_string(minimum) + " to " + std::to_string(maximum);
  throw c
      .fail("rank-mismatch", c.signature().name + ": `" + std::string(parameter) + "` has rank " +
                                 std::to_string(fact.rank()) + ", expected " + expected)
      .note(describe(parameter, fact));
}

bool certainly_different(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  return difference.is_constant() && difference.value() != 0;
}

void require_equal(const NodeReader& c, std::string_view what, const Dim& got, const Dim& expected) {
  if (!certainly_different(got, expected)) return;
  throw c.fail("shape-mismatch", c.signature().name + ": " + std::string(what) + " is " + got.to_string() +
                                     ", expected " + expected.to_string());
}

void require_range(const NodeReader& c, std::string_view attribute, int64_t value, int64_t minimum,
                   int64_t maximum) {
  if (value >= minimum && value <= maximum) return;
  throw c.fail("attribute-range", c.signature().name + ": " + std::string(attribute) + " is " +
                                      std::to_string(value) + ", expected " + std::to_string(minimum) +
                                      " to " + std::to_string(maximum));
}

}  // namespace nnefrun
