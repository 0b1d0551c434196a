#include "launcher/kv_size.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "engine/backend/kv_page.h"

namespace longship {

namespace {

// Of the memory, where a server is told nothing.
constexpr double kUsualPartOfHost = 0.4;
constexpr double kUsualPartOfDevice = 0.9;
// A context below this is not worth starting for.
constexpr int64_t kLeastModelLen = 512;

int64_t pages_for(int64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}

std::string mebibytes(int64_t bytes) {
  return std::to_string(bytes >> 20U) + " MiB";
}

Error does_not_fit(int64_t needed_pages, int64_t affordable_pages, const RankMemory& rank) {
  const std::string shorter =
      affordable_pages > 0 ? " (" + std::to_string(affordable_pages * kPageTokens) + " fits)" : std::string();
  return {ErrorKind::kDoesNotFit,
          "a rank needs " + mebibytes(rank.fixed_bytes + needed_pages * rank.page_bytes) + ", but there are " +
              mebibytes(rank.budget_bytes) + " for it",
          "Use more ranks (-tp, -pp), or a smaller --max-model-len" + shorter + "."};
}

}  // namespace

KvBudget KvBudget::of_host(const EngineOptions& options, int64_t free_bytes, int ranks) {
  const bool usual = options.kv_cache_fraction == 0 && options.fill_kv_cache;
  return {free_bytes / ranks, usual ? kUsualPartOfHost : options.kv_cache_fraction};
}

KvBudget KvBudget::of_device(const EngineOptions& options, const DeviceMemory& device, int ranks) {
  const bool given = options.kv_cache_fraction != 0;
  const auto allowed = static_cast<int64_t>((given ? options.kv_cache_fraction : kUsualPartOfDevice) *
                                            static_cast<double>(device.total_bytes));
  const int64_t used = device.total_bytes - device.free_bytes;
  return {std::max<int64_t>(0, allowed - used) / ranks, given || options.fill_kv_cache ? 1.0 : 0.0};
}

RankMemory::RankMemory(const KvBudget& budget, const MemoryUse& stage, int64_t kv_pages)
    : budget_bytes(budget.bytes),
      kv_part(budget.kv_part),
      fixed_bytes(stage.weights_bytes + stage.workspace_bytes),
      page_bytes(std::max<int64_t>(1, stage.kv_bytes / kv_pages)) {}

int64_t RankMemory::affordable_pages() const {
  const int64_t rest = budget_bytes - fixed_bytes;
  return rest < 0 ? -1 : rest / page_bytes;
}

int64_t RankMemory::wanted_pages(const EngineOptions& options) const {
  const auto part = static_cast<int64_t>(kv_part * static_cast<double>(budget_bytes));
  return (options.kv_cache_bytes != 0 ? options.kv_cache_bytes : part) / page_bytes;
}

KvSize usual_kv_size(const EngineOptions& options, const ModelConfig& config) {
  int64_t len = options.max_model_len;
  if (len == 0) {
    len = config.learned_positions ? config.max_positions : std::max(config.max_positions, options.least_model_len);
  }
  return {.pages = pages_for(std::max(len, std::min(options.max_num_seqs * len, options.usual_kv_tokens))),
          .max_model_len = len};
}

KvSize fitting_kv_size(const EngineOptions& options, const KvSize& usual, int64_t affordable_pages,
                       int64_t wanted_pages, const RankMemory& example) {
  const bool given = options.kv_cache_bytes != 0 || example.kv_part != 0;
  if (!given && affordable_pages >= usual.pages) {
    return usual;
  }
  const int64_t needed =
      pages_for(options.max_model_len != 0 ? usual.max_model_len : std::min(kLeastModelLen, usual.max_model_len));
  if (affordable_pages < needed) {
    throw does_not_fit(needed, affordable_pages, example);
  }
  const int64_t pages = given ? std::clamp(wanted_pages, needed, affordable_pages) : affordable_pages;
  return {.pages = pages, .max_model_len = std::min(usual.max_model_len, pages * kPageTokens)};
}

}  // namespace longship
