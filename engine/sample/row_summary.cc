#include "engine/sample/row_summary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "core/exp.h"

namespace longship {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr std::size_t kLanes = 16;
using Lanes = std::array<float, kLanes>;

// The loops over lanes are what the compiler turns into vectors; what they add up, they add up in this order.
float largest_of(std::span<const float> values) {
  Lanes lanes;
  lanes.fill(kNever);
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    }
  }
  for (; i < values.size(); ++i) {
    lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
  }
  return *std::max_element(lanes.begin(), lanes.end());
}

// What is below -87, or no number, counts as that.
float sum_of_block(std::span<const float> logits, float largest, float inverse) {
  Lanes sums = {};
  while (!logits.empty()) {
    Lanes exponents;
    exponents.fill(kNever);
    const std::size_t count = std::min(kLanes, logits.size());
    std::copy_n(logits.begin(), count, exponents.begin());
    logits = logits.subspan(count);
    for (float& exponent : exponents) {
      constexpr float kLowest = -87.0F;
      const float scaled = (exponent - largest) * inverse;
      exponent = scaled > kLowest ? scaled : kLowest;
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += exp_of_negative_f32(exponents[lane]);
    }
  }
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) {
      sums[lane] += sums[lane + width];
    }
  }
  return sums[0];
}

Candidate candidate_at(std::span<const float> logits, std::span<const float> raw, int64_t first, std::size_t i) {
  return {static_cast<int32_t>(first + static_cast<int64_t>(i)), logits[i], raw[i]};
}

// For many, where a heap would be slow.
std::vector<Candidate> best_by_sorting(std::span<const float> logits, std::span<const float> raw, int64_t first,
                                       int64_t count) {
  std::vector<Candidate> best;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kNever) {
      best.push_back(candidate_at(logits, raw, first, i));
    }
  }
  const auto end = best.begin() + std::min<std::ptrdiff_t>(count, std::ssize(best));
  std::nth_element(best.begin(), end, best.end(), before);
  best.erase(end, best.end());
  std::sort(best.begin(), best.end(), before);
  return best;
}

}  // namespace

std::vector<Candidate> best_candidates(std::span<const float> logits, std::span<const float> raw, int64_t first,
                                       int64_t count) {
  constexpr int64_t kMostInHeap = 1024;
  if (count > kMostInHeap) {
    return best_by_sorting(logits, raw, first, count);
  }
  std::vector<Candidate> best;  // a heap whose front comes last
  const auto most = static_cast<std::size_t>(std::clamp<int64_t>(count, 0, std::ssize(logits)));
  best.reserve(most);
  constexpr auto kBlock = static_cast<std::size_t>(kSumBlock);
  for (std::size_t begin = 0; begin < logits.size() && most > 0; begin += kBlock) {
    const auto block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
    float least = best.size() < most ? kNever : best.front().logit;
    if (!(largest_of(block) > least)) {
      continue;
    }
    for (std::size_t i = begin; i < begin + block.size(); ++i) {
      if (!(logits[i] > least)) {  // of equals the ones before, of lower ids, stay
        continue;
      }
      if (best.size() == most) {
        std::pop_heap(best.begin(), best.end(), before);
        best.pop_back();
      }
      best.push_back(candidate_at(logits, raw, first, i));
      std::push_heap(best.begin(), best.end(), before);
      least = best.size() < most ? kNever : best.front().logit;
    }
  }
  std::sort_heap(best.begin(), best.end(), before);
  return best;
}

void sum_blocks(std::span<const float> logits, double temperature, std::span<BlockSum> sums) {
  const auto inverse = static_cast<float>(std::min(1 / temperature, double{std::numeric_limits<float>::max()}));
  for (BlockSum& block : sums) {
    const auto part = logits.first(std::min<std::size_t>(static_cast<std::size_t>(kSumBlock), logits.size()));
    logits = logits.subspan(part.size());
    block.largest = largest_of(part);
    block.sum = block.largest > kNever ? sum_of_block(part, block.largest, inverse) : 0;
  }
}

LogitSum add_blocks(std::span<const BlockSum> sums, double temperature) {
  LogitSum all{.largest = double{kNever}, .sum = 0};
  for (const BlockSum& block : sums) {
    all.largest = std::max(all.largest, double{block.largest});
  }
  for (const BlockSum& block : sums) {
    const double largest = block.largest;
    all.sum += block.sum * (largest == all.largest ? 1 : exp_of_negative((largest - all.largest) / temperature));
  }
  return all;
}

double log_sum_exp(std::span<const BlockSum> sums) {
  const LogitSum all = add_blocks(sums, 1);
  return all.largest + std::log(all.sum);
}

double log_sum_exp(std::span<const float> logits) {
  std::vector<BlockSum> sums(static_cast<std::size_t>(blocks_of(std::ssize(logits))));
  sum_blocks(logits, 1, sums);
  return log_sum_exp(sums);
}

}  // namespace longship
