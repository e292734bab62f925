#include "kernels/matmul/matmul.h"

#include <cassert>
#include <utility>

#include "kernels/choose.h"
#include "kernels/matmul/block.h"
#include "kernels/matmul/pack.h"

namespace nnefrun::kernels {

#define NNEFRUN_MATMUL_F32(name, isa, mr, nr) extern const MatmulKernel name;
#include "kernels/matmul/kernels.inc"

namespace {

const MatmulKernel* const kRows[] = {
#define NNEFRUN_MATMUL_F32(name, isa, mr, nr) &name,
#include "kernels/matmul/kernels.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

// Floats that a vector load may reach beyond a packed layout.
constexpr int64_t kSlack = 16;
static_assert(kSlack >= kTailColumns);
// Below this depth a dot product is mostly its final sum across lanes, and packing wins.
constexpr int64_t kDotDepth = 32;
// Floats of a matrix that stays in the first caches even when it is read in narrow columns.
constexpr int64_t kSmallMatrix = 16384;

// Items after which addresses fall into the same set of the first cache again: rows of A so far apart would
// drive each other out, and are not read in place.
constexpr int64_t kWay = 1024;

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Columns of the last panel of a packed B, if it has fewer than nr, else 0.
int64_t tail_width(int64_t n, const MatmulKernel& kernel) {
  const int64_t width = round_up(n % kernel.nr, tail_unit(kernel.lanes));
  return width < kernel.nr ? width : 0;
}
// Columns of a packed B in panels of nr.
int64_t full_columns(int64_t n, const MatmulKernel& kernel) {
  return tail_width(n, kernel) != 0 ? n / kernel.nr * kernel.nr : n;
}
// Items of a packed B for each p.
int64_t packed_width(int64_t n, const MatmulKernel& kernel) {
  return round_up(full_columns(n, kernel), kernel.nr) + tail_width(n, kernel);
}

// The problem with A and B exchanged: C^T = B^T A^T. Only for results of one column, whose transpose is
// contiguous.
void transpose_column(MatmulArgs& args) {
  std::swap(args.m, args.n);
  const float* a = args.a;
  args.a = args.b;
  args.b = a;
  const int64_t a_row = args.a_row_stride, a_col = args.a_col_stride;
  args.a_row_stride = args.b_col_stride;
  args.a_col_stride = args.b_row_stride;
  args.b_row_stride = a_col;
  args.b_col_stride = a_row;
  std::swap(args.packed_a, args.packed_b);
  std::swap(args.row_begin, args.column_begin);
  std::swap(args.row_end, args.column_end);
  args.c_row_stride = 0;
  args.epilogue.residual_row_stride = 0;
  if (args.epilogue.bias_axis != BiasAxis::none) {
    args.epilogue.bias_axis = args.epilogue.bias_axis == BiasAxis::row ? BiasAxis::column : BiasAxis::row;
  }
}

// The most rows of a block of A: as many as fill what a block of the full depth would, within reason.
int64_t most_block_rows(int64_t depth, const MatmulKernel& kernel) {
  constexpr int64_t kMore = 4;
  const int64_t full = static_cast<int64_t>(kernel.mc) * kernel.kc / (depth > 0 ? depth : 1);
  return smaller(full > kernel.mc ? full : kernel.mc, kMore * kernel.mc) / kernel.mr * kernel.mr;
}
// Equal blocks.
int64_t block_rows(int64_t m, int64_t depth, const MatmulKernel& kernel) {
  const int64_t most = most_block_rows(depth, kernel), blocks = (m + most - 1) / most;
  return blocks <= 1 ? m : round_up((m + blocks - 1) / blocks, kernel.mr);
}
// Floats that hold a block of A as panels.
int64_t a_space_of(int64_t m, int64_t depth, const MatmulKernel& kernel) {
  return smaller(most_block_rows(depth, kernel), round_up(m, kernel.mr)) * depth + kSlack;
}
// Floats that Product::blocks packs into.
int64_t block_space(int64_t m, int64_t n, int64_t k, bool a_is_packed, bool b_is_packed,
                    const MatmulKernel& kernel) {
  const int64_t depth = matmul_k_block(kernel, k);
  int64_t floats = 0;
  if (!a_is_packed) floats += a_space_of(m, depth, kernel);
  if (!b_is_packed) floats += smaller(kernel.nc, round_up(n, kernel.nr)) * depth + kSlack;
  return floats;
}

struct Product {
  const MatmulArgs& args;
  const MatmulKernel& kernel;
  float* workspace;
  int64_t rows, columns;  // of the window
  int64_t k_block;

  bool has_epilogue() const {
    const Epilogue& e = args.epilogue;
    return e.scale != 1.0F || e.bias_axis != BiasAxis::none || e.residual != nullptr ||
           e.activation != Activation::none;
  }
  float* c(int64_t row, int64_t column) const { return args.c + row * args.c_row_stride + column; }
  // In packed A: the panel that begins at row `first`, in the k block at `depth`.
  const float* packed_a_at(const float* packed, int64_t m, int64_t first, int64_t depth,
                           int64_t block) const {
    return packed + depth * round_up(m, kernel.mr) + first * block;
  }
  // In packed B: the panel of `width` columns that begins at column `first`, in the k block at `depth`.
  const float* packed_b_at(int64_t first, int64_t depth, int64_t block, int64_t width) const {
    if (args.b_by_panels) return args.packed_b + first * args.k + depth * width;
    return args.packed_b + depth * (args.wide_tail ? round_up(args.n, width) : packed_width(args.n, kernel)) +
           first * block;
  }
  int64_t b_panel_stride(int64_t block, int64_t width) const {
    return (args.b_by_panels ? args.k : block) * width;
  }
  void finish_rows() const {
    if (!has_epilogue()) return;
    for (int64_t i = 0; i < rows; ++i) {
      kernel.epilogue_row(args.epilogue, c(args.row_begin + i, args.column_begin), args.row_begin + i,
                          args.column_begin, columns);
    }
  }

  // Few rows of A, unpacked, times B row-major in place, or (one row only) packed: as B, or, when it was A
  // before the product was transposed, as A.
  enum class Form { in_place, packed_as_b, packed_as_a };
  void vectors_times(Form form) const {
    GemvBlock g;
    const float* x = args.a + args.row_begin * args.a_row_stride;
    g.x_row_stride = args.a_row_stride;
    if (args.a_col_stride != 1) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t p = 0; p < args.k; ++p)
          workspace[i * args.k + p] = x[i * args.a_row_stride + p * args.a_col_stride];
      }
      x = workspace;
      g.x_row_stride = args.k;
    }
    g.m = rows;
    g.y_row_stride = args.c_row_stride;
    g.w_row_stride = args.b_row_stride;
    const int64_t end = args.column_begin + columns;
    const auto some_columns = [&](int64_t begin, int64_t count) {
      g.n = count;
      g.y = c(args.row_begin, begin);
      int64_t depth = 0;
      do {
        g.k = smaller(k_block, args.k - depth);
        g.x = x + depth;
        if (form == Form::packed_as_b) {
          g.panel_stride = b_panel_stride(g.k, g.panel);
          g.w = packed_b_at(begin, depth, g.k, g.panel);
        } else if (form == Form::packed_as_a) {
          g.panel_stride = g.k * g.panel;
          g.w = packed_a_at(args.packed_b, args.n, begin, depth, g.k);
        } else {
          g.w = args.b + depth * args.b_row_stride + begin;
        }
        g.load_y = args.accumulate || depth > 0;
        kernel.gemv(g);
        depth += g.k;
      } while (depth < args.k);
    };
    if (form != Form::packed_as_b) {
      g.panel = form == Form::packed_as_a ? kernel.mr : 0;
      some_columns(args.column_begin, columns);
    } else {
      // Some panels at a time, so that memory is read from first to last.
      constexpr int64_t kPanels = 16;
      const int64_t full = smaller(end, args.wide_tail ? args.n : full_columns(args.n, kernel));
      const int64_t step = args.b_by_panels ? kPanels * kernel.nr : columns;
      g.panel = kernel.nr;
      int64_t j = args.column_begin;
      for (; j < full; j += step) some_columns(j, smaller(step, full - j));
      if (full < end) {
        g.panel = tail_width(args.n, kernel);
        some_columns(full, end - full);
      }
    }
    finish_rows();
  }

  // `few` rows (of A, or of B^T when `transposed`) that are gathered if they are not contiguous, against many
  // that are.
  void dots(bool transposed) const {
    const float* few = transposed ? args.b + args.column_begin * args.b_col_stride
                                  : args.a + args.row_begin * args.a_row_stride;
    int64_t row_stride = transposed ? args.b_col_stride : args.a_row_stride;
    const int64_t depth_stride = transposed ? args.b_row_stride : args.a_col_stride;
    DotBlock d;
    d.m = transposed ? columns : rows;
    d.n = transposed ? rows : columns;
    d.k = args.k;
    if (depth_stride != 1) {
      for (int64_t i = 0; i < d.m; ++i) {
        for (int64_t p = 0; p < d.k; ++p) workspace[i * d.k + p] = few[i * row_stride + p * depth_stride];
      }
      few = workspace;
      row_stride = d.k;
    }
    d.a = few;
    d.a_row_stride = row_stride;
    d.b = transposed ? args.a + args.row_begin * args.a_row_stride
                     : args.b + args.column_begin * args.b_col_stride;
    d.b_row_stride = transposed ? args.a_row_stride : args.b_col_stride;
    d.c = c(args.row_begin, args.column_begin);
    d.c_row_stride = transposed ? 1 : args.c_row_stride;
    d.c_col_stride = transposed ? args.c_row_stride : 1;
    d.accumulate = args.accumulate;
    kernel.dot(d);
    finish_rows();
  }

  // The block of A for the kernel: where it lies packed, in place, or packed to `space`.
  void place_a(int64_t row, int64_t depth, float* space, MatmulBlock& block) const {
    const float* a = args.a + row * args.a_row_stride + depth * args.a_col_stride;
    block.a_row_stride = 0;
    if (args.packed_a != nullptr) {
      block.a = packed_a_at(args.packed_a, args.m, row, depth, block.k);
    } else if (matmul_reads_in_place(args.a_row_stride, args.a_col_stride, kernel)) {
      block.a = a;
      block.a_row_stride = args.a_row_stride;
    } else {
      kernel.pack_a(a, args.a_row_stride, args.a_col_stride, block.m, block.k, space);
      block.a = space;
    }
  }

  void blocks(bool b_in_place) const {
    const int64_t nr = kernel.nr;
    // Only a B that is packed here, or read in place, is worth going through by columns.
    const int64_t step = args.packed_b != nullptr ? columns : kernel.nc;
    const int64_t row_step = block_rows(rows, k_block, kernel);
    float* a_space = workspace;
    float* b_space = workspace + (args.packed_a != nullptr ? 0 : a_space_of(rows, k_block, kernel));
    const bool epilogue = has_epilogue();
    MatmulBlock block;
    block.c_row_stride = args.c_row_stride;
    block.b_in_place = b_in_place;
    for (int64_t j = 0; j < columns; j += step) {
      const int64_t column = args.column_begin + j;
      block.n = smaller(step, columns - j);
      int64_t depth = 0;
      do {
        block.k = smaller(k_block, args.k - depth);
        if (args.packed_b != nullptr) {
          block.b = packed_b_at(column, depth, block.k, nr);
          const int64_t full = args.wide_tail ? args.n : full_columns(args.n, kernel);
          if (column + block.n > full) {
            block.b_tail_step = tail_width(args.n, kernel);
            block.b_tail = packed_b_at(full, depth, block.k, block.b_tail_step);
          }
        } else if (b_in_place) {
          block.b = args.b + depth * args.b_row_stride + column;
        } else {
          kernel.pack_b(args.b + depth * args.b_row_stride + column * args.b_col_stride, args.b_row_stride,
                        args.b_col_stride, block.k, block.n, b_space);
          block.b = b_space;
        }
        block.b_step = b_in_place ? args.b_row_stride : nr;
        block.b_panel = b_in_place ? nr : b_panel_stride(block.k, nr);
        block.load_c = args.accumulate || depth > 0;
        block.epilogue = epilogue && depth + block.k >= args.k ? &args.epilogue : nullptr;
        for (int64_t i = 0; i < rows; i += row_step) {
          const int64_t row = args.row_begin + i;
          block.m = smaller(row_step, rows - i);
          place_a(row, depth, a_space, block);
          block.c = c(row, column);
          block.row = row;
          block.column = column;
          kernel.block(block);
        }
        depth += block.k;
      } while (depth < args.k);
    }
  }
};

}  // namespace

const MatmulKernel& choose_matmul_f32(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const MatmulKernel* const* matmul_f32_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

int64_t matmul_k_block(const MatmulKernel& kernel, int64_t k) {
  const int64_t blocks = (k + kernel.kc - 1) / kernel.kc;
  return blocks <= 1 ? k : (k + blocks - 1) / blocks;
}

bool matmul_reads_in_place(int64_t a_row_stride, int64_t a_col_stride, const MatmulKernel& kernel) {
  return kernel.reads_rows && a_col_stride == 1 && a_row_stride % kWay != 0;
}

size_t packed_a_size(int64_t m, int64_t k, const MatmulKernel& kernel) {
  return static_cast<size_t>(round_up(m, kernel.mr) * k + kSlack);
}
size_t packed_b_size(int64_t k, int64_t n, const MatmulKernel& kernel) {
  return static_cast<size_t>(packed_width(n, kernel) * k + kSlack);
}

namespace {

// Calls body(begin, end, start, block) for the depths [begin, end) of the window in each k block [start,
// start
// + block) of `step`.
template <class Body>
void each_k_block(int64_t k, int64_t step, const PackWindow& w, const Body& body) {
  for (int64_t start = 0; start < k; start += step) {
    const int64_t block = smaller(step, k - start);
    const int64_t begin = w.depth_begin > start ? w.depth_begin : start;
    const int64_t end = smaller(w.depth_end, start + block);
    if (begin < end) body(begin, end, start, block);
  }
}
// pack(i, count, to) for panels of `panel` of [w.begin, end) in one k block whose first panel is at `to`: all
// at once when the whole block is packed, else each alone.
template <class Pack>
void each_panel(const PackWindow& w, int64_t end, int64_t panel, int64_t block, bool whole, float* to,
                const Pack& pack) {
  const int64_t step = whole ? end - w.begin : panel;
  for (int64_t i = w.begin; i < end; i += step) pack(i, smaller(step, end - i), to + i * block);
}
void clear_slack(float* to) {
  for (int64_t i = 0; i < kSlack; ++i) to[i] = 0.0F;
}

}  // namespace

void pack_a_f32_window(int64_t m, int64_t k, const float* a, int64_t row_stride, int64_t col_stride,
                       float* packed, const PackWindow& w, const MatmulKernel& kernel) {
  const int64_t mr = kernel.mr, panels = round_up(m, mr);
  each_k_block(
      k, matmul_k_block(kernel, k), w, [&](int64_t begin, int64_t end, int64_t start, int64_t block) {
        each_panel(w, w.end, mr, block, end - begin == block, packed + start * panels + (begin - start) * mr,
                   [&](int64_t i, int64_t rows, float* to) {
                     kernel.pack_a(a + i * row_stride + begin * col_stride, row_stride, col_stride, rows,
                                   end - begin, to);
                   });
      });
  if (w.end == m && w.depth_end == k) clear_slack(packed + panels * k);
}
void pack_b_f32_window(int64_t k, int64_t n, const float* b, int64_t row_stride, int64_t col_stride,
                       float* packed, const PackWindow& w, const MatmulKernel& kernel) {
  const int64_t nr = kernel.nr, width = packed_width(n, kernel), tail = tail_width(n, kernel);
  const int64_t full = full_columns(n, kernel), full_end = smaller(w.end, full);
  const int64_t step = w.by_panels ? k : matmul_k_block(kernel, k);
  each_k_block(k, step, w, [&](int64_t begin, int64_t end, int64_t start, int64_t block) {
    float* block_start = packed + start * width;
    each_panel(w, full_end, nr, block, end - begin == block, block_start + (begin - start) * nr,
               [&](int64_t j, int64_t columns, float* to) {
                 kernel.pack_b(b + begin * row_stride + j * col_stride, row_stride, col_stride, end - begin,
                               columns, to);
               });
    if (full >= w.end) return;
    float* to = block_start + full * block + (begin - start) * tail;
    for (int64_t p = begin; p < end; ++p, to += tail) {
      for (int64_t j = 0; j < tail; ++j)
        to[j] = full + j < n ? b[p * row_stride + (full + j) * col_stride] : 0.0F;
    }
  });
  if (w.end == n && w.depth_end == k) clear_slack(packed + width * k);
}
void pack_a_f32(int64_t m, int64_t k, const float* a, int64_t row_stride, int64_t col_stride, float* packed,
                const MatmulKernel& kernel) {
  pack_a_f32_window(m, k, a, row_stride, col_stride, packed, {0, m, 0, k}, kernel);
}
void pack_b_f32(int64_t k, int64_t n, const float* b, int64_t row_stride, int64_t col_stride, float* packed,
                const MatmulKernel& kernel) {
  pack_b_f32_window(k, n, b, row_stride, col_stride, packed, {0, n, 0, k}, kernel);
}

size_t matmul_workspace_size(int64_t m, int64_t n, int64_t k, bool a_is_packed, bool b_is_packed,
                             const MatmulKernel& kernel) {
  const int64_t thin = a_is_packed && b_is_packed ? 0 : k * smaller(kThin, m > n ? m : n);
  int64_t floats = block_space(m, n, k, a_is_packed, b_is_packed, kernel);
  if (n == 1) {  // may run transposed
    const int64_t transposed = block_space(1, m, k, b_is_packed, a_is_packed, kernel);
    floats = floats > transposed ? floats : transposed;
  }
  return static_cast<size_t>(floats > thin ? floats : thin) * sizeof(float);
}

void matmul_f32(const MatmulArgs& given, void* workspace, const MatmulKernel& kernel) {
  MatmulArgs args = given;
  if (args.row_end < 0) args.row_end = args.m;
  if (args.column_end < 0) args.column_end = args.n;
  assert(args.row_begin >= 0 && args.row_end <= args.m && args.column_begin >= 0 &&
         args.column_end <= args.n);
  assert(args.packed_a == nullptr || args.row_begin % kernel.mr == 0);
  assert(args.packed_b == nullptr || args.column_begin % kernel.nr == 0);
  if (args.row_begin >= args.row_end || args.column_begin >= args.column_end) return;

  Product::Form form = Product::Form::packed_as_b;
  const bool residual_turns = args.epilogue.residual == nullptr || args.epilogue.residual_row_stride == 1;
  if (args.n == 1 && args.m > 1 && args.c_row_stride == 1 && residual_turns && args.packed_b == nullptr) {
    form = Product::Form::packed_as_a;
    transpose_column(args);
  }
  const Product product{args,
                        kernel,
                        static_cast<float*>(workspace),
                        args.row_end - args.row_begin,
                        args.column_end - args.column_begin,
                        matmul_k_block(kernel, args.k)};
  const bool a_plain = args.packed_a == nullptr, b_plain = args.packed_b == nullptr;
  if (a_plain && !b_plain && product.rows == 1) {
    product.vectors_times(form);
  } else if (a_plain && b_plain && product.rows < kThin && args.b_col_stride == 1) {
    product.vectors_times(Product::Form::in_place);
  } else if (args.m < kThin && a_plain && b_plain && args.b_row_stride == 1 && args.k >= kDotDepth) {
    product.dots(false);  // sums in another order, so the whole decides, not its window
  } else if (args.n < kThin && a_plain && b_plain && args.a_col_stride == 1 && args.k >= kDotDepth) {
    product.dots(true);
  } else {
    // A small matrix that is read only once or twice is not worth a copy; a large one is: its rows are far
    // apart.
    const bool b_in_place = b_plain && args.b_col_stride == 1 && product.rows <= 2 * kernel.mr &&
                            args.b_row_stride * args.k <= kSmallMatrix;
    product.blocks(b_in_place);
  }
}

}  // namespace nnefrun::kernels
