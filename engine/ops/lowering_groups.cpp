#include "engine/ops/lowering_groups.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/ops/lowering_support.h"
#include "engine/ops/support.h"
#include "kernels/groups/groups.h"

namespace nnefrun {
namespace {

constexpr std::string_view kOp = "nnefrun_dequantize_groups";

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }
std::nullopt_t no(std::string* why, const std::string& text) {
  if (why != nullptr) *why = text;
  return std::nullopt;
}
Dim from_end(const Fact& fact, size_t axis) { return fact.shape[fact.shape.size() - axis]; }

GroupForm form_of(const Tensor& book) {
  switch (book.size()) {
    case 4: return GroupForm::two;
    case 8: return GroupForm::three;
    case 16: return GroupForm::four;
    default: break;
  }
  for (int64_t i = 1; i < book.size(); ++i) {
    if (book.data<float>()[i] - book.data<float>()[0] != static_cast<float>(i)) return GroupForm::book;
  }
  return book.size() == 256 ? GroupForm::eight : GroupForm::book;
}
// What a signed code 0 stands for.
double middle_of(GroupForm form, const Tensor& book) {
  return form == GroupForm::eight ? book.as_double(128) : 0.0;
}

// Groups along the depth that both parameters are constant in; nullopt when there is no size for both.
std::optional<GroupLayout> layout_of(const Graph& graph, const Node& groups, bool across, std::string* why) {
  const Fact& codes = graph.fact(groups.inputs[0]);
  GroupLayout layout;
  layout.across = across;
  const size_t depth_axis = across ? 2 : 1, column_axis = across ? 1 : 2;
  layout.n = from_end(codes, column_axis).value();
  layout.k = from_end(codes, depth_axis).value();
  if (layout.n == 0 || layout.k == 0) return no(why, "there are none of them");
  int64_t count = 1;
  for (size_t i = 2; i < groups.inputs.size(); ++i) {
    const int64_t own = from_end(graph.fact(groups.inputs[i]), depth_axis).value();
    if (std::max(own, count) % std::min(own, count) != 0)
      return no(why, "scales and offsets have other groups");
    count = std::max(own, count);
  }
  layout.group = count == 1 ? (layout.k + kGroupUnit - 1) / kGroupUnit * kGroupUnit : layout.k / count;
  if (layout.group % kGroupUnit != 0)
    return no(why, "groups along the depth have " + std::to_string(layout.group) +
                       " codes, which is no multiple of 8");
  return layout;
}

kernels::GroupWeights weights_of(const GroupLayout& layout, GroupForm form) {
  kernels::GroupWeights w;
  w.form = form;
  w.n = layout.n;
  w.k = layout.k;
  w.group = layout.group;
  return w;
}

// Whether `bias` is one value for each column (or one in all), as the epilogue takes it.
bool takes_bias(const Graph& graph, Outlet bias, int64_t n) {
  const Fact& fact = graph.fact(bias);
  if (is_zero(fact)) return true;
  return is_f32(graph, bias) &&
         ((fact.constant && fact.constant->size() == 1) || volume_of(fact.shape).is(n));
}

std::optional<GroupLayout> taken_by_product(const Graph& graph, const Node& node, const Node& groups,
                                            std::string* why) {
  const NodeReader r = read(node);
  const bool is_linear = node.op->name == "linear";
  if (!is_linear && r.logical("transposeA")) return no(why, "the other operand is transposed");
  const Fact &x = graph.fact(node.inputs[0]), &w = graph.fact(node.inputs[1]), &out = node.facts[0];
  if (w.rank() < 2 || x.rank() != w.rank() || out.rank() != w.rank())
    return no(why, "the operands have other numbers of axes");
  if (!std::all_of(w.shape.begin(), w.shape.end() - 2, [](const Dim& d) { return d.is(1); }))
    return no(why, "the product has several matrices of them");
  const auto layout = layout_of(graph, groups, !is_linear && !r.logical("transposeB"), why);
  if (!layout) return std::nullopt;
  if (!is_f32(graph, node.inputs[0]) || x.constant || !x.shape.back().is(layout->k) ||
      !out.shape.back().is(layout->n) || !std::equal(x.shape.begin(), x.shape.end() - 1, out.shape.begin()))
    return no(why, "the other operand is none that the kernels take");
  EpilogueParameters ignored;
  if (node.op->name == "nnefrun_matmul" && !set_activation(r, ignored))
    return no(why, "of the activation behind it");
  if (!is_linear && node.op->name != "nnefrun_matmul") return layout;
  if (r.has_input("bias")) {
    const Outlet bias = node.inputs[r.input_range("bias").first];
    const Fact& fact = graph.fact(bias);
    if (!takes_bias(graph, bias, layout->n) || (is_linear && fact.rank() >= 1 && !fact.shape[0].is(1)))
      return no(why, "of the shape of the bias");
  }
  if (!is_linear && r.has_input("residual")) {
    const Outlet residual = node.inputs[r.input_range("residual").first];
    if (graph.fact(residual).shape != out.shape || !is_f32(graph, residual))
      return no(why, "of the shape of what is added");
  }
  return layout;
}

void put_number(Tensor& to, int64_t at, double value) {
  if (to.dtype() == DataType::f16) {
    to.mutable_data<uint16_t>()[at] = half_bits_from_float(static_cast<float>(value));
  } else {
    to.mutable_data<float>()[at] = static_cast<float>(value);
  }
}

// The packed constants of the weights, made while the node itself is lowered: its own are gone afterwards.
struct Packed {
  uint32_t codes, book, scales, offsets;
  GroupForm form;
  bool has_offsets;
};

// A parameter as [panel][group][32], in f16 where that is exact. `value(column, group)` gives its numbers.
template <class Value>
Tensor packed_parameter(const kernels::GroupWeights& w, const Value& value) {
  const int64_t groups = w.groups(), panels = (w.n + kernels::kGroupPanel - 1) / kernels::kGroupPanel;
  std::vector<double> numbers(static_cast<size_t>(kernels::packed_group_scales_size(w)), 0.0);
  bool exact = true;
  int64_t at = 0;
  for (int64_t panel = 0; panel < panels; ++panel) {
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t j = panel * kernels::kGroupPanel; j < (panel + 1) * kernels::kGroupPanel; ++j, ++at) {
        if (j >= w.n) continue;
        const double number = value(j, g);
        numbers[static_cast<size_t>(at)] = number;
        const auto single = static_cast<float>(number);
        exact = exact && float_from_half_bits(half_bits_from_float(single)) == single;
      }
    }
  }
  Tensor out =
      Tensor::uninitialized(exact ? DataType::f16 : DataType::f32, {static_cast<int64_t>(numbers.size())});
  out.mutable_bytes();
  for (size_t i = 0; i < numbers.size(); ++i) put_number(out, static_cast<int64_t>(i), numbers[i]);
  return out;
}

Packed packed_groups(PlanBuilder& b, const Graph& graph, Outlet weights, const GroupLayout& layout) {
  const Node& node = graph.node(weights);
  const Outlet codes = node.inputs[0], book = node.inputs[1], scale = node.inputs[2];
  // The first call is that of the node itself, when its constants are at hand; the others find its answers.
  Packed p{};
  p.form = static_cast<GroupForm>(b.derived_value(
      weights, "form", [&] { return static_cast<uint32_t>(form_of(*graph.fact(book).constant)); }));
  const kernels::GroupWeights w = weights_of(layout, p.form);
  const std::string key = std::string(layout.across ? "groups across " : "groups ") +
                          std::to_string(layout.n) + "x" + std::to_string(layout.k) + "/" +
                          std::to_string(layout.group) + " form " + std::to_string(static_cast<int>(p.form));
  const double middle = graph.fact(book).constant ? middle_of(p.form, *graph.fact(book).constant) : 0.0;
  p.has_offsets = b.derived_value(weights, "offsets", [&] {
    return uint32_t{node.inputs.size() > 3 || middle != 0 ? 1U : 0U};
  }) != 0;
  // number (column, group) of a parameter of the node
  const auto reader_of = [&](const Tensor& tensor) {
    const int64_t columns = tensor.dim(tensor.rank() - (layout.across ? 1 : 2));
    const int64_t groups = tensor.dim(tensor.rank() - (layout.across ? 2 : 1));
    return [&tensor, columns, groups, &layout, all = w.groups(), n = w.n](int64_t j, int64_t g) {
      const int64_t column = j / (n / columns), group = groups == 1 ? 0 : g / (all / groups);
      return tensor.as_double(layout.across ? group * columns + column : column * groups + group);
    };
  };
  if (p.has_offsets) {
    p.offsets = b.derived_value(weights, key + " offsets", [&] {
      const Tensor scales = *graph.fact(scale).constant;
      const auto scale_at = reader_of(scales);
      if (node.inputs.size() < 4)
        return b.constant(packed_parameter(w, [&](int64_t j, int64_t g) { return middle * scale_at(j, g); }));
      const Tensor offsets = *graph.fact(node.inputs[3]).constant;
      const auto offset_at = reader_of(offsets);
      return b.constant(packed_parameter(
          w, [&](int64_t j, int64_t g) { return offset_at(j, g) + middle * scale_at(j, g); }));
    });
  }
  p.scales = b.derived_constant(
      scale, key, [&](const PackSource& source) { return packed_parameter(w, reader_of(source.tensor)); });
  p.book = b.derived_constant(book, "groups book", [&](const PackSource& source) {
    Tensor out = Tensor::zeros(DataType::f32, {std::max(1, book_items(p.form))});
    const int64_t items = source.tensor.size();
    for (int64_t i = 0; i < book_items(p.form); ++i) {
      if (i < items || p.form != GroupForm::book)
        out.mutable_data<float>()[i] = source.tensor.data<float>()[i % items];
    }
    return out;
  });
  p.codes = b.derived_constant(codes, key, [&](const PackSource& source) {
    Tensor packed = Tensor::uninitialized(DataType::u8, {kernels::packed_group_codes_size(w)});
    uint8_t* to = packed.mutable_data<uint8_t>();
    const auto* from = source.tensor.data<uint8_t>();
    const uint8_t flip = p.form == GroupForm::eight ? 0x80 : 0;
    std::vector<uint8_t> row(static_cast<size_t>(w.units() * kGroupUnit));
    // by bands, whose source is not needed beside the packed form
    const int64_t band =
        layout.across
            ? w.n
            : std::max<int64_t>(1, (int64_t{1} << 20) / (w.k * kernels::kGroupPanel)) * kernels::kGroupPanel;
    for (int64_t begin = 0; begin < w.n; begin += band) {
      const int64_t end = std::min(begin + band, w.n);
      kernels::pack_group_codes(w, to, begin, end, row.data(), [&](int64_t j, uint8_t* out) {
        for (int64_t d = 0; d < w.k; ++d)
          out[d] = static_cast<uint8_t>(from[layout.across ? d * w.n + j : j * w.k + d] ^ flip);
      });
      source.done(begin * w.k, end * w.k);
    }
    return packed;
  });
  return p;
}

bool is_groups(const Graph& graph, Outlet outlet) {
  return graph.node(outlet).op->name == kOp && !graph.fact(outlet).constant;
}

// How node `reader` takes its argument `input` packed.
std::optional<GroupLayout> packed_groups_of(const Graph& graph, uint32_t reader, uint32_t input,
                                            std::string* why) {
  const Node& node = graph.node(reader);
  const Node& groups = graph.node(node.inputs[input]);
  const std::string_view op = node.op->name;
  for (const Outlet& part : groups.inputs) {
    if (graph.node(part).op->name != "variable") return no(why, "they are no constants");
  }
  if (graph.fact(groups.inputs[1]).shape[0].value() > 256)
    return no(why, "the book has more than 256 numbers");
  if ((op == "matmul" || op == "linear" || op == "nnefrun_matmul") && input == 1)
    return taken_by_product(graph, node, groups, why);
  if ((op == "gather" || op == "tract_core_gather") && input == 0) {
    if (graph.fact(node.inputs[0]).rank() != 2 || read(node).integer("axis") != 0 ||
        graph.fact(node.inputs[1]).dtype != DataType::i64)
      return no(why, "`" + std::string(op) + "` looks up something else than rows");
    return layout_of(graph, groups, false, why);
  }
  return no(why, "`" + std::string(op) + "` reads them");
}

std::string place_of(const Node& node) {
  const std::string where = node.where.to_string();
  return "`" + node.result_names[0] + "`" + (where.empty() ? "" : " (" + where + ")");
}

// How all readers of the weights take them packed; nullopt when one of them does not.
std::optional<GroupLayout> packed_layout(const Graph& graph, Outlet weights, std::string* why) {
  const uint32_t index = weights.node;
  if (!is_groups(graph, weights)) return no(why, "they are other weights");
  std::optional<GroupLayout> layout;
  for (const GraphOutput& output : graph.outputs) {
    if (output.outlet.node == index) return no(why, "they are a result of the graph");
  }
  for (const auto& update : graph.updates) {
    if (update.second.node == index) return no(why, "a variable keeps them");
  }
  for (uint32_t n = index + 1; n < graph.nodes().size(); ++n) {
    const Node& node = graph.node(n);
    for (uint32_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i].node != index) continue;
      const auto own = packed_groups_of(graph, n, i, why);
      if (!own) return std::nullopt;
      if (layout && layout->across != own->across) return no(why, "they are read along both axes");
      layout = own;
    }
  }
  return layout;
}

}  // namespace

std::optional<GroupLayout> planned_layout(PlanBuilder& b, const Graph& graph, Outlet weights) {
  if (!is_groups(graph, weights)) return std::nullopt;
  enum : uint32_t { kNone, kAlong, kAcross };
  const uint32_t answer = b.derived_value(weights, "layout", [&] {
    const auto layout = packed_layout(graph, weights, nullptr);
    return static_cast<uint32_t>(!layout ? kNone : layout->across ? kAcross : kAlong);
  });
  if (answer == kNone) return std::nullopt;
  return layout_of(graph, graph.node(weights), answer == kAcross, nullptr);
}

void groups_product(PlanBuilder& b, const Graph& graph, uint32_t x, Outlet weights, const GroupLayout& layout,
                    const std::vector<uint32_t>& more, EpilogueParameters epilogue, uint32_t out,
                    const std::string& note) {
  const Packed packed = packed_groups(b, graph, weights, layout);
  MatmulGroupsParameters p;
  p.epilogue = epilogue;
  p.form = static_cast<uint8_t>(packed.form);
  p.has_offsets = packed.has_offsets ? 1 : 0;
  p.group = layout.group;
  p.n = b.size(layout.n);
  p.k = b.size(layout.k);
  std::vector<uint32_t> inputs{x, packed.codes};
  inputs.insert(inputs.end(), more.begin(), more.end());
  inputs.push_back(packed.scales);
  inputs.push_back(packed.book);
  if (packed.has_offsets) inputs.push_back(packed.offsets);
  b.step(StepKind::matmul_groups, inputs, {out}, p,
         note + " int" + std::to_string(bits_of(packed.form)) + " groups of " + std::to_string(layout.group));
}

bool lower_groups_gather(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto layout = planned_layout(b, graph, node.inputs[0]);
  if (!layout) return false;
  const Packed packed = packed_groups(b, graph, node.inputs[0], *layout);
  GatherGroupsParameters p;
  p.wrap = node.op->name == "tract_core_gather" ? 1 : 0;
  p.form = static_cast<uint8_t>(packed.form);
  p.has_offsets = packed.has_offsets ? 1 : 0;
  p.group = layout->group;
  p.rows = b.size(layout->n);
  p.k = b.size(layout->k);
  std::vector<uint32_t> inputs{packed.codes, b.value_of(node.inputs[1]), packed.scales, packed.book};
  if (packed.has_offsets) inputs.push_back(packed.offsets);
  b.step(StepKind::gather_groups, inputs, {b.result(index)}, p,
         "rows of " + std::to_string(layout->n) + " x " + std::to_string(layout->k) + " int" +
             std::to_string(bits_of(packed.form)) + " groups of " + std::to_string(layout->group));
  return true;
}

void unpack_groups(Graph& graph, bool early, const std::function<void(const std::string&)>& note) {
  static constexpr std::string_view kMayTake[] = {
      "matmul", "linear", "nnefrun_matmul", "gather", "tract_core_gather", "tract_core_einsum"};
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.node(n);
    if (!is_groups(graph, {n, 0})) continue;
    std::string why;
    bool takes = true;
    if (early) {
      for (uint32_t m = n + 1; takes && m < graph.nodes().size(); ++m) {
        const Node& reader = graph.node(m);
        const bool reads = std::any_of(reader.inputs.begin(), reader.inputs.end(),
                                       [&](const Outlet& input) { return input.node == n; });
        takes = !reads ||
                std::find(std::begin(kMayTake), std::end(kMayTake), reader.op->name) != std::end(kMayTake);
        if (!takes) why = "`" + std::string(reader.op->name) + "` reads them";
      }
    } else {
      takes = packed_layout(graph, {n, 0}, &why).has_value();
    }
    if (takes) continue;
    std::vector<Tensor> arguments;
    for (const Outlet& input : node.inputs) {
      if (!graph.fact(input).constant) break;
      arguments.push_back(*graph.fact(input).constant);
    }
    if (arguments.size() != node.inputs.size()) continue;
    const SymbolValues no_symbols;
    size_t packed = 0;
    for (const Tensor& argument : arguments) packed += argument.byte_size();
    const int bits = bits_of(form_of(arguments[1]));
    packed -= arguments[0].byte_size() * static_cast<size_t>(8 - bits) / 8;
    EvalContext context(node, signature_of(node.op), graph, std::move(arguments), no_symbols, nullptr);
    Tensor value = node.op->eval(context)[0];
    if (note && !why.empty()) {
      note("weights " + place_of(node) + ": codes of " + std::to_string(bits) +
           " bits become f32 when the model is loaded, since " + why + ": " +
           std::to_string(value.byte_size()) + " bytes instead of " + std::to_string(packed));
    }
    graph.mutable_fact({n, 0}).constant = std::make_shared<const Tensor>(std::move(value));
  }
}

void note_unrecognised_codes(const Graph& graph, const std::function<void(const std::string&)>& note) {
  constexpr int64_t kLeastCodes = 64;
  // For each wire, the constant codes that it alone is computed from; none when something else is in it.
  std::vector<const Node*> codes(graph.nodes().size(), nullptr);
  std::vector<bool> constant(graph.nodes().size(), false);
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.node(n);
    const auto is_input = [&](const Outlet& outlet) { return outlet.node == n; };
    if (std::any_of(graph.inputs.begin(), graph.inputs.end(), is_input) || node.op->stateful ||
        !node.bodies.empty())
      continue;
    if (node.op->name == "variable" && node.facts[0].constant) {
      constant[n] = true;
      const Fact& fact = node.facts[0];
      const bool is_code = (fact.dtype == DataType::u8 || fact.dtype == DataType::i8) && !fact.quant;
      if (is_code && fact.constant->size() >= kLeastCodes) codes[n] = &node;
      continue;
    }
    constant[n] = !node.inputs.empty() && node.facts.size() == 1 &&
                  std::all_of(node.inputs.begin(), node.inputs.end(),
                              [&](const Outlet& input) { return constant[input.node]; });
    for (const Outlet& input : node.inputs) {
      if (constant[n] && codes[n] == nullptr) codes[n] = codes[input.node];
    }
  }
  std::set<uint32_t> told;
  for (const Node& node : graph.nodes()) {
    const std::string_view op = node.op->name;
    if (op != "matmul" && op != "linear" && op != "conv" && op != "tract_core_einsum") continue;
    for (const Outlet& input : node.inputs) {
      const Node& weights = graph.node(input);
      if (codes[input.node] == nullptr || weights.op->name == kOp || weights.op->name == "variable" ||
          !is_float(graph.fact(input).dtype) || !told.insert(input.node).second)
        continue;
      const auto shape = graph.fact(input).static_shape();
      const size_t bytes = shape ? byte_size_of(graph.fact(input).dtype, *shape) : 0;
      note("weights " + place_of(weights) + " of `" + std::string(op) + "`: computed from the codes `" +
           codes[input.node]->result_names[0] + "`, last by `" + std::string(weights.op->name) +
           "`, in no form that stays packed: they become " + std::string(name_of(graph.fact(input).dtype)) +
           " when the model is loaded: " + std::to_string(bytes) + " bytes instead of " +
           std::to_string(codes[input.node]->facts[0].constant->byte_size()));
    }
  }
}

namespace {

// Nothing but packing: readers have the steps.
bool lower_groups(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const auto layout = planned_layout(b, graph, {index, 0});
  if (!layout) return false;
  packed_groups(b, graph, {index, 0}, *layout);
  return true;
}

constexpr Lowering kLowerings[] = {{"nnefrun_dequantize_groups", lower_groups, TypeSet{}}};

}  // namespace

std::span<const Lowering> group_lowerings() { return kLowerings; }

}  // namespace nnefrun
