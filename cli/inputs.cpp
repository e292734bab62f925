#include "cli/inputs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace nnefrun::cli {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && std::string_view(text).substr(text.size() - end.size()) == end;
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// By the name, else by the first bytes: anything that begins as a zip does is an .npz.
bool is_npz(const std::string& path) {
  if (ends_with(path, ".npz")) return true;
  if (ends_with(path, ".npy")) return false;
  std::ifstream in(path, std::ios::binary);
  char head[2] = {};
  return in.read(head, sizeof head) && head[0] == 'P' && head[1] == 'K';
}

// An .npy has no type of its own for these; the file holds what npy.h says it writes for them.
DataType file_type_of(DataType type) {
  switch (type) {
    case DataType::bf16: return DataType::f32;
    case DataType::complex32: return DataType::complex64;
    case DataType::q4_0:
    case DataType::q8_0:
    case DataType::q8_1: return DataType::u8;
    case DataType::dim: return DataType::i64;
    default: return type;
  }
}

Shape logical_shape(DataType type, Shape shape) {
  if (is_block_quantized(type) && !shape.empty()) {
    shape.back() =
        shape.back() / static_cast<int64_t>(block_bytes(type)) * static_cast<int64_t>(block_items(type));
  }
  return shape;
}

}  // namespace

void learn_symbols(const DimShape& declared, const Shape& actual, SymbolValues& symbols) {
  if (declared.size() != actual.size()) return;
  for (size_t axis = 0; axis < actual.size(); ++axis) {
    if (declared[axis].evaluate(symbols)) continue;
    if (const auto solved = declared[axis].solve(actual[axis], symbols))
      symbols[solved->first] = solved->second;
  }
}

Feeder::Feeder(const Graph& graph, const Options& options, uint64_t memory_limit)
    : graph_(graph), cast_(options.cast), memory_limit_(memory_limit), step_paths_(options.steps) {
  io_limits_.max_array_bytes = std::min(io_limits_.max_array_bytes, memory_limit);
  io_limits_.max_total_bytes = std::min(io_limits_.max_total_bytes, memory_limit);
  sources_.resize(graph.inputs.size());
  for (const auto& pair : options.feedback) take_feedback(pair.first, pair.second);
  // Names first, so that bare files fill what is left.
  std::vector<std::string> bare;
  std::optional<Generator> rest;
  for (const std::string& text : options.inputs) {
    const size_t equals = text.find('=');
    const bool named = equals != std::string::npos && !is_file(text) &&
                       (text.find('/') > equals || graph.has_name(text.substr(0, equals)));
    if (const auto generator = generator_from(text); generator && !is_file(text)) {
      rest = generator;
    } else if (named || is_npz(text)) {
      take(text);
    } else {
      bare.push_back(text);
    }
  }
  for (const std::string& path : bare) take_file(path, next_input());
  for (size_t i = 0; rest && i < sources_.size(); ++i) {
    if (!sources_[i].is_given() && !sources_[i].result) sources_[i].generator = {rest->fill, rest->seed + i};
  }
  check_steps();
}

std::optional<Feeder::Generator> Feeder::generator_from(const std::string& text) {
  if (text == "zeros") return Generator{Fill::zeros, 0};
  if (text == "ones") return Generator{Fill::ones, 0};
  if (text == "random") return Generator{Fill::random, 0};
  constexpr std::string_view kSeeded = "random:";
  if (text.rfind(kSeeded, 0) != 0) return std::nullopt;
  const std::string digits = text.substr(kSeeded.size());
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
    throw Error("input-form", "the seed of `" + text + "` is not a whole number");
  }
  return Generator{Fill::random, std::stoull(digits)};
}

std::string Feeder::known_inputs() const {
  if (graph_.inputs.empty()) return "the graph has no inputs";
  std::string out = "its inputs are: ";
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    out += (i ? ", `" : "`") + name(i) + "` " + fact(i).to_string();
  }
  return out;
}

size_t Feeder::input_index(const std::string& wanted, const std::string& origin) const {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    if (name(i) == wanted) return i;
  }
  throw Error("input-unknown", origin + ": the graph has no input `" + wanted + "`").note(known_inputs());
}

size_t Feeder::next_input() const {
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].is_given()) return i;
  }
  throw Error("input-unknown", "more inputs are given than the graph has").note(known_inputs());
}

// "name=VALUE" or an .npz.
void Feeder::take(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || is_file(text)) return take_file(text, std::nullopt);
  const size_t input = input_index(text.substr(0, equals), "--input " + text);
  const std::string value = text.substr(equals + 1);
  if (const auto generator = generator_from(value); generator && !is_file(value)) {
    if (sources_[input].is_given())
      throw Error("input-repeated", "input `" + name(input) + "` is given twice");
    sources_[input].generator = *generator;
    return;
  }
  take_file(value, input);
}

void Feeder::take_file(const std::string& path, std::optional<size_t> input) {
  if (!is_npz(path)) {
    const size_t index = input ? *input : next_input();
    return take_array(index, peek_npy(path), path, [&] { return load_npy(path, io_limits_); });
  }
  const NpzReader reader = NpzReader::open(path, io_limits_);
  if (input) {
    int at = reader.find(name(*input));
    if (at < 0 && reader.size() == 1) at = 0;
    if (at < 0) throw Error("input-unknown", "`" + path + "` holds no array `" + name(*input) + "`");
    const auto index = static_cast<size_t>(at);
    return take_array(*input, reader.header(index), path, [&] { return reader.read(index); });
  }
  for (size_t k = 0; k < reader.size(); ++k) input_index(reader.name(k), path);
  for (size_t k = 0; k < reader.size(); ++k) {
    take_array(input_index(reader.name(k), path), reader.header(k), path, [&] { return reader.read(k); });
  }
}

void Feeder::take_array(size_t input, const NpyHeader& header, const std::string& origin,
                        const std::function<Tensor()>& read) {
  if (sources_[input].is_given()) {
    throw Error("input-repeated", origin + ": input `" + name(input) + "` is given twice");
  }
  check_header(input, header, origin);
  sources_[input].given = adapt(input, read(), origin);
}

void Feeder::take_feedback(const std::string& result, const std::string& input) {
  const size_t to = input_index(input, "--feedback " + result + "=" + input);
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    if (graph_.outputs[i].name != result) continue;
    const Fact& from = graph_.fact(graph_.outputs[i].outlet);
    if (from.dtype != fact(to).dtype || from.rank() != fact(to).rank()) {
      throw Error("feedback-type", "--feedback: result `" + result + "` is " + from.to_string() +
                                       ", input `" + input + "` is " + fact(to).to_string());
    }
    if (sources_[to].result) throw Error("input-repeated", "--feedback feeds input `" + input + "` twice");
    sources_[to].result = i;
    return;
  }
  std::string known;
  for (const GraphOutput& output : graph_.outputs) known += (known.empty() ? "`" : ", `") + output.name + "`";
  throw Error("feedback-unknown", "--feedback: the graph has no result `" + result + "`")
      .note("its results are: " + known);
}

void Feeder::check_complete(const std::string& step, const std::function<bool(size_t)>& in_step) const {
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].is_given() || sources_[i].result || in_step(i)) continue;
    throw Error("input-missing", step + "input `" + name(i) + "` (" + fact(i).to_string() + ") is not given")
        .note("give it with --input " + name(i) + "=FILE.npy, or " + name(i) + "=zeros, ones or random")
        .at(graph_.node(graph_.inputs[i]).where);
  }
}

void Feeder::check_steps() const {
  if (step_paths_.empty()) return check_complete("", [](size_t) { return false; });
  for (const std::string& path : step_paths_) {
    const NpzReader reader = NpzReader::open(path, io_limits_);
    for (size_t k = 0; k < reader.size(); ++k)
      check_header(input_index(reader.name(k), path), reader.header(k), path);
    check_complete(path + ": ", [&](size_t i) { return reader.find(name(i)) >= 0; });
  }
}

// Refuses what cannot fit before its data is read. Extents that depend on symbols are the session's to judge.
void Feeder::check_header(size_t input, const NpyHeader& header, const std::string& origin) const {
  const Fact& declared = fact(input);
  const SourceLocation& where = graph_.node(graph_.inputs[input]).where;
  const std::string place = origin + ": input `" + name(input) + "`";
  if (header.dtype != file_type_of(declared.dtype)) {
    const bool wider =
        cast_ && widened(Tensor::zeros(header.dtype, {0}), file_type_of(declared.dtype)).has_value();
    if (!wider) {
      Error error("input-dtype",
                  place + " is " + std::string(name_of(header.dtype)) + ", the graph declares " +
                      std::string(name_of(declared.dtype)),
                  where);
      if (widened(Tensor::zeros(header.dtype, {0}), file_type_of(declared.dtype))) {
        error.note("--cast widens it");
      } else {
        error.note("no conversion keeps every value; convert the file");
      }
      throw error;
    }
  }
  const Shape shape = logical_shape(declared.dtype, header.shape);
  bool fits = shape.size() == declared.shape.size();
  for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
    fits = !declared.shape[axis].is_constant() || declared.shape[axis].is(shape[axis]);
  }
  if (!fits) {
    throw Error("input-shape",
                place + " has shape " + to_string(shape) + ", the graph declares " + to_string(declared.shape),
                where);
  }
}

Tensor Feeder::adapt(size_t input, Tensor tensor, const std::string& origin) const {
  const DataType to = fact(input).dtype;
  if (is_block_quantized(to)) {
    const Shape shape = logical_shape(to, tensor.shape());
    if (byte_size_of(to, shape) != tensor.byte_size()) {
      throw Error("input-shape", origin + ": input `" + name(input) + "` wants whole blocks of " +
                                     std::to_string(block_bytes(to)) + " bytes in its last axis");
    }
    auto owner = std::make_shared<Tensor>(std::move(tensor));
    return Tensor::wrap(to, shape, owner, owner->bytes());
  }
  if (to == DataType::bf16 && tensor.dtype() == DataType::f32) {
    Tensor out = Tensor::uninitialized(to, tensor.shape());
    for (int64_t i = 0; i < tensor.size(); ++i) {
      const float value = tensor.data<float>()[i];
      const BFloat16 stored(value);
      if (static_cast<float>(stored) != value && value == value) {
        throw Error("input-dtype", origin + ": input `" + name(input) + "` is bf16, but item " +
                                       std::to_string(i) + " is " + std::to_string(value) +
                                       ", which bf16 does not hold");
      }
      out.mutable_data<BFloat16>()[i] = stored;
    }
    return out;
  }
  if (to == DataType::complex32 && tensor.dtype() == DataType::complex64) {
    Tensor out = Tensor::uninitialized(to, tensor.shape());
    for (int64_t i = 0; i < 2 * tensor.size(); ++i) {
      out.mutable_data<Half>()[i] = Half(tensor.data<float>()[i]);
    }
    return out;
  }
  if (tensor.dtype() == file_type_of(to)) return tensor;
  return *widened(tensor, to);
}

Tensor Feeder::generate(size_t input, const Generator& generator, const SymbolValues& symbols,
                        int64_t unknown) const {
  const Fact& declared = fact(input);
  SymbolValues all = symbols;
  Shape shape;
  for (const Dim& extent : declared.shape) {
    for (const std::string& symbol : extent.symbols()) all.emplace(symbol, unknown);
    const int64_t value = *extent.evaluate(all);
    if (value < 0) {
      throw Error("input-shape", "input `" + name(input) + "` would have extent " + std::to_string(value) +
                                     " = " + extent.to_string())
          .note("give the symbols' values with --set");
    }
    shape.push_back(value);
  }
  const DataType type = declared.dtype == DataType::dim ? DataType::i64 : declared.dtype;
  if (byte_size_of(type, shape) > memory_limit_) {
    throw Error("memory-limit", "input `" + name(input) + "` of shape " + to_string(shape) + " needs " +
                                    std::to_string(byte_size_of(type, shape)) + " bytes, the limit is " +
                                    std::to_string(memory_limit_))
        .note("--limit-memory raises the limit");
  }
  if (generator.fill == Fill::random) return random_tensor(type, shape, generator.seed);
  if (generator.fill == Fill::zeros) return Tensor::zeros(type, shape);
  const auto ones = widened(Tensor::of<bool>({}, {true}), type);
  if (!ones) {
    throw Error("input-dtype",
                "input `" + name(input) + "` is " + std::string(name_of(type)) + ": it has no ones");
  }
  Tensor out = Tensor::uninitialized(type, shape);
  const size_t item = item_size(type);
  for (size_t at = 0; at < out.byte_size(); at += item)
    std::copy_n(ones->bytes(), item, out.mutable_bytes() + at);
  return out;
}

std::vector<Tensor> Feeder::step(size_t index, const std::vector<Tensor>* previous) {
  std::vector<std::optional<Tensor>> values(sources_.size());
  if (!step_paths_.empty()) {
    const std::string& path = step_paths_[index];
    const NpzReader reader = NpzReader::open(path, io_limits_);
    for (size_t k = 0; k < reader.size(); ++k) {
      const size_t input = input_index(reader.name(k), path);
      check_header(input, reader.header(k), path);  // the file may have changed since
      values[input] = adapt(input, reader.read(k), path);
    }
  }
  SymbolValues symbols;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (!values[i] && previous != nullptr && sources_[i].result) values[i] = (*previous)[*sources_[i].result];
    if (!values[i] && sources_[i].given) values[i] = sources_[i].given;
    if (values[i]) learn_symbols(fact(i).shape, values[i]->shape(), symbols);
  }
  // What is generated takes its extents from what is given. Two rounds: inputs with words of their own first,
  // whose unknown symbols are 1; then those that --feedback starts, whose unknown symbols are 0.
  for (const bool feedback : {false, true}) {
    for (size_t i = 0; i < sources_.size(); ++i) {
      const bool starts = sources_[i].generator.fill == Fill::none;
      if (values[i] || starts != feedback) continue;
      const Generator generator = starts ? Generator{Fill::zeros, 0} : sources_[i].generator;
      values[i] = generate(i, generator, symbols, feedback ? 0 : 1);
      learn_symbols(fact(i).shape, values[i]->shape(), symbols);
    }
  }
  std::vector<Tensor> out;
  for (auto& value : values) out.push_back(std::move(*value));
  return out;
}

}  // namespace nnefrun::cli
