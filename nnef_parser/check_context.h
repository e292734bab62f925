// What the parts of the checker share; not for use outside of check*.cpp.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nnef_parser/check.h"
#include "nnef_parser/stdlib.h"
#include "nnef_parser/types.h"

namespace nnefrun::checking {

struct Context {
  Context(const Document& d, const CheckOptions& o)
      : document(d), options(o), strict(d.strict), types(!d.strict) {
    for (const auto& fragment : d.fragments) fragments.emplace(fragment.name, &fragment);
  }

  void report(const char* code, std::string message, Place place) {
    if (findings.size() < options.max_findings)
      findings.emplace_back(code, std::move(message), document.locate(place));
  }
  // The declaration that an invocation means; null when there is none.
  const FragmentDefinition* resolve(std::string_view name) const {
    const auto own = fragments.find(name);
    const FragmentDefinition* fragment = own == fragments.end() ? nullptr : own->second;
    if (fragment && fragment->has_body) return fragment;
    const FragmentDefinition* standard = find_standard(name, document.dialect);
    return standard ? standard : fragment;
  }

  const Document& document;
  const CheckOptions& options;
  bool strict;
  Types types;
  std::unordered_map<std::string_view, const FragmentDefinition*> fragments;
  std::vector<Error> findings;
};

inline std::string quoted(std::string_view name) { return "`" + std::string(name) + "`"; }

// check_body.cpp: types of a fragment's body, or of the graph's (fragment == null) with the rules of
// section 8.
void check_body(Context& context, const FragmentDefinition* fragment);
// The type of a literal constant, for defaults.
const Type* type_of_constant(Context& context, const Expression& constant);
// check_names.cpp: what tract's and the engine's dialects care about.
void check_names(Context& context);

}  // namespace nnefrun::checking
