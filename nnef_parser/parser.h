// From text to Document (NNEF 1.0.5 sections 2 and 3; tract OPL section 2).
#pragma once

#include <cstddef>
#include <string>

#include "nnef_parser/document.h"

namespace nnefrun {

// Bounds that stop a hostile text; far above what any real model needs. Exceeding one is Error[text-limit],
// for `depth` Error[nesting-limit].
struct ParseLimits {
  int depth = 256;                   // nesting of brackets, calls, conditionals, signs and types
  size_t bytes = size_t{256} << 20;  // of text
  size_t tokens = size_t{40} * 1000 * 1000;
};

struct ParseOptions {
  Dialect dialect = Dialect::automatic;
  ParseLimits limits;
  bool require_graph = true;  // false reads a library of fragments, where the version may be missing too
};

// Reads a whole text. `file` names it in messages. Linear in the length of the text.
//
// Errors carry the place of the first offending character. Codes: illegal-character, unterminated-string,
// malformed-number, keyword-as-identifier, unexpected-token, version-missing, version-unsupported,
// extension-unknown, extension-needed, empty-list, graph-missing, trailing-input, template-unsupported,
// text-limit, nesting-limit.
//
// Only the strict reading (Dialect::khronos) refuses: expressions and fragments whose extension is not
// declared, unknown extensions, empty lists and bodies, quoted identifiers, characters outside printable
// ASCII.
Document parse_document(std::string text, std::string file = "graph.nnef", const ParseOptions& options = {});

}  // namespace nnefrun
