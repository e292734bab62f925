#include "nnef_parser/stdlib.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "nnef_parser/parser.h"
#include "nnef_parser/stdlib_texts.h"

namespace nnefrun {
namespace {

constexpr std::string_view kRegistries[] = {"tract_core", "tract_transformers", "tract_extra",
                                            "tract_onnx", "tract_pulse",        "tract_resource"};

// One declaration of a file. It is parsed when somebody asks for it: a model uses a dozen of some three
// hundred.
struct Piece {
  size_t file = 0;
  std::string_view name, text;
  size_t line = 0;  // lines before it in its file
  std::once_flag once;
  std::optional<Document> document;
  std::atomic<const FragmentDefinition*> fragment{nullptr};
};

class Library {
 public:
  Library() {
    for (size_t file = 0; file < kStandardTextCount; ++file) scan(file);
    for (Piece& piece : pieces_) by_name_.emplace(piece.name, &piece);
    std::vector<std::string> registries;
    for (const auto registry : kRegistries) registries.push_back(std::string(registry) + ".nnef");
    khronos_ = order({"nnef.nnef"}, {});
    tract_ = order({"tract_nnef.nnef", "nnef.nnef"}, registries);
    engine_ = order({"engine.nnef", "nnef.nnef", "tract_nnef.nnef"}, registries);
  }

  // Indices of the files that a dialect sees, in order of precedence.
  const std::vector<size_t>& files(Dialect dialect) const {
    switch (dialect) {
      case Dialect::khronos: return khronos_;
      case Dialect::tract: return tract_;
      default: return engine_;
    }
  }

  const FragmentDefinition* find(std::string_view name, Dialect dialect) {
    const std::vector<size_t>& files = this->files(dialect);
    Piece* best = nullptr;
    size_t best_rank = files.size();
    const auto [first, last] = by_name_.equal_range(name);
    for (auto it = first; it != last; ++it) {
      const auto rank =
          static_cast<size_t>(std::find(files.begin(), files.end(), it->second->file) - files.begin());
      if (rank < best_rank) {
        best = it->second;
        best_rank = rank;
      }
    }
    return best == nullptr ? nullptr : parsed(*best);
  }

  std::vector<const FragmentDefinition*> fragments(size_t file) {
    std::vector<const FragmentDefinition*> out;
    for (Piece& piece : pieces_) {
      if (piece.file == file) out.push_back(parsed(piece));
    }
    return out;
  }

  std::string_view file_of(const FragmentDefinition& fragment) const {
    const auto [first, last] = by_name_.equal_range(fragment.name);
    for (auto it = first; it != last; ++it) {
      if (it->second->fragment == &fragment) return kStandardTexts[it->second->file].name;
    }
    return {};
  }

 private:
  // Declarations begin at the beginning of a line; what stands before the first one holds for all.
  void scan(size_t file) {
    constexpr std::string_view kWord = "fragment ";
    const std::string_view text = kStandardTexts[file].text;
    size_t line = 0;
    Piece* last = nullptr;
    for (size_t at = 0; at < text.size(); ++line) {
      if (text.substr(at, kWord.size()) == kWord) {
        if (last != nullptr)
          last->text = text.substr(0, at).substr(static_cast<size_t>(last->text.data() - text.data()));
        if (last == nullptr) heads_.push_back(text.substr(0, at));
        last = &pieces_.emplace_back();
        last->file = file;
        last->line = line;
        last->text = text.substr(at);
        const std::string_view rest = text.substr(at + kWord.size());
        last->name = rest.substr(0, rest.find_first_of("<( "));
      }
      const size_t end = text.find('\n', at);
      at = end == std::string_view::npos ? text.size() : end + 1;
    }
    if (last == nullptr) heads_.push_back(text);
  }

  std::vector<size_t> order(const std::vector<std::string>& first,
                            const std::vector<std::string>& rest) const {
    std::vector<size_t> out;
    for (const auto* names : {&first, &rest}) {
      for (const std::string& name : *names) {
        for (size_t i = 0; i < kStandardTextCount; ++i) {
          if (name == kStandardTexts[i].name) out.push_back(i);
        }
      }
    }
    return out;
  }

  const FragmentDefinition* parsed(Piece& piece) {
    std::call_once(piece.once, [&] {
      ParseOptions options;
      options.require_graph = false;
      // The engine's dialect reads every file, also complex types; the standard's own file is read strictly.
      const char* name = kStandardTexts[piece.file].name;
      options.dialect = std::strcmp(name, "nnef.nnef") == 0 ? Dialect::khronos : Dialect::engine;
      std::string text(heads_[piece.file]);
      const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
      text.append(piece.line - lines, '\n');  // so that places are those in the file
      text += piece.text;
      piece.document.emplace(parse_document(std::move(text), name, options));
      piece.fragment = &piece.document->fragments.at(0);
    });
    return piece.fragment;
  }

  std::deque<Piece> pieces_;  // in the order of the files
  std::vector<std::string_view> heads_;
  std::unordered_multimap<std::string_view, Piece*> by_name_;
  std::vector<size_t> khronos_, tract_, engine_;
};

Library& library() {
  static Library instance;
  return instance;
}

}  // namespace

const FragmentDefinition* find_standard(std::string_view name, Dialect dialect) {
  return library().find(name, dialect);
}

std::vector<StandardFile> standard_files(Dialect dialect) {
  std::vector<StandardFile> out;
  for (const size_t file : library().files(dialect)) {
    out.push_back({kStandardTexts[file].name, kStandardTexts[file].text, library().fragments(file)});
  }
  return out;
}

std::vector<const FragmentDefinition*> list_standard(Dialect dialect) {
  std::vector<const FragmentDefinition*> all;
  for (const StandardFile& file : standard_files(dialect)) {
    for (const FragmentDefinition* fragment : file.fragments) {
      if (find_standard(fragment->name, dialect) == fragment) all.push_back(fragment);
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
