#include "engine/graph/op_def.h"

namespace nnefrun {

int Signature::attribute_index(std::string_view attribute) const {
  for (size_t i = 0; i < attributes.size(); ++i) {
    if (parameters[attributes[i]].name == attribute) return static_cast<int>(i);
  }
  return -1;
}

std::string TypeSet::to_string() const {
  constexpr std::pair<const char*, TypeSet> kGroups[] = {
      {"float", kFloats}, {"int", kInts}, {"complex", kComplex}};
  std::string out;
  const auto add = [&](std::string_view name) { out += (out.empty() ? "" : ", ") + std::string(name); };
  TypeSet named;
  for (const auto& [name, group] : kGroups) {
    if ((*this | group) != *this) continue;
    add(name);
    named = named | group;
  }
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    if (contains(type) && !named.contains(type)) add(name_of(type));
  }
  return out;
}

Error NodeReader::fail(std::string_view code, const std::string& message) const {
  Error error(code, message, node_.where);
  if (!node_.call_chain.empty()) error.called_from(node_.call_chain);
  return error;
}

const Attribute& NodeReader::attribute(std::string_view name) const {
  const int index = signature_.attribute_index(name);
  if (index < 0) throw fail("internal", signature_.name + " has no attribute `" + std::string(name) + "`");
  return node_.attributes[static_cast<size_t>(index)];
}

namespace {

Error wrong_kind(const NodeReader& c, std::string_view name, const char* wanted) {
  return c.fail("attribute-type",
                c.signature().name + ": attribute `" + std::string(name) + "` must be " + wanted);
}

// An integer, or a scalar without fraction (exporters write 2.0 for 2).
Dim dim_of(const NodeReader& c, std::string_view name, const Attribute& attribute) {
  if (const auto* dim = std::get_if<Dim>(&attribute.value)) return *dim;
  if (const auto* scalar = std::get_if<double>(&attribute.value)) {
    if (*scalar >= -9e15 && *scalar <= 9e15 &&
        *scalar == static_cast<double>(static_cast<int64_t>(*scalar))) {
      return static_cast<int64_t>(*scalar);
    }
  }
  if (const auto* logical = std::get_if<bool>(&attribute.value)) return *logical ? 1 : 0;
  if (const auto* list = std::get_if<Attribute::List>(&attribute.value)) {
    if (list->size() == 1) return dim_of(c, name, (*list)[0]);
  }
  throw wrong_kind(c, name, "an integer");
}

int64_t known(const NodeReader& c, std::string_view name, const Dim& dim, const SymbolValues* symbols) {
  if (dim.is_constant()) return dim.value();
  if (symbols != nullptr) {
    if (const auto value = dim.evaluate(*symbols)) return *value;
  }
  throw c.fail("symbol-unknown", c.signature().name + ": attribute `" + std::string(name) + "` is `" +
                                     dim.to_string() + "`, whose value is not known here");
}

}  // namespace

Dim NodeReader::dim(std::string_view name) const { return dim_of(*this, name, attribute(name)); }
int64_t NodeReader::integer(std::string_view name) const { return known(*this, name, dim(name), symbols_); }

double NodeReader::scalar(std::string_view name) const {
  const Attribute& a = attribute(name);
  if (const auto* scalar = std::get_if<double>(&a.value)) return *scalar;
  if (std::holds_alternative<Dim>(a.value)) return static_cast<double>(integer(name));
  if (const auto* list = std::get_if<Attribute::List>(&a.value)) {
    if (list->size() == 1 && std::holds_alternative<double>((*list)[0].value))
      return std::get<double>((*list)[0].value);
  }
  throw wrong_kind(*this, name, "a scalar");
}

bool NodeReader::logical(std::string_view name) const {
  const Attribute& a = attribute(name);
  if (const auto* logical = std::get_if<bool>(&a.value)) return *logical;
  if (const auto* dim = std::get_if<Dim>(&a.value)) {
    if (dim->is_constant()) return dim->value() != 0;
  }
  throw wrong_kind(*this, name, "a logical");
}

const std::string& NodeReader::string(std::string_view name) const {
  const auto* text = std::get_if<std::string>(&attribute(name).value);
  if (text == nullptr) throw wrong_kind(*this, name, "a string");
  return *text;
}

std::vector<Dim> NodeReader::dims(std::string_view name) const {
  const Attribute& a = attribute(name);
  std::vector<Dim> out;
  if (const auto* list = std::get_if<Attribute::List>(&a.value)) {
    for (const Attribute& item : *list) out.push_back(dim_of(*this, name, item));
  } else {
    out.push_back(dim_of(*this, name, a));
  }
  return out;
}

std::vector<int64_t> NodeReader::integers(std::string_view name) const {
  std::vector<int64_t> out;
  for (const Dim& dim : dims(name)) out.push_back(known(*this, name, dim, symbols_));
  return out;
}

std::vector<std::pair<Dim, Dim>> NodeReader::dim_pairs(std::string_view name) const {
  const auto* list = std::get_if<Attribute::List>(&attribute(name).value);
  if (list == nullptr) throw wrong_kind(*this, name, "a list of pairs");
  std::vector<std::pair<Dim, Dim>> out;
  for (const Attribute& item : *list) {
    const auto* pair = std::get_if<Attribute::List>(&item.value);
    if (pair == nullptr || pair->size() != 2) throw wrong_kind(*this, name, "a list of pairs");
    out.emplace_back(dim_of(*this, name, (*pair)[0]), dim_of(*this, name, (*pair)[1]));
  }
  return out;
}

std::vector<std::pair<int64_t, int64_t>> NodeReader::pairs(std::string_view name) const {
  std::vector<std::pair<int64_t, int64_t>> out;
  for (const auto& pair : dim_pairs(name)) {
    out.emplace_back(known(*this, name, pair.first, symbols_), known(*this, name, pair.second, symbols_));
  }
  return out;
}

std::pair<uint32_t, uint32_t> NodeReader::input_range(std::string_view tensor_parameter) const {
  uint32_t first = 0;
  for (size_t i = 0; i < signature_.tensors.size(); ++i) {
    const uint32_t count = node_.input_counts[i];
    if (signature_.parameters[signature_.tensors[i]].name == tensor_parameter) return {first, count};
    first += count;
  }
  throw fail("internal",
             signature_.name + " has no tensor parameter `" + std::string(tensor_parameter) + "`");
}

const Fact& InferContext::input(std::string_view tensor_parameter) const {
  const auto range = input_range(tensor_parameter);
  if (range.second != 1) {
    throw fail("missing-argument",
               signature_.name + ": argument `" + std::string(tensor_parameter) + "` is missing");
  }
  return *inputs[range.first];
}

std::vector<const Fact*> InferContext::inputs_of(std::string_view tensor_parameter) const {
  const auto range = input_range(tensor_parameter);
  return {inputs.begin() + range.first, inputs.begin() + range.first + range.second};
}

const Tensor& EvalContext::input(std::string_view tensor_parameter) const {
  const auto range = input_range(tensor_parameter);
  if (range.second != 1) {
    throw fail("missing-argument",
               signature_.name + ": argument `" + std::string(tensor_parameter) + "` is missing");
  }
  return inputs[range.first];
}

std::vector<Tensor> EvalContext::inputs_of(std::string_view tensor_parameter) const {
  const auto range = input_range(tensor_parameter);
  return {inputs.begin() + range.first, inputs.begin() + range.first + range.second};
}

const Fact& EvalContext::input_fact(std::string_view tensor_parameter) const {
  return input_fact(input_range(tensor_parameter).first);
}

Shape EvalContext::output_shape(uint32_t result) const {
  Shape out;
  for (const Dim& extent : node_.facts[result].shape) {
    const auto value = extent.evaluate(symbols);
    if (!value) {
      throw fail("symbol-unknown",
                 signature_.name + ": extent `" + extent.to_string() + "` of the result is not known");
    }
    if (*value < 0) {
      throw fail("shape-negative", signature_.name + ": extent `" + extent.to_string() +
                                       "` of the result is " + std::to_string(*value));
    }
    out.push_back(*value);
  }
  return out;
}

}  // namespace nnefrun
