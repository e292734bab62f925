// The table of generators, by family: what draws cases of an operator.
#pragma once

#include <span>
#include <vector>

#include "tests/property/draw.h"

namespace nnefrun::property {

struct Generator {
  std::string_view op;
  void (*draw)(Draw&, std::string_view op);
  bool wild = false;  // values may be anything, see Regime::wild
};

std::span<const Generator> elementwise_generators();
std::span<const Generator> reduce_generators();
std::span<const Generator> window_generators();
std::span<const Generator> product_generators();
std::span<const Generator> move_generators();
std::span<const Generator> indexing_generators();
std::span<const Generator> norm_generators();
std::span<const Generator> attention_generators();
std::span<const Generator> stateful_generators();
std::span<const Generator> quant_generators();
std::span<const Generator> signal_generators();
// Not of one operator: chains of many.
std::span<const Generator> chain_generators();

// Rows that no generator draws, each with the reason.
struct Exception {
  std::string_view op, reason;
};
std::span<const Exception> exceptions();

}  // namespace nnefrun::property
