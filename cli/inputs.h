// From --input, --steps and --feedback to the tensors of each step.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/graph/graph.h"
#include "io/npz.h"

namespace nnefrun::cli {

// Knows for each input of the graph where its value comes from. Everything that can be refused before the
// first step is refused by the constructor: names that the graph does not have, inputs that nothing gives,
// types and extents that do not fit (from the files' headers, before the data is read).
//
// For one input of one step, what counts is: the array in the step's .npz, else the result that --feedback
// names (from the second step on), else --input, else zeros for an input with --feedback.
class Feeder {
 public:
  // Throws Error[input-unknown | input-missing | input-repeated | input-dtype | input-shape | input-form |
  // feedback-unknown | feedback-dtype] and those of the file formats. `graph` must outlive the Feeder.
  Feeder(const Graph& graph, const Options& options, uint64_t memory_limit);

  size_t steps() const { return step_paths_.empty() ? 1 : step_paths_.size(); }
  // Inputs of one step in the order of the graph. `previous`: the results of the step before, null for the
  // first.
  std::vector<Tensor> step(size_t index, const std::vector<Tensor>* previous);
  // Lets go of what --input gave for this input; step() has zeros for it from now on.
  void forget(size_t input) { sources_[input].given.reset(); }

 private:
  enum class Fill : uint8_t { none, zeros, ones, random };
  struct Generator {
    Fill fill = Fill::none;
    uint64_t seed = 0;
  };
  struct Source {
    std::optional<Tensor> given;   // by a file of --input
    Generator generator;           // by a word of --input
    std::optional<size_t> result;  // by --feedback: index among the graph's outputs
    bool is_given() const { return given.has_value() || generator.fill != Fill::none; }
  };

  static std::optional<Generator> generator_from(const std::string& text);
  void take(const std::string& text);
  void take_file(const std::string& path, std::optional<size_t> input);
  void take_array(size_t input, const NpyHeader& header, const std::string& origin,
                  const std::function<Tensor()>& read);
  void take_feedback(const std::string& result, const std::string& input);
  void check_steps() const;
  void check_complete(const std::string& step, const std::function<bool(size_t)>& in_step) const;

  size_t input_index(const std::string& name, const std::string& origin) const;
  size_t next_input() const;
  void check_header(size_t input, const NpyHeader& header, const std::string& origin) const;
  Tensor adapt(size_t input, Tensor tensor, const std::string& origin) const;
  Tensor generate(size_t input, const Generator& generator, const SymbolValues& symbols,
                  int64_t unknown) const;
  const Fact& fact(size_t input) const { return graph_.fact(graph_.inputs[input]); }
  const std::string& name(size_t input) const { return graph_.name_of(graph_.inputs[input]); }
  std::string known_inputs() const;

  const Graph& graph_;
  bool cast_;
  uint64_t memory_limit_;
  IoLimits io_limits_;
  std::vector<Source> sources_;
  std::vector<std::string> step_paths_;
};

// A tensor whose every value the type `to` holds too, in that type; nullopt when `to` is not wider.
std::optional<Tensor> widened(const Tensor& tensor, DataType to);

// Values that are the same on every machine: floats uniform in [-1, 1), codes of 8 bits uniform, wider
// integers 0 or 1 (so that indices fit), booleans. Throws Error[input-dtype] for strings.
Tensor random_tensor(DataType dtype, const Shape& shape, uint64_t seed);

// Symbols of a declared shape that the actual one determines, added to those that are known.
void learn_symbols(const DimShape& declared, const Shape& actual, SymbolValues& symbols);

}  // namespace nnefrun::cli
