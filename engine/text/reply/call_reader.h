#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/text/reply/json_scanner.h"
#include "engine/text/reply/reply_event.h"

namespace longship {

/// Reads one call byte by byte: {"name": NAME, "arguments": {...}}, keys in any order and "parameters" for "arguments";
/// or, headed, NAME[ARGS]{...}. The call begins for the client when its name and the beginning of its arguments are
/// there; the arguments are passed on as they are written, but for control characters in strings, which are escaped.
class CallReader {
 public:
  enum class Step : uint8_t {
    kMore,  ///< The byte belongs to the call, which goes on.
    kEnd,   ///< The byte is the call's last.
    kBad,   ///< This is no call, or one that breaks off before this byte.
  };
  enum class Shape : uint8_t { kObject, kHeaded };

  using Functions = std::span<const std::string>;

  /// `functions`, which outlive this: a call of another name is bad; none given: all names are taken.
  explicit CallReader(Shape shape, std::optional<Functions> functions = std::nullopt);

  /// kCallEnd is given with kEnd only.
  Step push(char byte, ReplyEvents& events);
  /// Whether kCallBegin was given.
  bool begun() const { return begun_; }

 private:
  enum class State : uint8_t { kHead, kOpen, kKey, kInKey, kColon, kValue, kInValue, kAfterValue };
  enum class Role : uint8_t { kName, kArguments, kOther };

  Step structure(char byte, ReplyEvents& events);
  Step head(char byte, ReplyEvents& events);
  Step in_key(char byte);
  Step begin_value(char byte, ReplyEvents& events);
  Step in_value(char byte, ReplyEvents& events);
  void add_value_byte(char byte, bool in_string);
  bool take_value();
  bool take_arguments();
  bool take_name(std::string name);
  void show(ReplyEvents& events);
  Step end(ReplyEvents& events);

  Shape shape_;
  std::optional<Functions> functions_;
  State state_;
  Role role_ = Role::kOther;
  JsonScanner scanner_;
  std::string text_;       ///< Of the head, the key or the value that is read, but for arguments that are an object.
  std::string arguments_;  ///< Not shown yet.
  std::string name_;
  bool has_arguments_ = false;
  bool argument_object_ = false;  ///< The arguments are an object, as they should.
  bool begun_ = false;
};

}  // namespace longship
