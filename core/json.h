#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace longship {

/// A JSON value. Objects keep the order of their keys. Value semantics; not synchronised.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(static_cast<int64_t>(value)) {}
  Json(int64_t value) : value_(value) {}
  Json(uint64_t value);  ///< Beyond int64 it becomes a double.
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// Accessors: the caller has checked the type (a mismatch throws std::bad_variant_access).
  bool as_bool() const { return std::get<bool>(value_); }
  int64_t as_int() const { return std::get<int64_t>(value_); }
  double as_double() const { return is_int() ? static_cast<double>(as_int()) : std::get<double>(value_); }
  const std::string& as_string() const { return std::get<std::string>(value_); }
  const Array& as_array() const { return std::get<Array>(value_); }
  Array& as_array() { return std::get<Array>(value_); }
  const Object& as_object() const { return std::get<Object>(value_); }
  Object& as_object() { return std::get<Object>(value_); }

  /// The member `key` of an object, or nullptr (also when this is not an object).
  const Json* find(std::string_view key) const;
  /// Appends or replaces the member `key`; a null value becomes an object first.
  void set(std::string_view key, Json value);

  /// "null", "boolean", "integer", "number", "string", "array" or "object", for messages.
  std::string_view type_name() const;

  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

struct JsonLimits {
  int max_depth = 64;
  bool unique_keys = true;  ///< A duplicate key of one object is an error.
};

/// Why and where a text is not JSON. `offset` counts bytes from the beginning of the text.
struct JsonError {
  uint64_t offset = 0;
  std::string rule;
};

/// Parses exactly one JSON value (RFC 8259: UTF-8 checked, no comments, only white space after it).
/// Returns the value or the error; memory is proportional to the text.
std::variant<Json, JsonError> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Compact JSON text; UTF-8 passes through, bytes that are not UTF-8 become U+FFFD. Doubles that
/// are not finite become null. `indent` > 0 breaks lines.
std::string dump_json(const Json& value, int indent = 0);

}  // namespace longship
