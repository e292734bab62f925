// graph.quant: the quantisation of tensors by name (NNEF 1.0.5 reference section 16; tract-opl 4.1).
//
//   "conv1" : zero_point_linear_quantize(zero_point = 3, scale = 0.5, bits = 8, signed = false, symmetric =
//   false);
//
// A key is an identifier of the graph's body. Reading happens in two steps: parse_quantization_file gives
// what is written, code_format_of what one of the standard algorithms means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nnef_parser/document.h"
#include "nnef_parser/value.h"
#include "quant/code_format.h"

namespace nnefrun {

struct QuantizationArgument {
  std::string name;
  Value value;  // integer, scalar, logical, string or a rectangular array of them
  SourceLocation where;
};

struct QuantizationEntry {
  std::string key;
  std::string operation;
  std::vector<QuantizationArgument> arguments;
  SourceLocation where;  // of the key
  SourceLocation operation_where;
  const QuantizationArgument* find(std::string_view name) const;
};

// `dialect` khronos reads strictly: commas and semicolons are needed, keys are plain strings. Otherwise
// commas may be missing (tract), semicolons too (files of 2017), and keys may be i"...". Throws Error with a
// place in `file`: unexpected-token, quant-positional, quant-not-literal, quant-jagged, quant-duplicate-key,
// quant-duplicate-argument, nesting-limit, and those of the lexer.
std::vector<QuantizationEntry> parse_quantization_file(std::string text, std::string file = "graph.quant",
                                                       Dialect dialect = Dialect::automatic);

// linear_quantize, zero_point_linear_quantize, min_max_linear_quantize and logarithmic_quantize with checked
// values; nothing for any other name, which may be a fragment of the document. In tract's dialect
// linear_quantize becomes zero_point with signed codes, as tract reads it. Throws Error at the argument:
// quant-missing-argument, quant-unknown-argument, quant-argument (a wrong type), quant-bits (1 to 64;
// zero_point 1 to 32), quant-scale (finite, above 0), quant-zero-point (a code of that width), quant-min-max
// (finite, min not above max), quant-shape.
std::optional<CodeFormat> code_format_of(const QuantizationEntry& entry, Dialect dialect);

// One line of graph.quant, with the precision that brings every f32 back.
std::string to_text(const std::string& key, const CodeFormat& format);

}  // namespace nnefrun
