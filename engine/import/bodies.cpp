// Loops and sub-models: operations whose bodies are graphs of their own (tract-opl 5.4.9).

#include <algorithm>
#include <cctype>

#include "engine/import/importer.h"

namespace nnefrun {
namespace {

// How tract's writer spells a name that is no plain identifier (tract-opl 2.2).
std::string sanitized(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  if (!out.empty() && std::isalpha(static_cast<unsigned char>(out[0])) == 0) out.insert(out.begin(), '_');
  return out;
}

bool matches(const Value& text, std::string_view name) {
  if (!text.is_string()) return false;
  return text.as_string() == name || sanitized(text.as_string()) == name ||
         sanitized(name) == text.as_string();
}

Fact without_value(Fact fact) {
  fact.constant = nullptr;
  fact.dims = nullptr;
  return fact;
}

}  // namespace

std::vector<Value> Importer::spread(std::vector<Value> made) {
  if (made.size() == 1 && made[0].is_array()) return made[0].items();
  return made;
}

std::vector<Value> Importer::tract_scan(const PrimitiveCall& call) {
  const Value& body_name = call.argument("body");
  const FragmentDefinition* fragment =
      body_name.is_string() ? call.expander->find_fragment(body_name.as_string()) : nullptr;
  if (fragment == nullptr || !fragment->has_body) {
    throw fail(call, "unknown-operation",
               "the document has no fragment " + body_name.to_string() + " for the loop's body");
  }
  const auto tuples = [&](std::string_view parameter, size_t least) {
    const Value& list = call.argument(parameter);
    std::vector<Value::List> out;
    if (list.is_absent()) return out;
    for (const Value& item : list.is_array() ? list.items() : Value::List{list}) {
      if (!item.is_list() || item.items().size() < least) {
        throw fail(call, "attribute-type",
                   "argument `" + std::string(parameter) + "` must list tuples of at least " +
                       std::to_string(least) + " items");
      }
      out.push_back(item.items());
    }
    return out;
  };
  const auto integer = [&](const Value& value) -> int64_t {
    const auto known = symbolic(value);
    if (!known || known->dims.size() != 1 || !known->dims[0].is_constant())
      throw fail(call, "attribute-type", "an integer is expected, not " + value.describe());
    return known->dims[0].value();
  };
  const auto scans = tuples("scan", 3), fulls = tuples("full", 2), states = tuples("state", 3),
             outputs = tuples("output", 3);
  const auto find = [](const std::vector<Value::List>& lists, std::string_view name) -> const Value::List* {
    const auto it =
        std::find_if(lists.begin(), lists.end(), [&](const auto& list) { return matches(list[0], name); });
    return it == lists.end() ? nullptr : &*it;
  };

  Importer body(document_, sources_, options_, this);
  std::vector<Value> arguments;
  std::vector<Outlet> inputs;
  Attribute::List kinds, axes, chunks;
  std::vector<Value> next_names;  // the result that follows each state, in the order of the inputs
  for (const Parameter& parameter : fragment->parameters) {
    const std::string name(parameter.name);
    const Value::List *scan = find(scans, name), *full = find(fulls, name), *state = find(states, name);
    if ((scan != nullptr) + (full != nullptr) + (state != nullptr) != 1) {
      throw fail(call, "missing-argument",
                 "parameter `" + name + "` of the body must be bound by exactly one of scan, full and state");
    }
    const Value& given = (scan != nullptr ? *scan : full != nullptr ? *full : *state)[1];
    const Outlet outer = wire(given);
    Fact inner = fact(outer);
    if (full != nullptr && inner.constant) {  // a weight: it lives in the body, where its value is known
      arguments.push_back(body.add_entry(body.graph_.add_constant(*inner.constant, name, inner.quant)));
      continue;
    }
    const int64_t axis = scan != nullptr ? integer((*scan)[2]) : 0;
    const int64_t chunk = scan == nullptr ? 0 : scan->size() > 3 ? integer((*scan)[3]) : 1;
    if (scan != nullptr) {
      if (axis < 0 || axis >= inner.rank()) {
        throw fail(
            call, "axis-out-of-range",
            "axis " + std::to_string(axis) + " of `" + name + "` is out of range for " + inner.to_string());
      }
      if (chunk == 0 || chunk == INT64_MIN)
        throw fail(call, "attribute-range", "a chunk of " + std::to_string(chunk) + " is not allowed");
      inner.shape[static_cast<size_t>(axis)] = Dim(chunk < 0 ? -chunk : chunk);
    }
    if (state != nullptr) next_names.push_back((*state)[2]);
    const Outlet external = body.graph_.add_external(without_value(inner), name, call.where);
    if (full != nullptr) body.graph_.mutable_fact(external).dims = inner.dims;
    arguments.push_back(body.add_entry(external));
    inputs.push_back(outer);
    kinds.emplace_back(scan != nullptr ? "scan" : full != nullptr ? "full" : "state");
    axes.emplace_back(axis);
    chunks.emplace_back(chunk);
  }
  const std::vector<Value> results = call.expander->expand_fragment(*fragment, arguments, body, call.where);
  for (size_t i = 0; i < results.size(); ++i) {
    body.graph_.outputs.push_back({body.wire(results[i]), std::string(fragment->results[i].name)});
  }
  body.graph_.name = std::string(fragment->name);
  for (const auto& symbol : body.graph_.symbols) graph_.declare_symbol(symbol);

  const auto result_index = [&](const Value& name) -> int64_t {
    for (size_t i = 0; i < fragment->results.size(); ++i) {
      if (matches(name, fragment->results[i].name)) return static_cast<int64_t>(i);
    }
    throw fail(call, "unknown-identifier", "the body has no result " + name.to_string());
  };
  Attribute::List next_states, output_results, output_kinds, output_axes, output_chunks;
  for (const Value& name : next_names) next_states.emplace_back(result_index(name));
  for (const auto& output : outputs) {
    output_results.emplace_back(result_index(output[0]));
    const bool full = output[1].is_string() && output[1].as_string() == "full";
    if (!full && !(output[1].is_string() && output[1].as_string() == "last")) {
      throw fail(call, "attribute-range", "an output is 'full' or 'last', not " + output[1].to_string());
    }
    output_kinds.emplace_back(full ? "full" : "last");
    output_axes.emplace_back(full ? integer(output[2]) : 0);
    output_chunks.emplace_back(!full ? 0 : output.size() > 3 ? integer(output[3]) : 1);
  }
  const auto flag = [&](std::string_view parameter) -> int64_t {
    const Value& value = call.argument(parameter);
    return value.is_absent() ? 0 : value.is_logical() ? (value.as_logical() ? 1 : 0) : integer(value);
  };
  const auto count = static_cast<uint32_t>(inputs.size());
  return spread(add_row(
      call, "nnefrun_scan", std::move(inputs), {count},
      {Attribute(std::string(fragment->name)), kinds, axes, chunks, next_states, output_results, output_kinds,
       output_axes, output_chunks, Attribute(flag("skip")), Attribute(flag("reset_every_turn") != 0)},
      {std::make_shared<const Graph>(std::move(body.graph_))}));
}

std::vector<Value> Importer::tract_submodel(const PrimitiveCall& call) {
  const Value& label = call.argument("label");
  if (!label.is_string()) throw fail(call, "attribute-type", "argument `label` must be a string");
  auto body = sources_.submodel ? sources_.submodel(label.as_string()) : nullptr;
  if (!body)
    throw fail(call, "submodel-missing", "the archive holds no sub-model `" + label.as_string() + "`");
  const Value& given = call.arguments[0];
  std::vector<Outlet> inputs;
  for (const Value& item : given.is_list() ? given.items() : Value::List{given}) inputs.push_back(wire(item));
  const auto count = static_cast<uint32_t>(inputs.size());
  return spread(add_row(call, "tract_core_submodel", std::move(inputs), {count},
                        {Attribute(label.as_string())}, {std::move(body)}));
}

// ------------------------------------------------------------------------------------ the engine's own
// dialect

Graph Importer::body_graph(const PrimitiveCall& call, const FragmentDefinition& fragment,
                           const std::vector<Fact>& inputs) {
  if (fragment.parameters.size() != inputs.size()) {
    throw fail(call, "too-many-arguments",
               "the body takes " + std::to_string(fragment.parameters.size()) + " tensors, " +
                   std::to_string(inputs.size()) + " are given");
  }
  Importer body(document_, sources_, options_, this);
  std::vector<Value> arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Outlet external = body.graph_.add_external(without_value(inputs[i]),
                                                     std::string(fragment.parameters[i].name), call.where);
    arguments.push_back(body.add_entry(external));
  }
  const std::vector<Value> results = call.expander->expand_fragment(fragment, arguments, body, call.where);
  for (size_t i = 0; i < results.size(); ++i) {
    body.graph_.outputs.push_back({body.wire(results[i]), std::string(fragment.results[i].name)});
  }
  body.graph_.name = std::string(fragment.name);
  return std::move(body.graph_);
}

std::vector<Value> Importer::engine_scan(const PrimitiveCall& call) {
  const Value& name = call.argument("body");
  const FragmentDefinition* fragment =
      name.is_string() ? call.expander->find_fragment(name.as_string()) : nullptr;
  if (fragment == nullptr || !fragment->has_body)
    throw fail(call, "unknown-operation", "the document has no fragment " + name.to_string());
  std::vector<Outlet> inputs;
  for (const Value& item : call.argument("inputs").items()) inputs.push_back(wire(item));
  const auto axes = integers(call, "axes"), chunks = integers(call, "chunks");
  const Value& kinds = call.argument("kinds");
  if (!kinds.is_list() || kinds.items().size() != inputs.size() || axes.size() != inputs.size() ||
      chunks.size() != inputs.size()) {
    throw fail(call, "attribute-length", "kinds, axes and chunks must have one item for each input");
  }
  std::vector<Fact> facts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Fact inner = fact(inputs[i]);
    if (kinds.items()[i].is_string() && kinds.items()[i].as_string() == "scan") {
      if (axes[i] < 0 || axes[i] >= inner.rank())
        throw fail(call, "axis-out-of-range", "axis " + std::to_string(axes[i]) + " is out of range");
      inner.shape[static_cast<size_t>(axes[i])] = Dim(chunks[i] < 0 ? -chunks[i] : chunks[i]);
    }
    facts.push_back(std::move(inner));
  }
  std::vector<Attribute> attributes;
  const Signature& signature = signature_of(find_op("nnefrun_scan"));
  for (const uint32_t index : signature.attributes) {
    attributes.push_back(
        attribute(call.argument(signature.parameters[index].name), call, signature.parameters[index].name));
  }
  const auto count = static_cast<uint32_t>(inputs.size());
  return spread(add_row(call, "nnefrun_scan", std::move(inputs), {count}, std::move(attributes),
                        {std::make_shared<const Graph>(body_graph(call, *fragment, facts))}));
}

std::vector<Value> Importer::engine_submodel(const PrimitiveCall& call) {
  const Value& label = call.argument("label");
  const FragmentDefinition* fragment =
      label.is_string() ? call.expander->find_fragment(label.as_string()) : nullptr;
  if (fragment == nullptr || !fragment->has_body)
    throw fail(call, "unknown-operation", "the document has no fragment " + label.to_string());
  std::vector<Outlet> inputs;
  std::vector<Fact> facts;
  for (const Value& item :
       call.arguments[0].is_list() ? call.arguments[0].items() : Value::List{call.arguments[0]}) {
    inputs.push_back(wire(item));
    facts.push_back(fact(inputs.back()));
  }
  const auto count = static_cast<uint32_t>(inputs.size());
  return spread(add_row(call, "tract_core_submodel", std::move(inputs), {count},
                        {Attribute(label.as_string())},
                        {std::make_shared<const Graph>(body_graph(call, *fragment, facts))}));
}

}  // namespace nnefrun
