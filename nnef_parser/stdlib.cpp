#include "nnef_parser/stdlib.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "nnef_parser/parser.h"
#include "nnef_parser/stdlib_texts.h"

namespace nnefrun {
namespace {

constexpr std::string_view kRegistries[] = {"tract_core", "tract_transformers", "tract_extra",
                                            "tract_onnx", "tract_pulse",        "tract_resource"};

struct View {
  std::vector<StandardFile> files;
  std::unordered_map<std::string_view, const FragmentDefinition*> by_name;
};

class Library {
 public:
  Library() {
    documents_.reserve(kStandardTextCount);
    for (size_t i = 0; i < kStandardTextCount; ++i) {
      ParseOptions options;
      options.require_graph = false;
      // The engine's dialect reads every file, also complex types; the standard's own file is read strictly.
      const bool standard = std::strcmp(kStandardTexts[i].name, "nnef.nnef") == 0;
      options.dialect = standard ? Dialect::khronos : Dialect::engine;
      documents_.push_back(parse_document(kStandardTexts[i].text, kStandardTexts[i].name, options));
      names_.emplace(documents_.back().source.get(), kStandardTexts[i].name);
    }
    std::vector<std::string> registries;
    for (const auto registry : kRegistries) registries.push_back(std::string(registry) + ".nnef");
    fill(khronos_, {"nnef.nnef"});
    std::vector<std::string> tract{"tract_nnef.nnef", "nnef.nnef"};
    tract.insert(tract.end(), registries.begin(), registries.end());
    fill(tract_, tract);
    std::vector<std::string> engine{"engine.nnef", "nnef.nnef", "tract_nnef.nnef"};
    engine.insert(engine.end(), registries.begin(), registries.end());
    fill(engine_, engine);
  }

  const View& view(Dialect dialect) const {
    switch (dialect) {
      case Dialect::khronos: return khronos_;
      case Dialect::tract: return tract_;
      default: return engine_;
    }
  }

  std::string_view file_of(const FragmentDefinition& fragment) const {
    const auto found = names_.find(fragment.source);
    return found == names_.end() ? std::string_view() : found->second;
  }

 private:
  void fill(View& view, const std::vector<std::string>& names) {
    for (const auto& name : names) {
      for (size_t i = 0; i < kStandardTextCount; ++i) {
        if (name != kStandardTexts[i].name) continue;
        view.files.push_back({kStandardTexts[i].name, &documents_[i]});
        for (const auto& fragment : documents_[i].fragments) view.by_name.emplace(fragment.name, &fragment);
      }
    }
  }

  std::vector<Document> documents_;
  std::unordered_map<const SourceText*, std::string_view> names_;
  View khronos_, tract_, engine_;
};

const Library& library() {
  static const Library instance;
  return instance;
}

}  // namespace

const FragmentDefinition* find_standard(std::string_view name, Dialect dialect) {
  const View& view = library().view(dialect);
  const auto found = view.by_name.find(name);
  return found == view.by_name.end() ? nullptr : found->second;
}

const std::vector<StandardFile>& standard_files(Dialect dialect) { return library().view(dialect).files; }

std::vector<const FragmentDefinition*> list_standard(Dialect dialect) {
  const View& view = library().view(dialect);
  std::vector<const FragmentDefinition*> all;
  for (const auto& file : view.files) {
    for (const auto& fragment : file.document->fragments) {
      if (view.by_name.at(fragment.name) == &fragment) all.push_back(&fragment);
    }
  }
  return all;
}

std::string_view standard_file_of(const FragmentDefinition& fragment) { return library().file_of(fragment); }

bool is_registry(std::string_view name) {
  return name == "pulse" || name == "tract_nnef" ||
         std::find(std::begin(kRegistries), std::end(kRegistries), name) != std::end(kRegistries);
}

bool is_optional(const Parameter& parameter) {
  if (!parameter.default_value || parameter.type->primitive == PrimitiveType::logical) return false;
  const auto* literal = parameter.default_value->as<Literal>();
  return literal && literal->type() == LiteralType::logical && !literal->logical;
}

bool has_variable_results(const FragmentDefinition& fragment) {
  return fragment.results.size() == 1 && fragment.results[0].name == "outputs" &&
         fragment.results[0].type->kind == TypeSpec::Kind::array && is_standard(fragment);
}

std::optional<bool> lenient_default(const FragmentDefinition& fragment, std::string_view parameter) {
  if (fragment.name != "min_max_linear_quantize" && fragment.name != "zero_point_linear_quantize") return {};
  if (parameter == "signed") return true;
  if (parameter == "symmetric") return false;
  return {};
}

bool is_positional_elementwise(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = {"exp",
                                                              "log",
                                                              "sin",
                                                              "cos",
                                                              "tan",
                                                              "asin",
                                                              "acos",
                                                              "atan",
                                                              "sinh",
                                                              "cosh",
                                                              "tanh",
                                                              "asinh",
                                                              "acosh",
                                                              "atanh",
                                                              "abs",
                                                              "neg",
                                                              "sign",
                                                              "recip",
                                                              "floor",
                                                              "ceil",
                                                              "round",
                                                              "square",
                                                              "sqrt",
                                                              "rsqrt",
                                                              "sigmoid",
                                                              "not",
                                                              "add",
                                                              "sub",
                                                              "mul",
                                                              "div",
                                                              "pow",
                                                              "eq",
                                                              "ne",
                                                              "lt",
                                                              "gt",
                                                              "le",
                                                              "ge",
                                                              "and",
                                                              "or",
                                                              "min",
                                                              "max",
                                                              "tract_core_round_even",
                                                              "tract_core_erf",
                                                              "tract_core_hard_swish",
                                                              "tract_core_silu",
                                                              "tract_core_bitnot",
                                                              "tract_core_is_nan",
                                                              "tract_core_xor",
                                                              "tract_core_bitand",
                                                              "tract_core_bitor",
                                                              "tract_core_bitxor",
                                                              "tract_shl",
                                                              "tract_shr"};
  return kNames.count(name) != 0;
}

}  // namespace nnefrun
