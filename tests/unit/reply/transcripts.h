#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/text/reply/reply_parser.h"

namespace longship::testing {

/// A reply's text and what it says: "content" in quotation marks, ~reasoning~, calls as name(arguments).
struct Transcript {
  std::string text;
  std::string says;
};

inline void PrintTo(const Transcript& transcript, std::ostream* out) {
  *out << transcript.text;
}

/// Reads one reply in pieces; `says` as above.
class Reading {
 public:
  explicit Reading(ReplyParser parser) : parser_(std::move(parser)) {}

  void push(std::string_view piece) { add(parser_.push(piece)); }
  std::string says() {
    add(parser_.finish());
    std::string text;
    for (const ReplyEvent& event : events_) {
      switch (event.kind) {
        case ReplyEvent::Kind::kContent:
          text += "\"" + event.text + "\"";
          break;
        case ReplyEvent::Kind::kReasoning:
          text += "~" + event.text + "~";
          break;
        case ReplyEvent::Kind::kCallBegin:
          text += event.text + "(";
          break;
        case ReplyEvent::Kind::kArguments:
          text += event.text;
          break;
        case ReplyEvent::Kind::kCallEnd:
          text += ")";
          break;
      }
    }
    return text;
  }

 private:
  void add(const ReplyEvents& events) {
    for (const ReplyEvent& event : events) {
      const bool one = event.kind == ReplyEvent::Kind::kCallBegin || event.kind == ReplyEvent::Kind::kCallEnd;
      if (one) {
        events_.push_back(event);
      } else {
        add_text(events_, event.kind, event.text);
      }
    }
  }

  ReplyParser parser_;
  ReplyEvents events_;
};

/// Reads `text` cut after every byte where `cut` says so.
template <class Cut>
std::string read_in_pieces(const ReplyParser& parser, std::string_view text, Cut cut) {
  Reading reading(parser);
  std::string piece;
  for (const char byte : text) {
    piece += byte;
    if (cut()) {
      reading.push(piece);
      piece.clear();
    }
  }
  reading.push(piece);
  return reading.says();
}

/// The transcript whole, byte by byte and at random cuts.
inline void expect_says(const ReplyParser& parser, const Transcript& transcript) {
  EXPECT_EQ(read_in_pieces(parser, transcript.text, [] { return false; }), transcript.says) << transcript.text;
  EXPECT_EQ(read_in_pieces(parser, transcript.text, [] { return true; }), transcript.says) << transcript.text;
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    const unsigned one_in = 2 + random() % 12;
    EXPECT_EQ(read_in_pieces(parser, transcript.text, [&] { return random() % one_in == 0; }), transcript.says)
        << transcript.text;
  }
}

/// Texts of random parts: whatever they say, it does not depend on the cuts, and a text without calls is content.
inline void expect_cuts_do_not_matter(const ReplyParser& parser, const std::vector<std::string>& parts) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (unsigned i = 1 + random() % 12; i > 0; --i) {
      std::string part = parts[random() % parts.size()];
      if (random() % 8 == 0) {
        part.resize(random() % (part.size() + 1));
      }
      text += part;
    }
    const std::string whole = read_in_pieces(parser, text, [] { return false; });
    ASSERT_EQ(read_in_pieces(parser, text, [] { return true; }), whole) << text;
    ASSERT_EQ(read_in_pieces(parser, text, [&] { return random() % 5 == 0; }), whole) << text;
    if (whole.find_first_of("()~") == std::string::npos) {
      ASSERT_EQ(whole, text.empty() ? "" : "\"" + text + "\"");
    }
  }
}

}  // namespace longship::testing
