#include "launcher/server/http/http_head.h"

#include <algorithm>

#include "launcher/server/random_id.h"

namespace longship {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Line ends are the only control characters besides the tabulator.
bool has_stray_control(std::string_view head) {
  for (std::size_t i = 0; i < head.size(); ++i) {
    const auto c = static_cast<unsigned char>(head[i]);
    const bool ends_line =
        (c == '\n' && i > 0 && head[i - 1] == '\r') || (c == '\r' && (i + 1 == head.size() || head[i + 1] == '\n'));
    if ((c < ' ' && c != '\t' && !ends_line) || c == 0x7f) {
      return true;
    }
  }
  return false;
}

// Fields whose number decides where a message ends, or whom it is for.
struct FramingFields {
  int lengths = 0;
  int encodings = 0;
  int hosts = 0;
  std::string_view length;
  std::string_view encoding;
};

std::optional<HttpResponse> framing_problem(const FramingFields& fields, bool http_1_0) {
  if (fields.lengths > 1 || fields.encodings > 1 || (fields.lengths > 0 && fields.encodings > 0)) {
    return http_rejection(400, "the length of the body is given more than once");
  }
  if (fields.lengths == 1 &&
      (fields.length.empty() || fields.length.find_first_not_of("0123456789") != fields.length.npos)) {
    return http_rejection(400, "Content-Length is not a number");
  }
  if (fields.encodings == 1 && http_1_0) {
    return http_rejection(400, "HTTP/1.0 has no Transfer-Encoding");
  }
  if (fields.encodings == 1 && !same_word(fields.encoding, "chunked")) {
    return http_rejection(501, "the only Transfer-Encoding is chunked");
  }
  if (fields.hosts > 1 || (fields.hosts == 0 && !http_1_0)) {
    return http_rejection(400, "a request has one Host");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> head_bytes(std::string_view received) {
  const auto end = received.find(kHeadEnd);
  return end == std::string_view::npos ? std::nullopt : std::optional(end + kHeadEnd.size());
}

std::optional<HttpResponse> head_problem(std::string_view head, bool complete, const HttpLimits& limits) {
  if (head.size() > limits.header_bytes) {
    return http_rejection(431, "the header is larger than " + std::to_string(limits.header_bytes) + " bytes");
  }
  if (has_stray_control(head)) {
    return http_rejection(400, "the header has a control character, or a line that does not end with CR LF");
  }
  if (!complete) {
    return std::nullopt;
  }
  const std::string_view request_line = head.substr(0, head.find(kLineEnd));
  const bool http_1_0 = request_line.ends_with(" HTTP/1.0");
  FramingFields framing;
  std::size_t fields = 0;
  for (std::size_t at = request_line.size() + kLineEnd.size(); at + kLineEnd.size() < head.size();) {
    const std::size_t end = head.find(kLineEnd, at);
    const std::string_view line = head.substr(at, end - at);
    at = end + kLineEnd.size();
    if (line.front() == ' ' || line.front() == '\t') {
      return http_rejection(400, "the header has a folded line");
    }
    if (++fields > limits.header_fields) {
      return http_rejection(431, "the header has more than " + std::to_string(limits.header_fields) + " fields");
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(std::min(colon + 1, line.size())));
    if (same_word(name, "content-length")) {
      ++framing.lengths;
      framing.length = value;
    } else if (same_word(name, "transfer-encoding")) {
      ++framing.encodings;
      framing.encoding = value;
    } else if (same_word(name, "host")) {
      ++framing.hosts;
    }
  }
  return framing_problem(framing, http_1_0);
}

HttpResponse http_rejection(int status, const std::string& message) {
  return {
      .status = status,
      .body = R"({"error":{"message":")" + message + R"(","type":"invalid_request_error","param":null,"code":null}})"};
}

std::string request_id(std::string_view given) {
  const bool plain = !given.empty() && given.size() <= 128 && std::all_of(given.begin(), given.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\';
  });
  if (plain) {
    return std::string(given);
  }
  return random_id("req-", 24);
}

}  // namespace longship
