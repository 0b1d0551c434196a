#include "core/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "core/utf8.h"

namespace longship {

Json::Json(uint64_t value) {
  if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    value_ = static_cast<int64_t>(value);
  } else {
    value_ = static_cast<double>(value);
  }
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) {
    return nullptr;
  }
  for (const Member& member : as_object()) {
    if (member.first == key) {
      return &member.second;
    }
  }
  return nullptr;
}

void Json::set(std::string_view key, Json value) {
  if (is_null()) {
    value_ = Object{};
  }
  for (Member& member : as_object()) {
    if (member.first == key) {
      member.second = std::move(value);
      return;
    }
  }
  as_object().emplace_back(std::string(key), std::move(value));
}

std::string_view Json::type_name() const {
  constexpr std::string_view kNames[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
  return kNames[value_.index()];
}

namespace {

// Receives the parser's events and builds the value on an explicit stack.
class Builder {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  explicit Builder(bool unique_keys) : unique_keys_(unique_keys) {}

  Json take() { return std::move(root_); }
  const std::string& duplicate() const { return duplicate_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return open(Json(Json::Object{})); }
  bool on_object_end(std::size_t, error_code&) {
    keys_.pop_back();
    return close();
  }
  bool on_array_begin(error_code&) { return open(Json(Json::Array{})); }
  bool on_array_end(std::size_t, error_code&) {
    keys_.pop_back();
    return close();
  }
  bool on_key_part(string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view part, std::size_t, error_code& ec) {
    text_.append(part.data(), part.size());
    if (unique_keys_ && !keys_.back().names.insert(text_).second) {
      duplicate_ = text_;
      ec = boost::json::error::exception;
      return false;
    }
    keys_.back().current = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    add(Json(std::move(text_)));
    text_ = {};
    return true;
  }
  bool on_number_part(string_view part, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(int64_t value, string_view, error_code&) { return add_number(Json(value)); }
  bool on_uint64(uint64_t value, string_view, error_code&) { return add_number(Json(value)); }
  // The parser's own value may be off in its last bits.
  bool on_double(double value, string_view part, error_code&) {
    text_.append(part.data(), part.size());
    double exact = 0;
    const auto read = std::from_chars(text_.data(), text_.data() + text_.size(), exact);
    return add_number(Json(read.ec == std::errc() ? exact : value));
  }
  bool on_bool(bool value, error_code&) { return add(Json(value)); }
  bool on_null(error_code&) { return add(Json()); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  struct Keys {
    std::string current;
    std::unordered_set<std::string> names;
  };

  bool open(Json container) {
    stack_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Json done = std::move(stack_.back());
    stack_.pop_back();
    return add(std::move(done));
  }
  bool add_number(Json value) {
    text_.clear();
    return add(std::move(value));
  }
  bool add(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_array()) {
      stack_.back().as_array().push_back(std::move(value));
    } else {
      stack_.back().as_object().emplace_back(std::move(keys_.back().current), std::move(value));
    }
    return true;
  }

  bool unique_keys_;
  Json root_;
  std::vector<Json> stack_;
  std::vector<Keys> keys_;
  std::string text_;
  std::string duplicate_;
};

}  // namespace

std::variant<Json, JsonError> parse_json(std::string_view text, const JsonLimits& limits) {
  boost::json::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.max_depth);
  boost::json::basic_parser<Builder> parser(options, limits.unique_keys);
  boost::json::error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec) {
    if (!parser.handler().duplicate().empty() || ec == boost::json::error::exception) {
      return JsonError{used, "duplicate key \"" + parser.handler().duplicate() + "\""};
    }
    return JsonError{used, "not valid JSON (" + ec.message() + ")"};
  }
  const std::size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos) {
    return JsonError{rest, "text after the JSON value"};
  }
  return parser.handler().take();
}

namespace {

void dump_string(std::string_view text, std::string& out) {
  out.push_back('"');
  while (!text.empty()) {
    const char c = text.front();
    std::size_t length = utf8_sequence_length(text);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      out.append("\\u00");
      out.push_back(kHex[(c >> 4) & 15]);
      out.push_back(kHex[c & 15]);
    } else if (length == 0) {
      out.append("\xEF\xBF\xBD");
      length = 1;
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out.push_back('"');
}

void dump_double(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  out.append(text);
  if (text.find_first_of(".eE") == std::string_view::npos) {
    out.append(".0");
  }
}

void break_line(int indent, int depth, std::string& out) {
  if (indent > 0) {
    out.push_back('\n');
    out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
  }
}

void dump(const Json& value, int indent, int depth, std::string& out) {
  if (value.is_null()) {
    out.append("null");
  } else if (value.is_bool()) {
    out.append(value.as_bool() ? "true" : "false");
  } else if (value.is_int()) {
    out.append(std::to_string(value.as_int()));
  } else if (value.is_double()) {
    dump_double(value.as_double(), out);
  } else if (value.is_string()) {
    dump_string(value.as_string(), out);
  } else if (value.is_array()) {
    out.push_back('[');
    const char* separator = "";
    for (const Json& item : value.as_array()) {
      out.append(separator);
      break_line(indent, depth + 1, out);
      dump(item, indent, depth + 1, out);
      separator = indent > 0 ? "," : ", ";
    }
    if (!value.as_array().empty()) break_line(indent, depth, out);
    out.push_back(']');
  } else {
    out.push_back('{');
    const char* separator = "";
    for (const Json::Member& member : value.as_object()) {
      out.append(separator);
      break_line(indent, depth + 1, out);
      dump_string(member.first, out);
      out.append(": ");
      dump(member.second, indent, depth + 1, out);
      separator = indent > 0 ? "," : ", ";
    }
    if (!value.as_object().empty()) break_line(indent, depth, out);
    out.push_back('}');
  }
}

}  // namespace

std::string dump_json(const Json& value, int indent) {
  std::string out;
  dump(value, indent, 0, out);
  return out;
}

}  // namespace longship
