#include "tests/invariance/workload.h"

#include <algorithm>
#include <cstring>

#include "engine/model/checkpoint.h"
#include "tests/support/fixtures.h"

namespace longship::testing {

namespace {

constexpr int kPrompts = 5;
constexpr int64_t kGenerated = 4;

// Lengths around the edges of pages and chunks.
constexpr int64_t kLengths[kPrompts] = {1, 70, 17, 130, 64};

// One of each kind of kernel.
bool is_for_devices(const std::string& name) {
  return name == "models/gpt2-bare" || name == "gguf-models/llama-Q4_0.gguf";
}

std::vector<GenerationRequest> requests(const Workload& workload) {
  std::vector<GenerationRequest> result;
  uint32_t state = 12345;
  for (const int64_t length : kLengths) {
    GenerationRequest request;
    for (int64_t i = 0; i < length; ++i) {
      state = state * 1664525 + 1013904223;
      request.prompt.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(workload.vocab)));
    }
    request.max_tokens = kGenerated;
    request.sampling.temperature = 0;
    request.prompt_logits = true;
    result.push_back(std::move(request));
  }
  return result;
}

}  // namespace

std::vector<Workload> workloads() {
  std::vector<Workload> result;
  for (const char* name :
       {"models/llama", "models/mistral-window", "models/qwen2", "models/qwen3", "models/gpt2-bare",
        "models/qwen2-bf16", "gguf-models/llama-F16.gguf", "gguf-models/llama-Q4_0.gguf", "gguf-models/llama-Q4_1.gguf",
        "gguf-models/llama-Q4_K_M.gguf", "gguf-models/llama-Q5_0.gguf", "gguf-models/llama-Q6_K.gguf",
        "gguf-models/llama-MXFP4.gguf", "gguf-models/llama3-Q8_0.gguf", "gguf-models/qwen2-Q8_0.gguf",
        "gguf-models/gpt2-Q8_0.gguf"}) {
    result.push_back({name, data_path(name), 0, 0});
  }
  if (!test_device().empty() && std::getenv("LONGSHIP_TEST_LONG") == nullptr) {
    result.erase(
        std::remove_if(result.begin(), result.end(), [](const Workload& w) { return !is_for_devices(w.name); }),
        result.end());
  } else if (!cached_default_model().empty()) {
    result.push_back({"default", cached_default_model(), 0, 0});
  }
  for (Workload& workload : result) {
    const ModelConfig config = open_checkpoint(workload.model).config;
    workload.vocab = config.vocab;
    workload.layers = config.layers;
  }
  return result;
}

std::string Layout::name() const {
  return "tp" + std::to_string(tp) + "_pp" + std::to_string(pp) + "_t" + std::to_string(threads) + "_chunk" +
         std::to_string(chunk) + "_batch" + std::to_string(batch);
}

std::vector<RequestResult> run_workload(const Workload& workload, const Layout& layout, bool exact,
                                        const RunRequests& run) {
  const EngineOptions options{.model = workload.model,
                              .overrides = {},
                              .tp = layout.tp,
                              .pp = layout.pp,
                              .threads = layout.threads,
                              .device = test_device().empty() ? "cpu" : test_device(),
                              .backend = "cpu",
                              .exact = exact,
                              .deterministic = true,
                              .max_model_len = 160,
                              .max_num_seqs = layout.batch,
                              .max_batched_tokens = layout.chunk,
                              .prompt_logits = true};
  return run(options, requests(workload));
}

std::string difference(const std::vector<RequestResult>& a, const std::vector<RequestResult>& b) {
  if (a.size() != b.size()) {
    return "another number of results";
  }
  for (std::size_t k = 0; k < a.size(); ++k) {
    const std::string place = "prompt " + std::to_string(k) + ": ";
    if (a[k].tokens != b[k].tokens) {
      return place + "other tokens";
    }
    if (a[k].logits.size() != b[k].logits.size()) {
      return place + "another number of logits";
    }
    for (std::size_t i = 0; i < a[k].logits.size(); ++i) {
      if (std::memcmp(&a[k].logits[i], &b[k].logits[i], sizeof(float)) != 0) {
        return place + "logit " + std::to_string(i) + " is " + std::to_string(a[k].logits[i]) + " against " +
               std::to_string(b[k].logits[i]);
      }
    }
  }
  return {};
}

}  // namespace longship::testing
