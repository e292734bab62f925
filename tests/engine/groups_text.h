// Graphs whose weights are computed from codes, written line by line, and compared between both ways to run.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "engine/session.h"
#include "tests/engine/ops/run_plan.h"

namespace nnefrun {

inline std::mt19937& engine() {
  static std::mt19937 numbers(20261201);
  return numbers;
}

inline Tensor whole(const Shape& shape, int low, int high, DataType type = DataType::u8) {
  std::uniform_int_distribution<int> any(low, high);
  Tensor out = Tensor::zeros(type, shape);
  for (int64_t i = 0; i < out.size(); ++i) {
    const int v = any(engine());
    if (type == DataType::f32) {
      out.mutable_data<float>()[i] = static_cast<float>(v);
    } else {
      out.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(v);
    }
  }
  return out;
}
inline Tensor real(const Shape& shape, float low = -1.0F, float high = 1.0F) {
  std::uniform_real_distribution<float> any(low, high);
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  for (int64_t i = 0; i < out.size(); ++i) out.mutable_data<float>()[i] = any(engine());
  return out;
}
inline std::string text_of(const Shape& shape) { return to_string(shape); }
inline std::string external(const std::string& name, const Shape& shape, const std::string& type = "f32") {
  return "  " + name + " = tract_core_external(shape = " + text_of(shape) + ", datum_type = '" + type +
         "');\n";
}

struct Text {
  PrintedGraph printed;
  std::string body;
  std::string add(const std::string& name, const Tensor& value) {
    printed.tensors.emplace_back(name, value);
    body += "  " + name + " = variable(shape = " + text_of(value.shape()) + ", label = '" + name + "');\n";
    return name;
  }
  void line(const std::string& text) { body += "  " + text + "\n"; }
  Graph graph(const std::string& inputs, const std::string& results) {
    printed.text = "version 1.0;\nextension nnefrun_engine 1;\ngraph net(" + inputs + ") -> (" + results +
                   ")\n{\n" + body + "}\n";
    return reload_graph(printed);
  }
};

// The results of both ways agree; returns the planned model.
inline std::shared_ptr<const CompiledModel> agreed(const Graph& graph, const std::vector<Tensor>& inputs,
                                                   std::vector<std::string>* notes = nullptr) {
  CompileOptions naive, tuned;
  naive.optimize = false;
  if (notes != nullptr) tuned.on_note = [notes](const std::string& note) { notes->push_back(note); };
  const auto model = compile_graph(graph, tuned);
  REQUIRE(model->plan.has_value());
  Session fast(model), slow(compile_graph(graph, naive));
  const auto got = fast.run(inputs), wanted = slow.run(inputs);
  for (size_t r = 0; r < wanted.size(); ++r) {
    REQUIRE(got[r].shape() == wanted[r].shape());
    double most = 0;
    for (int64_t i = 0; i < wanted[r].size(); ++i) most = std::max(most, std::fabs(wanted[r].as_double(i)));
    for (int64_t i = 0; i < wanted[r].size(); ++i)
      REQUIRE(std::fabs(got[r].as_double(i) - wanted[r].as_double(i)) <= 2e-5 * (1 + most));
  }
  return model;
}

}  // namespace nnefrun
