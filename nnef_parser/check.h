// Everything that is wrong with a document by its text alone (the catalogue of NNEF 1.0.5 section 9:
// declarations, invocations, types, identifiers and graph rules), found in one pass. Shapes and data are the
// engine's business.
//
// A document that was read strictly is held to the letter of 1.0.5. The lenient reading of Khronos' dialect
// lets pass what has one sensible meaning: integers where scalars are due, fragments that redefine a standard
// operation, equality of any items, positional attributes. In tract's and the engine's dialects declared
// types are documentation, so that only names are checked: unknown operations, registries and identifiers,
// arguments that are missing or too many, and results that are never assigned, in the graph and in the
// fragments that it reaches.
#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"
#include "nnef_parser/document.h"

namespace nnefrun {

struct CheckOptions {
  size_t max_findings = 1000;
};

// In the order of the text. Codes: see docs/errors.md; those of the expander for what both of them find.
std::vector<Error> check(const Document& document, const CheckOptions& options = {});

}  // namespace nnefrun
