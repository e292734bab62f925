// Checks of argument facts that many rows make, with messages of one form. All of them only reject what is
// certain: extents that hold symbols pass, and are looked at again when the values are there.
#pragma once

#include <string>
#include <string_view>

#include "engine/graph/op_def.h"

namespace nnefrun {

// "`filter` is f32 [16, 3, 3, 3]", for notes.
std::string describe(std::string_view parameter, const Fact& fact);

// The fact of a tensor argument that must be a plain float: Error[dtype-mismatch] for integers and quantised
// codes.
const Fact& float_input(const InferContext& c, std::string_view parameter);
// The same for a plain number (a float or an integer), bool excluded.
const Fact& number_input(const InferContext& c, std::string_view parameter);
// Error[dtype-mismatch] unless both arguments have the same item type and neither is quantised.
void require_same_dtype(const InferContext& c, std::string_view a, const Fact& fact_a, std::string_view b,
                        const Fact& fact_b);
// Error[rank-mismatch] unless minimum <= rank <= maximum.
void require_rank(const NodeReader& c, std::string_view parameter, const Fact& fact, int minimum,
                  int maximum = 64);
// Error[shape-mismatch] when the two extents certainly differ: "<op>: <what> is 3, expected 4".
void require_equal(const NodeReader& c, std::string_view what, const Dim& got, const Dim& expected);
// Error[attribute-range] unless minimum <= value <= maximum.
void require_range(const NodeReader& c, std::string_view attribute, int64_t value, int64_t minimum,
                   int64_t maximum);
// True when the difference is known to be another number than 0.
bool certainly_different(const Dim& a, const Dim& b);

}  // namespace nnefrun
