#include "launcher/options/sampling_flags.h"

#include <random>

namespace longship {

SamplingFlags::SamplingFlags() {
  params.temperature = 0.8;
  params.top_k = 40;
  params.top_p = 0.95;
  params.min_p = 0.05;
}

SamplingParams SamplingFlags::resolved() const {
  SamplingParams result = params;
  if (greedy) {
    result.temperature = 0;
  }
  std::random_device random;
  result.seed = seed ? *seed : (uint64_t{random()} << 32U) | random();
  return result;
}

}  // namespace longship
