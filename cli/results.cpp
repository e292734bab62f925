#include "cli/results.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/bytes.h"

namespace nnefrun::cli {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::complex<double> complex_at(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DataType::complex32:
      return {static_cast<float>(t.data<Half>()[2 * i]), static_cast<float>(t.data<Half>()[2 * i + 1])};
    case DataType::complex64: return {t.data<float>()[2 * i], t.data<float>()[2 * i + 1]};
    case DataType::complex128: return {t.data<double>()[2 * i], t.data<double>()[2 * i + 1]};
    default: return {t.as_double(i), 0};
  }
}

std::string item_text(const Tensor& t, int64_t i) {
  if (t.dtype() == DataType::string) return json_quoted(t.strings()[static_cast<size_t>(i)]);
  if (t.dtype() == DataType::boolean) return t.as_int(i) != 0 ? "true" : "false";
  if (is_integer(t.dtype()) && t.dtype() != DataType::u64) return std::to_string(t.as_int(i));
  if (t.dtype() == DataType::u64) return std::to_string(t.data<uint64_t>()[i]);
  const auto value = complex_at(t, i);
  if (!is_complex(t.dtype())) return number_text(value.real());
  return number_text(value.real()) + (value.imag() < 0 ? "-" : "+") + number_text(std::fabs(value.imag())) +
         "i";
}

bool has_numbers(const Tensor& t) { return t.dtype() != DataType::string && !is_block_quantized(t.dtype()); }

std::string index_text(const Shape& shape, int64_t flat) {
  std::string out;
  for (size_t axis = shape.size(); axis-- > 0;) {
    out = std::to_string(flat % shape[axis]) + (out.empty() ? "" : ",") + out;
    flat /= shape[axis];
  }
  return "[" + out + "]";
}

}  // namespace

std::string summary_text(const Graph& graph, const std::vector<Tensor>& results) {
  constexpr int64_t kFirst = 6;
  std::string out;
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor& t = results[i];
    out += graph.outputs[i].name + ": " + std::string(name_of(t.dtype())) + " " + to_string(t.shape());
    if (t.size() == 0) {
      out += ", empty\n";
      continue;
    }
    if (has_numbers(t) && !is_complex(t.dtype())) {
      double low = INFINITY, high = -INFINITY, sum = 0;
      int64_t counted = 0;
      for (int64_t k = 0; k < t.size(); ++k) {
        const double value = t.as_double(k);
        if (std::isnan(value)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
        sum += value;
        ++counted;
      }
      if (counted > 0) {
        out += ", min " + number_text(low) + ", max " + number_text(high) + ", mean " +
               number_text(sum / static_cast<double>(counted));
      }
      if (counted < t.size()) out += ", " + std::to_string(t.size() - counted) + " NaN";
    }
    out += "\n ";
    const int64_t shown = is_block_quantized(t.dtype()) ? 0 : std::min(t.size(), kFirst);
    for (int64_t k = 0; k < shown; ++k) out += " " + item_text(t, k);
    out += shown < t.size() ? " ...\n" : "\n";
  }
  return out;
}

std::vector<std::string> load_labels(const std::string& path) {
  constexpr uint64_t kMost = uint64_t{64} << 20;
  const std::string text = read_text(*open_file(path), kMost);
  std::vector<std::string> labels;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    labels.push_back(text.substr(at, end - at));
    if (!labels.back().empty() && labels.back().back() == '\r') labels.back().pop_back();
    at = end + 1;
  }
  return labels;
}

std::string top_text(const Graph& graph, const std::vector<Tensor>& results, int count,
                     const std::vector<std::string>& labels) {
  std::string out;
  for (size_t r = 0; r < results.size(); ++r) {
    const Tensor& t = results[r];
    out += graph.outputs[r].name + ": " + std::string(name_of(t.dtype())) + " " + to_string(t.shape()) + "\n";
    if (!has_numbers(t) || is_complex(t.dtype()) || t.size() == 0) continue;
    const int64_t length = t.rank() == 0 ? 1 : t.shape().back();
    const int64_t rows = t.size() / length;
    const auto kept = static_cast<size_t>(std::min<int64_t>(count, length));
    std::vector<int64_t> order(static_cast<size_t>(length));
    for (int64_t row = 0; row < rows; ++row) {
      if (rows > 1) {
        out += "  row " + index_text(Shape(t.shape().begin(), t.shape().end() - 1), row) + "\n";
      }
      const auto key = [&](int64_t i) {
        const double value = t.as_double(row * length + i);
        return std::isnan(value) ? -INFINITY : value;
      };
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                        [&](int64_t a, int64_t b) { return key(a) > key(b) || (key(a) == key(b) && a < b); });
      for (size_t k = 0; k < kept; ++k) {
        const auto index = static_cast<size_t>(order[k]);
        out += "  " + std::to_string(index) + "  " + item_text(t, row * length + order[k]);
        if (index < labels.size()) out += "  " + labels[index];
        out += "\n";
      }
    }
  }
  return out;
}

std::string step_path(const std::string& path, size_t step, size_t steps) {
  if (steps == 1) return path;
  const size_t dot = path.rfind('.');
  return path.substr(0, dot) + "-" + std::to_string(step) + path.substr(dot);
}

void save_results(const std::string& path, const Graph& graph, const std::vector<Tensor>& results,
                  size_t step, size_t steps) {
  const std::string to = step_path(path, step, steps);
  if (path.size() > 4 && path.compare(path.size() - 4, 4, ".npy") == 0) {
    if (results.size() != 1) {
      throw Error("output-form", "--output " + path + ": an .npy holds one array, the graph has " +
                                     std::to_string(results.size()) + " results")
          .note("give a name that ends in .npz");
    }
    return save_npy(to, results[0]);
  }
  NamedTensors named;
  for (size_t i = 0; i < results.size(); ++i) named.emplace_back(graph.outputs[i].name, results[i]);
  save_npz(to, named);
}

NamedTensors load_expected(const std::string& path, const Graph& graph) {
  NamedTensors expected;
  if (path.size() > 4 && path.compare(path.size() - 4, 4, ".npy") == 0) {
    if (graph.outputs.size() != 1) {
      throw Error("output-form", "--expect " + path + ": an .npy holds one array, the graph has " +
                                     std::to_string(graph.outputs.size()) + " results");
    }
    expected.emplace_back(graph.outputs[0].name, load_npy(path));
    return expected;
  }
  const NpzReader reader = NpzReader::open(path);
  std::string known;
  for (const GraphOutput& output : graph.outputs) known += (known.empty() ? "`" : ", `") + output.name + "`";
  for (size_t i = 0; i < reader.size(); ++i) {
    const bool exists = std::any_of(graph.outputs.begin(), graph.outputs.end(),
                                    [&](const GraphOutput& output) { return output.name == reader.name(i); });
    if (!exists) {
      throw Error("result-unknown", "--expect " + path + ": the graph has no result `" + reader.name(i) + "`")
          .note("its results are: " + known);
    }
  }
  for (size_t i = 0; i < reader.size(); ++i) expected.emplace_back(reader.name(i), reader.read(i));
  return expected;
}

namespace {

// The result as its .npy reads back: bf16 is float32 there, blocks are bytes.
Tensor as_written(const Tensor& t) {
  const DataType type = t.dtype();
  if (type != DataType::bf16 && type != DataType::complex32 && !is_block_quantized(type)) return t;
  std::string bytes;
  write_npy([&](ByteSpan piece) { bytes += as_text(piece); }, t);
  return read_npy(as_byte_span(bytes), "result");
}

struct Differences {
  int64_t count = 0;   // values out of tolerance
  int64_t worst = -1;  // index of the value that is off by most, of all values
  double by = 0;
};

// How far a is from b; NaN when one of them is NaN and the other not.
double distance(const Tensor& a, const Tensor& b, int64_t i) {
  if (a.dtype() == DataType::string) {
    return a.strings()[static_cast<size_t>(i)] == b.strings()[static_cast<size_t>(i)] ? 0 : INFINITY;
  }
  if (is_complex(a.dtype())) {
    const auto x = complex_at(a, i), y = complex_at(b, i);
    const bool both_nan =
        (std::isnan(x.real()) || std::isnan(x.imag())) && (std::isnan(y.real()) || std::isnan(y.imag()));
    return x == y || both_nan ? 0 : std::abs(x - y);
  }
  if (is_integer(a.dtype()) && item_size(a.dtype()) == 8) {  // beyond what a double holds
    const bool is_signed = a.dtype() == DataType::i64;
    const auto x = static_cast<uint64_t>(a.data<int64_t>()[i]),
               y = static_cast<uint64_t>(b.data<int64_t>()[i]);
    const bool less = is_signed ? static_cast<int64_t>(x) < static_cast<int64_t>(y) : x < y;
    return static_cast<double>(less ? y - x : x - y);
  }
  const double x = a.as_double(i), y = b.as_double(i);
  return x == y || (std::isnan(x) && std::isnan(y)) ? 0 : std::fabs(x - y);
}

Differences differences(const Tensor& got, const Tensor& want, double rtol, double atol) {
  Differences found;
  double worst = -1;
  for (int64_t i = 0; i < want.size(); ++i) {
    const double by = distance(got, want, i);
    const double size = want.dtype() == DataType::string ? 0 : std::abs(complex_at(want, i));
    const bool infinite = std::isinf(size);  // rtol * inf would allow everything
    if (!(by == 0 || (!infinite && by <= atol + rtol * size))) ++found.count;
    const double rank = std::isnan(by) ? INFINITY : by;
    if (rank > worst) {
      worst = rank;
      found.worst = i;
      found.by = by;
    }
  }
  return found;
}

}  // namespace

Comparison compare(const Graph& graph, const std::vector<Tensor>& results, const NamedTensors& expected,
                   const Options& options) {
  Comparison out;
  for (const auto& item : expected) {
    const auto& outputs = graph.outputs;
    const auto at =
        std::find_if(outputs.begin(), outputs.end(), [&](const auto& o) { return o.name == item.first; });
    const Tensor got = as_written(results[static_cast<size_t>(at - outputs.begin())]);
    const Tensor& want = item.second;
    std::string line;
    bool pass = true;
    if (got.dtype() != want.dtype() || got.shape() != want.shape()) {
      pass = false;
      line = "is " + std::string(name_of(got.dtype())) + " " + to_string(got.shape()) + ", expected " +
             std::string(name_of(want.dtype())) + " " + to_string(want.shape());
    } else if (want.size() == 0) {
      line = "empty, as expected";
    } else {
      const bool inexact = is_float(want.dtype()) || is_complex(want.dtype());
      const Differences d = differences(got, want, options.rtol.value_or(inexact ? 1e-4 : 0),
                                        options.atol.value_or(inexact ? 1e-5 : 0));
      pass = static_cast<double>(d.count) <= options.outliers * static_cast<double>(want.size());
      line = "worst at " + index_text(want.shape(), d.worst) + ": got " + item_text(got, d.worst) +
             ", expected " + item_text(want, d.worst) + ", off by " + number_text(d.by) + "; " +
             std::to_string(d.count) + " of " + std::to_string(want.size()) + " out of tolerance";
    }
    out.text += (pass ? "ok    " : "DIFFER ") + item.first + ": " + line + "\n";
    out.pass = out.pass && pass;
  }
  return out;
}

Tracer::Tracer(std::string folder, Session& session) : folder_(std::move(folder)), step_folder_(folder_) {
  begin(0);
  session.observe(
      [this](const Node& node, uint32_t result, const Tensor& value) { write(node, result, value); });
}

void Tracer::begin(size_t step) {
  step_folder_ = step == 0 ? folder_ : folder_ + "/step-" + std::to_string(step);
  taken_.clear();
  std::error_code failed;
  std::filesystem::create_directories(step_folder_, failed);
  if (!std::filesystem::is_directory(step_folder_)) {
    throw Error("file-unwritable", "the folder `" + step_folder_ + "` cannot be made: " + failed.message());
  }
}

void Tracer::write(const Node& node, uint32_t result, const Tensor& value) {
  if (failure_) return;
  try {
    std::string name = result < node.result_names.size() ? node.result_names[result] : std::string();
    for (char& c : name) {
      const auto u = static_cast<unsigned char>(c);
      if (c == '/' || c == '\\' || c == ':' || u < 0x20 || u == 0x7F) c = '_';
    }
    constexpr size_t kLongest = 200;  // file systems allow 255
    if (name.size() > kLongest) name.resize(kLongest);
    if (name.empty() || name[0] == '.') name = "_" + name;
    std::string unique = name;
    for (int k = 2; !taken_.insert(unique).second; ++k) unique = name + "-" + std::to_string(k);
    save_npy(step_folder_ + "/" + unique + ".npy", value);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Tracer::rethrow() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace nnefrun::cli
