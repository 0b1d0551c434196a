#include "engine/sample/grammar/char_kinds.h"

#include <array>
#include <vector>

namespace longship {

namespace {

constexpr ByteRange kTail = {0x80, 0xBF};

// ASCII that grammars often name together; any other character is a kind of its own, but for controls.
constexpr ByteRange kTogether[] = {{'0', '9'}, {'a', 'f'}, {'g', 'z'}, {'A', 'F'}, {'G', 'Z'}};
constexpr ByteRange kControls[] = {{0x00, 0x08}, {0x0B, 0x0C}, {0x0E, 0x1F}, {0x7F, 0x7F}};

using Bytes = std::vector<ByteRange>;

class Table {
 public:
  Table() {
    for (const ByteRange& range : kTogether) {
      add({range}, next_bit());
    }
    const uint64_t controls = next_bit();
    for (const ByteRange& range : kControls) {
      add({range}, controls);
    }
    for (unsigned byte = 0; byte < 0x80; ++byte) {
      if (kind_of_[byte] < 0) {
        add({{static_cast<uint8_t>(byte), static_cast<uint8_t>(byte)}}, next_bit());
      }
    }
    add({{0xC2, 0xDF}, kTail}, next_bit());
    const uint64_t of_three = next_bit();
    for (const Bytes& bytes : {Bytes{{0xE0, 0xE0}, {0xA0, 0xBF}, kTail}, Bytes{{0xE1, 0xEC}, kTail, kTail},
                               Bytes{{0xED, 0xED}, {0x80, 0x9F}, kTail}, Bytes{{0xEE, 0xEF}, kTail, kTail}}) {
      add(bytes, of_three);
    }
    const uint64_t of_four = next_bit();
    for (const Bytes& bytes :
         {Bytes{{0xF0, 0xF0}, {0x90, 0xBF}, kTail, kTail}, Bytes{{0xF1, 0xF3}, kTail, kTail, kTail},
          Bytes{{0xF4, 0xF4}, {0x80, 0x8F}, kTail, kTail}}) {
      add(bytes, of_four);
    }
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      kinds_.push_back({bits_[i], bytes_[i]});
    }
  }

  std::span<const CharKind> kinds() const { return kinds_; }
  CharStart start(uint8_t byte) const {
    const int kind = kind_of_[byte];
    return kind < 0 ? CharStart()
                    : CharStart{kinds_[static_cast<std::size_t>(kind)].bit,
                                kinds_[static_cast<std::size_t>(kind)].bytes.subspan(1)};
  }

 private:
  uint64_t next_bit() { return uint64_t{1} << used_bits_++; }

  void add(Bytes bytes, uint64_t bit) {
    for (unsigned byte = bytes.front().first; byte <= bytes.front().last; ++byte) {
      kind_of_.at(byte) = static_cast<int>(bytes_.size());
    }
    bytes_.push_back(std::move(bytes));
    bits_.push_back(bit);
  }

  std::vector<Bytes> bytes_;
  std::vector<uint64_t> bits_;
  std::vector<CharKind> kinds_;
  std::array<int, 256> kind_of_ = filled();
  unsigned used_bits_ = 0;

  static std::array<int, 256> filled() {
    std::array<int, 256> none;
    none.fill(-1);
    return none;
  }
};

const Table& table() {
  static const Table kTable;
  return kTable;
}

}  // namespace

CharStart char_start(uint8_t byte) {
  return table().start(byte);
}

std::span<const CharKind> char_kinds() {
  return table().kinds();
}

}  // namespace longship
