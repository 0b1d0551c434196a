#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "comm/device_groups.h"
#include "engine/model/adapter.h"
#include "engine/model/checkpoint.h"
#include "engine/model/stage.h"
#include "engine/sample/row_sampler.h"
#include "engine/weights/pack_file.h"
#include "launcher/options/engine_options.h"

namespace longship {

/// One model on one rank: its checkpoint, the rank's stage of it, and on the last stage what chooses tokens.
/// Constructing it declares everything and allocates nothing.
class RankModel {
 public:
  /// `options`, checkpoint, adapters and kernels outlive it. Errors: kModelFile.
  RankModel(const EngineOptions& options, const Checkpoint& checkpoint, std::span<const Adapter> adapters,
            Kernels& kernels, const Mesh& mesh, const Coord& me, const StageLimits& limits);

  /// Of the device.
  MemoryUse memory() const;
  /// What it exchanges between stages, and between the shards of one.
  GroupTraffic stage_traffic() const { return {.message_bytes = stage_.message_bytes()}; }
  GroupTraffic shard_traffic() const { return {.sum_bytes = stage_.sum_bytes()}; }
  /// Bytes that load() reads.
  int64_t source_bytes() const { return stage_.source_bytes(); }
  Stage& stage() { return stage_; }
  /// Null but on the last stage.
  RowSampler* sampler() { return sampler_ ? &*sampler_ : nullptr; }

  /// What its keys and values depend on beside their number and type.
  std::string weights_facts() const;
  /// `keys_values`: memory of memory().kv_bytes for them that outlives it, or null. `kept_weights`: a file that keeps
  /// its packed weights unless a folder does, or empty.
  void allocate(std::byte* keys_values, const std::filesystem::path& kept_weights);
  void load(const LoadProgress& progress) { stage_.load(progress); }

 private:
  std::unique_ptr<PackedCopy> packed_copy(const std::filesystem::path& kept_weights) const;
  PackIdentity pack_identity() const;

  const EngineOptions& options_;
  const Checkpoint& checkpoint_;
  std::span<const Adapter> adapters_;
  const Kernels& kernels_;
  Coord me_;
  std::unique_ptr<PackedCopy> packed_;
  Stage stage_;
  std::optional<RowSampler> sampler_;
};

/// The models of one rank: the one that is served, and maybe one that guesses. Both run on the same mesh, and their
/// caches have pages of the same numbers.
class RankModels {
 public:
  /// `adapters`: of the model that is served. `draft`: null for none. All arguments but the last two outlive it.
  /// Errors: kModelFile.
  RankModels(const EngineOptions& options, const Checkpoint& checkpoint, std::span<const Adapter> adapters,
             const Checkpoint* draft, Kernels& kernels, const Mesh& mesh, const Coord& me, int64_t kv_pages);

  RankModel& target() { return target_; }
  /// Null for none.
  RankModel* draft() { return draft_ ? &*draft_ : nullptr; }
  /// Of all of them.
  MemoryUse memory() const;
  /// The most that one of them exchanges between stages, and between the shards of one.
  GroupTraffic stage_traffic() const;
  GroupTraffic shard_traffic() const;
  int64_t source_bytes() const;
  std::string weights_facts() const;
  /// Each model's part of `keys_values` and its file of `kept`: see RankModel.
  void allocate(std::byte* keys_values, const KeptFiles& kept);
  void load(const LoadProgress& progress);

 private:
  RankModel target_;
  std::optional<RankModel> draft_;
};

/// Errors: kUsage for an unknown type.
DType kv_dtype(const EngineOptions& options);
StageLimits stage_limits(const EngineOptions& options, const Kernels& kernels, int64_t kv_pages);

}  // namespace longship
