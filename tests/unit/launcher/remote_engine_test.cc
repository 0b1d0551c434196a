#include "launcher/job/remote_engine.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "launcher/job/engine_server.h"
#include "tests/unit/launcher/fake_engine.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

// Less than a wait that nothing ends, more than a busy machine takes.
constexpr std::chrono::milliseconds kPrompt(700);

// A fake engine in a leader's front end, and this test in the process that started it.
class RemoteEngineTest : public ::testing::Test {
 protected:
  RemoteEngineTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    parent_ = std::make_unique<FrameSocket>(ends[0]);
    leader_ = std::make_unique<FrameSocket>(ends[1]);
  }
  ~RemoteEngineTest() override { stop(); }

  RemoteEngine& start() {
    server_ = std::thread([this] {
      exit_code_ = serve_engine(engine_, *leader_);
      leader_.reset();
    });
    remote_ = std::make_unique<RemoteEngine>(
        *parent_, [](bool silent) { return Error(ErrorKind::kRank, silent ? "silence" : "rank 2 was lost"); },
        [this](const LoadProgressReport& progress) { progress_.push_back(progress.bytes_done); });
    return *remote_;
  }

  void stop() {
    if (server_.joinable()) {
      remote_->shutdown();
      server_.join();
    }
  }

  std::vector<EngineEvent> events_until_finished() {
    std::vector<EngineEvent> events;
    do {
      auto event = remote_->next_event(Clock::now() + std::chrono::seconds(5));
      if (!event) {
        ADD_FAILURE() << "no event";
        return events;
      }
      events.push_back(std::move(*event));
    } while (events.back().kind != EngineEvent::Kind::kFinished);
    return events;
  }

  FakeEngine engine_;
  std::unique_ptr<FrameSocket> parent_;
  std::unique_ptr<FrameSocket> leader_;
  std::thread server_;
  std::unique_ptr<RemoteEngine> remote_;
  std::vector<int64_t> progress_;
  std::atomic<int> exit_code_ = -1;
};

TEST_F(RemoteEngineTest, TellsTheEnginesFactsAndTheProgressBefore) {
  leader_->send(FrameKind::kProgress, encode(LoadProgressReport{5, 10}));
  const EngineInfo info = start().info();
  EXPECT_EQ(info.vocab, 50);
  EXPECT_EQ(info.max_model_len, 64);
  EXPECT_EQ(info.tp, 2);
  EXPECT_EQ(info.pp, 3);
  EXPECT_FALSE(info.repeatable);
  EXPECT_EQ(progress_, std::vector<int64_t>{5});
}

TEST_F(RemoteEngineTest, CarriesARequestWholeAndItsEventsInOrder) {
  RemoteEngine& remote = start();
  GenerationRequest request;
  request.prompt = {7, 8};
  request.max_tokens = 3;
  request.stop_ids = {11};
  request.prompt_logits = true;
  request.grammar = {GrammarSpec::Kind::kChoice, R"(["yes","no"])", {"<t>", special_bytes("</t>")}};
  request.priority = -3;
  request.client = 12;
  request.adapter = 2;
  request.sampling = {.temperature = 0.5,
                      .top_k = 4,
                      .top_p = 0.25,
                      .min_p = 0.125,
                      .repetition_penalty = 1.5,
                      .presence_penalty = 2.5,
                      .frequency_penalty = 3.5,
                      .seed = 77,
                      .allowed_ids = {3, 4},
                      .bad_words = {{5}, {6, 7}}};
  request.prompt_logprobs = 12;
  const RequestId id = remote.submit(request);
  const std::vector<EngineEvent> events = events_until_finished();
  ASSERT_EQ(events.size(), 5U);
  for (const EngineEvent& event : events) {
    EXPECT_EQ(event.request, id);
  }
  EXPECT_EQ(events[0].logits.size(), 100U);
  EXPECT_EQ(events[0].logits[58], 1.0F);
  EXPECT_EQ(events[1].token, 9);
  EXPECT_EQ(events[3].token, 11);
  EXPECT_EQ(events[4].reason, FinishReason::kLength);
  EXPECT_EQ(events[4].cached_tokens, 1);

  const GenerationRequest arrived = engine_.requests().at(0);
  EXPECT_EQ(arrived.prompt, request.prompt);
  EXPECT_EQ(arrived.max_tokens, 3);
  EXPECT_EQ(arrived.stop_ids, request.stop_ids);
  EXPECT_EQ(arrived.grammar, request.grammar);
  EXPECT_EQ(arrived.priority, -3);
  EXPECT_EQ(arrived.client, 12U);
  EXPECT_EQ(arrived.adapter, 2);
  EXPECT_EQ(arrived.sampling.temperature, 0.5);
  EXPECT_EQ(arrived.sampling.top_k, 4);
  EXPECT_EQ(arrived.sampling.top_p, 0.25);
  EXPECT_EQ(arrived.sampling.min_p, 0.125);
  EXPECT_EQ(arrived.sampling.repetition_penalty, 1.5);
  EXPECT_EQ(arrived.sampling.presence_penalty, 2.5);
  EXPECT_EQ(arrived.sampling.frequency_penalty, 3.5);
  EXPECT_EQ(arrived.sampling.seed, 77U);
  EXPECT_EQ(arrived.sampling.allowed_ids, request.sampling.allowed_ids);
  EXPECT_EQ(arrived.sampling.bad_words, request.sampling.bad_words);
  EXPECT_EQ(arrived.prompt_logprobs, 12);
}

TEST(EngineWire, CarriesWhatTheEngineHasComeTo) {
  EngineEvent event;
  event.kind = EngineEvent::Kind::kStats;
  event.stats = {.running = 1,
                 .waiting = 2,
                 .pages = 3,
                 .pages_used = 4,
                 .preemptions = 5,
                 .prefix_cache_queries = 6,
                 .prefix_cache_hits = 7,
                 .drafts = 8,
                 .draft_tokens = 9,
                 .accepted_tokens = 10,
                 .steps = {.steps = {11, 12}, .tokens = 13}};
  const EngineEvent back = decode_event(encode(event));
  EXPECT_EQ(back.kind, EngineEvent::Kind::kStats);
  EXPECT_EQ(back.stats, event.stats);
}

TEST_F(RemoteEngineTest, ARefusalIsAnEvent) {
  RemoteEngine& remote = start();
  GenerationRequest request;
  request.prompt = {0};
  remote.submit(request);
  const std::vector<EngineEvent> events = events_until_finished();
  EXPECT_EQ(events.back().reason, FinishReason::kError);
  EXPECT_EQ(events.back().error, "refused");
}

TEST_F(RemoteEngineTest, Cancels) {
  RemoteEngine& remote = start();
  GenerationRequest request;
  request.prompt = {1};
  const RequestId id = remote.submit(request);
  EXPECT_FALSE(remote.next_event(Clock::now() + std::chrono::milliseconds(30)));
  remote.cancel(id);
  EXPECT_EQ(events_until_finished().back().reason, FinishReason::kCancelled);
}

TEST_F(RemoteEngineTest, ALeaderThatIsLostIsExplained) {
  RemoteEngine& remote = start();
  const auto before = Clock::now();
  remote.shutdown();
  server_.join();
  EXPECT_LT(Clock::now() - before, kPrompt);
  EXPECT_EQ(exit_code_, 0);
  try {
    remote.next_event(Clock::now() + std::chrono::seconds(5));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.cause(), "rank 2 was lost");
  }
}

TEST_F(RemoteEngineTest, AnErrorOfTheEngineArrivesWithItsKind) {
  RemoteEngine& remote = start();
  const auto before = Clock::now();
  engine_.fail(Error(ErrorKind::kDoesNotFit, "too big", "Use less."));
  try {
    remote.next_event(Clock::now() + std::chrono::seconds(5));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
    EXPECT_EQ(error.remedy(), "Use less.");
  }
  server_.join();
  EXPECT_LT(Clock::now() - before, kPrompt);
  EXPECT_EQ(exit_code_, 4);
}

TEST_F(RemoteEngineTest, AFailedStartThrowsTheRanksError) {
  leader_->send(FrameKind::kFailed, encode(Error(ErrorKind::kModelFile, "bad file")));
  try {
    const RemoteEngine remote(
        *parent_, [](bool) { return Error(ErrorKind::kRank, "lost"); }, [](const auto&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModelFile);
  }
}

TEST_F(RemoteEngineTest, TheServerEndsWithItsParent) {
  start();
  parent_.reset();
  server_.join();
  EXPECT_EQ(exit_code_, 5);
}

TEST(FrameSocketTest, WhatIsNoFrameIsRefused) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  FrameSocket receiver(ends[0]);
  const FrameSocket sender(ends[1]);
  const std::array<char, 64> noise{'G', 'E', 'T', ' ', '/'};
  ASSERT_EQ(send(sender.descriptor(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  Frame frame;
  EXPECT_THROW(receiver.receive(frame, Clock::now() + std::chrono::seconds(1)), Error);
}

TEST(FrameSocketTest, FramesLargerThanTheBufferArriveWhole) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  FrameSocket receiver(ends[0]);
  FrameSocket sender(ends[1]);
  Bytes payload(std::size_t{5} << 20);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<std::byte>(i * 31 >> 3);
  }
  std::thread sending([&] {
    sender.send(FrameKind::kEvent, payload);
    sender.send(FrameKind::kCancel, encode_number(42));
  });
  Frame frame;
  EXPECT_EQ(receiver.receive(frame, Clock::now() + std::chrono::seconds(10)), Received::kFrame);
  EXPECT_EQ(frame.payload, payload);
  EXPECT_EQ(receiver.receive(frame, Clock::now() + std::chrono::seconds(10)), Received::kFrame);
  EXPECT_EQ(decode_number(frame.payload), 42U);
  sending.join();
  EXPECT_EQ(receiver.receive(frame, Clock::now() + std::chrono::milliseconds(10)), Received::kDeadline);
}

TEST(FrameSocketTest, APeerWithoutHeartbeatsIsSilent) {
  using std::chrono::milliseconds;
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  FrameSocket receiver(ends[0]);
  FrameSocket sender(ends[1]);
  receiver.expect_heartbeats(milliseconds(300));
  std::atomic<bool> stop = false;
  std::thread heart([&] {
    while (!stop) {
      sender.send(FrameKind::kHeartbeat, {});
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  Frame frame;
  EXPECT_EQ(receiver.receive(frame, Clock::now() + milliseconds(700)), Received::kDeadline);
  sender.send(FrameKind::kCancel, encode_number(42));
  EXPECT_EQ(receiver.receive(frame, Clock::now() + std::chrono::seconds(10)), Received::kFrame);
  EXPECT_EQ(frame.kind, FrameKind::kCancel);
  stop = true;
  heart.join();
  std::this_thread::sleep_for(milliseconds(500));  // nobody looks: that is not the peer's silence
  EXPECT_EQ(receiver.receive(frame, Clock::now()), Received::kDeadline);
  const auto begin = Clock::now();
  EXPECT_EQ(receiver.receive(frame, begin + std::chrono::seconds(10)), Received::kSilent);
  EXPECT_GE(Clock::now() - begin, milliseconds(150));
}

TEST(EngineWire, CarriesWhenATokenWasMade) {
  EngineEvent event;
  event.made = std::chrono::steady_clock::now();
  EXPECT_EQ(decode_event(encode(event)).made, event.made);
}

TEST(EngineWire, CarriesTheLogprobsOfAPrompt) {
  EngineEvent event;
  event.kind = EngineEvent::Kind::kPromptLogprobs;
  event.first_position = 5;
  event.prompt_logprobs = {{-1.5F, 3, {{7, -0.5F}, {8, -1.0F}}}, {-2.5F, 1, {}}};
  const EngineEvent arrived = decode_event(encode(event));
  EXPECT_EQ(arrived.kind, event.kind);
  EXPECT_EQ(arrived.first_position, 5);
  ASSERT_EQ(arrived.prompt_logprobs.size(), 2U);
  EXPECT_EQ(arrived.prompt_logprobs[0].rank, 3);
  ASSERT_EQ(arrived.prompt_logprobs[0].top.size(), 2U);
  EXPECT_EQ(arrived.prompt_logprobs[0].top[1].token, 8);
  EXPECT_EQ(arrived.prompt_logprobs[1].logprob, -2.5F);
}

TEST(EngineWire, CarriesWhatRanksHaveDone) {
  EngineEvent event;
  event.kind = EngineEvent::Kind::kActivity;
  event.activity.resize(2);
  event.activity[1].rank = 1;
  event.activity[1].host = "ship";
  event.activity[1].steps = {4, 5, 6};
  const EngineEvent copy = decode_event(encode(event));
  EXPECT_EQ(copy.kind, EngineEvent::Kind::kActivity);
  ASSERT_EQ(copy.activity.size(), 2U);
  EXPECT_EQ(copy.activity[1].rank, 1);
  EXPECT_EQ(copy.activity[1].host, "ship");
  EXPECT_EQ(copy.activity[1].steps.amount, 6);
}

TEST(EngineWire, APayloadOfTheWrongLengthIsRefused) {
  Bytes payload = encode(LoadProgressReport{1, 2});
  payload.push_back(std::byte{0});
  EXPECT_THROW(decode_progress(payload), Error);
  payload.resize(payload.size() - 2);
  EXPECT_THROW(decode_progress(payload), Error);
  Bytes event = encode(EngineEvent{});
  event[8] = std::byte{9};
  EXPECT_THROW(decode_event(event), Error);
}

}  // namespace
}  // namespace longship
