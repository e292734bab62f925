// Recurrent cells over time: LSTM, GRU, and the plain one. Rewrites make these rows of loops and of cells
// that a text spells out.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
// As the select of the standard has it: NaN becomes 0.
double relu(double x) { return x > 0 ? x : 0; }

// ---- facts ----

void require_extent(const InferContext& c, std::string_view parameter, const Fact& fact, size_t axis,
                    const Dim& expected) {
  require_equal(c, "extent " + std::to_string(axis) + " of " + std::string(parameter), fact.shape[axis],
                expected);
}

// x [time, rows, gates * hidden], R [gates * hidden, hidden], states [rows, hidden].
std::vector<Fact> infer_cell(const InferContext& c, int64_t gates, int states) {
  const Fact &x = float_input(c, "x"), &weights = float_input(c, "R");
  require_rank(c, "x", x, 3, 3);
  require_rank(c, "R", weights, 2, 2);
  require_same_dtype(c, "x", x, "R", weights);
  const Dim &rows = x.shape[1], &hidden = weights.shape[1];
  require_extent(c, "R", weights, 0, hidden * Dim(gates));
  require_extent(c, "x", x, 2, hidden * Dim(gates));
  for (const char* name : {"h", "c"}) {
    if (states-- == 0) break;
    const Fact& state = float_input(c, name);
    require_same_dtype(c, "x", x, name, state);
    require_rank(c, name, state, 2, 2);
    require_extent(c, name, state, 0, rows);
    require_extent(c, name, state, 1, hidden);
  }
  if (c.has_input("bias")) {
    const Fact& bias = float_input(c, "bias");
    require_same_dtype(c, "x", x, "bias", bias);
    require_rank(c, "bias", bias, 1, 1);
    require_extent(c, "bias", bias, 0, hidden * Dim(gates));
  }
  return {fact_of(x.dtype, {x.shape[0], rows, hidden}), fact_of(x.dtype, {rows, hidden})};
}

std::vector<Fact> infer_lstm(InferContext& c) {
  std::vector<Fact> facts = infer_cell(c, 4, 2);
  facts.push_back(facts[1]);
  return facts;
}
std::vector<Fact> infer_gru(InferContext& c) { return infer_cell(c, 3, 1); }
std::vector<Fact> infer_rnn(InferContext& c) {
  const std::string& activation = c.string("activation");
  if (activation != "tanh" && activation != "relu") {
    throw c
        .fail("attribute-value",
              c.signature().name + ": there is no activation '" + activation + "' of cells")
        .note("activations are tanh, relu");
  }
  return infer_cell(c, 1, 1);
}

// ---- evaluation, in double; states are rounded to their type after each step ----

class Cell {
 public:
  Cell(const EvalContext& c, size_t gates) : dtype_(c.input("x").dtype()) {
    const Shape &x = c.input("x").shape(), &weights = c.input("R").shape(), &state = c.input("h").shape();
    time_ = static_cast<size_t>(x[0]);
    rows_ = static_cast<size_t>(x[1]);
    hidden_ = static_cast<size_t>(weights[1]);
    columns_ = gates * hidden_;
    const bool fits = x[2] == weights[0] && static_cast<size_t>(x[2]) == columns_ &&
                      state == Shape{x[1], weights[1]} &&
                      (!c.has_input("bias") || c.input("bias").dim(0) == x[2]);
    if (!fits) {
      throw c.fail("shape-mismatch", c.signature().name + ": x " + to_string(x) + ", R " +
                                         to_string(weights) + " and h " + to_string(state) +
                                         " do not fit each other");
    }
    x_ = as_doubles(c.input("x"));
    weights_ = as_doubles(c.input("R"));
    h = as_doubles(c.input("h"));
    bias_ = c.has_input("bias") ? as_doubles(c.input("bias")) : std::vector<double>(columns_, 0.0);
    output_.resize(time_ * rows_ * hidden_);
    reverse_ = c.logical("reverse");
  }
  size_t hidden() const { return hidden_; }
  Shape state_shape() const { return {static_cast<int64_t>(rows_), static_cast<int64_t>(hidden_)}; }

  // state * transpose(R) + bias for the columns of gates [begin, end), [rows, columns].
  std::vector<double> recurrent(const std::vector<double>& state, size_t begin, size_t end) const {
    std::vector<double> sums(rows_ * columns_, 0.0);
    for (size_t row = 0; row < rows_; ++row) {
      for (size_t column = begin * hidden_; column < end * hidden_; ++column) {
        double sum = 0;
        for (size_t p = 0; p < hidden_; ++p) sum += state[row * hidden_ + p] * weights_[column * hidden_ + p];
        sums[row * columns_ + column] = sum + bias_[column];
      }
    }
    return sums;
  }
  std::vector<double> rounded(const std::vector<double>& state) const {
    return as_doubles(cast_items(Tensor::of<double>(state_shape(), state), dtype_));
  }

  // Calls step(x of the step) [rows, columns], which leaves the new state in h.
  template <class Step>
  std::vector<Tensor> run(const Step& step) {
    for (size_t i = 0; i < time_; ++i) {
      const size_t t = reverse_ ? time_ - 1 - i : i;
      step(x_.data() + t * rows_ * columns_);
      h = rounded(h);
      std::copy(h.begin(), h.end(), output_.begin() + static_cast<std::ptrdiff_t>(t * rows_ * hidden_));
    }
    const Shape all{static_cast<int64_t>(time_), static_cast<int64_t>(rows_), static_cast<int64_t>(hidden_)};
    return {cast_items(Tensor::of<double>(all, output_), dtype_),
            cast_items(Tensor::of<double>(state_shape(), h), dtype_)};
  }
  // Calls item(i, at): item i of the state, whose gate g is at `at` + g * hidden of the gates.
  template <class Item>
  void for_each(const Item& item) const {
    for (size_t i = 0; i < rows_ * hidden_; ++i) item(i, i / hidden_ * columns_ + i % hidden_);
  }

  std::vector<double> h;

 private:
  DataType dtype_;
  size_t time_ = 0, rows_ = 0, hidden_ = 0, columns_ = 0;
  bool reverse_ = false;
  std::vector<double> x_, weights_, bias_, output_;
};

std::vector<Tensor> eval_lstm(EvalContext& c) {
  Cell cell(c, 4);
  if (c.input("c").shape() != cell.state_shape()) {
    throw c.fail("shape-mismatch", c.signature().name + ": c has shape " + to_string(c.input("c").shape()) +
                                       ", h " + to_string(cell.state_shape()));
  }
  std::vector<double> memory = as_doubles(c.input("c"));
  const size_t hidden = cell.hidden();
  auto results = cell.run([&](const double* x) {
    const auto s = cell.recurrent(cell.h, 0, 4);
    const auto gate = [&](size_t at, size_t g) { return x[at + g * hidden] + s[at + g * hidden]; };
    cell.for_each([&](size_t i, size_t at) {
      memory[i] = sigmoid(gate(at, 1)) * memory[i] + sigmoid(gate(at, 0)) * std::tanh(gate(at, 2));
    });
    memory = cell.rounded(memory);
    cell.for_each([&](size_t i, size_t at) { cell.h[i] = sigmoid(gate(at, 3)) * std::tanh(memory[i]); });
  });
  results.push_back(cast_items(Tensor::of<double>(cell.state_shape(), memory), results[0].dtype()));
  return results;
}

std::vector<Tensor> eval_gru(EvalContext& c) {
  Cell cell(c, 3);
  const bool reset_before = c.logical("reset_before");
  const size_t hidden = cell.hidden();
  return cell.run([&](const double* x) {
    auto s = cell.recurrent(cell.h, 0, reset_before ? 2 : 3);
    if (reset_before) {
      std::vector<double> kept = cell.h;
      cell.for_each([&](size_t i, size_t at) { kept[i] *= sigmoid(x[at] + s[at]); });
      const auto candidate = cell.recurrent(kept, 2, 3);
      cell.for_each([&](size_t, size_t at) { s[at + 2 * hidden] = candidate[at + 2 * hidden]; });
    }
    cell.for_each([&](size_t i, size_t at) {
      const size_t z = at + hidden, n = at + 2 * hidden;
      const double reset = reset_before ? 1 : sigmoid(x[at] + s[at]);
      const double next = std::tanh(x[n] + reset * s[n]);
      cell.h[i] = next + sigmoid(x[z] + s[z]) * (cell.h[i] - next);
    });
  });
}

std::vector<Tensor> eval_rnn(EvalContext& c) {
  Cell cell(c, 1);
  const bool is_tanh = c.string("activation") == "tanh";
  return cell.run([&](const double* x) {
    const auto s = cell.recurrent(cell.h, 0, 1);
    for (size_t i = 0; i < cell.h.size(); ++i)
      cell.h[i] = is_tanh ? std::tanh(x[i] + s[i]) : relu(x[i] + s[i]);
  });
}

constexpr OpDef kRows[] = {
    {.name = "nnefrun_lstm", .infer = infer_lstm, .eval = eval_lstm, .types = kFloats},
    {.name = "nnefrun_gru", .infer = infer_gru, .eval = eval_gru, .types = kFloats},
    {.name = "nnefrun_rnn", .infer = infer_rnn, .eval = eval_rnn, .types = kFloats},
};

}  // namespace

std::span<const OpDef> cell_rows() { return kRows; }

}  // namespace nnefrun
