#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "engine/backend/cpu/isa.h"
#include "tests/avx512_emulator/isa_emulated.h"

namespace longship::cpu {

/// Instruction sets that are compared with avx2_isa(), function by function.
inline constexpr const char* kOtherIsas[] = {
    "avx512_emulated", "avx512_bf16_emulated", "amx_emulated", "amx_bf16_emulated",
    "avx512",          "avx512_bf16",          "amx",          "amx_bf16"};

/// Null where this CPU lacks it.
inline const Isa* other_isa(const std::string& name) {
  if (name == "avx512_emulated") {
    return &emulated_avx512_isa();
  }
  if (name == "avx512_bf16_emulated") {
    return &emulated_avx512_bf16_isa();
  }
  if (name == "amx_emulated") {
    return &emulated_amx_isa();
  }
  if (name == "amx_bf16_emulated") {
    return &emulated_amx_bf16_isa();
  }
  const char* before = std::getenv("LONGSHIP_ISA");
  const std::string kept = before == nullptr ? "" : before;
  setenv("LONGSHIP_ISA", name.c_str(), 1);
  const Isa* isa = nullptr;
  try {
    isa = &choose_isa(true);
  } catch (const Error&) {
  }
  before == nullptr ? unsetenv("LONGSHIP_ISA") : setenv("LONGSHIP_ISA", kept.c_str(), 1);
  return isa;
}

/// A test of one of them, in the mode for small numbers that the backend's threads have.
class IsaTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    other_ = other_isa(GetParam());
    if (other_ == nullptr) {
      GTEST_SKIP() << "this CPU lacks " << GetParam();
    }
    flush_denormals();
  }

  const Isa& avx2() { return avx2_isa(); }
  const Isa& other() { return *other_; }
  /// Whether it adds pairs of bf16 in an order of its own.
  bool adds_pairs_by_runs() const { return other_->name.starts_with("amx_bf16"); }

  int64_t between(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  std::vector<float> normal(int64_t count, float spread = 1.0F) {
    std::normal_distribution<float> distribution(0.0F, spread);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = distribution(random_);
    return values;
  }

  /// Numbers of every size, some of them zero, denormal or at the ends of the range; not finite ones too if asked for.
  std::vector<float> any(int64_t count, bool finite = false) {
    using Limits = std::numeric_limits<float>;
    const float special[] = {0.0F,
                             -0.0F,
                             Limits::denorm_min(),
                             -1e-39F,
                             Limits::max(),
                             Limits::lowest(),
                             65504.0F,
                             65520.0F,
                             6e-8F,
                             Limits::infinity(),
                             -Limits::infinity(),
                             Limits::quiet_NaN()};
    std::vector<float> values = normal(count);
    for (float& value : values) {
      switch (between(0, 7)) {
        case 0:
          value = special[between(0, finite ? 8 : 11)];
          break;
        case 1:
          value = std::ldexp(value, static_cast<int>(between(-140, 120)));
          break;
        case 2:
          value *= 30.0F;
          break;
        default:
          break;
      }
    }
    return values;
  }

  std::vector<std::byte> bytes(int64_t count) {
    std::vector<std::byte> values(static_cast<std::size_t>(count));
    for (std::byte& value : values) value = static_cast<std::byte>(between(0, 255));
    return values;
  }

 private:
  const Isa* other_ = nullptr;
  std::mt19937 random_{11};
};

/// The same bits but for those of a NaN, which may be that of either operand.
inline void expect_same(const std::vector<float>& actual, const std::vector<float>& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(actual[i]) && std::isnan(expected[i])) {
      continue;
    }
    ASSERT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(float)), 0)
        << what << ": value " << i << " is " << actual[i] << ", not " << expected[i];
  }
}

/// What fills outputs before: shows what was not to be written.
inline constexpr float kUntouched = 123456.0F;

inline std::vector<float> untouched(int64_t count) {
  return std::vector<float>(static_cast<std::size_t>(count), kUntouched);
}

}  // namespace longship::cpu
