#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// What became of one request of a load. Times are seconds since the load began.
struct ServeSample {
  enum class Outcome : uint8_t { kSuccess, kFailure, kInterrupted };

  Outcome outcome = Outcome::kInterrupted;
  std::string error{};  ///< kFailure: the first thing that went wrong.
  double sent_s = 0;
  double first_token_s = 0;      ///< The first piece of text; the end if there was none.
  double end_s = 0;              ///< The last byte.
  std::vector<double> gaps_s{};  ///< Between pieces of text.
  int64_t prompt_tokens = 0;     ///< As the server counts them, 0 if it does not.
  int64_t output_tokens = 0;     ///< The same; pieces of text if it does not.
};

/// Reads the streamed answer to one completion or chat, as server-sent events, and notes when its text comes.
class AnswerReader {
 public:
  explicit AnswerReader(double sent_s) { sample_.sent_s = sent_s; }

  /// Bytes of the body, as they come.
  void read(int status, std::string_view bytes, double now_s);
  /// The connection broke, or could not be made.
  void fail(const std::string& error) { note_error(error); }
  /// No more comes.
  ServeSample finish(double now_s);

 private:
  void read_line(std::string_view line, double now_s);
  void read_event(std::string_view event, double now_s);
  void note_text(double now_s);
  void note_error(const std::string& error);

  ServeSample sample_;
  int status_ = 0;
  std::string unread_;  ///< A line whose end has not come; the body of a refusal.
  double last_text_s_ = 0;
  int64_t pieces_ = 0;
  int64_t counted_tokens_ = -1;  ///< By the server.
  bool done_ = false;
};

}  // namespace longship
