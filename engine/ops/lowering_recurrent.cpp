// Recurrent cells in f32: one step for all of time. Their weights are packed here.

#include <vector>

#include "engine/ops/lowering_support.h"
#include "kernels/matmul/matmul.h"

namespace nnefrun {
namespace {

constexpr int64_t kLine = 16;  // floats: each part begins at an aligned address

// transpose(R) [hidden, columns], packed as right operands: the columns up to each of `ends`.
std::vector<int64_t> packed_offsets(int64_t hidden, const std::vector<int64_t>& ends,
                                    const kernels::MatmulKernel& kernel) {
  std::vector<int64_t> offsets{0};
  int64_t begin = 0;
  for (const int64_t end : ends) {
    const auto size = static_cast<int64_t>(kernels::packed_b_size(hidden, end - begin, kernel));
    offsets.push_back(offsets.back() + (size + kLine - 1) / kLine * kLine);
    begin = end;
  }
  return offsets;
}
Tensor packed_weights(const Tensor& weights, int64_t hidden, const std::vector<int64_t>& ends,
                      const kernels::MatmulKernel& kernel) {
  const auto offsets = packed_offsets(hidden, ends, kernel);
  Tensor packed = Tensor::zeros(DataType::f32, {offsets.back()});
  int64_t begin = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    kernels::pack_b_f32(hidden, ends[i] - begin, weights.data<float>() + begin * hidden, 1, hidden,
                        packed.mutable_data<float>() + offsets[i], kernel);
    begin = ends[i];
  }
  return packed;
}

bool lower_cell(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r(node, signature_of(node.op), nullptr);
  for (const Outlet& input : node.inputs) {
    if (!is_f32(graph, input)) return false;
  }
  const Outlet weights = node.inputs[1];
  const auto shape = graph.fact(weights).static_shape();
  if (!graph.fact(weights).constant || !shape) return false;
  const std::string_view op = node.op->name;
  RecurrentParameters p;
  p.hidden = (*shape)[1];
  p.reverse = r.logical("reverse") ? 1 : 0;
  const bool before = op == "nnefrun_gru" && r.logical("reset_before");
  p.cell = static_cast<uint8_t>(op == "nnefrun_lstm"               ? RecurrentCell::lstm
                                : before                           ? RecurrentCell::gru_before
                                : op == "nnefrun_gru"              ? RecurrentCell::gru
                                : r.string("activation") == "tanh" ? RecurrentCell::rnn_tanh
                                                                   : RecurrentCell::rnn_relu);
  const auto& kernel = kernels::choose_matmul_f32();
  p.packed_nr = kernel.nr;
  const int64_t columns = (*shape)[0];
  std::vector<int64_t> ends{columns};
  if (before) ends.insert(ends.begin(), 2 * p.hidden);
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0]), 0, 0, b.value_of(node.inputs[2])};
  if (op == "nnefrun_lstm") inputs.push_back(b.value_of(node.inputs[3]));
  inputs[2] = r.has_input("bias") ? b.value_of(node.inputs[r.input_range("bias").first])
                                  : b.constant(Tensor::zeros(DataType::f32, {columns}));
  inputs[1] = b.derived_constant(weights, before ? "cell in two" : "cell", [&](const PackSource& source) {
    return packed_weights(source.tensor, p.hidden, ends, kernel);
  });
  if (before) p.second = packed_offsets(p.hidden, ends, kernel)[1];
  std::vector<uint32_t> outputs;
  for (uint32_t i = 0; i < node.facts.size(); ++i) outputs.push_back(b.result(index, i));
  const std::string note = std::string(op.substr(op.find('_') + 1)) + " " + std::to_string(p.hidden) +
                           " units, " + graph.fact(node.inputs[0]).shape[0].to_string() + " steps";
  b.step(StepKind::recurrent, inputs, outputs, p, note);
  return true;
}

constexpr Lowering kLowerings[] = {
    {"nnefrun_lstm", lower_cell}, {"nnefrun_gru", lower_cell}, {"nnefrun_rnn", lower_cell}};

}  // namespace

std::span<const Lowering> recurrent_lowerings() { return kLowerings; }

}  // namespace nnefrun
