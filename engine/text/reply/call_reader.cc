#include "engine/text/reply/call_reader.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "core/json.h"

namespace longship {

namespace {

constexpr std::size_t kMostHeadBytes = 256;

bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
         byte == '-' || byte == '.';
}

std::optional<Json> parsed(std::string_view text) {
  auto result = parse_json(text);
  return std::holds_alternative<Json>(result) ? std::optional(std::get<Json>(std::move(result))) : std::nullopt;
}

// The name of NAME, NAME[ARGS] or NAME[CALL_ID]ID[ARGS]; empty if it is none of those.
std::string name_of_head(std::string_view head) {
  constexpr std::string_view kArguments = "[ARGS]";
  constexpr std::string_view kId = "[CALL_ID]";
  std::size_t length = 0;
  while (length < head.size() && is_name_byte(head[length])) {
    ++length;
  }
  std::string_view rest = head.substr(length);
  if (rest.starts_with(kId)) {
    rest.remove_prefix(std::min(rest.size(), rest.find('[', kId.size())));
  }
  return rest.empty() || rest == kArguments ? std::string(head.substr(0, length)) : std::string();
}

// A control character as JSON has it in strings.
std::string escaped(char byte) {
  char text[8];
  std::snprintf(text, sizeof(text), "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  return byte == '\n' ? "\\n" : (byte == '\t' ? "\\t" : text);
}

}  // namespace

CallReader::CallReader(Shape shape, std::optional<Functions> functions)
    : shape_(shape), functions_(functions), state_(shape == Shape::kHeaded ? State::kHead : State::kOpen) {}

CallReader::Step CallReader::push(char byte, ReplyEvents& events) {
  switch (state_) {
    case State::kHead:
      return head(byte, events);
    case State::kInKey:
      return in_key(byte);
    case State::kInValue:
      return in_value(byte, events);
    default:
      return is_json_space(byte) ? Step::kMore : structure(byte, events);
  }
}

// Outside of keys and values.
CallReader::Step CallReader::structure(char byte, ReplyEvents& events) {
  switch (state_) {
    case State::kOpen:
      state_ = State::kKey;
      return byte == '{' ? Step::kMore : Step::kBad;
    case State::kKey:
      text_.clear();
      scanner_ = {};
      state_ = State::kInKey;
      return byte == '"' ? in_key(byte) : Step::kBad;
    case State::kColon:
      state_ = State::kValue;
      return byte == ':' ? Step::kMore : Step::kBad;
    case State::kValue:
      return begin_value(byte, events);
    default:
      state_ = State::kKey;
      return byte == ',' ? Step::kMore : (byte == '}' ? end(events) : Step::kBad);
  }
}

CallReader::Step CallReader::head(char byte, ReplyEvents& events) {
  if (byte != '{') {
    text_ += byte;
    const bool possible = is_name_byte(byte) || byte == '[' || byte == ']';
    return possible && text_.size() <= kMostHeadBytes ? Step::kMore : Step::kBad;
  }
  role_ = Role::kArguments;
  return take_name(name_of_head(text_)) ? begin_value(byte, events) : Step::kBad;
}

CallReader::Step CallReader::in_key(char byte) {
  text_ += byte;
  const JsonScanner::Step step = scanner_.push(byte);
  if (step != JsonScanner::Step::kEnd) {
    return step == JsonScanner::Step::kMore ? Step::kMore : Step::kBad;
  }
  state_ = State::kColon;
  if (text_ == "\"name\"") {
    role_ = Role::kName;
    return name_.empty() ? Step::kMore : Step::kBad;
  }
  if (text_ == "\"arguments\"" || text_ == "\"parameters\"") {
    role_ = Role::kArguments;
    return has_arguments_ ? Step::kBad : Step::kMore;
  }
  role_ = Role::kOther;
  // An object that is no call shows it here: it need not be held back to its end.
  return !name_.empty() || text_ == "\"id\"" || text_ == "\"type\"" ? Step::kMore : Step::kBad;
}

CallReader::Step CallReader::begin_value(char byte, ReplyEvents& events) {
  text_.clear();
  scanner_ = {};
  state_ = State::kInValue;
  if (role_ == Role::kArguments) {
    has_arguments_ = true;
    argument_object_ = byte == '{';
  }
  return in_value(byte, events);
}

CallReader::Step CallReader::in_value(char byte, ReplyEvents& events) {
  const bool in_string = scanner_.in_string();
  const JsonScanner::Step step = scanner_.push(byte);
  if (step == JsonScanner::Step::kBad) {
    return Step::kBad;
  }
  if (step != JsonScanner::Step::kEndBefore) {
    add_value_byte(byte, in_string);
  }
  if (step != JsonScanner::Step::kMore) {
    if (!take_value()) {
      return Step::kBad;
    }
    state_ = State::kAfterValue;
  }
  show(events);
  if (step == JsonScanner::Step::kEnd && shape_ == Shape::kHeaded) {
    return end(events);
  }
  return step == JsonScanner::Step::kEndBefore ? push(byte, events) : Step::kMore;
}

void CallReader::add_value_byte(char byte, bool in_string) {
  std::string& text = role_ == Role::kArguments && argument_object_ ? arguments_ : text_;
  if (in_string && static_cast<unsigned char>(byte) < 0x20) {
    text += escaped(byte);
  } else {
    text += byte;
  }
}

// The value is complete. False: it is not what its key needs.
bool CallReader::take_value() {
  switch (role_) {
    case Role::kName: {
      const std::optional<Json> name = parsed(text_);
      return name && name->is_string() && take_name(name->as_string());
    }
    case Role::kArguments:
      return argument_object_ || take_arguments();
    default:
      return true;
  }
}

// Some models write the object as a string, or null for none.
bool CallReader::take_arguments() {
  const std::optional<Json> value = parsed(text_);
  if (!value || !(value->is_string() || value->is_null())) {
    return false;
  }
  arguments_ = value->is_null() ? "{}" : value->as_string();
  const std::optional<Json> object = parsed(arguments_);
  return object && object->is_object();
}

bool CallReader::take_name(std::string name) {
  name_ = std::move(name);
  const bool known = !functions_ || std::find(functions_->begin(), functions_->end(), name_) != functions_->end();
  return !name_.empty() && known;
}

// What the client may know by now.
void CallReader::show(ReplyEvents& events) {
  if (name_.empty() || arguments_.empty()) {
    return;
  }
  if (!begun_) {
    begun_ = true;
    events.push_back({ReplyEvent::Kind::kCallBegin, name_});
  }
  add_text(events, ReplyEvent::Kind::kArguments, arguments_);
  arguments_.clear();
}

CallReader::Step CallReader::end(ReplyEvents& events) {
  if (name_.empty()) {
    return Step::kBad;
  }
  if (!has_arguments_) {
    arguments_ = "{}";
    show(events);
  }
  events.push_back({ReplyEvent::Kind::kCallEnd, {}});
  return Step::kEnd;
}

}  // namespace longship
