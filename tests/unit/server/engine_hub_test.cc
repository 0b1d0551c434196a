#include "launcher/server/engine_hub.h"

#include <gtest/gtest.h>

#include "tests/support/served_api.h"

namespace longship {
namespace {

TEST(EngineHub, CountsTheRequestsOfAdapters) {
  ReadyEngine engine(100, 100);
  EngineHub hub(engine);
  const auto submit = [&](int32_t adapter) {
    GenerationRequest request;
    request.prompt = {1};
    request.max_tokens = 2;
    request.adapter = adapter;
    return hub.submit(std::move(request), [](const EngineEvent&) {});
  };
  submit(0);
  submit(2);
  const RequestId cancelled = submit(1);
  using Counts = std::map<int32_t, int64_t>;
  EXPECT_EQ(hub.counters().adapters_waiting, (Counts{{1, 1}, {2, 1}}));
  hub.cancel(cancelled);
  const auto deliver = [&](int events) {
    for (int i = 0; i < events; ++i) hub.deliver(*engine.next_event({}));
  };
  deliver(3 + 1);  // all of the first request, a token of the second
  EXPECT_EQ(hub.counters().adapters_waiting, (Counts{{1, 0}, {2, 0}}));
  EXPECT_EQ(hub.counters().adapters_running, (Counts{{2, 1}}));
  EXPECT_EQ(hub.counters().running, 1);
  deliver(2);
  EXPECT_EQ(hub.counters().adapters_running, (Counts{{2, 0}}));
  EXPECT_EQ(hub.counters().running + hub.counters().waiting, 0);
}

}  // namespace
}  // namespace longship
