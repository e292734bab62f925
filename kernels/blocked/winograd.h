// Winograd convolution in the blocked layout: what the driver (winograd.cpp) hands to the rows of one ISA.
//
// F(r, 3) computes r outputs of a filter with 3 taps from r + 2 inputs and as many multiplications, on each
// spatial axis: y = A [(G w) * (B d)], with (G w) made once. The products of all tiles and channels at one of
// the positions of this "transformed" space (a tap) are a matrix product: [tiles x in] x [in x out].
//
// Input and product stay in the second cache for a band of tiles at a time:
//
//   u  [tap][channel block][tile][b]    transformed input
//   w  [tap][in channel][vectors * b]   transformed filter of a group of output channels, in this order
//   m  [tap][tile][vectors * b]         product
//
// Points of F(4,3): 0, 1, -1, 1/2, -2, infinity. After Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks" (2015), and Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
// Convolution" (2018), for the choice of the points.
#pragma once

#include <cstdint>

#include "kernels/epilogue.h"

namespace nnefrun::kernels {

// A run of tiles of one image in the order of reading: the columns of a row of tiles, then the next row.
struct WinogradRun {
  int64_t tiles;
  int64_t tile_row, tile_column;  // of the first one
  int64_t tile_columns;           // in a row of tiles
};

struct WinogradInput {
  WinogradRun run;
  const float* x;               // one channel block of one image
  int64_t height, width;        // of it
  int64_t pad_row, pad_column;  // before it
  int64_t lanes;                // channels in the block; the other lanes are taken for 0
  float* u;                     // of the first tile and tap
  int64_t u_tap;                // items from one tap to the next
};

struct WinogradProduct {
  const float* u;
  int64_t u_tap, u_block;  // items from one tap, one channel block, to the next
  const float* w;
  int64_t channels;  // in; a multiple of kLaneGroup
  int64_t taps, tiles;
  int64_t vectors;  // 1 or 2
  float* m;
  int64_t m_tap;
};

struct WinogradOutput {
  WinogradRun run;
  const float* m;  // of the first tile and tap
  int64_t m_tap, m_tile;
  float* y;               // one channel block of one image
  const float* residual;  // laid out as y, or null
  const float* bias;      // of the block, or null
  int64_t height, width;
  const Epilogue* epilogue;
};

// A part of each row of the family.
struct WinogradKernels {
  int64_t lane_group;  // input channels come in multiples of this
  int64_t rows;        // tiles of a register tile
  int64_t cache;       // bytes that u and m may take together
  // [F(2,3), F(4,3)][one axis, two axes]
  void (*input[2][2])(const WinogradInput&);
  void (*product)(const WinogradProduct&);
  void (*output[2][2])(const WinogradOutput&);
};

}  // namespace nnefrun::kernels
