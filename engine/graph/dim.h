// Dim: a symbolic integer, the extent of a tensor axis or an element of a shape tensor.
//
// A Dim is a polynomial with integer coefficients over atoms; an atom is a symbol (`B`, `S`), a floor or
// ceiling division by an integer, a minimum, a maximum or a broadcast of Dims. The polynomial is kept
// expanded and sorted, so two Dims that are equal as polynomials over their atoms compare equal (what
// tract-opl section 6 calls expansion). Constants cost no allocation. Dims are immutable values and may be
// shared between threads.
//
// Arithmetic is exact in 64 bits; overflow throws Error[integer-overflow].
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nnefrun {

// Values of symbols by name.
using SymbolValues = std::map<std::string, int64_t, std::less<>>;

class Dim {
 public:
  Dim(int64_t value = 0) : constant_(value) {}  // NOLINT: implicit on purpose, a literal is a Dim
  static Dim symbol(std::string_view name);

  bool is_constant() const { return !expression_; }
  // REQUIRES: is_constant()
  int64_t value() const { return constant_; }
  bool is(int64_t v) const { return !expression_ && constant_ == v; }
  // The name when the Dim is exactly one symbol, else empty.
  std::string_view as_symbol() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a);
  friend bool operator==(const Dim& a, const Dim& b);

  // Division of the real quotient, rounded down or up. Throws Error[division-by-zero].
  static Dim floor_div(const Dim& a, int64_t divisor);
  static Dim ceil_div(const Dim& a, int64_t divisor);
  // The general forms for shape arithmetic in a graph; constant divisors take the forms above.
  static Dim floor_div(const Dim& a, const Dim& divisor);
  // Exact symbolic quotient when b divides a as polynomials (e.g. 6*B*S / (2*B) = 3*S); nullopt when unknown.
  static std::optional<Dim> exact_div(const Dim& a, const Dim& b);
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);
  // The extent of a broadcast axis: equal extents, or the one that is not 1. Throws Error[broadcast] when two
  // constants clash; stays symbolic (and is checked when it is evaluated) when it cannot be decided.
  static Dim broadcast(const Dim& a, const Dim& b);

  // The value under the symbols; nullopt when a symbol is missing. Throws on overflow and on a broadcast that
  // clashes.
  std::optional<int64_t> evaluate(const SymbolValues& symbols) const;
  // Known symbols replaced, the rest kept.
  Dim substitute(const SymbolValues& symbols) const;
  Dim substitute(const std::map<std::string, Dim, std::less<>>& symbols) const;
  // Symbols that occur, sorted, without repetition.
  std::vector<std::string> symbols() const;
  // Solves *this == target for the only symbol not in `known`, when it occurs linearly and once (k*S + c):
  // its name and value. nullopt when there is none such or k does not divide.
  std::optional<std::pair<std::string, int64_t>> solve(int64_t target, const SymbolValues& known) const;
  // True when the value is known to be at least `bound`, given that every symbol is at least
  // `symbol_minimum`.
  bool is_at_least(int64_t bound, int64_t symbol_minimum = 0) const;

  // An NNEF expression: "3*S+1", "floor_div(S+1,2)"; constants are plain. Canonical, so it serves as a key.
  std::string to_string() const;

  // The structure, for printing as NNEF and for compiling into a plan.
  struct Atom;
  struct Term {
    int64_t coefficient = 0;
    std::vector<std::shared_ptr<const Atom>> factors;  // sorted by key; powers repeat the atom
  };
  enum class AtomKind : uint8_t { symbol, floor_div, ceil_div, min, max, broadcast };
  std::vector<Term> terms() const;

 private:
  struct Expression;
  explicit Dim(std::vector<Term> terms);
  static Dim of_normalized(std::vector<Term> terms);
  int64_t constant_ = 0;
  std::shared_ptr<const Expression> expression_;
};

struct Dim::Atom {
  AtomKind kind;
  std::string name;           // symbol
  std::vector<Dim> operands;  // divisions: dividend, divisor; min, max, broadcast: two or more, sorted
  std::string key;            // canonical text
};

bool operator!=(const Dim& a, const Dim& b);
using DimShape = std::vector<Dim>;
// Product of the extents.
Dim volume_of(const DimShape& shape);
// "[B, 3, S+1]"
std::string to_string(const DimShape& shape);

// Parses tract's TDim text (tract-opl 6.1), as in `tract_assert` and `--set`: "S+P", "2*S/4", "min(S, 3)".
// Throws Error[symbol-expression].
Dim parse_dim(std::string_view text);

}  // namespace nnefrun
