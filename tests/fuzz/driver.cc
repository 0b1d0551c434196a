// Lets libFuzzer drive one target.
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  longship::fuzz::LONGSHIP_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}
