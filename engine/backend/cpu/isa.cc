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

}  // namespace

const Isa& choose_isa() {
  const char* wish = std::getenv("LONGSHIP_ISA");
  const std::string name = wish == nullptr ? "" : wish;
  if (!has_avx2()) {
    throw Error(ErrorKind::kUsage, "this CPU has no AVX2, which the cpu backend needs", "Use --backend reference.");
  }
  if (name == "avx2" || (name.empty() && !has_avx512())) {
    return avx2_isa();
  }
  if (!name.empty() && name != "avx512") {
    throw Error(ErrorKind::kUsage, "LONGSHIP_ISA is \"" + name + "\"", "Set it to avx2 or avx512, or unset it.");
  }
  if (!has_avx512()) {
    throw Error(ErrorKind::kUsage, "LONGSHIP_ISA asks for avx512, which this CPU has not", "Set it to avx2.");
  }
  return avx512_isa();
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
