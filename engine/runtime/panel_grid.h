// How products with packed weights of 32 columns a panel are cut into tasks: a grid of pieces of the result,
// those of one row of the grid side by side.
#pragma once

#include <cstdint>

namespace nnefrun {

struct PanelGrid {
  int64_t m = 0, n = 0;
  int64_t piece_rows = 0, piece_columns = 0, grid_columns = 0, grid_rows = 0;
  int64_t tasks() const { return grid_rows * grid_columns; }
};

inline PanelGrid panel_grid(int64_t m, int64_t n) {
  // A piece of the packed weights is read by one task, so rows are cut only where that gives few of them.
  constexpr int64_t kPanel = 32, kEnoughTasks = 32, kRowsOfTask = 48;
  const auto ceil_of = [](int64_t size, int64_t unit) { return (size + unit - 1) / unit; };
  const auto smaller = [](int64_t a, int64_t b) { return a < b ? a : b; };
  PanelGrid g;
  g.m = m;
  g.n = n;
  const int64_t panels = ceil_of(n, kPanel);
  const int64_t columns = smaller(panels, kEnoughTasks);
  g.piece_columns = columns == 0 ? kPanel : ceil_of(panels, columns) * kPanel;
  g.grid_columns = ceil_of(n, g.piece_columns);
  const int64_t row_units = ceil_of(m, kRowsOfTask);
  const int64_t rows = g.grid_columns == 0 ? 1 : smaller(row_units, ceil_of(kEnoughTasks, g.grid_columns));
  g.piece_rows = rows <= 1 ? m : ceil_of(row_units, rows) * kRowsOfTask;
  g.grid_rows = g.piece_rows == 0 ? 0 : ceil_of(m, g.piece_rows);
  return g;
}

// Calls run(args) for the windows of tasks [begin, end); `Args` has the window of a product.
template <class Args, class Run>
void for_each_piece(const PanelGrid& g, Args& args, int64_t begin, int64_t end, const Run& run) {
  const auto smaller = [](int64_t a, int64_t b) { return a < b ? a : b; };
  while (begin < end) {
    const int64_t row = begin / g.grid_columns, column = begin % g.grid_columns;
    const int64_t columns = smaller(g.grid_columns - column, end - begin);
    args.row_begin = row * g.piece_rows;
    args.row_end = smaller(g.m, args.row_begin + g.piece_rows);
    args.column_begin = column * g.piece_columns;
    args.column_end = smaller(g.n, (column + columns) * g.piece_columns);
    run(args);
    begin += columns;
  }
}

}  // namespace nnefrun
