// What convolutions of floats and of codes share: shapes, and sums of products over windows.
#pragma once

#include <string_view>
#include <vector>

#include "engine/ops/window.h"

namespace nnefrun {

inline constexpr std::initializer_list<Border> kConvBorders = {Border::constant, Border::replicate,
                                                               Border::reflect, Border::reflect_even};

DimShape spatial_of(const DimShape& shape);
Shape spatial_of(const Shape& shape);

// Rank at least 3, and the same for both: Error[rank-mismatch].
void check_conv_ranks(const InferContext& c, const Fact& input, const Fact& filter,
                      std::string_view filter_name);
// groups = 0 stands for the number of channels.
Dim groups_or(int64_t groups, const Dim& channels);
// The `groups` attribute, not negative.
int64_t read_groups(const NodeReader& c);

// Result shape of a convolution with a filter [out, in / groups, ...]. Throws Error[shape-mismatch].
DimShape conv_shape(const InferContext& c, const Fact& input, const Fact& filter,
                    std::string_view filter_name, const Dim& groups, const WindowSpec& window);
// Result shape of a transposed convolution with a filter [in, out / groups, ...]; `wanted` is output_shape or
// empty.
DimShape deconv_shape(const InferContext& c, const Fact& input, const Fact& filter,
                      std::string_view filter_name, const Dim& groups, const WindowSpec& window,
                      const std::vector<Dim>& wanted);
// groups = 0 means one group for each output channel when output_shape tells how many there are, else for
// each input channel.
Dim deconv_groups(int64_t groups, const std::vector<Dim>& wanted, const Dim& input_channels);

// Floats are summed in double and rounded once to the input's type; the filter may have another float type.
// Integers (i8, u8, i32 on either side) are summed in 32 bits that wrap, the result is i32. `bias` (may be
// null) has one item or one for each output channel. Windows are read with all symbols known.
Tensor convolution(const NodeReader& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
                   int64_t groups, const WindowSpec& window);
Tensor transposed_convolution(const NodeReader& c, const Tensor& input, const Tensor& filter,
                              const Tensor* bias, int64_t groups, const WindowSpec& window,
                              const std::vector<Dim>& wanted);

}  // namespace nnefrun
