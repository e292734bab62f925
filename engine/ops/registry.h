// The table of operators: one span of rows for each family file. A family that is not listed here does not
// exist.
#pragma once

#include <span>

#include "engine/graph/op_def.h"

namespace nnefrun {

std::span<const OpDef> source_rows();         // tract_core_external, variable, symbolic values, casts
std::span<const OpDef> random_rows();         // tract_onnx_random, tract_onnx_multinomial
std::span<const OpDef> unary_rows();          // element-wise functions of one tensor
std::span<const OpDef> elementwise_rows();    // binary, comparisons, select, clamp
std::span<const OpDef> activation_rows();     // relu .. gelu, softmax
std::span<const OpDef> shape_rows();          // reshape, transpose, concat, split, broadcast, ...
std::span<const OpDef> slice_rows();          // slices, pad, tile, ranges, triangles
std::span<const OpDef> indexing_rows();       // gather and scatter
std::span<const OpDef> selection_rows();      // topk, one_hot, non_zero, suppression, look-ups, trees
std::span<const OpDef> reduce_rows();         // sum_reduce .. argmin_reduce, moments
std::span<const OpDef> matmul_rows();         // matmul, linear
std::span<const OpDef> einsum_rows();         // tract_core_einsum, tract_core_matmul
std::span<const OpDef> conv_rows();           // conv, deconv and the separable forms
std::span<const OpDef> fused_rows();          // nnefrun_conv, nnefrun_matmul
std::span<const OpDef> pooling_rows();        // box, debox, max_pool, sample, ...
std::span<const OpDef> roi_rows();            // regions of interest
std::span<const OpDef> resize_rows();         // up- and downsampling, tract_core_resize
std::span<const OpDef> grid_rows();           // tract_core_grid_sample
std::span<const OpDef> normalization_rows();  // batch_normalization .. rms_norm
std::span<const OpDef> quant_rows();          // quantisation functions
std::span<const OpDef> group_rows();          // weights in groups of codes
std::span<const OpDef> quant_product_rows();  // qconv, qmatmul, einsum_q
std::span<const OpDef> quant_code_rows();     // tables, sums, means and pools of codes
std::span<const OpDef> recurrent_rows();      // scan, sub-models, epilogues
std::span<const OpDef> cell_rows();           // LSTM, GRU and plain recurrent cells over time
std::span<const OpDef> state_rows();          // delay, pulse pad, exponential norms
std::span<const OpDef> cache_rows();          // caches of keys and values, attention over them
std::span<const OpDef> linear_rows();         // causal convolution step, gated delta rule
std::span<const OpDef> attention_rows();      // sdpa, rope, scaled masked softmax
std::span<const OpDef> expert_rows();         // tract_moe_ffn
std::span<const OpDef> signal_rows();         // fft, stft, complex

}  // namespace nnefrun
