#include "engine/text/byte_level.h"

#include <array>

#include "engine/text/unicode.h"

namespace longship {

namespace {

constexpr int kAlphabetEnd = 256 + 68;  // 68 bytes are not printable and take the code points from 256 on

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<std::string, 256> of_byte;
  std::array<int, kAlphabetEnd> of_code_point;

  Alphabet() {
    of_code_point.fill(-1);
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const int code_point = stands_for_itself(byte) ? byte : next++;
      append_utf8(code_point, of_byte[static_cast<std::size_t>(byte)]);
      of_code_point[static_cast<std::size_t>(code_point)] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    out.append(alphabet().of_byte[static_cast<unsigned char>(byte)]);
  }
  return out;
}

void append_alphabet_bytes(std::string_view token, std::string& out) {
  const Alphabet& letters = alphabet();
  const std::size_t begin = out.size();
  for (std::size_t at = 0; at < token.size();) {
    if (const char letter = token[at]; letter >= 0x21 && letter <= 0x7E) {
      out.push_back(letter);
      ++at;
      continue;
    }
    const CodePoint c = code_point_at(token, at);
    const int byte =
        c.value >= 0 && c.value < kAlphabetEnd ? letters.of_code_point[static_cast<std::size_t>(c.value)] : -1;
    if (byte < 0) {
      out.resize(begin);
      out.append(token);
      return;
    }
    out.push_back(static_cast<char>(byte));
    at += c.length;
  }
}

}  // namespace longship
