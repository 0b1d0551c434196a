#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "engine/text/jinja/value.h"

namespace longship::jinja {

/// What rendering may use up.
struct Limits {
  int64_t steps = 1'000'000;  ///< Nodes walked, and work by volume.
  int64_t output_bytes = int64_t{16} << 20;
  int calls = 64;  ///< Macros inside macros, loops inside recursive loops.
};

/// What functions, filters and methods share while a template is rendered: the limits and the clock. Each rendering
/// has one of its own, in one thread.
class Runtime {
 public:
  Runtime(const Limits& limits, const std::tm& now) : limits_(limits), now_(now) {}

  const Limits& limits() const { return limits_; }
  const std::tm& now() const { return now_; }

  /// Counts work: one step, and one more for each 64 items or bytes. Errors: TemplateError beyond the limit.
  void charge(int64_t volume = 0);
  /// Errors: TemplateError if a result of this many items or bytes is too large. Charges for it.
  void check_size(int64_t volume);

  /// Counts calls inside calls. Errors: TemplateError beyond the limit.
  void enter_call();
  void leave_call() { --calls_; }
  /// Objects that may hold each other are emptied at the end, so that none is left over.
  void track(const std::shared_ptr<Object>& object) { objects_.push_back(object); }
  void release();

 private:
  Limits limits_;
  std::tm now_;
  int64_t steps_ = 0;
  int calls_ = 0;
  std::vector<std::weak_ptr<Object>> objects_;
};

/// Arguments of a native function by name: `names` are its parameters, in order. What is missing is Undefined.
/// Errors: TemplateError for too many arguments or unknown keywords.
Items bind(const std::string& function, const std::vector<std::string_view>& names, const Arguments& arguments);

// Operators (operators.cc). Errors: TemplateError, as Python would.
Value unary(const std::string& op, const Value& value);
Value binary(Runtime& runtime, const std::string& op, const Value& left, const Value& right);
bool compare(const std::string& op, const Value& left, const Value& right);
Value attribute(Runtime& runtime, const Value& object, const std::string& name);
Value item(Runtime& runtime, const Value& object, const Value& key);
Value slice(const Value& object, const Value& begin, const Value& end, const Value& step);
Value call(Runtime& runtime, const Value& function, Arguments arguments);
/// A whole number for an index or a count. Errors: TemplateError for anything else.
int64_t to_index(const Value& value);

// Methods of strings, lists and dicts (methods.cc); Undefined if there is none of that name.
Value method(const Value& object, const std::string& name);

// Filters and tests (filters_*.cc, tests.cc).
bool has_filter(std::string_view name);
Value apply_filter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);
bool has_test(std::string_view name);
bool apply_test(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);

// str.format and % (format.cc).
std::string format_braces(Runtime& runtime, std::string_view format, const Arguments& arguments);
std::string format_percent(Runtime& runtime, std::string_view format, const Value& values);

/// How to_json() (to_json.cc) writes, by the names of Python's json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  int indent = -1;  ///< -1: on one line.
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// The value as JSON. Errors: TemplateError for what JSON has not.
std::string to_json(const Value& value, const JsonStyle& style);

/// The functions that every template sees (globals.cc).
std::vector<std::pair<std::string, Value>> globals();

}  // namespace longship::jinja
