// How much arithmetic an operation is.
#pragma once

#include <optional>

#include "engine/graph/graph.h"

namespace nnefrun::cli {

// Whether macs_of counts this operator.
bool counts_macs(const OpDef& op);

// Multiply-accumulates of one evaluation of a node under the symbols: convolutions, matrix products, einsums,
// attention, and the bodies of loops. nullopt for everything else, and when an extent is not known.
std::optional<double> macs_of(const Graph& graph, const Node& node, const SymbolValues& symbols);

}  // namespace nnefrun::cli
