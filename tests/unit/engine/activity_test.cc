#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "comm/transport.h"
#include "engine/activity_news.h"
#include "engine/local_engine.h"
#include "engine/rank_loop.h"
#include "tests/unit/schedule/fake_model.h"

namespace longship {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr SchedulerLimits kLimits = {.vocab = 50,
                                     .max_model_len = 400,
                                     .max_num_seqs = 6,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 24,
                                     .page_tokens = 8,
                                     .window = 2};

TEST(RankActivity, SurvivesTheWire) {
  RankActivity activity;
  activity.rank = 3;
  activity.tp = 1;
  activity.pp = 2;
  activity.host = "ship";
  activity.device = "cuda:1";
  activity.tp_wire = "ipc";
  activity.pp_wire = "nccl";
  activity.pid = 77;
  activity.layers = {4, 9};
  activity.weights_bytes = 5;
  activity.kv_bytes = 6;
  activity.clock_ns = 7;
  activity.moving_ns = 11;
  activity.steps = {1, 2, 3};
  activity.receives = {8, 9, 10};
  const RankActivity copy = RankActivity::parse(activity.serialize());
  EXPECT_EQ(copy.rank, 3);
  EXPECT_EQ(copy.tp, 1);
  EXPECT_EQ(copy.pp, 2);
  EXPECT_EQ(copy.host, "ship");
  EXPECT_EQ(copy.device, "cuda:1");
  EXPECT_EQ(copy.tp_wire, "ipc");
  EXPECT_EQ(copy.pp_wire, "nccl");
  EXPECT_EQ(copy.pid, 77);
  EXPECT_EQ(copy.layers, (Range{4, 9}));
  EXPECT_EQ(copy.kv_bytes, 6);
  EXPECT_EQ(copy.clock_ns, 7);
  EXPECT_EQ(copy.moving_ns, 11);
  EXPECT_EQ(copy.steps.amount, 3);
  EXPECT_EQ(copy.receives.ns, 9);
  Bytes frame = activity.serialize();
  frame.push_back({});
  EXPECT_THROW(RankActivity::parse(frame), Error);
  frame.resize(frame.size() - 2);
  EXPECT_THROW(RankActivity::parse(frame), Error);
}

TEST(ActivityNews, AreSaidOnceAPeriodWhileStepsRun) {
  SpanLog spans(0);
  ActivityNews news({}, spans);
  const auto start = Clock::now();
  ASSERT_TRUE(news.take(start)) << "a rank introduces itself";
  EXPECT_EQ(news.due(), Clock::time_point::max()) << "an idle rank may sleep";
  EXPECT_FALSE(news.take(start + ActivityNews::kPeriod));
  spans.add({"step", SpanKind::kStep, 10, 30, 5});
  spans.add({"send", SpanKind::kSend, 15, 20, 64});
  EXPECT_EQ(news.due(), start + ActivityNews::kPeriod);
  EXPECT_FALSE(news.take(start + ActivityNews::kPeriod / 2));
  const std::optional<RankActivity> said = news.take(start + ActivityNews::kPeriod);
  ASSERT_TRUE(said);
  EXPECT_EQ(said->steps.count, 1);
  EXPECT_EQ(said->steps.ns, 20);
  EXPECT_EQ(said->steps.amount, 5);
  EXPECT_EQ(said->sends.ns, 5);
  EXPECT_EQ(said->sends.amount, 64);
  EXPECT_EQ(spans.dropped(), 2) << "totals need no room for spans";
  EXPECT_EQ(news.due(), Clock::time_point::max());
}

class CountingExecutor : public StepExecutor {
 public:
  explicit CountingExecutor(SpanLog& spans)
      : spans_(spans), model_(kLimits.vocab, kLimits.kv_pages, kLimits.page_tokens) {}

  StepResult execute(const StepPlan& plan) override {
    const ScopedSpan span(&spans_, "step", SpanKind::kStep, static_cast<int64_t>(plan.tokens.size()));
    return model_.execute(plan);
  }

 private:
  SpanLog& spans_;
  fake::Model model_;
};

// Waits until every rank has said that it ran `steps` steps or more; gives the last sayings.
std::map<int, RankActivity> wait_for_activity(Engine& engine, int ranks, int64_t steps) {
  std::map<int, RankActivity> last;
  const auto all_ran = [&] {
    int count = 0;
    for (const auto& [rank, activity] : last) count += activity.steps.count >= steps ? 1 : 0;
    return count == ranks;
  };
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (!all_ran() && Clock::now() < deadline) {
    if (const std::optional<EngineEvent> event = engine.next_event(Clock::now() + milliseconds(100))) {
      for (const RankActivity& activity : event->activity) {
        EXPECT_EQ(event->kind, EngineEvent::Kind::kActivity);
        EXPECT_EQ(event->request, 0U);
        last[activity.rank] = activity;
      }
    }
  }
  EXPECT_TRUE(all_ran());
  return last;
}

TEST(LocalEngine, TellsWhatItsRanksHaveDone) {
  for (const int ranks : {1, 3}) {
    run_thread_ranks(ranks, [&](Transport& transport) {
      SpanLog spans(0);
      CountingExecutor executor(spans);
      RankActivity facts;
      facts.rank = transport.rank();
      ActivityNews news(facts, spans);
      if (!transport.leads()) {
        run_rank_loop(*make_follower_source(transport.control(), &news), executor);
        return;
      }
      LocalEngine engine({.vocab = kLimits.vocab}, kLimits, transport.control(), {}, &news);
      std::thread front([&] {
        wait_for_activity(engine, ranks, 0);
        GenerationRequest request;
        request.prompt = {1, 2, 3};
        request.max_tokens = 20;
        engine.submit(request);
        // Soon after the last step all is said, though nothing else happens.
        const auto last = wait_for_activity(engine, ranks, 20);
        for (const auto& [rank, activity] : last) {
          EXPECT_EQ(activity.steps.count, last.at(0).steps.count);
          EXPECT_EQ(activity.steps.amount, 3 + 19);
        }
        engine.shutdown();
      });
      run_rank_loop(engine.source(), executor);
      front.join();
    });
  }
}

}  // namespace
}  // namespace longship
