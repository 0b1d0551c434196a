#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "engine/text/jinja/error.h"

namespace longship::jinja {

class Value;
class Runtime;

/// Python's integers as far as templates need them; results beyond are errors.
using Int = __int128;
using Items = std::vector<Value>;

struct Undefined {
  std::string name;  ///< For messages.
};
struct None {};

/// Text with its number of code points, counted once.
struct Text {
  std::string bytes;
  mutable int64_t length = -1;
  bool markup = false;  ///< Safe or escaped: what is added to it is escaped.
};

enum class SequenceKind : uint8_t { kList, kTuple, kRange, kGenerator, kDictItems, kDictKeys, kDictValues, kGroup };

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  Items items;
  int depth = 1;
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  ///< In order of insertion.
  int depth = 1;

  const Value* find(const Value& key) const;
};

/// Keyword arguments, in order.
using Keywords = std::vector<std::pair<std::string, Value>>;

struct Arguments {
  Items positional;
  Keywords keywords;
};

struct Callable {
  std::string name;
  std::function<Value(Runtime&, Arguments&)> call;
};

/// An object with attributes of its own: namespace, loop, macro, cycler, joiner, self.
struct Object {
  std::string type;
  bool is_namespace = false;
  std::vector<std::pair<std::string, Value>> attributes;
  std::function<Value(Runtime&, Arguments&)> call;          ///< Empty: not callable.
  std::function<Value(const std::string& name)> attribute;  ///< Attributes that are computed; may be empty.
};

/// A value of the template language, with Python's meaning. Copies share what they hold; strings, sequences and dicts
/// never change once made.
class Value {
 public:
  Value() : data_(None{}) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(static_cast<Int>(value)) {}
  Value(int64_t value) : data_(static_cast<Int>(value)) {}
  Value(std::size_t value) : data_(static_cast<Int>(value)) {}
  Value(Int value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(std::string text) : data_(std::make_shared<const Text>(Text{std::move(text), -1, false})) {}
  Value(Callable callable) : data_(std::make_shared<const Callable>(std::move(callable))) {}
  Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}

  static Value markup(std::string text);
  static Value list(Items items) { return sequence(SequenceKind::kList, std::move(items)); }
  static Value tuple(Items items) { return sequence(SequenceKind::kTuple, std::move(items)); }
  /// Errors: TemplateError when nested too deep.
  static Value sequence(SequenceKind kind, Items items);
  static Value dict(std::vector<std::pair<Value, Value>> items);
  static Value from_json(const Json& json);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<Int>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::shared_ptr<const Text>>(data_); }
  bool is_sequence() const { return std::holds_alternative<std::shared_ptr<const Sequence>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(data_); }
  bool is_object() const { return std::holds_alternative<std::shared_ptr<Object>>(data_); }
  bool is_callable() const;
  bool is_markup() const { return is_string() && std::get<std::shared_ptr<const Text>>(data_)->markup; }
  bool is_sequence(SequenceKind kind) const { return is_sequence() && as_sequence().kind == kind; }
  /// A list or tuple, as opposed to what can only be iterated over.
  bool is_list_or_tuple() const { return is_sequence(SequenceKind::kList) || is_sequence(SequenceKind::kTuple); }

  const Undefined& as_undefined() const { return std::get<Undefined>(data_); }
  /// An integer or a bool as an integer.
  Int as_int() const { return is_bool() ? Int{std::get<bool>(data_)} : std::get<Int>(data_); }
  bool as_bool() const { return std::get<bool>(data_); }
  /// Any number as a float.
  double as_double() const { return is_float() ? std::get<double>(data_) : static_cast<double>(as_int()); }
  const std::string& as_string() const { return std::get<std::shared_ptr<const Text>>(data_)->bytes; }
  /// Code points of a string.
  int64_t string_length() const;
  const Sequence& as_sequence() const { return *std::get<std::shared_ptr<const Sequence>>(data_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  const Callable& as_callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
  const std::shared_ptr<Object>& as_object() const { return std::get<std::shared_ptr<Object>>(data_); }
  /// Whether both hold the same object.
  bool same(const Value& other) const;

  bool truthy() const;
  /// Python's name of the type, for messages.
  std::string type_name() const;
  int depth() const;

 private:
  std::variant<Undefined, None, bool, Int, double, std::shared_ptr<const Text>, std::shared_ptr<const Sequence>,
               std::shared_ptr<const Dict>, std::shared_ptr<const Callable>, std::shared_ptr<Object>>
      data_;
};

/// Python's ==.
bool equal(const Value& a, const Value& b);
/// Python's <. Errors: TemplateError for types that have no order.
bool less(const Value& a, const Value& b);
/// What a for loop sees: items, keys, characters. Errors: TemplateError for what cannot be iterated over.
Items iterate(const Value& value);
/// str(value) and repr(value).
std::string to_string(const Value& value);
std::string repr(const Value& value);
std::string int_to_string(Int value);
/// Python's repr of a float: the shortest digits that read back the same.
std::string float_to_string(double value);

}  // namespace longship::jinja
