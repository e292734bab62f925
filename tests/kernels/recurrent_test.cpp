#include "kernels/recurrent/recurrent.h"

#include <algorithm>

#include "kernels/recurrent/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// Of a result about as large as the largest operand, see recurrent.h: the rounding of sums of three up to 6,
// and of the cell itself.
constexpr double kBudget = 16 * 0x1p-24;

struct Operands {
  Operands(Random& random, int64_t rows, int64_t hidden, int64_t gates)
      : x(random.floats(static_cast<size_t>(rows * hidden * gates), -2, 2)),
        s(random.floats(static_cast<size_t>(rows * hidden * gates), -2, 2)),
        bias(random.floats(static_cast<size_t>(hidden * gates), -2, 2)),
        h(random.floats(static_cast<size_t>(rows * hidden))),
        c(random.floats(static_cast<size_t>(rows * hidden), -3, 3)),
        h_out(h.size()),
        c_out(c.size()) {
    a.rows = rows;
    a.hidden = hidden;
    a.x = x.data();
    a.s = s.data();
    a.bias = bias.data();
    a.h = h.data();
    a.c = c.data();
    a.h_out = h_out.data();
    a.c_out = c_out.data();
  }
  std::vector<float> x, s, bias, h, c;
  Guarded<float> h_out, c_out;
  CellArgs a;
};

// expected(a, row, unit) is h'.
template <class Expected>
void check(void (*cell)(const CellArgs&), int64_t gates, const Expected& expected) {
  Random random(static_cast<uint32_t>(90 + gates));
  for (const int64_t rows : {0, 1, 3}) {
    for (const int64_t hidden : sizes_around_width()) {
      INFO("[" << rows << ", " << hidden << "]");
      Operands o(random, rows, hidden, gates);
      cell(o.a);
      REQUIRE(o.h_out.intact());
      double worst = 0;
      for (int64_t i = 0; i < rows * hidden; ++i) {
        const double got = o.h_out[static_cast<size_t>(i)];
        worst = std::max(worst, std::fabs(expected(o.a, i / hidden, i % hidden) - got));
      }
      REQUIRE(worst <= kBudget);
      // In place.
      Guarded<float> own(o.h);
      CellArgs in_place = o.a;
      in_place.h = own.data();
      in_place.h_out = own.data();
      cell(in_place);
      for (int64_t i = 0; i < rows * hidden; ++i)
        REQUIRE(own[static_cast<size_t>(i)] == o.h_out[static_cast<size_t>(i)]);
    }
  }
}

template <class Body>
void for_rows(const Body& body) {
  int count = 0;
  const RecurrentKernels* const* rows = recurrent_rows(&count);
  for_each_row("recurrent", rows, count, body);
}

}  // namespace

TEST_CASE("LSTM cells agree with the reference", "[kernels][recurrent]") {
  for_rows([](const RecurrentKernels& row) {
    double c = 0;
    check(row.lstm_cell, 4,
          [&](const CellArgs& a, int64_t r, int64_t j) { return lstm_reference(a, r, j, &c); });
    Random random(97);
    for (const int64_t hidden : sizes_around_width()) {
      Operands o(random, 2, hidden, 4);
      row.lstm_cell(o.a);
      REQUIRE(o.c_out.intact());
      double worst = 0;
      for (int64_t i = 0; i < 2 * hidden; ++i) {
        lstm_reference(o.a, i / hidden, i % hidden, &c);
        worst = std::max(worst, std::fabs(c - static_cast<double>(o.c_out[static_cast<size_t>(i)])));
      }
      REQUIRE(worst <= 4 * kBudget);  // the memory is as large as 4
      Guarded<float> own(o.c);
      CellArgs in_place = o.a;
      in_place.c = own.data();
      in_place.c_out = own.data();
      row.lstm_cell(in_place);
      for (int64_t i = 0; i < 2 * hidden; ++i)
        REQUIRE(own[static_cast<size_t>(i)] == o.c_out[static_cast<size_t>(i)]);
    }
  });
}

TEST_CASE("GRU cells agree with the reference", "[kernels][recurrent]") {
  for_rows([](const RecurrentKernels& row) {
    check(row.gru_cell, 3, gru_reference);
    check(row.gru_reset, 3, gru_reset_reference);
    check(row.gru_update, 3, gru_update_reference);
  });
}

TEST_CASE("plain cells agree with the reference", "[kernels][recurrent]") {
  for_rows([](const RecurrentKernels& row) {
    check(row.rnn_tanh_cell, 1,
          [](const CellArgs& a, int64_t r, int64_t j) { return rnn_reference(a, r, j, true); });
    check(row.rnn_relu_cell, 1,
          [](const CellArgs& a, int64_t r, int64_t j) { return rnn_reference(a, r, j, false); });
  });
}

TEST_CASE("cells pass infinities and NaN on as their definitions have it", "[kernels][recurrent]") {
  const float inf = __builtin_inff(), nan = __builtin_nanf("");
  for_rows([&](const RecurrentKernels& row) {
    Random random(98);
    Operands o(random, 1, 4, 4);
    const std::vector<float> forget = {inf, -inf, inf, nan};
    std::copy(forget.begin(), forget.end(), o.x.begin() + 4);
    row.lstm_cell(o.a);
    for (int64_t j = 0; j < 4; ++j) {
      double c = 0;
      const double h = lstm_reference(o.a, 0, j, &c);
      const double got_c = o.c_out[static_cast<size_t>(j)], got_h = o.h_out[static_cast<size_t>(j)];
      if (std::isnan(c)) {
        CHECK(std::isnan(got_c));
        CHECK(std::isnan(got_h));
      } else {
        CHECK(std::fabs(c - got_c) <= 4 * kBudget);
        CHECK(std::fabs(h - got_h) <= kBudget);
      }
    }
    Operands p(random, 1, 2, 1);
    p.x[0] = nan;
    p.x[1] = inf;
    row.rnn_relu_cell(p.a);
    CHECK(p.h_out[0] == 0);
    CHECK(p.h_out[1] == inf);
  });
}
