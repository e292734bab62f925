#include "kernels/groups/groups.h"

#include <cassert>
#include <cstring>

#include "base/half.h"
#include "kernels/choose.h"
#include "kernels/matmul/decoded.h"

namespace nnefrun::kernels {

#define NNEFRUN_GROUPS_ISA(set) extern const GroupKernels groups_##set;
#include "kernels/groups/kernels.inc"

namespace {

const GroupKernels* const kRows[] = {
#define NNEFRUN_GROUPS_ISA(set) &groups_##set,
#include "kernels/groups/kernels.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

int64_t panels_of(const GroupWeights& w) { return decoded_ceil(w.n, kGroupPanel); }
bool is_short(const GroupWeights& w) { return w.k % kGroupUnit != 0; }

// Bytes of the runs that a column's unit is cut into, and how many there are.
struct Runs {
  int count;
  int bytes[2];
};
Runs runs_of(GroupForm form) {
  switch (form) {
    case GroupForm::two: return {1, {2, 0}};
    case GroupForm::three: return {2, {2, 1}};
    case GroupForm::four: return {1, {4, 0}};
    default: return {2, {4, 4}};
  }
}

float number_at(const uint8_t* p, bool half, int64_t index) {
  if (half) {
    uint16_t bits = 0;
    std::memcpy(&bits, p + 2 * index, 2);
    return float_from_half_bits(bits);
  }
  float out = 0;
  std::memcpy(&out, p + 4 * index, 4);
  return out;
}

}  // namespace

const GroupKernels& choose_groups(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }
const GroupKernels* const* groups_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

int64_t packed_group_codes_size(const GroupWeights& w) {
  return panels_of(w) * w.units() * kGroupPanel * bits_of(w.form);
}
int64_t packed_group_scales_size(const GroupWeights& w) { return panels_of(w) * w.groups() * kGroupPanel; }

void place_group_unit(GroupForm form, const uint8_t* unit, int64_t column, uint8_t* panel_unit) {
  const Runs runs = runs_of(form);
  for (int r = 0; r < runs.count; ++r) {
    std::memcpy(panel_unit + column * runs.bytes[r], unit, static_cast<size_t>(runs.bytes[r]));
    unit += runs.bytes[r];
    panel_unit += kGroupPanel * runs.bytes[r];
  }
}
void take_group_unit(GroupForm form, const uint8_t* panel_unit, int64_t column, uint8_t* unit) {
  const Runs runs = runs_of(form);
  for (int r = 0; r < runs.count; ++r) {
    std::memcpy(unit, panel_unit + column * runs.bytes[r], static_cast<size_t>(runs.bytes[r]));
    unit += runs.bytes[r];
    panel_unit += kGroupPanel * runs.bytes[r];
  }
}

void decode_group_row(const GroupWeights& w, int64_t row, float* out) {
  const int64_t panel = row / kGroupPanel, column = row % kGroupPanel;
  const int64_t unit_bytes = kGroupPanel * bits_of(w.form);
  for (int64_t u = 0; u < w.units(); ++u) {
    uint8_t unit[kGroupUnit];
    take_group_unit(w.form, w.codes + (panel * w.units() + u) * unit_bytes, column, unit);
    const int64_t at = (panel * w.groups() + u / w.units_of_group()) * kGroupPanel + column;
    const float scale = number_at(w.scales, w.half_scales, at);
    const float offset = w.offsets == nullptr ? 0.0F : number_at(w.offsets, w.half_offsets, at);
    const int64_t left = w.k - u * kGroupUnit;
    dequantize_groups(w.form, unit, left < kGroupUnit ? left : kGroupUnit, kGroupUnit, w.book, &scale,
                      w.offsets == nullptr ? nullptr : &offset, out + u * kGroupUnit);
  }
}

size_t groups_workspace_size(int64_t m, const GroupWeights& w, IsaFeatures features) {
  if (w.k == 0) return 0;
  if (m >= choose_groups(features).few_rows) return decoded_workspace_size(m, w.n, w.k, features);
  const int64_t padded = is_short(w) ? w.units() * kGroupUnit : 0;
  return static_cast<size_t>(m * (padded + w.groups())) * sizeof(float);
}

void matmul_groups(const GroupArgs& given, void* workspace, IsaFeatures features) {
  GroupArgs a = given;
  if (a.row_end < 0) a.row_end = a.m;
  if (a.column_end < 0) a.column_end = a.n;
  assert(a.column_begin % kGroupPanel == 0 && a.row_begin >= 0 && a.row_end <= a.m && a.column_end <= a.n);
  if (a.row_begin >= a.row_end || a.column_begin >= a.column_end) return;
  const GroupKernels& kernel = choose_groups(features);
  const auto form = static_cast<int>(a.w.form);
  if (a.m >= kernel.few_rows && a.k > 0) {
    multiply_decoded(a, static_cast<std::byte*>(workspace), features,
                     [&](int64_t column, int64_t depth, int64_t depths, const DecodedPlace& place) {
                       GroupDecode d;
                       d.w = &a.w;
                       d.column = column;
                       d.unit = depth / kGroupUnit;
                       d.depths = depths;
                       d.group = place.group;
                       d.group_stride = place.group_stride;
                       d.depth_stride = place.depth_stride;
                       d.dst = place.dst;
                       kernel.decode[form](d);
                     });
    return;
  }
  const int64_t rows = a.row_end - a.row_begin, groups = a.w.groups();
  GroupTile t;
  t.w = &a.w;
  t.rows = rows;
  t.column = a.column_begin;
  t.columns = a.column_end - a.column_begin;
  t.x = a.x + a.row_begin * a.x_row_stride;
  t.x_row_stride = a.x_row_stride;
  t.c = a.c + a.row_begin * a.c_row_stride + a.column_begin;
  t.c_row_stride = a.c_row_stride;
  auto* room = static_cast<float*>(workspace);
  if (a.k > 0 && is_short(a.w)) {  // rows that may be read up to a multiple of 8
    const int64_t padded = a.w.units() * kGroupUnit;
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(room + i * padded, t.x + i * t.x_row_stride, static_cast<size_t>(a.k) * sizeof(float));
      for (int64_t p = a.k; p < padded; ++p) room[i * padded + p] = 0.0F;
    }
    t.x = room;
    t.x_row_stride = padded;
    room += rows * padded;
  }
  if (a.w.offsets != nullptr) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t begin = g * a.w.group, end = begin + a.w.group < a.k ? begin + a.w.group : a.k;
        float sums[4] = {};
        for (int64_t p = begin; p < end; ++p) sums[p % 4] += t.x[i * t.x_row_stride + p];
        room[i * groups + g] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      }
    }
    t.sums = room;
  }
  kernel.multiply[form](t);
  const Epilogue& e = a.epilogue;
  if (e.scale == 1.0F && e.bias_axis == BiasAxis::none && e.residual == nullptr &&
      e.activation == Activation::none)
    return;
  const auto epilogue = choose_matmul_f32(features).epilogue_row;
  for (int64_t i = a.row_begin; i < a.row_end; ++i) {
    epilogue(e, a.c + i * a.c_row_stride + a.column_begin, i, a.column_begin, t.columns);
  }
}

}  // namespace nnefrun::kernels
