// Blocks of 8-bit codes (Q8_0, Q8_1) become weights in groups: the same codes with a scale for each 32 of
// them. So one form, with its moves, products, look-ups and notes, serves both.
#include <algorithm>
#include <map>
#include <optional>

#include "base/half.h"
#include "engine/rewrites/rewrite.h"
#include "quant/q80.h"

namespace nnefrun {
namespace {

bool is_of_bytes(const Node& node) {
  return node.facts.size() == 1 &&
         (node.facts[0].dtype == DataType::q8_0 || node.facts[0].dtype == DataType::q8_1);
}
bool is_stored(const Node& node) {
  if (node.op->name != "variable" || !is_of_bytes(node) || !node.facts[0].constant) return false;
  const Tensor& stored = *node.facts[0].constant;
  return stored.rank() >= 1 && stored.size() > 0 && stored.shape().back() % kQ80Items == 0;
}

// The codes, 128 standing for 0, and the scales.
template <class Block>
void take_apart(const Tensor& blocks, Tensor& codes, Tensor& scales) {
  auto* code = codes.mutable_data<uint8_t>();
  auto* scale = scales.mutable_data<float>();
  for (const Block* block = blocks.data<Block>(); scale != scales.data<float>() + scales.size(); ++block) {
    *scale++ = float_from_half_bits(block->d);
    for (const int8_t q : block->q) *code++ = static_cast<uint8_t>(q + 128);
  }
}

class Grouped {
 public:
  explicit Grouped(Graph& from) : from_(from), uses_(from.use_counts()), out_(empty_like(from)) {}

  Graph run(int64_t* applied) {
    for (uint32_t n = 0; n < from_.nodes().size(); ++n) {
      const Node& node = from_.node(n);
      const bool is_move = is_of_bytes(node) && node.inputs.size() == 1 && is_blocks(node.inputs[0]);
      is_blocks_.push_back(is_stored(node) || is_move);
      if (is_blocks_[n]) {
        moved_.push_back(kLater);
        continue;
      }
      const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const Outlet& input) { return is_blocks(input); });
      const auto done = reads && node.bodies.empty() ? with_groups(node) : std::nullopt;
      moved_.push_back(done ? done->node : out_.add_copy(node, inputs_of(node, false)).node);
      if (!done) continue;
      ++*applied;
      for (const Outlet& input : node.inputs) release(input);
    }
    for (const GraphOutput& output : from_.outputs) moved(output.outlet);
    for (const auto& update : from_.updates) moved(update.second);
    copy_interface(from_, moved_, out_);
    return std::move(out_);
  }

 private:
  static constexpr uint32_t kLater = UINT32_MAX;

  // Stored blocks, or other shapes of them.
  bool is_blocks(Outlet outlet) const { return is_blocks_[outlet.node]; }

  // A wire of the new graph; blocks follow when they are read as such.
  Outlet moved(Outlet outlet) {
    if (moved_[outlet.node] == kLater) {
      const Node& node = from_.node(outlet);
      moved_[outlet.node] = out_.add_copy(node, inputs_of(node, false)).node;
    }
    return {moved_[outlet.node], outlet.result};
  }
  std::vector<Outlet> inputs_of(const Node& node, bool as_groups) {
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs)
      inputs.push_back(as_groups && is_blocks(input) ? groups(input) : moved(input));
    return inputs;
  }

  // Blocks that all readers have as groups go at once: a model is never there in both forms.
  void release(Outlet blocks) {
    if (!is_blocks(blocks) || --uses_[blocks] > 0) return;
    from_.mutable_fact(blocks).constant = nullptr;
    for (const Outlet& input : from_.node(blocks).inputs) release(input);
  }

  Outlet groups(Outlet blocks) {
    if (const auto known = groups_.find(blocks); known != groups_.end()) return known->second;
    const Node& node = from_.node(blocks);
    const std::string& name = node.result_names[0];
    if (!node.inputs.empty()) {
      return groups_[blocks] = out_.add(node.op, {groups(node.inputs[0])}, node.input_counts, node.attributes,
                                        {name}, {}, node.where, node.call_chain);
    }
    const Tensor& stored = *node.facts[0].constant;
    Shape count = stored.shape();
    count.back() /= kQ80Items;
    Tensor codes = Tensor::uninitialized(DataType::u8, stored.shape());
    Tensor scales = Tensor::uninitialized(DataType::f32, count);
    if (stored.dtype() == DataType::q8_0) {
      take_apart<BlockQ80>(stored, codes, scales);
    } else {
      take_apart<BlockQ81>(stored, codes, scales);
    }
    std::vector<float> book;
    for (int code = -128; code < 128; ++code) book.push_back(static_cast<float>(code));
    const std::vector<Outlet> parts{out_.add_constant(std::move(codes), name + "_codes"),
                                    out_.add_constant(Tensor::of<float>({256}, book), name + "_book"),
                                    out_.add_constant(std::move(scales), name + "_scale")};
    return groups_[blocks] = out_.add(find_op("nnefrun_dequantize_groups"), parts, {1, 1, 1, 0}, {}, {name},
                                      {}, node.where, node.call_chain);
  }

  // A reader of blocks that reads groups and keeps its type; nullopt when it must have blocks.
  std::optional<Outlet> with_groups(const Node& node) {
    if (node.facts.size() != 1 || node.op->stateful) return std::nullopt;
    const auto added = [&](const std::vector<Outlet>& inputs, const std::vector<Attribute>& attributes,
                           DataType type, const std::string& name) -> std::optional<Outlet> {
      try {
        const Outlet outlet =
            out_.add(node.op, inputs, node.input_counts, attributes, {name}, {}, node.where, node.call_chain);
        Fact wanted = node.facts[0];
        wanted.dtype = type;
        return out_.fact(outlet).same_type(wanted) ? std::optional(outlet) : std::nullopt;
      } catch (const Error&) {  // one that insists on blocks
        return std::nullopt;
      }
    };
    std::vector<Outlet> inputs = inputs_of(node, true);
    const std::string& name = node.result_names[0];
    if (node.facts[0].dtype != DataType::f16)
      return added(inputs, node.attributes, node.facts[0].dtype, name);
    // Computed in f32 and rounded once.
    for (Outlet& input : inputs) {
      if (out_.fact(input).dtype == DataType::f16)
        input = out_.add("tract_core_cast", {input}, {Attribute("f32")}, out_.name_of(input) + "_f32");
    }
    std::vector<Attribute> attributes = node.attributes;
    const int type = signature_of(node.op).attribute_index("datum_type");
    if (type >= 0) attributes[static_cast<size_t>(type)] = Attribute();
    const auto real = added(inputs, attributes, DataType::f32, name + "_f32");
    if (!real) return std::nullopt;
    return out_.add("tract_core_cast", {*real}, {Attribute("f16")}, name);
  }

  Graph& from_;
  UseCounts uses_;
  Graph out_;
  std::vector<uint32_t> moved_;
  std::vector<bool> is_blocks_;
  std::map<Outlet, Outlet> groups_;
};

}  // namespace

Graph with_blocks_as_groups(Graph graph, int64_t* applied) {
  const bool any = std::any_of(graph.nodes().begin(), graph.nodes().end(), is_stored);
  return any ? Grouped(graph).run(applied) : std::move(graph);
}

}  // namespace nnefrun
