#include "tests/support/engine_run.h"

#include <map>

#include "comm/transport.h"
#include "core/error.h"
#include "launcher/assemble.h"

namespace longship::testing {

std::vector<RequestResult> collect(Engine& engine, const std::vector<GenerationRequest>& requests) {
  std::map<RequestId, std::size_t> index;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    index[engine.submit(requests[i])] = i;
  }
  std::vector<RequestResult> results(requests.size());
  std::size_t finished = 0;
  while (finished < requests.size()) {
    auto event = engine.next_event(std::chrono::steady_clock::now() + std::chrono::seconds(120));
    if (!event) {
      throw Error(ErrorKind::kInternal, "no event within two minutes");
    }
    if (event->request == 0) {
      continue;
    }
    RequestResult& result = results[index.at(event->request)];
    switch (event->kind) {
      case EngineEvent::Kind::kToken:
        result.tokens.push_back(event->token);
        if (requests[index.at(event->request)].logprobs >= 0) {
          result.logprobs.push_back(event->logprob);
          for (const TokenLogprob& top : event->top_logprobs) {
            result.logprobs.push_back(top.logprob);
          }
        }
        break;
      case EngineEvent::Kind::kLogits:
        result.logits.insert(result.logits.end(), event->logits.begin(), event->logits.end());
        break;
      case EngineEvent::Kind::kPromptLogprobs:
      case EngineEvent::Kind::kReport:
      case EngineEvent::Kind::kStats:
      case EngineEvent::Kind::kActivity:
        break;
      case EngineEvent::Kind::kFinished:
        result.finish = *event;
        ++finished;
        break;
    }
  }
  return results;
}

std::vector<RequestResult> run_on_threads(const EngineOptions& options,
                                          const std::vector<GenerationRequest>& requests) {
  std::vector<RequestResult> results;
  run_thread_ranks(options.tp * options.pp, [&](Transport& transport) {
    run_rank(
        options, transport, [](int64_t, int64_t) {},
        [&](Engine& engine) {
          results = collect(engine, requests);
          return 0;
        });
  });
  return results;
}

}  // namespace longship::testing
