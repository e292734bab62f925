// nnefrun info: what a model takes and gives, what it is made of, and what it costs.
#include <map>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/macs.h"
#include "cli/model.h"
#include "engine/graph/op_def.h"
#include "engine/runtime/steps.h"

namespace nnefrun::cli {
namespace {

using Json = nlohmann::ordered_json;

Json shape_json(const DimShape& shape) {
  Json out = Json::array();
  for (const Dim& dim : shape) {
    if (dim.is_constant()) {
      out.push_back(dim.value());
    } else {
      out.push_back(dim.to_string());
    }
  }
  return out;
}

Json wire_json(const std::string& name, const Fact& fact) {
  return {{"name", name},
          {"dtype", name_of(fact.dtype)},
          {"shape", shape_json(fact.shape)},
          {"type", fact.to_string()}};
}

bool is_parameter(const Node& node) {
  if (node.op->name != "variable" || !node.facts[0].constant) return false;
  const auto* label =
      node.attributes.size() > 1 ? std::get_if<std::string>(&node.attributes[1].value) : nullptr;
  return label == nullptr || *label != "literal";  // numbers of the text are no parameters
}

// A property as text: strings as they are, few numbers in full.
std::string property_text(const Tensor& value) {
  constexpr int64_t kMost = 16;
  if (value.size() > kMost) return std::string(name_of(value.dtype())) + " " + to_string(value.shape());
  std::string out;
  for (int64_t i = 0; i < value.size(); ++i) {
    out += i ? ", " : "";
    if (value.dtype() == DataType::string) {
      out += value.strings()[static_cast<size_t>(i)];
    } else if (is_integer(value.dtype()) || value.dtype() == DataType::boolean) {
      out += std::to_string(value.as_int(i));
    } else if (is_block_quantized(value.dtype())) {
      return std::string(name_of(value.dtype())) + " " + to_string(value.shape());
    } else {
      Json number = value.as_double(i);
      out += number.dump();
    }
  }
  return out;
}

void describe_interface(const Graph& graph, Json& info) {
  info["inputs"] = info["outputs"] = info["assertions"] = info["state"] = Json::array();
  for (const Outlet& input : graph.inputs)
    info["inputs"].push_back(wire_json(graph.name_of(input), graph.fact(input)));
  for (const GraphOutput& output : graph.outputs) {
    info["outputs"].push_back(wire_json(output.name, graph.fact(output.outlet)));
  }
  info["symbols"] = graph.symbols;
  for (const Assertion& assertion : graph.assertions) info["assertions"].push_back(assertion.text);
  for (const auto& update : graph.updates) {
    info["state"].push_back({{"name", graph.name_of(update.first)},
                             {"kind", "variable"},
                             {"type", graph.fact(update.first).to_string()}});
  }
  for (const Node& node : graph.nodes()) {
    if (!node.op->stateful) continue;
    info["state"].push_back(
        {{"name", node.result_names[0]}, {"kind", node.op->name}, {"type", node.facts[0].to_string()}});
  }
  info["properties"] = Json::object();
  for (const auto& property : graph.properties)
    info["properties"][property.first] = property_text(property.second);
}

void describe_work(const Graph& graph, Json& info) {
  std::map<std::string, int64_t> operators;
  int64_t count = 0;
  uint64_t bytes = 0;
  double macs = 0;
  bool complete = true;
  for (const Node& node : graph.nodes()) {
    if (is_parameter(node)) {
      count += node.facts[0].constant->size();
      bytes += node.facts[0].constant->byte_size();
    }
    if (node.op->name == "variable" || node.op->name == "tract_core_external") continue;
    ++operators[std::string(node.op->name)];
    const auto cost = macs_of(graph, node, {});
    macs += cost.value_or(0);
    if (!cost && counts_macs(*node.op) && !node.facts[0].constant) complete = false;
  }
  info["operators"] = operators;
  info["parameters"] = {{"count", count}, {"bytes", bytes}};
  info["macs"] = static_cast<uint64_t>(macs);
  info["macs_complete"] = complete;
}

// Memory of the planned model when all extents of its inputs are known.
void describe_memory(const std::shared_ptr<const CompiledModel>& model, const Options& options, Json& info) {
  const Graph& graph = model->graph;
  info["planned"] = model->plan.has_value();
  info["arena_bytes"] = nullptr;
  if (!model->plan) {
    info["why_not_planned"] = model->why_no_plan;
    return;
  }
  info["weight_bytes"] = model->plan->constant_bytes();
  info["steps"] = model->plan->steps.size();
  std::map<std::string, int64_t> evaluated;
  std::vector<std::string> reasons;
  for (size_t s = 0; s < model->plan->steps.size(); ++s) {
    const PlanStep& step = model->plan->steps[s];
    if (step.kind != static_cast<uint32_t>(StepKind::evaluate)) continue;
    const Node& node = graph.node(step.node);
    ++evaluated[std::string(node.op->name)];
    const std::string& why = model->plan->step_notes[s];
    if (!why.empty())
      reasons.push_back(std::string(node.op->name) + " `" + node.result_names[0] + "`: " + why);
  }
  info["evaluated"] = evaluated;
  info["why_evaluated"] = reasons;
  std::vector<Tensor> inputs;
  for (const Outlet& input : graph.inputs) {
    const auto shape = graph.fact(input).static_shape();
    if (!shape || graph.fact(input).dtype == DataType::string) return;
    if (byte_size_of(graph.fact(input).dtype, *shape) > memory_limit(options)) return;
    inputs.push_back(Tensor::uninitialized(graph.fact(input).dtype, *shape));
  }
  Session session = start_session(model, options);
  try {
    session.prepare(inputs);
    info["arena_bytes"] = session.arena_bytes();
    info["arena_buffer_bytes"] = session.arena_buffer_bytes();
    info["arena_lower_bound"] = session.arena_lower_bound();
  } catch (const Error& error) {
    info["why_no_arena"] = error.message();
  }
}

std::string list_text(const Json& items) {
  std::string out;
  for (const auto& item : items.items()) {
    out +=
        (out.empty() ? "" : ", ") + item.key() + (item.value() > 1 ? " (" + item.value().dump() + ")" : "");
  }
  return out.empty() ? "none" : out;
}

std::string info_text(const Json& info) {
  std::string out = "graph       " + info["graph"].get<std::string>() + ", dialect " +
                    info["dialect"].get<std::string>() + "\n";
  const auto lines = [&](const char* title, const Json& items,
                         const std::function<std::string(const Json&)>& text) {
    for (const Json& item : items) out += std::string(title) + text(item) + "\n";
  };
  const auto wire = [](const Json& w) {
    return w["name"].get<std::string>() + ": " + w["type"].get<std::string>();
  };
  const auto plain = [](const Json& s) { return s.get<std::string>(); };
  lines("input       ", info["inputs"], wire);
  lines("result      ", info["outputs"], wire);
  lines("symbol      ", info["symbols"], plain);
  lines("assert      ", info["assertions"], plain);
  lines("state       ", info["state"],
        [&](const Json& s) { return wire(s) + ", " + s["kind"].get<std::string>(); });
  for (const auto& property : info["properties"].items()) {
    out += "property    " + property.key() + ": " + property.value().get<std::string>() + "\n";
  }
  out += "operators   " + list_text(info["operators"]) + "\n";
  out += "parameters  " + count_text(info["parameters"]["count"].get<double>()) + ", " +
         bytes_text(info["parameters"]["bytes"].get<double>()) + "\n";
  out += "MACs        " + count_text(info["macs"].get<double>()) +
         (info["macs_complete"].get<bool>() ? "" : " and those whose extents are not known (--set)") + "\n";
  if (!info["planned"].get<bool>()) {
    return out + "plan        none: " + info["why_not_planned"].get<std::string>() +
           "; the model runs by evaluation\n";
  }
  out += "plan        " + info["steps"].dump() + " steps, packed weights " +
         bytes_text(info["weight_bytes"].get<double>()) + "\n";
  if (!info["evaluated"].empty()) out += "evaluated   " + list_text(info["evaluated"]) + "\n";
  if (info.contains("why_evaluated")) {
    for (const auto& reason : info["why_evaluated"]) out += "            " + reason.get<std::string>() + "\n";
  }
  if (!info["arena_bytes"].is_null())
    return out + "arena       " + bytes_text(info["arena_bytes"].get<double>()) + "\n";
  if (info.contains("why_no_arena"))
    return out + "arena       unknown: " + info["why_no_arena"].get<std::string>() + "\n";
  return out + "arena       depends on the symbols; give their values with --set\n";
}

}  // namespace

int info_verb(const Options& options) {
  apply_isa(options);
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const CompileOptions compile = compile_options(options);
  const Archive archive = open_archive(options);
  const Json info = guarded_value<Json>(kModelRefused, [&] {
    Dialect dialect = Dialect::automatic;
    Graph graph = load_typed_graph(archive, options, &dialect);
    Json out = {{"schema_version", 1}, {"graph", graph.name}, {"dialect", name_of(dialect)}};
    describe_interface(graph, out);
    describe_work(graph, out);
    describe_memory(compile_graph(std::move(graph), compile, dialect), options, out);
    return out;
  });
  progress.reset();
  print_out(options.json ? info.dump(1, ' ', false, Json::error_handler_t::replace) + "\n" : info_text(info));
  return kDone;
}

}  // namespace nnefrun::cli
