#pragma once

#include <cmath>
#include <cstring>

#include "engine/weights/sources.h"
#include "tests/support/fixtures.h"

namespace longship::testing {

/// What an independent implementation computed, in float64, for one prompt of a checkpoint.
struct GoldenPrompt {
  std::vector<int32_t> prompt;
  std::vector<float> logits;  ///< [prompt, V]
  std::vector<int32_t> greedy;
};

/// The prompts of a golden.safetensors.
std::vector<GoldenPrompt> read_golden(const std::filesystem::path& path);

}  // namespace longship::testing
