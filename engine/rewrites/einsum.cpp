// Products over named axes as matrix products.
#include <algorithm>
#include <cctype>
#include <map>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// "bij,bkj->bik": one letter an axis.
struct Expression {
  std::string a, b, result;
};

bool has_letter(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

// nullopt when it does not have two operands of different letters each.
std::optional<Expression> read_expression(const std::string& text) {
  Expression e;
  std::string* part = &e.a;
  bool has_result = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text[i] == ',' && part == &e.a) {
      part = &e.b;
    } else if (text.compare(i, 2, "->") == 0 && part == &e.b) {
      part = &e.result;
      has_result = true;
      ++i;
    } else if (std::isalpha(static_cast<unsigned char>(text[i])) != 0 && !has_letter(*part, text[i])) {
      part->push_back(text[i]);
    } else {
      return std::nullopt;
    }
  }
  if (part == &e.a) return std::nullopt;
  if (!has_result) {  // what occurs once, in order
    for (const char label : e.a + e.b) {
      if (has_letter(e.a, label) != has_letter(e.b, label)) e.result.push_back(label);
    }
    std::sort(e.result.begin(), e.result.end());
  }
  return e;
}

// The letters by what happens to them: kept from both (batch), from one only, or summed.
struct Roles {
  std::string batch, rows, columns, sum;
};

std::optional<Roles> roles_of(const Expression& e) {
  Roles r;
  for (const char label : e.result) {
    const bool a = has_letter(e.a, label), b = has_letter(e.b, label);
    if (!a && !b) return std::nullopt;
    (a && b ? r.batch : a ? r.rows : r.columns).push_back(label);
  }
  for (const char label : e.a) {
    if (has_letter(e.result, label)) continue;
    if (!has_letter(e.b, label)) return std::nullopt;
    r.sum.push_back(label);
  }
  const bool all_used = std::all_of(e.b.begin(), e.b.end(), [&](char label) {
    return has_letter(e.result, label) || has_letter(e.a, label);
  });
  if (!all_used || r.sum.empty()) return std::nullopt;
  return r;
}

class Writer {
 public:
  Writer(Patch& patch, const std::map<char, Dim>& extents) : patch_(patch), extents_(extents) {}

  PatchWire transposed(PatchWire wire, const std::string& from, const std::string& to) {
    if (from == to) return wire;
    std::vector<int64_t> axes;
    for (const char label : to) axes.push_back(static_cast<int64_t>(from.find(label)));
    return patch_.add("transpose", {wire}, {Attribute::of_ints(axes)});
  }

  Dim volume(const std::string& labels) const {
    Dim out = 1;
    for (const char label : labels) out = out * extents_.at(label);
    return out;
  }

  // [batch..., first..., second...] with the letters of `first` and of `second` as one axis each, or back.
  PatchWire joined(PatchWire wire, const std::string& batch, const std::string& first,
                   const std::string& second) {
    if (first.size() == 1 && second.size() == 1) return wire;
    DimShape shape = shape_of(batch);
    shape.push_back(volume(first));
    shape.push_back(volume(second));
    return patch_.add("reshape", {wire}, {Attribute::of_dims(shape)});
  }
  PatchWire split(PatchWire wire, const std::string& batch, const std::string& first,
                  const std::string& second) {
    if (first.size() == 1 && second.size() == 1) return wire;
    return patch_.add("reshape", {wire}, {Attribute::of_dims(shape_of(batch + first + second))});
  }

 private:
  DimShape shape_of(const std::string& labels) const {
    DimShape shape;
    for (const char label : labels) shape.push_back(extents_.at(label));
    return shape;
  }
  Patch& patch_;
  const std::map<char, Dim>& extents_;
};

std::optional<Patch> einsum_as_matmul(const RewriteContext& c) {
  const Node& node = c.node();
  if (node.inputs.size() != 2 || !is_plain_f32(node.facts[0])) return std::nullopt;
  auto e = read_expression(c.read(node).string("expr"));
  if (!e) return std::nullopt;
  Outlet a = node.inputs[0], b = node.inputs[1];
  std::map<char, Dim> extents;
  for (const auto& [outlet, labels] : {std::make_pair(a, e->a), std::make_pair(b, e->b)}) {
    const Fact& fact = c.fact(outlet);
    if (!is_plain_f32(fact) || !has_no_zero_extent(fact.shape) || fact.shape.size() != labels.size())
      return std::nullopt;
    for (size_t axis = 0; axis < labels.size(); ++axis) {
      if (extents.emplace(labels[axis], fact.shape[axis]).first->second != fact.shape[axis])
        return std::nullopt;
    }
  }
  auto roles = roles_of(*e);
  if (!roles) return std::nullopt;
  // The operand whose own axes come first in the result is the left one.
  if (!roles->rows.empty() && !roles->columns.empty() &&
      e->result.find(roles->columns[0]) < e->result.find(roles->rows[0])) {
    std::swap(a, b);
    std::swap(e->a, e->b);
    std::swap(roles->rows, roles->columns);
  }

  Patch patch;
  Writer write(patch, extents);
  // Each operand in whichever of the two orders it has; else transposed to that which keeps its last axis
  // last.
  const auto operand = [&](Outlet outlet, const std::string& labels, const std::string& first,
                           const std::string& second, bool* swapped) {
    const std::string plain = roles->batch + first + second, other = roles->batch + second + first;
    *swapped = labels != plain && (labels == other || (!first.empty() && labels.back() == first.back()));
    const PatchWire wire = write.transposed(Patch::tap(outlet), labels, *swapped ? other : plain);
    return *swapped ? write.joined(wire, roles->batch, second, first)
                    : write.joined(wire, roles->batch, first, second);
  };
  bool transpose_a = false, transpose_b = false;
  const PatchWire left = operand(a, e->a, roles->rows, roles->sum, &transpose_a);
  const PatchWire right = operand(b, e->b, roles->sum, roles->columns, &transpose_b);
  const PatchWire product = patch.add("matmul", {left, right}, {transpose_a, transpose_b});
  const PatchWire apart = write.split(product, roles->batch, roles->rows, roles->columns);
  patch.results = {write.transposed(apart, roles->batch + roles->rows + roles->columns, e->result)};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"einsum-as-matmul", "tract_core_einsum",
     "einsum of two operands that sums axes of both => matmul, with reshapes and transposes as needed",
     einsum_as_matmul},
};

}  // namespace

std::span<const Rewrite> einsum_rewrites() { return kRewrites; }

}  // namespace nnefrun
