// Running one operator row by itself, with its arguments and attributes by name.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "engine/graph/interpreter.h"

namespace nnefrun {

// A call of a row that is built up by chaining:
//   Row("conv").in("input", x).in("filter", w).set("stride", ints({2})).one()
// Attributes that are not set have their defaults, tensor parameters without argument are left out.
class Row {
 public:
  explicit Row(std::string_view op) : op_(find_op(op)) {
    INFO("no row " << op);
    REQUIRE(op_ != nullptr);
  }
  // An input of the graph. Several calls for one name are the items of an array.
  Row& in(std::string name, Tensor value, std::optional<AffineQuantization> quant = std::nullopt) {
    Fact fact = fact_of(value.dtype(), to_dims(value.shape()));
    fact.quant = quant;
    arguments_.push_back({std::move(name), std::move(value), std::move(fact), false});
    return *this;
  }
  // An input whose declared shape has symbols.
  Row& in(std::string name, Tensor value, DimShape declared) {
    Fact fact = fact_of(value.dtype(), std::move(declared));
    arguments_.push_back({std::move(name), std::move(value), std::move(fact), false});
    return *this;
  }
  // A value that is known when the graph is built.
  Row& constant(std::string name, Tensor value, std::optional<AffineQuantization> quant = std::nullopt) {
    in(std::move(name), std::move(value), quant);
    arguments_.back().is_constant = true;
    return *this;
  }
  Row& set(std::string name, Attribute value) {
    attributes_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  Row& body(Graph graph) {
    bodies_.push_back(std::make_shared<const Graph>(std::move(graph)));
    return *this;
  }

  Graph graph() const {
    const Signature& signature = signature_of(op_);
    Graph graph;
    std::vector<Outlet> outlets;
    std::vector<uint32_t> counts;
    for (const uint32_t index : signature.tensors) {
      uint32_t count = 0;
      for (const Argument& argument : arguments_) {
        if (argument.name != signature.parameters[index].name) continue;
        const std::string label = "x" + std::to_string(outlets.size());
        outlets.push_back(argument.is_constant
                              ? graph.add_constant(argument.value, label, argument.fact.quant)
                              : graph.add_external(argument.fact, label));
        ++count;
      }
      counts.push_back(count);
    }
    REQUIRE(outlets.size() == arguments_.size());
    std::vector<Attribute> attributes;
    size_t used = 0;
    for (const uint32_t index : signature.attributes) {
      const auto& parameter = signature.parameters[index];
      Attribute value = parameter.default_value.value_or(Attribute());
      for (const auto& given : attributes_) {
        if (given.first != parameter.name) continue;
        value = given.second;
        ++used;
      }
      attributes.push_back(std::move(value));
    }
    REQUIRE(used == attributes_.size());
    const Outlet made = graph.add(op_, outlets, counts, attributes, {}, bodies_);
    for (uint32_t r = 0; r < graph.node(made).facts.size(); ++r) {
      graph.outputs.push_back({{made.node, r}, "y" + std::to_string(r)});
    }
    return graph;
  }
  std::vector<Tensor> inputs() const {
    const Signature& signature = signature_of(op_);
    std::vector<Tensor> out;
    for (const uint32_t index : signature.tensors) {
      for (const Argument& argument : arguments_) {
        if (argument.name == signature.parameters[index].name && !argument.is_constant)
          out.push_back(argument.value);
      }
    }
    return out;
  }
  std::vector<Tensor> all() const {
    GraphState state;
    return interpret(graph(), inputs(), {}, state);
  }
  Tensor one() const {
    auto results = all();
    REQUIRE(results.size() == 1);
    return results[0];
  }
  // The code of the error that building or running gives; "" when there is none.
  std::string code() const {
    try {
      all();
    } catch (const Error& error) {
      last_message_ = error.message();
      return error.code();
    }
    return {};
  }
  std::string message() const { return code().empty() ? "" : last_message_; }

 private:
  struct Argument {
    std::string name;
    Tensor value;
    Fact fact;
    bool is_constant;
  };
  const OpDef* op_;
  std::vector<Argument> arguments_;
  std::vector<std::pair<std::string, Attribute>> attributes_;
  std::vector<std::shared_ptr<const Graph>> bodies_;
  mutable std::string last_message_;
};

// Runs of one graph that share a state.
class Stream {
 public:
  explicit Stream(const Row& row) : graph_(row.graph()) {}
  std::vector<Tensor> all(const std::vector<Tensor>& inputs) { return interpret(graph_, inputs, {}, state_); }
  Tensor one(const Tensor& input) {
    auto results = all({input});
    REQUIRE(results.size() == 1);
    return results[0];
  }

 private:
  Graph graph_;
  GraphState state_;
};

inline Tensor f32(Shape shape, const std::vector<float>& values) {
  return Tensor::of<float>(std::move(shape), values);
}
inline Tensor i64(Shape shape, const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(std::move(shape), values);
}
inline Attribute ints(const std::vector<int64_t>& values) { return Attribute::of_ints(values); }
inline Attribute pairs(const std::vector<std::pair<int64_t, int64_t>>& values) {
  return Attribute::of_pairs(values);
}
inline Attribute strings(const std::vector<std::string>& values) {
  Attribute::List list;
  for (const std::string& v : values) list.emplace_back(v);
  return list;
}

// Numbers in [-1, 1] that look random and are the same everywhere.
inline Tensor noise(Shape shape, uint32_t seed) {
  Tensor out = Tensor::uninitialized(DataType::f32, std::move(shape));
  float* items = out.mutable_data<float>();
  uint32_t x = seed * 2654435761U + 12345U;
  for (int64_t i = 0; i < out.size(); ++i) {
    x = x * 1664525U + 1013904223U;
    items[i] = static_cast<float>(x >> 8) / 8388608.0F - 1.0F;
  }
  return out;
}

// Shape equal and every item within `tolerance` of what is wanted, absolute and relative; NaN equals NaN.
inline void require_items(const Tensor& got, const Shape& shape, const std::vector<double>& wanted,
                          double tolerance = 1e-6) {
  REQUIRE(got.shape() == shape);
  REQUIRE(got.size() == static_cast<int64_t>(wanted.size()));
  for (int64_t i = 0; i < got.size(); ++i) {
    const double a = got.as_double(i), b = wanted[static_cast<size_t>(i)];
    INFO("item " << i << " is " << a << ", wanted " << b);
    const bool equal =
        a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * (1 + std::abs(b));
    REQUIRE(equal);
  }
}

}  // namespace nnefrun
