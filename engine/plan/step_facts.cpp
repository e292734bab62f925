#include "engine/plan/step_facts.h"

#include <cstring>

#include "engine/runtime/step_parameters.h"
#include "kernels/blocked/blocked.h"
#include "kernels/conv/conv.h"
#include "kernels/registry.h"
#include "quant/group_format.h"

namespace nnefrun {
namespace {

// Names of the enumerators, in the order of their rows.
constexpr const char* kUnaryNames[] = {
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) #op,
#include "kernels/elementwise/kernels.inc"
};
constexpr const char* kBinaryNames[] = {
#define NNEFRUN_BINARY(op) #op,
#include "kernels/elementwise/kernels.inc"
};
constexpr const char* kCompareNames[] = {
#define NNEFRUN_COMPARE(op) #op,
#include "kernels/elementwise/kernels.inc"
};
constexpr const char* kReduceNames[] = {
#define NNEFRUN_REDUCE(op) #op,
#include "kernels/reduce/kernels.inc"
};
constexpr const char* kPoolNames[] = {
#define NNEFRUN_POOL(op) #op,
#include "kernels/pool/kernels.inc"
};
constexpr const char* kMethodNames[] = {"direct", "depthwise", "winograd_2", "winograd_4"};

template <size_t count>
std::string pick(const char* const (&names)[count], size_t index) {
  return index < count ? names[index] : "";
}

// The row that a chooser takes for an operation such as "matmul_f32_f32_f32"; empty when there is none.
std::string chosen_row(const std::string& operation) {
  for (int i = 0; i < kernels::kernel_row_count(); ++i) {
    const kernels::KernelRow& row = kernels::kernel_row(i);
    if (std::strncmp(row.name, operation.c_str(), operation.size()) != 0) continue;
    const char* rest = row.name + operation.size();  // "_avx2", or with a tile "_6x16_avx2"
    const bool tile = rest[0] == '_' && rest[1] >= '0' && rest[1] <= '9';
    if (rest[0] != '_' || (!tile && std::strcmp(rest + 1, row.isa_suffix) != 0)) continue;
    if (kernels::is_chosen(row)) return row.name;
  }
  return {};
}

// The operation of a step as rows are named, without its instruction set; empty for kinds without rows.
std::string operation_of(const StepContext& c) {
  switch (static_cast<StepKind>(c.step->kind)) {
    case StepKind::unary: return pick(kUnaryNames, c.as<UnaryParameters>().op) + "_f32_f32";
    case StepKind::binary: {
      const auto& p = c.as<BinaryParameters>();
      return p.compare != 0 ? pick(kCompareNames, p.op) + "_bool_f32_f32"
                            : pick(kBinaryNames, p.op) + "_f32_f32_f32";
    }
    case StepKind::select: return "select_f32_f32_f32";
    case StepKind::matmul: return "matmul_f32_f32_f32";
    case StepKind::conv:
      return kernels::conv_is_depthwise(*static_cast<const kernels::ConvShape*>(c.bound))
                 ? "conv_depthwise_f32_f32_f32"
                 : "matmul_f32_f32_f32";
    case StepKind::pool: return "pool_" + pick(kPoolNames, c.as<PoolParameters>().op) + "_f32_f32";
    case StepKind::reduce: {
      const auto& p = c.as<ReduceParameters>();
      if (p.kind != 0) return p.kind == 1 ? "argmax_i64_f32" : "argmin_i64_f32";
      return "reduce_" + pick(kReduceNames, p.op) + "_f32_f32";
    }
    case StepKind::softmax:
      return c.as<SoftmaxParameters>().log != 0 ? "log_softmax_f32_f32" : "softmax_f32_f32";
    case StepKind::normalize:
      return c.as<NormalizeParameters>().rms != 0 ? "rms_norm_f32_f32" : "layer_norm_f32_f32";
    case StepKind::cast:
      return "convert_" + std::string(name_of(c.outputs[0]->dtype)) + "_" +
             std::string(name_of(c.inputs[0]->dtype));
    case StepKind::blocked_conv:
      return "blocked_" + pick(kMethodNames, c.as<BlockedConvParameters>().method) + "_f32_f32_f32";
    case StepKind::blocked_pair: return "blocked_direct_f32_f32_f32";
    case StepKind::repack:
      return c.as<RepackParameters>().to_blocked != 0 ? "block_channels_f32_f32" : "unblock_channels_f32_f32";
    case StepKind::blocked_pool: return "blocked_pool_f32_f32";
    case StepKind::blocked_sum: return "blocked_sum_f32_f32";
    case StepKind::blocked_gate: return "blocked_gate_f32_f32_f32";
    case StepKind::attention:
      return c.inputs[1]->dtype == DataType::f16 ? "attention_f32_f16" : "attention_f32_f32";
    case StepKind::resample: return "resample_f32_f32";
    case StepKind::recurrent: return "matmul_f32_f32_f32";  // by far the longer part
    case StepKind::deconv: return "matmul_f32_f32_f32";
    case StepKind::rope: return "rope_f32_f32_f32";
    case StepKind::code_conv: {
      const auto& p = c.as<CodeConvParameters>();
      const bool depthwise = p.groups > 1 && p.groups == p.in_channels && p.groups == p.out_channels;
      return depthwise ? "depthwise_u8_u8_i8" : "matmul_u8_u8_i8";
    }
    case StepKind::code_binary: {
      static constexpr const char* kOps[] = {"add", "sub", "mul", "max", "min"};
      return pick(kOps, c.as<CodeBinaryParameters>().op) + "_u8_u8_u8";
    }
    case StepKind::quantize: return "quantize_u8_f32";
    case StepKind::dequantize: return "dequantize_f32_u8";
    case StepKind::code_mean: return "sum_f64_u8";
    case StepKind::matmul_half: return "matmul_f32_f32_f16";
    case StepKind::quantize_q80: return "quantize_q80_f32";
    case StepKind::matmul_q40:
      return c.as<MatmulQ40Parameters>().fast != 0 ? "matmul_f32_q80_q40" : "matmul_f32_f32_q40";
    case StepKind::matmul_groups: return "matmul_f32_f32_group";
    default: return {};
  }
}

uint64_t bytes_of(const View& view) { return static_cast<uint64_t>(view.size()) * item_size(view.dtype); }

uint64_t moved_bytes(const StepContext& c, const CopyParameters& p) {
  uint64_t items = 1;
  for (uint32_t i = 0; i < p.rank; ++i) items *= static_cast<uint64_t>(c.sizes[p.dims[i]]);
  return items * item_size(c.outputs[0]->dtype);
}

}  // namespace

StepFacts step_facts(const StepContext& c) {
  StepFacts facts;
  const std::string operation = operation_of(c);
  if (!operation.empty()) facts.kernel = chosen_row(operation);
  const StepRow* row = step_row(c.step->kind);
  if (facts.kernel.empty() && row != nullptr) facts.kernel = row->name;

  for (uint32_t i = 0; i < c.step->input_count; ++i) facts.bytes_read += bytes_of(*c.inputs[i]);
  for (uint32_t i = 0; i < c.step->output_count; ++i) facts.bytes_written += bytes_of(*c.outputs[i]);
  switch (static_cast<StepKind>(c.step->kind)) {
    case StepKind::copy:
      facts.bytes_read = facts.bytes_written = moved_bytes(c, c.as<CopyParameters>());
      break;
    case StepKind::pad: facts.bytes_read = moved_bytes(c, c.as<PadParameters>().copy); break;
    case StepKind::gather_q40:
      facts.bytes_read = bytes_of(*c.inputs[1]) + facts.bytes_written * 18 / 128;
      break;
    case StepKind::gather_groups: {
      const auto form = static_cast<GroupForm>(c.as<GatherGroupsParameters>().form);
      facts.bytes_read =
          bytes_of(*c.inputs[1]) + facts.bytes_written * static_cast<uint64_t>(bits_of(form)) / 32;
      break;
    }
    case StepKind::gather_elements:
    case StepKind::gather_nd:
    case StepKind::gather: facts.bytes_read = bytes_of(*c.inputs[1]) + facts.bytes_written; break;
    case StepKind::attention: {  // heads lie between others in wider rows
      const auto& p = c.as<AttentionParameters>();
      const auto size = [&](SizeIndex index) { return static_cast<uint64_t>(c.sizes[index]); };
      const uint64_t queries = size(p.batch) * size(p.heads) * size(p.rows);
      const uint64_t keys = size(p.batch) * size(p.groups) * size(p.keys);
      facts.bytes_read = 4 * queries * size(p.width) +
                         item_size(c.inputs[1]->dtype) * keys * (size(p.width) + size(p.depth));
      if (c.step->input_count > 3) facts.bytes_read += bytes_of(*c.inputs[3]);
      facts.bytes_written = 4 * queries * size(p.depth);
      break;
    }
    default: break;
  }
  return facts;
}

}  // namespace nnefrun
