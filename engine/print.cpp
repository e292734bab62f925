// A typed graph as NNEF text of the engine's dialect, and back. Everything follows from the signatures: there
// is no code for any single operator here, except for where tensors come from.

#include <algorithm>
#include <set>

#include "engine/accuracy.h"
#include "engine/compiler.h"
#include "engine/import/importer.h"
#include "engine/ops/quant_types.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"
#include "nnef_parser/stdlib.h"
#include "nnef_parser/tensor_file.h"

namespace nnefrun {
namespace {

std::string quoted(const std::string& text) { return printed_string(text); }

// Extents are written as expressions of symbols; the divisions that NNEF lacks are operations of the engine's
// dialect.
std::string dim_text(const Dim& dim) {
  std::string text = dim.to_string();
  for (const std::string name : {"floor_div(", "ceil_div(", "broadcast("}) {
    for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + name.size() + 8)) {
      text.insert(at, "nnefrun_");
    }
  }
  return text;
}

std::string attribute_text(const Attribute& a) {
  if (const auto* logical = std::get_if<bool>(&a.value)) return *logical ? "true" : "false";
  if (const auto* scalar = std::get_if<double>(&a.value)) return printed_scalar(*scalar);
  if (const auto* text = std::get_if<std::string>(&a.value)) return quoted(*text);
  if (const auto* dim = std::get_if<Dim>(&a.value)) return dim_text(*dim);
  const auto* list = std::get_if<Attribute::List>(&a.value);
  if (list == nullptr) return "false";
  std::string out = a.is_tuple ? "(" : "[";
  for (size_t i = 0; i < list->size(); ++i) out += (i ? ", " : "") + attribute_text((*list)[i]);
  return out + (a.is_tuple ? ")" : "]");
}

class GraphPrinter {
 public:
  PrintedGraph print(const Graph& graph) {
    std::string body = graph_text(graph, {}, false);
    std::string head = "version 1.0;\n\nextension nnefrun_engine 1;\n";
    for (const auto& symbol : graph.symbols) head += "extension tract_symbol " + symbol + ";\n";
    for (const auto& assertion : graph.assertions) head += "extension tract_assert " + assertion.text + ";\n";
    if (asks_for_fast(graph)) {
      Document properties;
      record_accuracy(properties, true);
      fragments_ += nnefrun::print(properties.fragments[0]) + "\n";
    }
    out_.text = head + "\n" + fragments_ + body;
    return std::move(out_);
  }

 private:
  std::string label_of(const std::string& wanted, const Tensor& tensor) {
    std::string label = wanted;
    for (int k = 1;; ++k) {
      const auto it = std::find_if(out_.tensors.begin(), out_.tensors.end(),
                                   [&](const auto& t) { return t.first == label; });
      if (it == out_.tensors.end()) break;
      if (it->second.bytes() == tensor.bytes() && it->second.identical(tensor)) return label;
      label = wanted + "_" + std::to_string(k);
    }
    out_.tensors.emplace_back(label, tensor);
    return label;
  }

  // A constant: rank-0 f32, i64 and bool are written where they are used, everything else is a variable.
  static std::optional<std::string> inline_text(const Fact& fact) {
    if (!fact.constant || fact.rank() != 0 || fact.quant) return std::nullopt;
    if (fact.dtype == DataType::f32)
      return printed_scalar(static_cast<double>(fact.constant->data<float>()[0]));
    return std::nullopt;
  }

  std::string graph_text(const Graph& graph, const std::string& fragment, bool is_body) {
    std::string lines;
    std::set<Outlet> named;  // constants that need a line of their own: outputs and updated variables
    for (const GraphOutput& output : graph.outputs) named.insert(output.outlet);
    for (const auto& update : graph.updates) named.insert(update.first);
    const auto reference = [&](Outlet outlet) {
      if (graph.node(outlet).facts.size() == 1 && named.count(outlet) == 0) {
        if (auto text = inline_text(graph.fact(outlet))) return *text;
      }
      return printed_identifier(graph.name_of(outlet));
    };
    const auto uses = graph.use_counts();
    for (uint32_t index = 0; index < graph.nodes().size(); ++index) {
      const Node& node = graph.node(index);
      if (node.op->name == "tract_core_external") {
        if (is_body) continue;
        const Fact& fact = node.facts[0];
        lines += "  " + printed_identifier(node.result_names[0]) +
                 " = tract_core_external(shape = " + attribute_text(Attribute::of_dims(fact.shape)) +
                 ", datum_type = " + quoted(item_type_text(item_type_of(fact))) + ");\n";
        continue;
      }
      if (node.initial || (node.facts.size() == 1 && node.facts[0].constant)) {
        const Fact& fact = node.facts[0];
        const Tensor& value = node.initial ? *node.initial : *fact.constant;
        const bool own_line = named.count({index, 0}) != 0 || !inline_text(fact);
        if (!own_line || uses[{index, 0}] == 0) continue;
        const std::string wanted = node.op->name == "variable"
                                       ? std::get<std::string>(node.attributes[1].value)
                                       : node.result_names[0];
        const std::string label = label_of(wanted, value);
        lines += "  " + printed_identifier(node.result_names[0]) +
                 " = variable(shape = " + attribute_text(Attribute::of_dims(fact.shape)) +
                 ", label = " + quoted(label) + ");\n";
        if (fact.quant) {  // the file holds codes; their scale is part of the graph
          lines.erase(lines.rfind("  "));
          lines += "  " + printed_identifier(node.result_names[0]) +
                   " = tract_core_cast(variable(shape = " + attribute_text(Attribute::of_dims(fact.shape)) +
                   ", label = " + quoted(label) + "), to = " + quoted(item_type_text(item_type_of(fact))) +
                   ");\n";
        }
        continue;
      }
      lines += "  " + node_text(graph, index, reference) + ";\n";
    }
    if (!is_body) {
      for (const auto& update : graph.updates) {
        lines += "  " + printed_identifier("updated_" + graph.name_of(update.first)) + " = update(" +
                 printed_identifier(graph.name_of(update.first)) + ", " + reference(update.second) + ");\n";
      }
    }
    // Results whose wire carries another name.
    std::string results, result_types;
    for (const GraphOutput& output : graph.outputs) {
      const std::string own = printed_identifier(output.name),
                        wire = printed_identifier(graph.name_of(output.outlet));
      if (own != wire) lines += "  " + own + " = copy(" + wire + ");\n";
      results += (results.empty() ? "" : ", ") + own;
      result_types += (result_types.empty() ? "" : ", ") + own + ": tensor<scalar>";
    }
    std::string parameters, parameter_types;
    for (const Outlet& input : graph.inputs) {
      const std::string own = printed_identifier(graph.name_of(input));
      parameters += (parameters.empty() ? "" : ", ") + own;
      parameter_types += (parameter_types.empty() ? "" : ", ") + own + ": tensor<scalar>";
    }
    if (is_body) {
      return "fragment " + printed_identifier(fragment) + "( " + parameter_types + " )\n-> ( " +
             result_types + " )\n{\n" + lines + "}\n\n";
    }
    return "graph " + printed_identifier(graph.name) + "( " + parameters + " ) -> ( " + results + " )\n{\n" +
           lines + "}\n";
  }

  template <class Reference>
  std::string node_text(const Graph& graph, uint32_t index, const Reference& reference) {
    const Node& node = graph.node(index);
    const Signature& signature = signature_of(node.op);
    std::string left;
    for (const auto& name : node.result_names) left += (left.empty() ? "" : ", ") + printed_identifier(name);
    const bool variable = has_variable_results(*find_standard(node.op->name, Dialect::engine));
    const bool array = !variable && signature.result_is_array.size() == 1 && signature.result_is_array[0];
    if (array) left = "[" + left + "]";
    std::string arguments;
    const auto add = [&](const std::string& text) { arguments += (arguments.empty() ? "" : ", ") + text; };
    size_t flat = 0;
    bool positional = true;
    for (size_t t = 0; t < signature.tensors.size(); ++t) {
      const auto& parameter = signature.parameters[signature.tensors[t]];
      const uint32_t count = node.input_counts[t];
      positional = positional && signature.tensors[t] == t;  // no attribute is declared before it
      if (count == 0 && !parameter.is_array) {
        positional = false;
        continue;
      }
      std::string text;
      for (uint32_t i = 0; i < count; ++i) text += (i ? ", " : "") + reference(node.inputs[flat + i]);
      if (parameter.is_array) text = "[" + text + "]";
      flat += count;
      add(positional ? text : parameter.name + " = " + text);
    }
    for (size_t a = 0; a < signature.attributes.size(); ++a) {
      const auto& parameter = signature.parameters[signature.attributes[a]];
      const Attribute& value = node.attributes[a];
      if (!value.is_given() || (parameter.default_value && *parameter.default_value == value)) continue;
      std::string text = attribute_text(value);
      if (parameter.name == "body" && !node.bodies.empty())
        text = quoted(body_name(*node.bodies[0], std::get<std::string>(value.value)));
      if (parameter.name == "label" && node.op->name == "tract_core_submodel") {
        text = quoted(body_name(*node.bodies[0], "submodel_" + std::get<std::string>(value.value)));
      }
      add(parameter.name + " = " + text);
    }
    return left + " = " + std::string(node.op->name) + "(" + arguments + ")";
  }

  std::string body_name(const Graph& body, std::string wanted) {
    for (int k = 1; !fragment_names_.insert(wanted).second; ++k) wanted += "_" + std::to_string(k);
    fragments_ += graph_text(body, wanted, true);
    return wanted;
  }

  PrintedGraph out_;
  std::string fragments_;
  std::set<std::string> fragment_names_;
};

}  // namespace

PrintedGraph print_graph(const Graph& graph) { return GraphPrinter().print(graph); }

Graph reload_graph(const PrintedGraph& printed) {
  const Document document = parse_document(printed.text, "printed.nnef", {});
  std::map<std::string, TensorFile> files;
  for (const auto& item : printed.tensors) {
    std::string bytes;
    write_tensor_file(
        [&](ByteSpan part) { bytes.append(reinterpret_cast<const char*>(part.data()), part.size()); },
        item.second, TensorFileForm::engine);
    files.emplace(item.first,
                  read_tensor_file(ByteSpan(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()),
                                   item.first));
  }
  ImportSources sources;
  sources.tensor = [&](const std::string& label) -> std::optional<TensorFile> {
    const auto it = files.find(label);
    return it == files.end() ? std::nullopt : std::optional<TensorFile>(it->second);
  };
  return import_document(document, sources);
}

}  // namespace nnefrun
