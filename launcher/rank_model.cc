#include "launcher/rank_model.h"

#include <algorithm>

#include "engine/models/families.h"
#include "launcher/recovery/kept_weights.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

// Guessed tokens of a step: more would take memory for their logits.
constexpr int64_t kMostGuesses = 128;

std::optional<RowSampler> make_sampler(const ModelConfig& config, const Mesh& mesh, const Coord& me,
                                       const StageLimits& limits) {
  if (me.pp != mesh.extent(Axis::kPp) - 1) {
    return std::nullopt;
  }
  return RowSampler(vocabulary_shares(config, mesh.extent(Axis::kTp)), me.tp, limits.step.logit_rows);
}

// Rows of a step from which tokens are chosen.
int64_t most_drawn_rows(const EngineOptions& options) {
  return options.max_num_seqs + std::min(options.max_num_seqs * options.speculation.tokens(), kMostGuesses);
}

StageLimits draft_limits(const EngineOptions& options, const Kernels& kernels, int64_t kv_pages) {
  StageLimits limits = stage_limits(options, kernels, kv_pages);
  limits.step.logit_rows = options.max_num_seqs;
  return limits;
}

}  // namespace

DType kv_dtype(const EngineOptions& options) {
  const std::string& name = options.kv_cache_dtype;
  if (name == "auto") {
    return options.exact ? DType::kF32 : DType::kF16;
  }
  if (name == "f16") return DType::kF16;
  if (name == "bf16") return DType::kBF16;
  if (name == "q8_0") return DType::kQ8_0;
  if (name == "f32") return DType::kF32;
  throw Error(ErrorKind::kUsage, "there is no key/value type \"" + name + "\"",
              "Use --kv-cache-dtype auto, f32, f16, bf16 or q8_0.");
}

StageLimits stage_limits(const EngineOptions& options, const Kernels& kernels, int64_t kv_pages) {
  const int64_t drawn = most_drawn_rows(options);
  const int64_t tokens = options.max_batched_tokens != 0 ? options.max_batched_tokens : kernels.usual_step_rows();
  const int64_t rows = std::max(tokens, drawn);
  return {.step = {.rows = rows, .logit_rows = options.prompt_logits ? rows : drawn},
          .kv_pages = kv_pages,
          .kv_dtype = kv_dtype(options)};
}

RankModel::RankModel(const EngineOptions& options, const Checkpoint& checkpoint, std::span<const Adapter> adapters,
                     Kernels& kernels, const Mesh& mesh, const Coord& me, const StageLimits& limits)
    : options_(options),
      checkpoint_(checkpoint),
      adapters_(adapters),
      kernels_(kernels),
      me_(me),
      stage_(checkpoint.config, family_of(checkpoint.config), *checkpoint.weights, kernels, mesh, me, limits, adapters),
      sampler_(make_sampler(checkpoint.config, mesh, me, limits)) {}

MemoryUse RankModel::memory() const {
  MemoryUse use = stage_.memory();
  if (sampler_) {
    use.workspace_bytes += kernels_.in_host_memory()
                               ? sampler_->bytes()
                               : kernels_.draw_bytes(most_drawn_rows(options_), sampler_->shares());
  }
  return use;
}

std::string RankModel::weights_facts() const {
  std::string facts = checkpoint_facts(checkpoint_.path) + stage_.weights_facts();
  for (const Adapter& adapter : adapters_) {
    facts += "adapter " + adapter.facts();
  }
  return facts;
}

void RankModel::allocate(std::byte* keys_values, const fs::path& kept_weights) {
  packed_ = packed_copy(kept_weights);
  stage_.allocate(packed_.get(), keys_values);
  if (sampler_) {
    sampler_->allocate();
  }
}

std::unique_ptr<PackedCopy> RankModel::packed_copy(const fs::path& kept_weights) const {
  const int64_t bytes = stage_.packed_bytes();
  if (!options_.pack_cache.empty()) {
    return std::make_unique<PackFile>(PackFile::open_or_create(options_.pack_cache, pack_identity(), bytes));
  }
  if (!kept_weights.empty() && kernels_.in_host_memory()) {
    const PackIdentity identity = pack_identity();
    return KeptWeights::open(kept_weights, identity.name + '\n' + identity.facts, bytes);
  }
  return nullptr;
}

PackIdentity RankModel::pack_identity() const {
  const fs::path path = fs::canonical(checkpoint_.path);
  return {.name = path.filename().native() + (options_.exact ? ".exact" : "") + ".tp" + std::to_string(me_.tp) + "of" +
                  std::to_string(options_.tp) + ".pp" + std::to_string(me_.pp) + "of" + std::to_string(options_.pp),
          .facts = checkpoint_facts(path) + stage_.weights_facts()};
}

RankModels::RankModels(const EngineOptions& options, const Checkpoint& checkpoint, std::span<const Adapter> adapters,
                       const Checkpoint* draft, Kernels& kernels, const Mesh& mesh, const Coord& me, int64_t kv_pages)
    : target_(options, checkpoint, adapters, kernels, mesh, me, stage_limits(options, kernels, kv_pages)) {
  if (draft != nullptr) {
    draft_.emplace(options, *draft, std::span<const Adapter>(), kernels, mesh, me,
                   draft_limits(options, kernels, kv_pages));
  }
}

MemoryUse RankModels::memory() const {
  MemoryUse use = target_.memory();
  if (draft_) {
    const MemoryUse more = draft_->memory();
    use.weights_bytes += more.weights_bytes;
    use.kv_bytes += more.kv_bytes;
    use.workspace_bytes += more.workspace_bytes;
  }
  return use;
}

GroupTraffic RankModels::stage_traffic() const {
  GroupTraffic most = target_.stage_traffic();
  if (draft_) {
    most.message_bytes = std::max(most.message_bytes, draft_->stage_traffic().message_bytes);
  }
  return most;
}

GroupTraffic RankModels::shard_traffic() const {
  GroupTraffic most = target_.shard_traffic();
  if (draft_) {
    most.sum_bytes = std::max(most.sum_bytes, draft_->shard_traffic().sum_bytes);
  }
  return most;
}

int64_t RankModels::source_bytes() const {
  return target_.source_bytes() + (draft_ ? draft_->source_bytes() : 0);
}

std::string RankModels::weights_facts() const {
  return target_.weights_facts() + (draft_ ? draft_->weights_facts() : std::string());
}

void RankModels::allocate(std::byte* keys_values, const KeptFiles& kept) {
  target_.allocate(keys_values, kept.weights);
  if (draft_) {
    draft_->allocate(keys_values != nullptr ? keys_values + target_.memory().kv_bytes : nullptr, kept.draft_weights);
  }
}

void RankModels::load(const LoadProgress& progress) {
  target_.load(progress);
  if (draft_) {
    draft_->load(progress);
  }
}

}  // namespace longship
