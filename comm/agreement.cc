#include "comm/agreement.h"

#include <algorithm>
#include <string>
#include <utility>

namespace longship {

namespace {

Bytes pack(ErrorKind kind, std::string_view cause, std::string_view remedy) {
  ByteWriter writer;
  writer.put(kind);
  writer.put_string(cause);
  writer.put_string(remedy);
  return writer.take();
}

Error unpack(std::span<const std::byte> frame) {
  ByteReader reader(frame);
  const auto kind = reader.get<ErrorKind>();
  std::string cause = reader.get_string();
  std::string remedy = reader.get_string();
  return Error(kind, std::move(cause), std::move(remedy));
}

}  // namespace

Bytes pack_failure(const Error* failure) {
  return failure == nullptr ? Bytes() : pack(failure->kind(), failure->cause(), failure->remedy());
}

Bytes verdict(std::span<const Bytes> failures) {
  const auto first = std::ranges::find_if(failures, [](const Bytes& frame) { return !frame.empty(); });
  if (first == failures.end()) {
    return {};
  }
  if (std::ranges::all_of(failures, [&](const Bytes& frame) { return frame == *first; })) {
    return *first;
  }
  const Error error = unpack(*first);
  std::string cause = "rank " + std::to_string(first - failures.begin());
  cause.append(": ").append(error.cause());
  return pack(error.kind(), cause, error.remedy());
}

void throw_verdict(std::span<const std::byte> verdict) {
  if (!verdict.empty()) {
    throw unpack(verdict);
  }
}

}  // namespace longship
