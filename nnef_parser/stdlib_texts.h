// The texts of nnef_parser/stdlib, embedded by cmake/embed_texts.cmake.
#pragma once

#include <cstddef>

namespace nnefrun {

struct EmbeddedText {
  const char* name;  // "nnef.nnef"
  const char* text;
};
extern const EmbeddedText kStandardTexts[];
extern const size_t kStandardTextCount;

}  // namespace nnefrun
