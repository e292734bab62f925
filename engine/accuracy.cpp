#include "engine/accuracy.h"

#include <algorithm>

namespace nnefrun {
namespace {

constexpr const char* kFragment = "tract_core_properties";
constexpr const char* kProperty = "nnefrun_accuracy";
const char* text_of(bool fast) { return fast ? "fast" : "exact"; }

bool is_accuracy(const Expression& property) {
  const auto* pair = property.as<TupleExpression>();
  if (pair == nullptr || pair->items.empty()) return false;
  const auto* name = pair->items[0]->as<Literal>();
  return name != nullptr && name->type() == LiteralType::string && name->string() == kProperty;
}

FragmentDefinition without_properties(Document& document) {
  FragmentDefinition fragment;
  fragment.name = document.intern(kFragment);
  const TypeSpec* pair[] = {document.type(PrimitiveType::string),
                            document.tensor_type(PrimitiveType::scalar)};
  fragment.results.push_back(
      {document.intern("properties"), document.array_type(document.tuple_type(pair)), {}});
  fragment.has_body = true;
  fragment.body.push_back({document.identifier("properties"), document.array({}), {}});
  return fragment;
}

}  // namespace

bool asks_for_fast(const Graph& graph) {
  const auto last = std::find_if(graph.properties.rbegin(), graph.properties.rend(),
                                 [](const auto& property) { return property.first == kProperty; });
  if (last == graph.properties.rend()) return false;
  const Tensor& value = last->second;
  return value.dtype() == DataType::string && value.size() == 1 && value.strings()[0] == text_of(true);
}

void record_accuracy(Graph& graph, bool fast) {
  auto& properties = graph.properties;
  properties.erase(std::remove_if(properties.begin(), properties.end(),
                                  [](const auto& property) { return property.first == kProperty; }),
                   properties.end());
  properties.emplace_back(kProperty, Tensor::of_strings({}, {text_of(fast)}));
}

void record_accuracy(Document& document, bool fast) {
  auto& fragments = document.fragments;
  auto found = std::find_if(fragments.begin(), fragments.end(),
                            [](const FragmentDefinition& f) { return f.name == kFragment; });
  if (found == fragments.end()) found = fragments.insert(fragments.begin(), without_properties(document));
  // What is no list of properties is none to tract either.
  if (!found->has_body || found->results.size() != 1) return;
  const Expression* name = document.string(kProperty);
  const Expression* pair[] = {name, document.string(text_of(fast))};
  const Expression* property = document.tuple(pair);
  for (Assignment& assignment : found->body) {
    const auto* left = assignment.left->as<Identifier>();
    if (left == nullptr || left->name != found->results[0].name) continue;
    if (const auto* list = assignment.right->as<ArrayExpression>()) {
      std::vector<const Expression*> items;
      for (const Expression* item : list->items) {
        if (!is_accuracy(*item)) items.push_back(item);
      }
      items.push_back(property);
      assignment.right = document.array(items);
    } else {
      const Expression* list_of_one[] = {property};
      assignment.right = document.binary(BinaryOperator::add, assignment.right, document.array(list_of_one));
    }
  }
}

}  // namespace nnefrun
