#include "engine/sample/grammar/code_points.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <vector>

#include "core/utf8.h"

namespace longship {

namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;
constexpr CodePointSet::Range kSurrogates{0xD800, 0xDFFF};

using Encoded = std::array<uint8_t, 4>;
using Sequence = std::vector<ByteSet>;

// The bytes of a code point, and their number.
std::size_t encode(uint32_t code_point, Encoded& bytes) {
  const auto tail = [&](unsigned shift) { return static_cast<uint8_t>(0x80U | (code_point >> shift & 0x3FU)); };
  if (code_point < 0x80) {
    bytes = {static_cast<uint8_t>(code_point)};
    return 1;
  }
  if (code_point < 0x800) {
    bytes = {static_cast<uint8_t>(0xC0U | code_point >> 6U), tail(0)};
    return 2;
  }
  if (code_point < 0x10000) {
    bytes = {static_cast<uint8_t>(0xE0U | code_point >> 12U), tail(6), tail(0)};
    return 3;
  }
  bytes = {static_cast<uint8_t>(0xF0U | code_point >> 18U), tail(12), tail(6), tail(0)};
  return 4;
}

// Code points of one encoded length as sequences of byte ranges: a range is cut until the bytes behind the first that
// differs run over all of 80 to BF.
void add_sequences(uint32_t first, uint32_t last, std::vector<Sequence>& out) {
  for (unsigned shift = 6; shift <= 18; shift += 6) {
    const uint32_t low = (uint32_t{1} << shift) - 1;
    if ((first & ~low) != (last & ~low)) {
      if ((first & low) != 0) {
        add_sequences(first, first | low, out);
        add_sequences((first | low) + 1, last, out);
        return;
      }
      if ((last & low) != low) {
        add_sequences(first, (last & ~low) - 1, out);
        add_sequences(last & ~low, last, out);
        return;
      }
    }
  }
  Encoded from{};
  Encoded to{};
  const std::size_t length = encode(first, from);
  encode(last, to);
  Sequence parts;
  for (std::size_t i = 0; i < length; ++i) {
    parts.push_back(ByteSet::range(from[i], to[i]));
  }
  out.push_back(std::move(parts));
}

// One of the sequences, of which `depth` bytes are read; those that go on alike are neighbours. What has one beginning
// is read once, and what differs in its last byte is one set.
ExprId one_of_sequences(Grammar& grammar, std::span<const Sequence> sequences, std::size_t depth) {
  ByteSet last;
  std::vector<ExprId> alternatives;
  while (!sequences.empty()) {
    const ByteSet& set = sequences.front()[depth];
    if (sequences.front().size() == depth + 1) {
      last = last | set;
      sequences = sequences.subspan(1);
      continue;
    }
    const auto end = std::find_if(sequences.begin(), sequences.end(), [&](const Sequence& other) {
      return other.size() == depth + 1 || !(other[depth] == set);
    });
    const auto count = static_cast<std::size_t>(end - sequences.begin());
    alternatives.push_back(
        grammar.sequence({grammar.bytes(set), one_of_sequences(grammar, sequences.first(count), depth + 1)}));
    sequences = sequences.subspan(count);
  }
  alternatives.push_back(grammar.bytes(last));
  return grammar.choice(alternatives);
}

}  // namespace

CodePointSet::CodePointSet(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  normalise();
}

CodePointSet CodePointSet::all() {
  return CodePointSet().complement();
}

void CodePointSet::normalise() {
  std::vector<Range> sorted;
  for (const auto& [first, last] : ranges_) {  // surrogates are no characters
    if (first < kSurrogates.first) sorted.emplace_back(first, std::min(last, kSurrogates.first - 1));
    if (last > kSurrogates.second) sorted.emplace_back(std::max(first, kSurrogates.second + 1), last);
  }
  std::sort(sorted.begin(), sorted.end());
  ranges_.clear();
  for (const Range& range : sorted) {
    if (!ranges_.empty() && range.first <= ranges_.back().second + 1) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePointSet CodePointSet::complement() const {
  CodePointSet result;
  uint32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) result.ranges_.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLastCodePoint) result.ranges_.emplace_back(next, kLastCodePoint);
  result.normalise();
  return result;
}

void append_utf8_of(uint32_t code_point, std::string& out) {
  Encoded bytes{};
  const std::size_t length = encode(code_point, bytes);
  out.append(reinterpret_cast<const char*>(bytes.data()), length);
}

uint32_t take_code_point(std::string_view& text) {
  const std::size_t length = utf8_sequence_length(text);
  const auto byte = [&](std::size_t i) { return static_cast<uint8_t>(text[i]); };
  constexpr std::array<uint8_t, 5> kLead = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t code_point = byte(0) & kLead[length];
  for (std::size_t i = 1; i < length; ++i) {
    code_point = code_point << 6U | (byte(i) & 0x3FU);
  }
  text.remove_prefix(std::max<std::size_t>(1, length));
  return code_point;
}

std::optional<uint32_t> take_hex(std::string_view& text, int digits) {
  const auto count = static_cast<std::size_t>(digits);
  uint32_t value = 0;
  if (text.size() < count) {
    return std::nullopt;
  }
  const auto read = std::from_chars(text.data(), text.data() + count, value, 16);
  if (read.ec != std::errc() || read.ptr != text.data() + count) {
    return std::nullopt;
  }
  text.remove_prefix(count);
  return value;
}

bool is_character(uint32_t code_point) {
  return code_point <= kLastCodePoint && (code_point < kSurrogates.first || code_point > kSurrogates.second);
}

ExprId utf8_of(Grammar& grammar, const CodePointSet& set) {
  constexpr std::array<uint32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};
  std::vector<Sequence> sequences;
  for (auto [first, last] : set.ranges()) {
    for (const uint32_t end : kLastOfLength) {
      if (first <= end && first <= last) {
        add_sequences(first, std::min(last, end), sequences);
        first = std::min(last, end) + 1;
      }
    }
  }
  return one_of_sequences(grammar, sequences, 0);
}

}  // namespace longship
