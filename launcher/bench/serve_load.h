#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace longship {

/// One request of a load: a prompt as token ids, or as text where there are none.
struct LoadRequest {
  std::vector<int32_t> ids{};
  std::string text{};
  int64_t output_tokens = 0;  ///< At most.
};

/// A load of random prompts. Lengths are drawn evenly from [length x (1 - range_ratio), length x (1 + range_ratio)].
struct RandomLoad {
  int64_t requests = 100;
  int64_t input_tokens = 128;
  int64_t output_tokens = 128;
  int64_t prefix_tokens = 0;  ///< In front of every prompt, the same for all.
  double range_ratio = 0;     ///< In [0, 1).
  uint64_t seed = 0;
};

/// Prompts of tokens drawn from `ids`, of which there is at least one. The same seed gives the same load.
std::vector<LoadRequest> random_load(const RandomLoad& load, std::span<const int32_t> ids);

/// The first `count` lines of a file, each {"prompt": TEXT, "output_tokens": N}; without N, `output_tokens`. Where the
/// file has fewer, all of them, or, with `again`, from its beginning again. Errors: kUsage with the number of the line.
std::vector<LoadRequest> read_load(const std::filesystem::path& file, int64_t count, int64_t output_tokens, bool again);

/// When each of `count` requests is sent, in seconds from the first. The gaps are drawn from a gamma distribution of
/// shape `burstiness` and mean 1 / `rate`: at 1 requests arrive as a Poisson process, below in bursts, above more
/// evenly. An infinite rate sends all at once.
std::vector<double> arrival_seconds(std::size_t count, double rate, double burstiness, uint64_t seed);

}  // namespace longship
