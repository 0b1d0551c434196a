#include "launcher/job/engine_wire.h"

namespace longship {

namespace {

[[noreturn]] void bad_frame() {
  throw Error(ErrorKind::kRank, "a frame between ranks does not say what it should",
              "Check that every rank runs the same version of longship.");
}

// A whole payload: what is left over is as wrong as what is missing.
template <class Body>
auto decode(std::span<const std::byte> payload, const Body& body) {
  ByteReader reader(payload);
  auto value = body(reader);
  if (!reader.done()) {
    bad_frame();
  }
  return value;
}

template <class Enum>
Enum get_enum(ByteReader& reader, Enum last) {
  const auto value = reader.get<uint8_t>();
  if (value > static_cast<uint8_t>(last)) {
    bad_frame();
  }
  return static_cast<Enum>(value);
}

bool get_bool(ByteReader& reader) {
  return reader.get<uint8_t>() != 0;
}

}  // namespace

Bytes encode(const Hello& hello) {
  ByteWriter writer;
  writer.put_string(hello.secret);
  writer.put(hello.rank);
  writer.put(hello.pid);
  writer.put_string(hello.host);
  return writer.take();
}

Hello decode_hello(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    Hello hello;
    hello.secret = reader.get_string();
    hello.rank = reader.get<int32_t>();
    hello.pid = reader.get<int32_t>();
    hello.host = reader.get_string();
    return hello;
  });
}

Bytes encode(const LoadProgressReport& progress) {
  ByteWriter writer;
  writer.put(progress.bytes_done);
  writer.put(progress.bytes_total);
  return writer.take();
}

LoadProgressReport decode_progress(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    LoadProgressReport progress;
    progress.bytes_done = reader.get<int64_t>();
    progress.bytes_total = reader.get<int64_t>();
    return progress;
  });
}

Bytes encode(const EngineInfo& info) {
  ByteWriter writer;
  writer.put(info.vocab);
  writer.put(info.max_model_len);
  writer.put(info.kv_tokens);
  writer.put(static_cast<int32_t>(info.tp));
  writer.put(static_cast<int32_t>(info.pp));
  writer.put(static_cast<int32_t>(info.threads));
  writer.put(info.step_tokens);
  writer.put(static_cast<uint8_t>(info.repeatable));
  return writer.take();
}

EngineInfo decode_info(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    EngineInfo info;
    info.vocab = reader.get<int64_t>();
    info.max_model_len = reader.get<int64_t>();
    info.kv_tokens = reader.get<int64_t>();
    info.tp = reader.get<int32_t>();
    info.pp = reader.get<int32_t>();
    info.threads = reader.get<int32_t>();
    info.step_tokens = reader.get<int64_t>();
    info.repeatable = get_bool(reader);
    return info;
  });
}

Bytes encode(const Error& error) {
  ByteWriter writer;
  writer.put(static_cast<uint8_t>(error.kind()));
  writer.put_string(error.cause());
  writer.put_string(error.remedy());
  return writer.take();
}

Error decode_error(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    const ErrorKind kind = get_enum(reader, ErrorKind::kAddress);
    std::string cause = reader.get_string();
    std::string remedy = reader.get_string();
    return Error(kind, std::move(cause), std::move(remedy));
  });
}

Bytes encode(const EngineEvent& event) {
  ByteWriter writer;
  writer.put(event.request);
  writer.put(static_cast<uint8_t>(event.kind));
  writer.put(event.token);
  writer.put(event.logprob);
  writer.put_span(std::span<const TokenLogprob>(event.top_logprobs));
  writer.put(event.first_position);
  writer.put_span(std::span<const float>(event.logits));
  writer.put(static_cast<uint64_t>(event.prompt_logprobs.size()));
  for (const PositionLogprobs& position : event.prompt_logprobs) {
    writer.put(position.logprob);
    writer.put(position.rank);
    writer.put_span(std::span<const TokenLogprob>(position.top));
  }
  writer.put(static_cast<uint8_t>(event.reason));
  writer.put_string(event.error);
  writer.put(event.cached_tokens);
  writer.put(event.queued_s);
  writer.put(event.made.time_since_epoch().count());  // of one host, whose processes have one clock
  writer.put(static_cast<uint64_t>(event.reports.size()));
  for (const RankReport& report : event.reports) {
    writer.put_span(std::span<const std::byte>(report.serialize()));
  }
  writer.put(event.stats);
  writer.put(static_cast<uint64_t>(event.activity.size()));
  for (const RankActivity& activity : event.activity) {
    writer.put_span(std::span<const std::byte>(activity.serialize()));
  }
  return writer.take();
}

EngineEvent decode_event(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    EngineEvent event;
    event.request = reader.get<RequestId>();
    event.kind = get_enum(reader, EngineEvent::Kind::kActivity);
    event.token = reader.get<int32_t>();
    event.logprob = reader.get<float>();
    event.top_logprobs = reader.get_vector<TokenLogprob>();
    event.first_position = reader.get<int64_t>();
    event.logits = reader.get_vector<float>();
    const auto positions = reader.get<uint64_t>();
    for (uint64_t i = 0; i < positions; ++i) {
      PositionLogprobs position;
      position.logprob = reader.get<float>();
      position.rank = reader.get<int32_t>();
      position.top = reader.get_vector<TokenLogprob>();
      event.prompt_logprobs.push_back(std::move(position));
    }
    event.reason = get_enum(reader, FinishReason::kLost);
    event.error = reader.get_string();
    event.cached_tokens = reader.get<int64_t>();
    event.queued_s = reader.get<double>();
    using Time = std::chrono::steady_clock::time_point;
    event.made = Time(Time::duration(reader.get<Time::rep>()));
    const auto reports = reader.get<uint64_t>();
    for (uint64_t i = 0; i < reports; ++i) {
      event.reports.push_back(RankReport::parse(reader.get_vector<std::byte>()));
    }
    event.stats = reader.get<EngineStats>();
    const auto ranks = reader.get<uint64_t>();
    for (uint64_t i = 0; i < ranks; ++i) {
      event.activity.push_back(RankActivity::parse(reader.get_vector<std::byte>()));
    }
    return event;
  });
}

Bytes encode(const SubmitMessage& message) {
  const GenerationRequest& request = message.request;
  const SamplingParams& sampling = request.sampling;
  ByteWriter writer;
  writer.put(message.id);
  writer.put_span(std::span<const int32_t>(request.prompt));
  writer.put_span(std::span<const int32_t>(request.output));
  writer.put(request.max_tokens);
  writer.put(sampling.temperature);
  writer.put(sampling.top_k);
  writer.put(sampling.top_p);
  writer.put(sampling.min_p);
  writer.put(sampling.repetition_penalty);
  writer.put(sampling.presence_penalty);
  writer.put(sampling.frequency_penalty);
  writer.put(sampling.seed);
  writer.put(sampling.choice);
  writer.put(static_cast<uint64_t>(sampling.logit_bias.size()));
  for (const auto& [token, bias] : sampling.logit_bias) {
    writer.put(token);
    writer.put(bias);
  }
  writer.put_span(std::span<const int32_t>(sampling.allowed_ids));
  writer.put(static_cast<uint64_t>(sampling.bad_words.size()));
  for (const std::vector<int32_t>& word : sampling.bad_words) {
    writer.put_span(std::span<const int32_t>(word));
  }
  writer.put_span(std::span<const int32_t>(request.stop_ids));
  writer.put(request.min_tokens);
  writer.put(request.logprobs);
  writer.put(static_cast<uint8_t>(request.prompt_logits));
  writer.put(request.prompt_logprobs);
  writer.put(static_cast<uint8_t>(request.grammar.kind));
  writer.put_string(request.grammar.text);
  writer.put_string(request.grammar.reasoning.open);
  writer.put_string(request.grammar.reasoning.close);
  writer.put(request.priority);
  writer.put(request.client);
  writer.put(request.adapter);
  return writer.take();
}

SubmitMessage decode_submit(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) {
    SubmitMessage message;
    GenerationRequest& request = message.request;
    SamplingParams& sampling = request.sampling;
    message.id = reader.get<RequestId>();
    request.prompt = reader.get_vector<int32_t>();
    request.output = reader.get_vector<int32_t>();
    request.max_tokens = reader.get<int64_t>();
    sampling.temperature = reader.get<double>();
    sampling.top_k = reader.get<int64_t>();
    sampling.top_p = reader.get<double>();
    sampling.min_p = reader.get<double>();
    sampling.repetition_penalty = reader.get<double>();
    sampling.presence_penalty = reader.get<double>();
    sampling.frequency_penalty = reader.get<double>();
    sampling.seed = reader.get<uint64_t>();
    sampling.choice = reader.get<uint32_t>();
    const auto biases = reader.get<uint64_t>();
    for (uint64_t i = 0; i < biases; ++i) {
      const auto token = reader.get<int32_t>();
      sampling.logit_bias.emplace_back(token, reader.get<float>());
    }
    sampling.allowed_ids = reader.get_vector<int32_t>();
    const auto bad_words = reader.get<uint64_t>();
    for (uint64_t i = 0; i < bad_words; ++i) {
      sampling.bad_words.push_back(reader.get_vector<int32_t>());
    }
    request.stop_ids = reader.get_vector<int32_t>();
    request.min_tokens = reader.get<int64_t>();
    request.logprobs = reader.get<int64_t>();
    request.prompt_logits = get_bool(reader);
    request.prompt_logprobs = reader.get<int64_t>();
    request.grammar.kind = get_enum(reader, GrammarSpec::Kind::kTagged);
    request.grammar.text = reader.get_string();
    request.grammar.reasoning.open = reader.get_string();
    request.grammar.reasoning.close = reader.get_string();
    request.priority = reader.get<int64_t>();
    request.client = reader.get<uint64_t>();
    request.adapter = reader.get<int32_t>();
    return message;
  });
}

Bytes encode_number(uint64_t value) {
  ByteWriter writer;
  writer.put(value);
  return writer.take();
}

uint64_t decode_number(std::span<const std::byte> payload) {
  return decode(payload, [](ByteReader& reader) { return reader.get<uint64_t>(); });
}

}  // namespace longship
