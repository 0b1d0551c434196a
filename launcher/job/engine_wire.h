#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/bytes.h"
#include "engine/engine.h"

namespace longship {

/// The first words of a rank to the process that started the job.
struct Hello {
  std::string secret;
  int32_t rank = 0;
  int32_t pid = 0;
  std::string host;
};

/// Bytes of the weights that a rank has loaded.
struct LoadProgressReport {
  int64_t bytes_done = 0;
  int64_t bytes_total = 0;
};

struct SubmitMessage {
  RequestId id = 0;
  GenerationRequest request;
};

// Payloads of the frames of FrameKind. Decoding throws kRank for a payload that is too short or too long.
Bytes encode(const Hello& hello);
Bytes encode(const LoadProgressReport& progress);
Bytes encode(const EngineInfo& info);
Bytes encode(const Error& error);
Bytes encode(const EngineEvent& event);
Bytes encode(const SubmitMessage& message);
Bytes encode_number(uint64_t value);

Hello decode_hello(std::span<const std::byte> payload);
LoadProgressReport decode_progress(std::span<const std::byte> payload);
EngineInfo decode_info(std::span<const std::byte> payload);
Error decode_error(std::span<const std::byte> payload);
EngineEvent decode_event(std::span<const std::byte> payload);
SubmitMessage decode_submit(std::span<const std::byte> payload);
uint64_t decode_number(std::span<const std::byte> payload);

}  // namespace longship
