#include "engine/graph/dim.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"

namespace nnefrun {
namespace {

using Atom = Dim::Atom;
using Term = Dim::Term;
using AtomPtr = std::shared_ptr<const Atom>;

int64_t checked_add(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) throw Error("integer-overflow", "shape arithmetic leaves 64 bits");
  return r;
}
int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) throw Error("integer-overflow", "shape arithmetic leaves 64 bits");
  return r;
}

int64_t floor_of(int64_t a, int64_t b) {
  if (b == -1) return checked_mul(a, -1);
  const int64_t q = a / b;
  return q * b != a && ((a < 0) != (b < 0)) ? q - 1 : q;
}
int64_t ceil_of(int64_t a, int64_t b) {
  if (b == -1) return checked_mul(a, -1);
  const int64_t q = a / b;
  return q * b != a && ((a < 0) == (b < 0)) ? q + 1 : q;
}

std::string key_of(const Term& term) {
  std::string key;
  for (const auto& atom : term.factors) key += (key.empty() ? "" : "*") + atom->key;
  return key;
}

// Sorted by key, like terms collected, zeros dropped.
std::vector<Term> normalized(std::vector<Term> terms) {
  std::map<std::string, Term> by_key;
  for (auto& term : terms) {
    auto [it, fresh] = by_key.try_emplace(key_of(term), term);
    if (!fresh) it->second.coefficient = checked_add(it->second.coefficient, term.coefficient);
  }
  std::vector<Term> out;
  for (auto& entry : by_key) {
    if (entry.second.coefficient != 0) out.push_back(std::move(entry.second));
  }
  return out;
}

std::string print(const std::vector<Term>& terms) {
  if (terms.empty()) return "0";
  std::string out;
  // The constant goes last, as people write it; it sorts first because its key is empty.
  const auto append = [&](const Term& term) {
    const bool negative = term.coefficient < 0;
    const uint64_t magnitude =
        negative ? 0 - static_cast<uint64_t>(term.coefficient) : static_cast<uint64_t>(term.coefficient);
    if (negative || !out.empty()) out += negative ? "-" : "+";
    const std::string key = key_of(term);
    if (key.empty()) {
      out += std::to_string(magnitude);
    } else {
      out += magnitude == 1 ? key : std::to_string(magnitude) + "*" + key;
    }
  };
  for (const auto& term : terms) {
    if (!term.factors.empty()) append(term);
  }
  for (const auto& term : terms) {
    if (term.factors.empty()) append(term);
  }
  return out;
}

}  // namespace

struct Dim::Expression {
  std::vector<Term> terms;
  std::string key;
};

Dim::Dim(std::vector<Term> terms) { *this = of_normalized(normalized(std::move(terms))); }

Dim Dim::of_normalized(std::vector<Term> terms) {
  if (terms.empty()) return 0;
  if (terms.size() == 1 && terms[0].factors.empty()) return terms[0].coefficient;
  auto expression = std::make_shared<Expression>();
  expression->key = print(terms);
  expression->terms = std::move(terms);
  Dim dim;
  dim.expression_ = std::move(expression);
  return dim;
}

std::vector<Term> Dim::terms() const {
  if (expression_) return expression_->terms;
  if (constant_ == 0) return {};
  return {Term{constant_, {}}};
}

std::string Dim::to_string() const { return expression_ ? expression_->key : std::to_string(constant_); }

bool operator==(const Dim& a, const Dim& b) {
  if (a.expression_ == b.expression_) return a.expression_ ? true : a.constant_ == b.constant_;
  return a.expression_ && b.expression_ && a.expression_->key == b.expression_->key;
}
bool operator!=(const Dim& a, const Dim& b) { return !(a == b); }

namespace {

struct Access {  // builds a Dim from one atom
  static std::vector<Term> single(AtomPtr atom) { return {Term{1, {std::move(atom)}}}; }
};

AtomPtr make_atom(Dim::AtomKind kind, std::string name, std::vector<Dim> operands) {
  auto atom = std::make_shared<Atom>();
  atom->kind = kind;
  if (kind == Dim::AtomKind::symbol) {
    atom->key = name;
  } else {
    static constexpr const char* kNames[] = {"", "floor_div", "ceil_div", "min", "max", "broadcast"};
    atom->key = std::string(kNames[static_cast<int>(kind)]) + "(";
    for (size_t i = 0; i < operands.size(); ++i) atom->key += (i ? "," : "") + operands[i].to_string();
    atom->key += ")";
  }
  atom->name = std::move(name);
  atom->operands = std::move(operands);
  return atom;
}

}  // namespace

Dim Dim::symbol(std::string_view name) {
  return Dim(Access::single(make_atom(AtomKind::symbol, std::string(name), {})));
}

std::string_view Dim::as_symbol() const {
  if (!expression_ || expression_->terms.size() != 1) return {};
  const Term& term = expression_->terms[0];
  if (term.coefficient != 1 || term.factors.size() != 1 || term.factors[0]->kind != AtomKind::symbol)
    return {};
  return term.factors[0]->name;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return checked_add(a.constant_, b.constant_);
  if (a.is_constant()) return b + a;
  if (b.is(0)) return a;
  std::vector<Term> terms = a.expression_->terms;
  if (b.is_constant()) {  // the most frequent case; the constant comes first
    if (!terms[0].factors.empty()) {
      terms.insert(terms.begin(), Term{b.constant_, {}});
    } else if ((terms[0].coefficient = checked_add(terms[0].coefficient, b.constant_)) == 0) {
      terms.erase(terms.begin());
    }
    return Dim::of_normalized(std::move(terms));
  }
  for (auto& term : b.terms()) terms.push_back(term);
  return Dim(std::move(terms));
}

Dim operator-(const Dim& a) { return a * Dim(-1); }
Dim operator-(const Dim& a, const Dim& b) { return a == b ? Dim(0) : a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return checked_mul(a.constant_, b.constant_);
  if (a.is_constant()) return b * a;
  if (b.is(0) || b.is(1)) return b.is(0) ? b : a;
  std::vector<Term> terms;
  if (b.is_constant()) {
    terms = a.expression_->terms;
    for (Term& term : terms) term.coefficient = checked_mul(term.coefficient, b.constant_);
    return Dim::of_normalized(std::move(terms));
  }
  const auto left = a.terms(), right = b.terms();
  if (left.size() * right.size() > 4096)
    throw Error("symbol-expression", "a symbolic extent grows too large");
  for (const auto& x : left) {
    for (const auto& y : right) {
      Term product{checked_mul(x.coefficient, y.coefficient), x.factors};
      product.factors.insert(product.factors.end(), y.factors.begin(), y.factors.end());
      std::sort(product.factors.begin(), product.factors.end(),
                [](const AtomPtr& p, const AtomPtr& q) { return p->key < q->key; });
      terms.push_back(std::move(product));
    }
  }
  return Dim(std::move(terms));
}

namespace {

// floor or ceil of a / divisor for a constant divisor: the part of `a` that divides evenly leaves the
// division.
Dim divide(const Dim& a, int64_t divisor, Dim::AtomKind kind, Dim (*single)(AtomPtr)) {
  if (divisor == 0)
    throw Error("division-by-zero", "shape arithmetic divides `" + a.to_string() + "` by zero");
  if (divisor < 0) return divide(-a, -divisor, kind, single);
  if (a.is_constant()) {
    return kind == Dim::AtomKind::floor_div ? floor_of(a.value(), divisor) : ceil_of(a.value(), divisor);
  }
  if (divisor == 1) return a;
  Dim whole = 0, rest = 0;
  int64_t common = divisor;
  for (const auto& term : a.terms()) {
    const int64_t quotient = floor_of(term.coefficient, divisor);
    const int64_t remainder = term.coefficient - quotient * divisor;
    Dim factor = 1;
    for (const auto& atom : term.factors) factor = factor * single(atom);
    whole = whole + Dim(quotient) * factor;
    rest = rest + Dim(remainder) * factor;
    int64_t x = common, y = remainder;
    while (y != 0) {
      const int64_t t = x % y;
      x = y;
      y = t;
    }
    common = x;
  }
  if (rest.is_constant()) {
    return whole + (kind == Dim::AtomKind::floor_div ? floor_of(rest.value(), divisor)
                                                     : ceil_of(rest.value(), divisor));
  }
  if (common > 1) {  // (4*S+2)/6 = (2*S+1)/3
    Dim reduced = 0;
    for (const auto& term : rest.terms()) {
      Dim factor = term.coefficient / common;
      for (const auto& atom : term.factors) factor = factor * single(atom);
      reduced = reduced + factor;
    }
    rest = reduced;
    divisor /= common;
    if (divisor == 1) return whole + rest;
  }
  return whole + single(make_atom(kind, {}, {rest, Dim(divisor)}));
}

}  // namespace

Dim Dim::floor_div(const Dim& a, int64_t divisor) {
  return divide(a, divisor, AtomKind::floor_div,
                [](AtomPtr atom) { return Dim(Access::single(std::move(atom))); });
}
Dim Dim::ceil_div(const Dim& a, int64_t divisor) {
  return divide(a, divisor, AtomKind::ceil_div,
                [](AtomPtr atom) { return Dim(Access::single(std::move(atom))); });
}

Dim Dim::floor_div(const Dim& a, const Dim& divisor) {
  if (divisor.is_constant()) return floor_div(a, divisor.value());
  if (const auto exact = exact_div(a, divisor)) return *exact;
  return Dim(Access::single(make_atom(AtomKind::floor_div, {}, {a, divisor})));
}

std::optional<Dim> Dim::exact_div(const Dim& a, const Dim& b) {
  if (b.is(0)) return std::nullopt;
  if (a.is(0)) return Dim(0);
  if (a == b) return Dim(1);
  const auto divisor = b.terms();
  if (divisor.size() == 1) {  // monomial: every term must hold its factors
    Dim quotient = 0;
    for (const auto& term : a.terms()) {
      if (term.coefficient % divisor[0].coefficient != 0) return std::nullopt;
      std::vector<AtomPtr> factors = term.factors;
      for (const auto& atom : divisor[0].factors) {
        const auto it = std::find_if(factors.begin(), factors.end(),
                                     [&](const AtomPtr& f) { return f->key == atom->key; });
        if (it == factors.end()) return std::nullopt;
        factors.erase(it);
      }
      quotient = quotient + Dim(std::vector<Term>{Term{term.coefficient / divisor[0].coefficient, factors}});
    }
    return quotient;
  }
  // Long division by the leading term (the last in key order, so that a constant never leads).
  Dim rest = a, quotient = 0;
  const Dim lead(std::vector<Term>{divisor.back()});
  for (int step = 0; step < 64 && !rest.is(0); ++step) {
    const auto part = exact_div(Dim(std::vector<Term>{rest.terms().back()}), lead);
    if (!part) return std::nullopt;
    quotient = quotient + *part;
    rest = rest - *part * b;
  }
  return rest.is(0) ? std::optional<Dim>(quotient) : std::nullopt;
}

namespace {

// Flattens nested min/max/broadcast, sorts and removes repetitions, folds constants.
std::vector<Dim> flat_operands(const Dim& a, const Dim& b, Dim::AtomKind kind) {
  std::map<std::string, Dim> found;
  const auto add = [&](const Dim& d, auto&& self) -> void {
    if (!d.is_constant()) {
      const auto terms = d.terms();
      if (terms.size() == 1 && terms[0].coefficient == 1 && terms[0].factors.size() == 1 &&
          terms[0].factors[0]->kind == kind) {
        for (const auto& operand : terms[0].factors[0]->operands) self(operand, self);
        return;
      }
    }
    found.emplace(d.to_string(), d);
  };
  add(a, add);
  add(b, add);
  std::optional<int64_t> constant;
  std::vector<Dim> out;
  for (const auto& entry : found) {
    if (!entry.second.is_constant()) {
      out.push_back(entry.second);
    } else if (!constant) {
      constant = entry.second.value();
    } else {
      constant = kind == Dim::AtomKind::min ? std::min(*constant, entry.second.value())
                                            : std::max(*constant, entry.second.value());
    }
  }
  if (constant) out.insert(out.begin(), Dim(*constant));
  return out;
}

}  // namespace

Dim Dim::min(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return std::min(a.value(), b.value());
  const Dim difference = a - b;
  if (difference.is_at_least(0)) return b;
  if ((-difference).is_at_least(0)) return a;
  auto operands = flat_operands(a, b, AtomKind::min);
  if (operands.size() == 1) return operands[0];
  return Dim(Access::single(make_atom(AtomKind::min, {}, std::move(operands))));
}

Dim Dim::max(const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return std::max(a.value(), b.value());
  const Dim difference = a - b;
  if (difference.is_at_least(0)) return a;
  if ((-difference).is_at_least(0)) return b;
  auto operands = flat_operands(a, b, AtomKind::max);
  if (operands.size() == 1) return operands[0];
  return Dim(Access::single(make_atom(AtomKind::max, {}, std::move(operands))));
}

Dim Dim::broadcast(const Dim& a, const Dim& b) {
  if (a == b || b.is(1)) return a;
  if (a.is(1)) return b;
  if (a.is_constant() && b.is_constant()) {
    throw Error("broadcast", "extents " + a.to_string() + " and " + b.to_string() + " do not broadcast");
  }
  // An extent that is a constant other than 1 decides: the other must be that or 1.
  if (a.is_constant()) return a;
  if (b.is_constant()) return b;
  std::vector<Dim> operands;
  for (auto& d : flat_operands(a, b, AtomKind::broadcast)) {
    if (!d.is(1)) operands.push_back(d);
  }
  if (operands.size() == 1) return operands[0];
  return Dim(Access::single(make_atom(AtomKind::broadcast, {}, std::move(operands))));
}

namespace {

template <class Lookup>
std::optional<int64_t> evaluate_atom(const Atom& atom, const Lookup& symbols) {
  if (atom.kind == Dim::AtomKind::symbol) {
    const auto it = symbols.find(atom.name);
    return it == symbols.end() ? std::nullopt : std::optional<int64_t>(it->second);
  }
  std::optional<int64_t> result = atom.operands[0].evaluate(symbols);
  for (size_t i = 1; result && i < atom.operands.size(); ++i) {
    const std::optional<int64_t> next = atom.operands[i].evaluate(symbols);
    if (!next) return std::nullopt;
    switch (atom.kind) {
      case Dim::AtomKind::floor_div:
      case Dim::AtomKind::ceil_div:
        if (*next == 0) throw Error("division-by-zero", "`" + atom.key + "` divides by zero");
        result = atom.kind == Dim::AtomKind::floor_div ? floor_of(*result, *next) : ceil_of(*result, *next);
        break;
      case Dim::AtomKind::min: result = std::min(*result, *next); break;
      case Dim::AtomKind::max: result = std::max(*result, *next); break;
      default:
        if (*next == 1 || *next == *result) break;
        if (*result != 1) {
          throw Error("broadcast", "extents " + std::to_string(*result) + " and " + std::to_string(*next) +
                                       " do not broadcast (`" + atom.key + "`)");
        }
        result = next;
    }
  }
  return result;
}

}  // namespace

std::optional<int64_t> Dim::evaluate(const SymbolValues& symbols) const {
  if (!expression_) return constant_;
  int64_t sum = 0;
  for (const auto& term : expression_->terms) {
    int64_t product = term.coefficient;
    for (const auto& atom : term.factors) {
      const auto value = evaluate_atom(*atom, symbols);
      if (!value) return std::nullopt;
      product = checked_mul(product, *value);
    }
    sum = checked_add(sum, product);
  }
  return sum;
}

Dim Dim::substitute(const SymbolValues& symbols) const {
  std::map<std::string, Dim, std::less<>> dims;
  for (const auto& entry : symbols) dims.emplace(entry.first, Dim(entry.second));
  return substitute(dims);
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& symbols) const {
  if (!expression_) return *this;
  Dim sum = 0;
  for (const auto& term : expression_->terms) {
    Dim product = term.coefficient;
    for (const auto& atom : term.factors) {
      Dim factor = 0;
      if (atom->kind == AtomKind::symbol) {
        const auto it = symbols.find(atom->name);
        factor = it == symbols.end() ? Dim(Access::single(atom)) : it->second;
      } else {
        std::vector<Dim> operands;
        for (const auto& operand : atom->operands) operands.push_back(operand.substitute(symbols));
        factor = operands[0];
        switch (atom->kind) {
          case AtomKind::floor_div: factor = floor_div(operands[0], operands[1]); break;
          case AtomKind::ceil_div: factor = ceil_div(operands[0], operands[1].value()); break;
          default:
            for (size_t i = 1; i < operands.size(); ++i) {
              factor = atom->kind == AtomKind::min   ? min(factor, operands[i])
                       : atom->kind == AtomKind::max ? max(factor, operands[i])
                                                     : broadcast(factor, operands[i]);
            }
        }
      }
      product = product * factor;
    }
    sum = sum + product;
  }
  return sum;
}

std::vector<std::string> Dim::symbols() const {
  std::set<std::string> found;
  const auto visit = [&](const Dim& d, auto&& self) -> void {
    for (const auto& term : d.terms()) {
      for (const auto& atom : term.factors) {
        if (atom->kind == AtomKind::symbol) found.insert(atom->name);
        for (const auto& operand : atom->operands) self(operand, self);
      }
    }
  };
  visit(*this, visit);
  return {found.begin(), found.end()};
}

std::optional<std::pair<std::string, int64_t>> Dim::solve(int64_t target, const SymbolValues& known) const {
  const Dim rest = substitute(known);
  if (rest.is_constant()) return std::nullopt;
  std::string name;
  int64_t coefficient = 0, constant = 0;
  for (const auto& term : rest.terms()) {
    if (term.factors.empty()) {
      constant = term.coefficient;
    } else if (term.factors.size() == 1 && term.factors[0]->kind == AtomKind::symbol && name.empty()) {
      name = term.factors[0]->name;
      coefficient = term.coefficient;
    } else {
      return std::nullopt;
    }
  }
  const int64_t difference = checked_add(target, checked_mul(constant, -1));
  if (name.empty() || difference % coefficient != 0) return std::nullopt;
  return std::make_pair(name, difference / coefficient);
}

bool Dim::is_at_least(int64_t bound, int64_t symbol_minimum) const {
  if (!expression_) return constant_ >= bound;
  // A sound lower bound: each term by the lower bounds of its atoms.
  __int128 low = 0;
  for (const auto& term : expression_->terms) {
    if (!term.factors.empty() && term.coefficient < 0) return false;
    __int128 product = term.coefficient;
    for (const auto& atom : term.factors) {
      int64_t least = symbol_minimum;
      if (atom->kind == AtomKind::floor_div || atom->kind == AtomKind::ceil_div) {
        if (!atom->operands[1].is_constant() || !atom->operands[0].is_at_least(0, symbol_minimum))
          return false;
        least = 0;
      } else if (atom->kind == AtomKind::max) {
        least = INT64_MIN;
        for (const auto& operand : atom->operands) {
          if (operand.is_constant())
            least = std::max(least, operand.value());
          else if (operand.is_at_least(0, symbol_minimum))
            least = std::max<int64_t>(least, 0);
        }
      } else if (atom->kind == AtomKind::min || atom->kind == AtomKind::broadcast) {
        least = INT64_MAX;
        for (const auto& operand : atom->operands) {
          if (operand.is_constant())
            least = std::min(least, operand.value());
          else if (operand.is_at_least(0, symbol_minimum))
            least = std::min<int64_t>(least, 0);
          else
            return false;
        }
      }
      if (least < 0) return false;
      product *= least;
    }
    low += product;
    if (low > INT64_MAX) low = INT64_MAX;
  }
  return low >= bound;
}

Dim volume_of(const DimShape& shape) {
  Dim volume = 1;
  for (const auto& extent : shape) volume = volume * extent;
  return volume;
}

std::string to_string(const DimShape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? "," : "") + shape[i].to_string();
  return out + "]";
}

namespace {

// expr = add ("#" add)*; add = sub ("+" sub)*; sub = mul ("-" mul)*; mul = div ("*" div)*; div = atom ("/"
// integer)*
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}
  Dim parse() {
    Dim value = broadcast_level();
    skip();
    if (at_ != text_.size()) fail("unexpected `" + std::string(text_.substr(at_)) + "`");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error("symbol-expression",
                "cannot read the symbol expression `" + std::string(text_) + "`: " + why);
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool eat(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Dim broadcast_level() {
    if (++depth_ > 200) fail("nested too deeply");
    Dim value = sum();
    while (eat('#')) value = Dim::broadcast(value, sum());
    --depth_;
    return value;
  }
  Dim sum() {
    Dim value = product();
    for (;;) {  // "-" binds tighter than "+" in tract's grammar, which gives the same value
      if (eat('+'))
        value = value + product();
      else if (eat('-'))
        value = value - product();
      else
        return value;
    }
  }
  Dim product() {
    Dim value = quotient();
    while (eat('*')) value = value * quotient();
    return value;
  }
  Dim quotient() {
    Dim value = atom();
    while (eat('/')) {
      skip();
      value = Dim::floor_div(value, integer());
    }
    return value;
  }
  int64_t integer() {
    int64_t value = 0;
    const size_t start = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      value = checked_add(checked_mul(value, 10), text_[at_++] - '0');
    }
    if (at_ == start) fail("an integer is expected");
    return value;
  }
  Dim atom() {
    skip();
    if (at_ >= text_.size()) fail("it ends early");
    if (eat('-')) {
      if (++depth_ > 200) fail("nested too deeply");
      Dim value = -atom();
      --depth_;
      return value;
    }
    if (eat('(')) {
      Dim value = broadcast_level();
      if (!eat(')')) fail("`)` is missing");
      return value;
    }
    const char c = text_[at_];
    if (std::isdigit(static_cast<unsigned char>(c))) return integer();
    if (!std::isalpha(static_cast<unsigned char>(c)) && c != '_')
      fail("unexpected `" + std::string(1, c) + "`");
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == '.' ||
            (text_[at_] == '/' && at_ + 1 < text_.size() &&
             std::isalpha(static_cast<unsigned char>(text_[at_ + 1]))))) {
      ++at_;
    }
    const std::string name(text_.substr(start, at_ - start));
    if (!eat('(')) return Dim::symbol(name);
    std::vector<Dim> arguments{broadcast_level()};
    while (eat(',')) arguments.push_back(broadcast_level());
    if (!eat(')')) fail("`)` is missing after the arguments of " + name);
    Dim value = arguments[0];
    if (name == "floor" && arguments.size() == 1) return value;
    for (size_t i = 1; i < arguments.size(); ++i) {
      if (name == "min")
        value = Dim::min(value, arguments[i]);
      else if (name == "max")
        value = Dim::max(value, arguments[i]);
      else if (name == "broadcast")
        value = Dim::broadcast(value, arguments[i]);
      else
        fail("unknown function " + name);
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Dim parse_dim(std::string_view text) { return DimParser(text).parse(); }

}  // namespace nnefrun
