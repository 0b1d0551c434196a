#pragma once

#include <cstdint>

namespace longship {

/// The integers that the nibbles of MXFP4 number (E2M1, OCP Microscaling Formats v1.0 section 5.3.3): twice the value,
/// offset by 12.
inline constexpr uint8_t kFp4Integers[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

/// The integers that the nibbles of IQ4_NL number (ggml block formats), offset by 128.
inline constexpr uint8_t kIq4Integers[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

}  // namespace longship
