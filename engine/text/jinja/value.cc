#include "engine/text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

constexpr int kMaxDepth = 100;

int checked_depth(int depth) {
  if (depth > kMaxDepth) {
    throw TemplateError("values are nested too deep");
  }
  return depth;
}

}  // namespace

const Value* Dict::find(const Value& key) const {
  for (const auto& [k, v] : items) {
    if (equal(k, key)) {
      return &v;
    }
  }
  return nullptr;
}

Value Value::markup(std::string text) {
  Value value;
  value.data_ = std::make_shared<const Text>(Text{std::move(text), -1, true});
  return value;
}

Value Value::sequence(SequenceKind kind, Items items) {
  auto sequence = std::make_shared<Sequence>();
  for (const Value& item : items) {
    sequence->depth = std::max(sequence->depth, checked_depth(item.depth() + 1));
  }
  sequence->kind = kind;
  sequence->items = std::move(items);
  Value value;
  value.data_ = std::shared_ptr<const Sequence>(std::move(sequence));
  return value;
}

// Of equal keys the first stays in place with the last value, as in Python.
Value Value::dict(std::vector<std::pair<Value, Value>> items) {
  auto dict = std::make_shared<Dict>();
  for (std::pair<Value, Value>& item : items) {
    dict->depth = std::max(dict->depth, checked_depth(item.second.depth() + 1));
    const auto same = std::find_if(dict->items.begin(), dict->items.end(),
                                   [&](const auto& member) { return equal(member.first, item.first); });
    if (same != dict->items.end()) {
      same->second = std::move(item.second);
    } else {
      dict->items.push_back(std::move(item));
    }
  }
  Value value;
  value.data_ = std::shared_ptr<const Dict>(std::move(dict));
  return value;
}

Value Value::from_json(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_bool()) return json.as_bool();
  if (json.is_int()) return json.as_int();
  if (json.is_double()) return json.as_double();
  if (json.is_string()) return json.as_string();
  if (json.is_array()) {
    Items items;
    for (const Json& item : json.as_array()) {
      items.push_back(from_json(item));
    }
    return list(std::move(items));
  }
  // The parser has refused duplicate keys, so the dict is made without looking for them.
  auto dict = std::make_shared<Dict>();
  for (const Json::Member& member : json.as_object()) {
    dict->items.emplace_back(Value(member.first), from_json(member.second));
    dict->depth = std::max(dict->depth, checked_depth(dict->items.back().second.depth() + 1));
  }
  Value value;
  value.data_ = std::shared_ptr<const Dict>(std::move(dict));
  return value;
}

bool Value::is_callable() const {
  return std::holds_alternative<std::shared_ptr<const Callable>>(data_) || (is_object() && as_object()->call);
}

int64_t Value::string_length() const {
  const Text& text = *std::get<std::shared_ptr<const Text>>(data_);
  if (text.length < 0) {
    text.length = count_code_points(text.bytes);
  }
  return text.length;
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) {
    return false;
  }
  if (is_sequence()) return &as_sequence() == &other.as_sequence();
  if (is_dict()) return &as_dict() == &other.as_dict();
  if (is_object()) return as_object() == other.as_object();
  return equal(*this, other);
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_bool()) return as_bool();
  if (is_int()) return as_int() != 0;
  if (is_float()) return as_double() != 0;
  if (is_string()) return !as_string().empty();
  if (is_sequence()) return is_sequence(SequenceKind::kGenerator) || !as_sequence().items.empty();
  if (is_dict()) return !as_dict().items.empty();
  return true;
}

std::string Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (is_string()) return "str";
  if (is_sequence()) {
    constexpr const char* kNames[] = {"list",       "tuple",     "range",       "generator",
                                      "dict_items", "dict_keys", "dict_values", "_GroupTuple"};
    return kNames[static_cast<int>(as_sequence().kind)];
  }
  if (is_dict()) return "dict";
  return is_object() ? as_object()->type : "function";
}

int Value::depth() const {
  if (is_sequence()) return as_sequence().depth;
  return is_dict() ? as_dict().depth : 0;
}

namespace {

bool equal_items(const Items& a, const Items& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), equal);
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_float() || b.is_float() ? a.as_double() == b.as_double() : a.as_int() == b.as_int();
  }
  if (a.is_string() && b.is_string()) return a.as_string() == b.as_string();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_sequence() && b.is_sequence()) {
    return a.as_sequence().kind == b.as_sequence().kind && equal_items(a.as_sequence().items, b.as_sequence().items);
  }
  if (a.is_dict() && b.is_dict()) {
    const Dict& x = a.as_dict();
    const Dict& y = b.as_dict();
    return x.items.size() == y.items.size() && std::all_of(x.items.begin(), x.items.end(), [&](const auto& member) {
             const Value* other = y.find(member.first);
             return other != nullptr && equal(member.second, *other);
           });
  }
  if (a.is_object() && b.is_object()) return a.as_object() == b.as_object();
  return a.is_callable() && b.is_callable() && !a.is_object() && !b.is_object() && &a.as_callable() == &b.as_callable();
}

bool less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_float() || b.is_float() ? a.as_double() < b.as_double() : a.as_int() < b.as_int();
  }
  if (a.is_string() && b.is_string()) return a.as_string() < b.as_string();  // UTF-8 has the order of code points
  if (a.is_list_or_tuple() && b.is_list_or_tuple() && a.as_sequence().kind == b.as_sequence().kind) {
    const Items& x = a.as_sequence().items;
    const Items& y = b.as_sequence().items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(x[i], y[i])) {
        return less(x[i], y[i]);
      }
    }
    return x.size() < y.size();
  }
  throw TemplateError("'<' not supported between '" + a.type_name() + "' and '" + b.type_name() + "'");
}

Items iterate(const Value& value) {
  if (value.is_undefined()) return {};
  if (value.is_sequence()) return value.as_sequence().items;
  if (value.is_string()) return characters(value.as_string());
  if (value.is_dict()) {
    Items keys;
    for (const auto& [key, item] : value.as_dict().items) {
      keys.push_back(key);
    }
    return keys;
  }
  throw TemplateError("'" + value.type_name() + "' object is not iterable");
}

namespace {

std::string join_repr(const Items& items, const char* open, const char* close) {
  std::string text = open;
  for (std::size_t i = 0; i < items.size(); ++i) {
    text += (i == 0 ? "" : ", ") + repr(items[i]);
  }
  return text + close;
}

// The end that range() was given is not kept: the first one that gives these items stands for it.
std::string repr_range(const Items& items) {
  if (items.empty()) return "range(0, 0)";
  const Int step = items.size() > 1 ? items[1].as_int() - items[0].as_int() : 1;
  const std::string bounds =
      "range(" + repr(items.front()) + ", " + int_to_string(items.back().as_int() + (step > 0 ? 1 : -1));
  return bounds + (step == 1 ? ")" : ", " + int_to_string(step) + ")");
}

std::string repr_sequence(const Sequence& sequence) {
  switch (sequence.kind) {
    case SequenceKind::kTuple:
    case SequenceKind::kGroup:
      return sequence.items.size() == 1 ? "(" + repr(sequence.items[0]) + ",)" : join_repr(sequence.items, "(", ")");
    case SequenceKind::kDictItems:
      return join_repr(sequence.items, "dict_items([", "])");
    case SequenceKind::kDictKeys:
      return join_repr(sequence.items, "dict_keys([", "])");
    case SequenceKind::kDictValues:
      return join_repr(sequence.items, "dict_values([", "])");
    case SequenceKind::kGenerator:
      return "<generator object>";
    case SequenceKind::kRange:
      return repr_range(sequence.items);
    case SequenceKind::kList:
      break;
  }
  return join_repr(sequence.items, "[", "]");
}

}  // namespace

std::string repr(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_string()) return repr_string(value.as_string());
  return to_string(value);
}

std::string to_string(const Value& value) {
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.as_bool() ? "True" : "False";
  if (value.is_int()) return int_to_string(value.as_int());
  if (value.is_float()) return float_to_string(value.as_double());
  if (value.is_string()) return value.as_string();
  if (value.is_sequence()) return repr_sequence(value.as_sequence());
  if (value.is_dict()) {
    std::string text = "{";
    for (const auto& [key, item] : value.as_dict().items) {
      text += (text.size() == 1 ? "" : ", ") + repr(key) + ": " + repr(item);
    }
    return text + "}";
  }
  return "<" + value.type_name() + ">";
}

}  // namespace longship::jinja
