#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/schedule/prompt_lookup.h"
#include "engine/weights/gguf.h"

namespace longship {

/// What each rank records of its time.
enum class Recording : uint8_t { kNothing, kSteps, kOperations };  ///< kSteps: steps and communication.

/// Files of a process that outlives this rank, for what the rank that follows it can go on with.
struct KeptFiles {
  std::filesystem::path keys_values{};
  std::filesystem::path weights{};        ///< Packed, of the model ...
  std::filesystem::path draft_weights{};  ///< ... and of the one that guesses.
  std::filesystem::path pages{};          ///< What the pages of keys and values hold: the leader's.
};

/// How next tokens are guessed, which changes no token: not at all, or in one of two ways.
struct Speculation {
  PromptLookup lookup{};                ///< From what stood before.
  std::filesystem::path draft_model{};  ///< By a smaller model of the same vocabulary, on the same mesh ...
  int64_t draft_tokens = 0;             ///< ... so many at a time; 0: off.

  int64_t tokens() const { return std::max(lookup.draft_tokens, draft_tokens); }
};

/// A LoRA adapter of the model.
struct AdapterOption {
  std::string name;  ///< By which requests ask for it.
  std::filesystem::path path;
};

/// What a user may say about the engine, the same for every command that runs one.
struct EngineOptions {
  std::filesystem::path model;
  std::vector<MetadataOverride> overrides;
  std::optional<DType> synthetic =
      std::nullopt;  ///< `model` is a config.json, its matrices are generated in this type.
  int tp = 1;
  int pp = 1;
  int threads = 1;                      ///< Compute threads of each rank.
  std::string device = "cpu";           ///< "cpu", "cuda", "cuda-emulated", or "auto": cuda where every rank has one.
  std::string backend = "cpu";          ///< Kernels of the CPU.
  std::string comm = "auto";            ///< What ranks exchange data over: "auto", "shm", "mpi"; on GPUs "nccl", "ipc".
  std::string comm_dtype = "f32";       ///< How sums travel between hosts: "f32", "bf16" or "q8".
  bool exact = false;                   ///< Dequantised weights, f32 activations and f32 keys and values.
  bool deterministic = false;           ///< On GPUs: the same bits for every batch and layout, as CPUs always give.
  std::string kv_cache_dtype = "auto";  ///< "auto" (f16; f32 if exact), "f32", "f16", "bf16", "q8_0".
  std::filesystem::path pack_cache{};   ///< Folder that keeps packed weights; empty: none.
  int64_t max_model_len = 0;            ///< 0: the model's, or as much as fits into the memory.
  int64_t kv_cache_bytes = 0;           ///< Of each rank; 0: see kv_cache_fraction.
  double kv_cache_fraction = 0;         ///< See KvBudget; 0: room for max_model_len, or as below.
  bool fill_kv_cache = false;           ///< Without the two above: the part of the memory that servers usually take.
  int64_t max_num_seqs = 16;
  int64_t max_batched_tokens = 0;   ///< Tokens of a step: the size of a prefill chunk; 0: as usual on the device.
  int64_t least_model_len = 0;      ///< Without max_model_len: at least this, where positions are not learned.
  int64_t usual_kv_tokens = 16384;  ///< Kept where nothing is said, if max_num_seqs of the model's length can use them.
  bool prefix_cache = true;         ///< Requests that begin alike share keys and values.
  Speculation speculation{};
  std::vector<AdapterOption> adapters{};  ///< GenerationRequest::adapter counts them from 1.
  bool prompt_logits = false;             ///< Requests may ask for the logits of their prompts.
  Recording recording = Recording::kNothing;
  int64_t kv_pages = 0;  ///< Exactly so many, as ranks before had, with that max_model_len; 0: what fits.
  KeptFiles kept{};      ///< Of this rank; empty: it keeps nothing.
};

}  // namespace longship
