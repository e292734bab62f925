#include "nnef_parser/crc32.h"

#include <zlib.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnefrun {
namespace {

uint32_t by_zlib(uint32_t crc, ByteSpan bytes) {
  while (!bytes.empty()) {
    const size_t piece = std::min<size_t>(bytes.size(), size_t{1} << 30);
    crc = static_cast<uint32_t>(
        crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(piece)));
    bytes = bytes.subspan(piece);
  }
  return crc;
}

#if defined(__x86_64__)

// By carry-less products (Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ",
// Intel, 2009): a 128-bit block is congruent to its halves times x^n mod P, placed n bits further on. Four
// blocks at a time are folded over the next four; what is left of 16 bytes has the checksum of everything
// before it.
constexpr size_t kBlock = 16, kBlocks = 4 * kBlock;

__attribute__((target("pclmul,sse4.1"))) __m128i folded(__m128i block, __m128i factors, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(block, factors, 0x00);
  const __m128i high = _mm_clmulepi64_si128(block, factors, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// What the folded blocks have come to, and the rest of the bytes, a multiple of 16.
__attribute__((target("pclmul,sse4.1"))) uint32_t finished(const __m128i (&x)[4], ByteSpan bytes) {
  // x^(128+32), x^(128-32) mod P, reflected
  const __m128i by_one = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
  __m128i rest = x[0];
  for (size_t i = 1; i < 4; ++i) rest = folded(rest, by_one, x[i]);
  for (size_t at = 0; at < bytes.size(); at += kBlock)
    rest = folded(rest, by_one, _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at)));
  std::byte last[kBlock];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(last), rest);
  return by_zlib(~uint32_t{0}, last);  // begins with a register of zeros
}

// REQUIRES: at least 64 bytes, a multiple of 16.
__attribute__((target("pclmul,sse4.1"))) uint32_t by_products(uint32_t crc, ByteSpan bytes) {
  // x^(512+32), x^(512-32)
  const __m128i by_four = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4);
  const auto load = [&](size_t at) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
  };
  __m128i x[4] = {load(0), load(kBlock), load(2 * kBlock), load(3 * kBlock)};
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(~crc)));
  size_t at = kBlocks;
  for (; at + kBlocks <= bytes.size(); at += kBlocks) {
    for (size_t i = 0; i < 4; ++i) x[i] = folded(x[i], by_four, load(at + i * kBlock));
  }
  return finished(x, bytes.subspan(at));
}

// The same with four blocks in a register, sixteen at a time.
constexpr size_t kWide = 4 * kBlocks;

__attribute__((target("avx512f,vpclmulqdq"))) __m512i folded(__m512i blocks, __m512i factors, __m512i next) {
  constexpr int kXorOfThree = 0x96;
  const __m512i low = _mm512_clmulepi64_epi128(blocks, factors, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(blocks, factors, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, kXorOfThree);
}

// REQUIRES: at least 256 bytes, a multiple of 16.
__attribute__((target("avx512f,vpclmulqdq,pclmul"))) uint32_t by_wide_products(uint32_t crc, ByteSpan bytes) {
  // x^(2048+32), x^(2048-32)
  const __m512i by_sixteen = _mm512_set4_epi64(0x01322D1430, 0x011542778A, 0x01322D1430, 0x011542778A);
  const __m512i by_four = _mm512_set4_epi64(0x01C6E41596, 0x0154442BD4, 0x01C6E41596, 0x0154442BD4);
  const auto load = [&](size_t at) __attribute__((target("avx512f,vpclmulqdq,pclmul"))) {
    return _mm512_loadu_si512(bytes.data() + at);
  };
  __m512i x[4] = {load(0), load(kBlocks), load(2 * kBlocks), load(3 * kBlocks)};
  x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  size_t at = kWide;
  for (; at + kWide <= bytes.size(); at += kWide) {
    for (size_t i = 0; i < 4; ++i) x[i] = folded(x[i], by_sixteen, load(at + i * kBlocks));
  }
  __m512i rest = x[0];
  for (size_t i = 1; i < 4; ++i) rest = folded(rest, by_four, x[i]);
  for (; at + kBlocks <= bytes.size(); at += kBlocks) rest = folded(rest, by_four, load(at));
  __m128i blocks[4];
  _mm512_storeu_si512(blocks, rest);
  return finished(blocks, bytes.subspan(at));
}

#endif

}  // namespace

uint32_t crc32_of(uint32_t crc, ByteSpan bytes) {
#if defined(__x86_64__)
  static const bool has_products = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  static const bool has_wide_products =
      has_products && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
  if (has_products && bytes.size() >= kBlocks) {
    const size_t whole = bytes.size() / kBlock * kBlock;
    crc = has_wide_products && whole >= kWide ? by_wide_products(crc, bytes.first(whole))
                                              : by_products(crc, bytes.first(whole));
    bytes = bytes.subspan(whole);
  }
#endif
  return by_zlib(crc, bytes);
}

}  // namespace nnefrun
