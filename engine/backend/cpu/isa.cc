#include "engine/backend/cpu/isa.h"

#include <immintrin.h>

#include <cpuid.h>

#include <cstdlib>
#include <string>

#include "core/error.h"

namespace longship::cpu {

namespace {

// A name that not every compiler's __builtin_cpu_supports knows.
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

bool has_avx512_bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16") && bf16_products_are_two_fma();
}

// Names that not every compiler's __builtin_cpu_supports knows: bits of EDX.
constexpr unsigned kBf16Tiles = 1U << 22U;
constexpr unsigned kTiles = 1U << 24U;
constexpr unsigned kInt8Tiles = 1U << 25U;

bool has_tiles(unsigned bits) {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return has_avx512_bf16() && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & bits) == bits &&
         ask_for_tiles();
}

bool has_amx() {
  return has_tiles(kTiles | kInt8Tiles);
}

bool has_amx_bf16() {
  return has_tiles(kTiles | kInt8Tiles | kBf16Tiles);
}

std::string wished_isa() {
  const char* wish = std::getenv("LONGSHIP_ISA");
  return wish == nullptr ? "" : wish;
}

constexpr std::string_view kBf16TilesName = "amx_bf16";

}  // namespace

bool has_bf16_tiles() {
  const std::string wish = wished_isa();
  return (wish.empty() || wish == kBf16TilesName) && has_avx2() && has_amx_bf16();
}

const Isa& choose_isa(bool bf16_tiles) {
  const std::string name = wished_isa();
  if (!has_avx2()) {
    throw Error(ErrorKind::kUsage, "this CPU has no AVX2, which the cpu backend needs", "Use --backend reference.");
  }
  struct Choice {
    std::string_view name;
    bool (*available)();
    const Isa& (*isa)();
  };
  constexpr Choice kBestFirst[] = {{kBf16TilesName, has_amx_bf16, amx_bf16_isa},
                                   {"amx", has_amx, amx_isa},
                                   {"avx512_bf16", has_avx512_bf16, avx512_bf16_isa},
                                   {"avx512", has_avx512, avx512_isa},
                                   {"avx2", has_avx2, avx2_isa}};
  for (const Choice& choice : kBestFirst) {
    const bool excluded = !bf16_tiles && choice.name == kBf16TilesName;
    if (!excluded && (name.empty() ? choice.available() : name == choice.name)) {
      if (!choice.available()) {
        throw Error(ErrorKind::kUsage, "LONGSHIP_ISA asks for " + name + ", which this CPU has not",
                    "Set it to avx2, or unset it.");
      }
      return choice.isa();
    }
  }
  if (name == kBf16TilesName) {
    throw Error(ErrorKind::kUsage, "LONGSHIP_ISA asks for " + name + ", which not every rank's CPU has",
                "Unset it: ranks take the best that all have.");
  }
  throw Error(ErrorKind::kUsage, "LONGSHIP_ISA is \"" + name + "\"",
              "Set it to avx2, avx512, avx512_bf16, amx or amx_bf16, or unset it.");
}

void flush_denormals() {
  constexpr unsigned kFlushToZero = 0x8000;
  constexpr unsigned kDenormalsAreZero = 0x0040;
  const unsigned mode = _mm_getcsr();
  if ((mode & (kFlushToZero | kDenormalsAreZero)) != (kFlushToZero | kDenormalsAreZero)) {
    _mm_setcsr(mode | kFlushToZero | kDenormalsAreZero);
  }
}

}  // namespace longship::cpu
