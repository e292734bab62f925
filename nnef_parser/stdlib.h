// The standard library: the signatures of all operations, and the bodies of those that are compounds. They
// stand in nnef_parser/stdlib/*.nnef, nowhere else, and each is parsed when it is first asked for.
// Thread-safe.
//
// Which files a dialect sees, in order of precedence:
//   khronos  nnef.nnef
//   tract    tract_nnef.nnef, nnef.nnef, and one file for each registry (tract_core, tract_transformers, ...)
//   engine   engine.nnef, nnef.nnef, tract_nnef.nnef and the registries; `automatic` means the same
//
// Conventions of the files other than nnef.nnef:
//   - a default `false` of a parameter that is not logical means: optional, absent when left out
//   (is_optional);
//   - a single array result called `outputs` means: as many results as the left side names
//   (has_variable_results).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "nnef_parser/document.h"

namespace nnefrun {

// The declaration of an operation; null when the dialect has none of that name. Lives for ever.
const FragmentDefinition* find_standard(std::string_view name, Dialect dialect);

struct StandardFile {
  std::string_view name;  // "tract_core.nnef"
  std::string_view text;
  std::vector<const FragmentDefinition*> fragments;
};
// In order of precedence.
std::vector<StandardFile> standard_files(Dialect dialect);
// All operations of a dialect, files in order, those that an earlier file hides left out.
std::vector<const FragmentDefinition*> list_standard(Dialect dialect);
// The file that declares it, "" for a fragment of a document.
std::string_view standard_file_of(const FragmentDefinition& fragment);
inline bool is_standard(const FragmentDefinition& fragment) { return !standard_file_of(fragment).empty(); }

// Whether `extension tract_registry NAME;` names a registry that exists ("pulse" is an alias of
// "tract_pulse").
bool is_registry(std::string_view name);

bool is_optional(const Parameter& parameter);
bool has_variable_results(const FragmentDefinition& fragment);
// Defaults that only the lenient reading knows (register A45): signed = true, symmetric = false of the
// quantize operations.
std::optional<bool> lenient_default(const FragmentDefinition& fragment, std::string_view parameter);
// Tract takes the operands of element-wise operations by position, whatever their names (tract OPL
// section 2.7).
bool is_positional_elementwise(std::string_view name);

}  // namespace nnefrun
