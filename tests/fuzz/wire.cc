#include "launcher/job/engine_wire.h"

#include "core/error.h"
#include "launcher/job/frame_socket.h"
#include "tests/fuzz/targets.h"

namespace longship::fuzz {

namespace {

// What was read says the same when it is written again.
template <class Value>
void require_same(const Value& value, Input payload) {
  const Bytes again = encode(value);
  require(std::equal(again.begin(), again.end(), payload.begin(), payload.end()), "a frame that was read is itself");
}

void decode_as(FrameKind kind, Input payload) {
  switch (kind) {
    case FrameKind::kHello:
      require_same(decode_hello(payload), payload);
      break;
    case FrameKind::kProgress:
      require_same(decode_progress(payload), payload);
      break;
    case FrameKind::kReady:
      decode_info(payload);
      break;
    case FrameKind::kFailed:
      require_same(decode_error(payload), payload);
      break;
    case FrameKind::kEvent:
      decode_event(payload);
      break;
    case FrameKind::kSubmit:
      decode_submit(payload);
      break;
    default:
      decode_number(payload);
  }
}

std::string seed(FrameKind kind, const Bytes& payload) {
  std::string text(1, static_cast<char>(kind));
  for (const std::byte byte : payload) {
    text += static_cast<char>(byte);
  }
  return text;
}

}  // namespace

std::vector<std::string> wire_seeds() {
  SubmitMessage submit;
  submit.request.prompt = {1, 2, 3};
  submit.request.output = {4};
  submit.request.stop_ids = {5};
  submit.request.sampling.logit_bias = {{6, 1.0F}};
  submit.request.sampling.allowed_ids = {7};
  submit.request.sampling.bad_words = {{8}, {9, 10}};
  EngineEvent token;
  token.top_logprobs = {{1, -1.0F}, {2, -2.0F}};
  EngineEvent prompt;
  prompt.kind = EngineEvent::Kind::kPromptLogprobs;
  prompt.prompt_logprobs = {{-1.0F, 1, {{1, -1.0F}}}, {-2.0F, 2, {}}};
  EngineEvent report;
  report.kind = EngineEvent::Kind::kReport;
  report.reports.resize(1);
  report.reports[0].spans = {{"step", SpanKind::kStep, 10, 20, 3}};
  return {
      seed(FrameKind::kSubmit, encode(submit)),      seed(FrameKind::kEvent, encode(token)),
      seed(FrameKind::kEvent, encode(prompt)),       seed(FrameKind::kEvent, encode(report)),
      seed(FrameKind::kReady, encode(EngineInfo{})), seed(FrameKind::kFailed, encode(Error(ErrorKind::kRank, "a")))};
}

void wire(Input input) {
  if (input.empty()) {
    return;
  }
  try {
    decode_as(static_cast<FrameKind>(input.front()), input.subspan(1));
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kRank, "a frame that is none is the ranks' error");
  }
}

}  // namespace longship::fuzz
