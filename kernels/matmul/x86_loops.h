// The inner loop of the x86 rows: a broadcast of an item of A for each row, and its products with the vectors
// of B. In assembly statements, because a compiler replaces broadcasts of neighbours by shuffles, which
// compete with the products for ports, and loads B again for every row. The order is ours, the registers and
// addresses are the compiler's.
//
// A lies in panels, or is read in place. Rows in place are addressed from one pointer for every three of
// them, so that the pointers of 14 rows fit the registers.
#pragma once

#include "kernels/matmul/loops.h"

namespace nnefrun::kernels {
namespace {

#if defined(__AVX512F__)
#define NNEFRUN_VECTOR_REGISTER "v"
#else
#define NNEFRUN_VECTOR_REGISTER "x"
#endif

struct X86Loops : PlainLoops {
  static constexpr bool kReadsRows = true;
  static constexpr int kRowsOfBase = 3;  // rows that are addressed from one pointer

  static NNEFRUN_INLINE V broadcast(const float* p) {
    V v;
    __asm__ volatile("vbroadcastss %1, %0" : "=" NNEFRUN_VECTOR_REGISTER(v) : "m"(*p));
    return v;
  }
  // The item kStep steps on in the row kRow rows below `base`. row_bytes: from row to row.
  template <int kRow, int kStep>
  static NNEFRUN_INLINE V broadcast_row(const float* base, int64_t row_bytes) {
    V v;
    // the last operand only says that memory is read; how much does not matter, but Clang wants to know
    if constexpr (kRow == 0) {
      return broadcast(base + kStep);
    } else {
      __asm__ volatile("vbroadcastss %c3(%1,%2,%c4), %0"
                       : "=" NNEFRUN_VECTOR_REGISTER(v)
                       : "r"(base), "r"(row_bytes), "i"(kStep * 4), "i"(kRow),
                         "m"(*(const float(*)[1 << 16]) base));
    }
    return v;
  }
  static NNEFRUN_INLINE void multiply_add(V& acc, V a, V b) {
    __asm__ volatile("vfmadd231ps %2, %1, %0"
                     : "+" NNEFRUN_VECTOR_REGISTER(acc)
                     : NNEFRUN_VECTOR_REGISTER(a), NNEFRUN_VECTOR_REGISTER(b));
  }
  template <int kCols>
  static NNEFRUN_INLINE void load_columns(V (&columns)[kCols], const float* b) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) columns[v] = vload(b + v * kLanes);
  }
  template <int kCols>
  static NNEFRUN_INLINE void multiply_add(V (&acc)[kCols], const V (&columns)[kCols], V item) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) multiply_add(acc[v], columns[v], item);
  }
  static NNEFRUN_INLINE void fetch(const Ahead& ahead, const float*& p) {
    const float* line = p;
    for (int64_t i = ahead.count; i > 0; --i, line += ahead.stride) __builtin_prefetch(line, 0, 2);
    p += ahead.step;
  }

  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t tile(V (&acc)[kRows][kCols], const float* a, const float* b, int64_t b_step,
                                     int64_t k, const Ahead& ahead) {
    clear_sums(acc);
    const float* p_ahead = ahead.p;
    int64_t done = 0;
    for (; done + kTurn <= k; done += kTurn, a += kTurn * kMr) {
      fetch(ahead, p_ahead);
      NNEFRUN_UNROLL
      for (int u = 0; u < kTurn; ++u, b += b_step) {
        V columns[kCols];
        load_columns(columns, b);
        NNEFRUN_UNROLL
        for (int r = 0; r < kRows; ++r) multiply_add(acc[r], columns, broadcast(a + u * kMr + r));
      }
    }
    return done;
  }

  template <int kStep, int kRow, int kRows, int kCols, int kBases>
  static NNEFRUN_INLINE void row_items(V (&acc)[kRows][kCols], const V (&columns)[kCols],
                                       const float* const (&bases)[kBases], int64_t row_bytes) {
    if constexpr (kRow < kRows) {
      multiply_add(acc[kRow], columns,
                   broadcast_row<kRow % kRowsOfBase, kStep>(bases[kRow / kRowsOfBase], row_bytes));
      row_items<kStep, kRow + 1>(acc, columns, bases, row_bytes);
    }
  }
  template <int kStep, int kRows, int kCols, int kBases>
  static NNEFRUN_INLINE void row_steps(V (&acc)[kRows][kCols], const float*& b, int64_t b_step,
                                       const float* const (&bases)[kBases], int64_t row_bytes) {
    if constexpr (kStep < kTurn) {
      V columns[kCols];
      load_columns(columns, b);
      row_items<kStep, 0>(acc, columns, bases, row_bytes);
      b += b_step;
      row_steps<kStep + 1>(acc, b, b_step, bases, row_bytes);
    }
  }
  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t tile_of_rows(V (&acc)[kRows][kCols], const float* a, int64_t a_row_stride,
                                             const float* b, int64_t b_step, int64_t k, const Ahead& ahead) {
    constexpr int kBases = (kRows + kRowsOfBase - 1) / kRowsOfBase;
    clear_sums(acc);
    const float* bases[kBases];
    NNEFRUN_UNROLL
    for (int i = 0; i < kBases; ++i) bases[i] = a + i * kRowsOfBase * a_row_stride;
    const int64_t row_bytes = a_row_stride * static_cast<int64_t>(sizeof(float));
    const float* p_ahead = ahead.p;
    int64_t done = 0;
    for (; done + kTurn <= k; done += kTurn) {
      fetch(ahead, p_ahead);
      row_steps<0>(acc, b, b_step, bases, row_bytes);
      NNEFRUN_UNROLL
      for (int i = 0; i < kBases; ++i) bases[i] += kTurn;
    }
    return done;
  }
};

}  // namespace
}  // namespace nnefrun::kernels

#define NNEFRUN_MATMUL_LOOPS X86Loops
