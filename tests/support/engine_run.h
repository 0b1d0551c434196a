#pragma once

#include <optional>

#include "engine/engine.h"
#include "launcher/options/engine_options.h"

namespace longship::testing {

/// What the engine gave for one request.
struct RequestResult {
  std::vector<float> logits;  ///< Of the prompt, [prompt, V].
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  ///< Of each token, then of the most probable ones, if asked for.
  EngineEvent finish;
};

/// Runs the requests together on a mesh of threads of this process, the real loop and scheduler included.
std::vector<RequestResult> run_on_threads(const EngineOptions& options, const std::vector<GenerationRequest>& requests);

/// Submits the requests to an engine and takes events until all have finished.
std::vector<RequestResult> collect(Engine& engine, const std::vector<GenerationRequest>& requests);

}  // namespace longship::testing
