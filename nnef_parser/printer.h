// From Document to text: the inverse of parse_document. Reading the text again, in the same dialect, gives an
// equal Document (same() of nnef_parser/document.h).
#pragma once

#include <string>
#include <string_view>

#include "nnef_parser/document.h"

namespace nnefrun {

std::string print(const Document& document);
std::string print(const FragmentDefinition& fragment);
std::string print(const Expression& expression);

// An identifier as it must be written: as it is, or as i"..." (tract's and the engine's dialect) when it is
// no plain one.
std::string printed_identifier(std::string_view name);
// The shortest spelling that reads back as the same number, always with a point or an exponent; inf, -inf and
// nan.
std::string printed_scalar(double value);
// In single quotes, with the escapes that the standard knows.
std::string printed_string(std::string_view text);

}  // namespace nnefrun
