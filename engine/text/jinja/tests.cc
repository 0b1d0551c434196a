#include <algorithm>

#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

using Test = bool (*)(Runtime&, const Value&, const Items&);

struct Entry {
  std::string_view name;
  std::size_t arguments;
  Test test;
};

Int integer(const Value& value) {
  if (!value.is_number() || value.is_float()) {
    throw TemplateError("an integer is required, not " + value.type_name());
  }
  return value.as_int();
}

template <const char* op>
bool compares(Runtime&, const Value& value, const Items& arguments) {
  return compare(op, value, arguments[0]);
}

constexpr char kEq[] = "==";
constexpr char kNe[] = "!=";
constexpr char kLt[] = "<";
constexpr char kLe[] = "<=";
constexpr char kGt[] = ">";
constexpr char kGe[] = ">=";
constexpr char kIn[] = "in";

bool is_iterable(const Value& value) {
  return value.is_sequence() || value.is_string() || value.is_dict() || value.is_undefined();
}

constexpr Entry kTests[] = {
    {"defined", 0, [](Runtime&, const Value& v, const Items&) { return !v.is_undefined(); }},
    {"undefined", 0, [](Runtime&, const Value& v, const Items&) { return v.is_undefined(); }},
    {"none", 0, [](Runtime&, const Value& v, const Items&) { return v.is_none(); }},
    {"string", 0, [](Runtime&, const Value& v, const Items&) { return v.is_string(); }},
    {"number", 0, [](Runtime&, const Value& v, const Items&) { return v.is_number(); }},
    {"integer", 0, [](Runtime&, const Value& v, const Items&) { return v.is_int(); }},
    {"float", 0, [](Runtime&, const Value& v, const Items&) { return v.is_float(); }},
    {"boolean", 0, [](Runtime&, const Value& v, const Items&) { return v.is_bool(); }},
    {"true", 0, [](Runtime&, const Value& v, const Items&) { return v.is_bool() && v.as_bool(); }},
    {"false", 0, [](Runtime&, const Value& v, const Items&) { return v.is_bool() && !v.as_bool(); }},
    {"mapping", 0, [](Runtime&, const Value& v, const Items&) { return v.is_dict(); }},
    {"sequence", 0,
     [](Runtime&, const Value& v, const Items&) {
       return v.is_string() || v.is_dict() || v.is_undefined() || v.is_list_or_tuple() ||
              v.is_sequence(SequenceKind::kRange);
     }},
    {"iterable", 0, [](Runtime&, const Value& v, const Items&) { return is_iterable(v); }},
    {"callable", 0, [](Runtime&, const Value& v, const Items&) { return v.is_callable(); }},
    {"even", 0, [](Runtime&, const Value& v, const Items&) { return integer(v) % 2 == 0; }},
    {"odd", 0, [](Runtime&, const Value& v, const Items&) { return integer(v) % 2 != 0; }},
    {"divisibleby", 1,
     [](Runtime& r, const Value& v, const Items& a) { return equal(binary(r, "%", v, a[0]), Value(0)); }},
    {"lower", 0,
     [](Runtime&, const Value& v, const Items&) {
       return lower(to_string(v)) == to_string(v) && upper(to_string(v)) != to_string(v);
     }},
    {"upper", 0,
     [](Runtime&, const Value& v, const Items&) {
       return upper(to_string(v)) == to_string(v) && lower(to_string(v)) != to_string(v);
     }},
    {"eq", 1, compares<kEq>},
    {"equalto", 1, compares<kEq>},
    {"==", 1, compares<kEq>},
    {"ne", 1, compares<kNe>},
    {"!=", 1, compares<kNe>},
    {"lt", 1, compares<kLt>},
    {"lessthan", 1, compares<kLt>},
    {"<", 1, compares<kLt>},
    {"le", 1, compares<kLe>},
    {"<=", 1, compares<kLe>},
    {"gt", 1, compares<kGt>},
    {"greaterthan", 1, compares<kGt>},
    {">", 1, compares<kGt>},
    {"ge", 1, compares<kGe>},
    {">=", 1, compares<kGe>},
    {"in", 1, compares<kIn>},
    {"sameas", 1,
     [](Runtime&, const Value& v, const Items& a) { return v.type_name() == a[0].type_name() && v.same(a[0]); }},
    {"filter", 0, [](Runtime&, const Value& v, const Items&) { return v.is_string() && has_filter(v.as_string()); }},
    {"test", 0, [](Runtime&, const Value& v, const Items&) { return v.is_string() && has_test(v.as_string()); }},
    {"escaped", 0, [](Runtime&, const Value& v, const Items&) { return v.is_markup(); }},
};

const Entry* find(std::string_view name) {
  const auto entry = std::find_if(std::begin(kTests), std::end(kTests), [&](const Entry& e) { return e.name == name; });
  return entry == std::end(kTests) ? nullptr : entry;
}

}  // namespace

bool has_test(std::string_view name) {
  return find(name) != nullptr;
}

bool apply_test(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
  const Entry* entry = find(name);
  if (entry == nullptr) {
    throw TemplateError("no test named '" + name + "'");
  }
  if (arguments.positional.size() != entry->arguments || !arguments.keywords.empty()) {
    throw TemplateError("the test '" + name + "' takes " + std::to_string(entry->arguments) + " arguments");
  }
  runtime.charge();
  return entry->test(runtime, value, arguments.positional);
}

}  // namespace longship::jinja
