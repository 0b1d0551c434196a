#include "launcher/batch/batch_input.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLineBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostIdBytes = 4096;
constexpr std::size_t kMostErrorsShown = 10;
constexpr const char* kLineExample =
    R"(A line is {"custom_id": "1", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Ships float"}}.)";

}  // namespace

BatchInput::BatchInput(fs::path file) : file_(std::move(file)), stream_(file_) {
  std::error_code ignored;
  if (!stream_ || !fs::is_regular_file(file_, ignored)) {
    throw Error(ErrorKind::kUsage, "the batch " + file_.native() + " is no file that can be read",
                "Give a file of lines; it is read twice, so it cannot be a pipe.");
  }
}

Error BatchInput::line_error(const std::string& rule) const {
  return {ErrorKind::kUsage, "line " + std::to_string(number_) + ": " + rule, kLineExample};
}

void BatchInput::skip_line() {
  for (int byte = 0; byte != '\n' && byte != std::ifstream::traits_type::eof();) {
    byte = stream_.rdbuf()->sbumpc();
  }
}

// The next line with something in it.
std::optional<std::string> BatchInput::next_text() {
  std::string text;
  bool blank = true;
  for (int byte = 0; (byte = stream_.rdbuf()->sbumpc()) != std::ifstream::traits_type::eof();) {
    if (byte != '\n') {
      blank = blank && (byte == ' ' || byte == '\t' || byte == '\r');
      text += static_cast<char>(byte);
      if (text.size() > kMostLineBytes) {
        ++number_;
        skip_line();
        throw line_error("it is longer than 16 MiB");
      }
      continue;
    }
    ++number_;
    if (!blank) {
      return text;
    }
    text.clear();
  }
  if (blank) {
    return std::nullopt;
  }
  ++number_;
  return text;
}

std::optional<BatchLine> BatchInput::next() {
  const std::optional<std::string> text = next_text();
  if (!text) {
    return std::nullopt;
  }
  auto parsed = parse_json(*text, {.unique_keys = false});
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw line_error("it is not JSON: offset " + std::to_string(error->offset) + ": " + error->rule);
  }
  BatchLine line{.number = number_, .custom_id = {}, .request = std::get<Json>(std::move(parsed))};
  const Json* id = line.request.find("custom_id");
  if (id == nullptr || !id->is_string() || id->as_string().empty() || id->as_string().size() > kMostIdBytes) {
    throw line_error("\"custom_id\" must be a text of 1 to " + std::to_string(kMostIdBytes) + " bytes");
  }
  line.custom_id = id->as_string();
  return line;
}

void BatchInput::rewind() {
  stream_.clear();
  stream_.seekg(0);
  number_ = 0;
}

std::unordered_map<std::string, int64_t> check_batch(BatchInput& input) {
  std::unordered_map<std::string, int64_t> lines;
  std::string errors;
  std::size_t count = 0;
  const auto note = [&](const std::string& error) {
    if (++count <= kMostErrorsShown) errors += (errors.empty() ? "" : "; ") + error;
  };
  input.rewind();
  for (bool more = true; more;) {
    try {
      const std::optional<BatchLine> line = input.next();
      more = line.has_value();
      if (more && !lines.emplace(line->custom_id, line->number).second) {
        note("line " + std::to_string(line->number) + ": the custom_id " + dump_json(line->custom_id) +
             " is that of line " + std::to_string(lines.at(line->custom_id)));
      }
    } catch (const Error& error) {
      note(error.cause());
    }
  }
  if (count > kMostErrorsShown) {
    errors += "; and " + std::to_string(count - kMostErrorsShown) + " more";
  }
  if (count > 0) {
    throw Error(ErrorKind::kUsage, input.file().native() + ": " + errors, kLineExample);
  }
  input.rewind();
  return lines;
}

}  // namespace longship
