#include <algorithm>

#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

using Method = Value (*)(Runtime&, const Value& self, const Arguments&);

const std::string& text_argument(const Value& value, const char* method) {
  if (!value.is_string()) {
    throw TemplateError(std::string(method) + "() takes a string, not " + value.type_name());
  }
  return value.as_string();
}

Value strip_method(const Value& self, const Arguments& arguments, bool left, bool right) {
  const Value set = bind("strip", {"chars"}, arguments)[0];
  const bool given = !set.is_undefined() && !set.is_none();
  return strip(self.as_string(), given ? &text_argument(set, "strip") : nullptr, left, right);
}

Value list_of(const std::vector<std::string>& texts) {
  Items items(texts.begin(), texts.end());
  return Value::list(std::move(items));
}

Value split_method(Runtime& runtime, const Value& self, const Arguments& arguments, bool from_right) {
  const Items bound = bind("split", {"sep", "maxsplit"}, arguments);
  const std::string& text = self.as_string();
  int64_t most = bound[1].is_undefined() ? -1 : to_index(bound[1]);
  runtime.charge(static_cast<int64_t>(text.size()));
  if (bound[0].is_undefined() || bound[0].is_none()) {
    std::vector<std::string> words = split_white_space(text, from_right ? -1 : most);
    if (from_right && most >= 0 && static_cast<int64_t>(words.size()) > most + 1) {
      // The words that are not split off stay together as they stand.
      std::string rest = text;
      std::vector<std::string> last;
      for (; most > 0; --most) {
        rest = strip(rest, nullptr, false, true);
        last.insert(last.begin(), words.back());
        rest.resize(rest.size() - words.back().size());
        words.pop_back();
      }
      last.insert(last.begin(), strip(rest, nullptr, true, true));
      words = std::move(last);
    }
    return list_of(words);
  }
  const std::string& separator = text_argument(bound[0], "split");
  if (separator.empty()) {
    throw TemplateError("empty separator");
  }
  std::vector<std::string> parts;
  if (from_right) {
    std::size_t end = text.size();
    for (; most != 0; --most) {
      const std::size_t found =
          end >= separator.size() ? text.rfind(separator, end - separator.size()) : std::string::npos;
      if (found == std::string::npos) {
        break;
      }
      parts.insert(parts.begin(), text.substr(found + separator.size(), end - found - separator.size()));
      end = found;
    }
    parts.insert(parts.begin(), text.substr(0, end));
    return list_of(parts);
  }
  std::size_t at = 0;
  for (; most != 0; --most) {
    const std::size_t found = text.find(separator, at);
    if (found == std::string::npos) {
      break;
    }
    parts.push_back(text.substr(at, found - at));
    at = found + separator.size();
  }
  parts.push_back(text.substr(at));
  return list_of(parts);
}

// startswith and endswith: one string or a tuple of them.
Value ends_method(const Value& self, const Arguments& arguments, bool at_begin) {
  const Value wanted = bind("startswith", {"prefix"}, arguments)[0];
  const auto matches = [&](const Value& part) {
    const std::string& text = text_argument(part, "startswith");
    return at_begin ? self.as_string().rfind(text, 0) == 0 : self.as_string().ends_with(text);
  };
  if (wanted.is_sequence(SequenceKind::kTuple)) {
    const Items& parts = wanted.as_sequence().items;
    return std::any_of(parts.begin(), parts.end(), matches);
  }
  return matches(wanted);
}

Value find_method(const Value& self, const Arguments& arguments, bool from_right, bool must) {
  const Items bound = bind("find", {"sub", "start", "end"}, arguments);
  const std::string& wanted = text_argument(bound[0], "find");
  const int64_t length = self.string_length();
  const auto position = [&](const Value& value, int64_t fallback) {
    const int64_t index = value.is_undefined() || value.is_none() ? fallback : to_index(value);
    return std::clamp<int64_t>(index < 0 ? index + length : index, 0, length);
  };
  const int64_t begin = position(bound[1], 0);
  const int64_t end = std::max(begin, position(bound[2], length));
  const std::string part = substring(self, begin, end);
  const std::size_t found = from_right ? part.rfind(wanted) : part.find(wanted);
  if (found == std::string::npos) {
    if (must) {
      throw TemplateError("substring not found");
    }
    return -1;
  }
  return begin + count_code_points(std::string_view(part).substr(0, found));
}

Value count_method(const Value& self, const Arguments& arguments) {
  const std::string& wanted = text_argument(bind("count", {"sub"}, arguments)[0], "count");
  if (wanted.empty()) {
    return self.string_length() + 1;
  }
  int64_t count = 0;
  for (std::size_t at = self.as_string().find(wanted); at != std::string::npos;
       at = self.as_string().find(wanted, at + wanted.size())) {
    ++count;
  }
  return count;
}

Value replace_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Items bound = bind("replace", {"old", "new", "count"}, arguments);
  const std::string& from = text_argument(bound[0], "replace");
  const std::string& to = text_argument(bound[1], "replace");
  const int64_t size = static_cast<int64_t>(self.as_string().size());
  // An upper bound of the result, before it is made.
  runtime.check_size(size + (size / std::max<int64_t>(1, static_cast<int64_t>(from.size())) + 1) / 8 *
                                static_cast<int64_t>(to.size()));
  std::string result = replace_all(self.as_string(), from, to, bound[2].is_undefined() ? -1 : to_index(bound[2]));
  runtime.check_size(static_cast<int64_t>(result.size()));
  return result;
}

Value join_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  std::string result;
  bool first = true;
  for (const Value& item : iterate(bind("join", {"iterable"}, arguments)[0])) {
    result += first ? "" : self.as_string();
    result += text_argument(item, "join");
    first = false;
  }
  runtime.check_size(static_cast<int64_t>(result.size()));
  return result;
}

Value partition_method(const Value& self, const Arguments& arguments, bool from_right) {
  const std::string& separator = text_argument(bind("partition", {"sep"}, arguments)[0], "partition");
  const std::string& text = self.as_string();
  const std::size_t found = from_right ? text.rfind(separator) : text.find(separator);
  if (found == std::string::npos) {
    return from_right ? Value::tuple({"", "", self}) : Value::tuple({self, "", ""});
  }
  return Value::tuple({text.substr(0, found), separator, text.substr(found + separator.size())});
}

Value pad_method(const Value& self, const Arguments& arguments, bool left, bool right) {
  const Items bound = bind("ljust", {"width", "fillchar"}, arguments);
  return pad(self.as_string(), to_index(bound[0]),
             bound[1].is_undefined() ? std::string(" ") : text_argument(bound[1], "ljust"), left, right);
}

Value zfill_method(const Value& self, const Arguments& arguments) {
  const std::string& text = self.as_string();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const int64_t width = to_index(bind("zfill", {"width"}, arguments)[0]) - (sign ? 1 : 0);
  return text.substr(0, sign ? 1 : 0) + pad(text.substr(sign ? 1 : 0), width, "0", true, false);
}

Value expand_tabs(const Value& self, const Arguments& arguments) {
  const Value given = bind("expandtabs", {"tabsize"}, arguments)[0];
  const int64_t size = given.is_undefined() ? 8 : std::clamp<int64_t>(to_index(given), 0, 1024);
  std::string out;
  int64_t column = 0;
  for (const int32_t c : code_points(self.as_string())) {
    if (c == '\t') {
      const int64_t spaces = size == 0 ? 0 : size - column % size;
      out.append(static_cast<std::size_t>(spaces), ' ');
      column += spaces;
    } else {
      out += from_code_points({c});
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return out;
}

// isalpha and the like: there is a character, and all are of the class. Classes by what changing case does.
template <class InClass>
Value all_characters(const Value& self, InClass in_class) {
  const std::vector<int32_t> points = code_points(self.as_string());
  return !points.empty() && std::all_of(points.begin(), points.end(), in_class);
}

bool is_digit(int32_t c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(int32_t c) {
  const std::string text = from_code_points({c});
  return upper(text) != text || lower(text) != text ||
         (c >= 0x80 && !is_python_space(c) && c > 0xBF && (c < 0x2000 || c > 0x2BFF) && (c < 0x3000 || c > 0x3004));
}

Value is_cased(const Value& self, bool upper_case) {
  const std::string& text = self.as_string();
  return (upper_case ? upper(text) : lower(text)) == text && (upper(text) != text || lower(text) != text);
}

struct Entry {
  std::string_view name;
  Method method;
};

constexpr Entry kStringMethods[] = {
    {"strip", [](Runtime&, const Value& s, const Arguments& a) { return strip_method(s, a, true, true); }},
    {"lstrip", [](Runtime&, const Value& s, const Arguments& a) { return strip_method(s, a, true, false); }},
    {"rstrip", [](Runtime&, const Value& s, const Arguments& a) { return strip_method(s, a, false, true); }},
    {"split", [](Runtime& r, const Value& s, const Arguments& a) { return split_method(r, s, a, false); }},
    {"rsplit", [](Runtime& r, const Value& s, const Arguments& a) { return split_method(r, s, a, true); }},
    {"splitlines", [](Runtime&, const Value& s, const Arguments&) { return list_of(split_lines(s.as_string())); }},
    {"partition", [](Runtime&, const Value& s, const Arguments& a) { return partition_method(s, a, false); }},
    {"rpartition", [](Runtime&, const Value& s, const Arguments& a) { return partition_method(s, a, true); }},
    {"upper", [](Runtime&, const Value& s, const Arguments&) { return Value(upper(s.as_string())); }},
    {"lower", [](Runtime&, const Value& s, const Arguments&) { return Value(lower(s.as_string())); }},
    {"casefold", [](Runtime&, const Value& s, const Arguments&) { return Value(lower(s.as_string())); }},
    {"title", [](Runtime&, const Value& s, const Arguments&) { return Value(title(s.as_string())); }},
    {"capitalize", [](Runtime&, const Value& s, const Arguments&) { return Value(capitalize(s.as_string())); }},
    {"swapcase", [](Runtime&, const Value& s, const Arguments&) { return Value(swapcase(s.as_string())); }},
    {"startswith", [](Runtime&, const Value& s, const Arguments& a) { return ends_method(s, a, true); }},
    {"endswith", [](Runtime&, const Value& s, const Arguments& a) { return ends_method(s, a, false); }},
    {"find", [](Runtime&, const Value& s, const Arguments& a) { return find_method(s, a, false, false); }},
    {"rfind", [](Runtime&, const Value& s, const Arguments& a) { return find_method(s, a, true, false); }},
    {"index", [](Runtime&, const Value& s, const Arguments& a) { return find_method(s, a, false, true); }},
    {"rindex", [](Runtime&, const Value& s, const Arguments& a) { return find_method(s, a, true, true); }},
    {"count", [](Runtime&, const Value& s, const Arguments& a) { return count_method(s, a); }},
    {"replace", replace_method},
    {"join", join_method},
    {"format",
     [](Runtime& r, const Value& s, const Arguments& a) { return Value(format_braces(r, s.as_string(), a)); }},
    {"ljust", [](Runtime&, const Value& s, const Arguments& a) { return pad_method(s, a, false, true); }},
    {"rjust", [](Runtime&, const Value& s, const Arguments& a) { return pad_method(s, a, true, false); }},
    {"center", [](Runtime&, const Value& s, const Arguments& a) { return pad_method(s, a, true, true); }},
    {"zfill", [](Runtime&, const Value& s, const Arguments& a) { return zfill_method(s, a); }},
    {"expandtabs", [](Runtime&, const Value& s, const Arguments& a) { return expand_tabs(s, a); }},
    {"removeprefix",
     [](Runtime&, const Value& s, const Arguments& a) {
       const std::string& prefix = text_argument(bind("removeprefix", {"prefix"}, a)[0], "removeprefix");
       return s.as_string().rfind(prefix, 0) == 0 ? Value(s.as_string().substr(prefix.size())) : s;
     }},
    {"removesuffix",
     [](Runtime&, const Value& s, const Arguments& a) {
       const std::string& suffix = text_argument(bind("removesuffix", {"suffix"}, a)[0], "removesuffix");
       return s.as_string().ends_with(suffix) ? Value(s.as_string().substr(0, s.as_string().size() - suffix.size()))
                                              : s;
     }},
    {"isdigit", [](Runtime&, const Value& s, const Arguments&) { return all_characters(s, is_digit); }},
    {"isnumeric", [](Runtime&, const Value& s, const Arguments&) { return all_characters(s, is_digit); }},
    {"isdecimal", [](Runtime&, const Value& s, const Arguments&) { return all_characters(s, is_digit); }},
    {"isalpha", [](Runtime&, const Value& s, const Arguments&) { return all_characters(s, is_alpha); }},
    {"isalnum",
     [](Runtime&, const Value& s, const Arguments&) {
       return all_characters(s, [](int32_t c) { return is_digit(c) || is_alpha(c); });
     }},
    {"isspace", [](Runtime&, const Value& s, const Arguments&) { return all_characters(s, is_python_space); }},
    {"isupper", [](Runtime&, const Value& s, const Arguments&) { return is_cased(s, true); }},
    {"islower", [](Runtime&, const Value& s, const Arguments&) { return is_cased(s, false); }},
    {"istitle",
     [](Runtime&, const Value& s, const Arguments&) {
       return Value(title(s.as_string()) == s.as_string() && upper(s.as_string()) != lower(s.as_string()));
     }},
    {"isascii",
     [](Runtime&, const Value& s,
        const Arguments&) { return Value(s.string_length() == static_cast<int64_t>(s.as_string().size())); }},
    {"encode", [](Runtime&, const Value& s, const Arguments&) { return Value("b" + repr_string(s.as_string())); }},
};

Value refuse_change(Runtime&, const Value& self, const Arguments&) {
  throw TemplateError("a " + self.type_name() + " may not be changed");
}

Value index_of(const Value& self, const Arguments& arguments) {
  const Value wanted = bind("index", {"value"}, arguments)[0];
  const Items& items = self.as_sequence().items;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Value& item) { return equal(item, wanted); });
  if (found == items.end()) {
    throw TemplateError("the value is not in the list");
  }
  return static_cast<int64_t>(found - items.begin());
}

Value count_of(const Value& self, const Arguments& arguments) {
  const Value wanted = bind("count", {"value"}, arguments)[0];
  const Items& items = self.as_sequence().items;
  return static_cast<int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equal(item, wanted); }));
}

constexpr Entry kListMethods[] = {
    {"index", [](Runtime&, const Value& s, const Arguments& a) { return index_of(s, a); }},
    {"count", [](Runtime&, const Value& s, const Arguments& a) { return count_of(s, a); }},
    {"copy", [](Runtime&, const Value& s, const Arguments&) { return s; }},
    {"append", refuse_change},
    {"clear", refuse_change},
    {"extend", refuse_change},
    {"insert", refuse_change},
    {"pop", refuse_change},
    {"remove", refuse_change},
    {"reverse", refuse_change},
    {"sort", refuse_change},
};

Value view(const Value& self, SequenceKind kind) {
  Items items;
  for (const auto& [key, value] : self.as_dict().items) {
    items.push_back(kind == SequenceKind::kDictItems ? Value::tuple({key, value})
                                                     : (kind == SequenceKind::kDictKeys ? key : value));
  }
  return Value::sequence(kind, std::move(items));
}

Value get_method(const Value& self, const Arguments& arguments) {
  const Items bound = bind("get", {"key", "default"}, arguments);
  if (const Value* found = self.as_dict().find(bound[0])) {
    return *found;
  }
  return bound[1].is_undefined() && arguments.positional.size() < 2 && arguments.keywords.empty() ? Value() : bound[1];
}

constexpr Entry kDictMethods[] = {
    {"items", [](Runtime&, const Value& s, const Arguments&) { return view(s, SequenceKind::kDictItems); }},
    {"keys", [](Runtime&, const Value& s, const Arguments&) { return view(s, SequenceKind::kDictKeys); }},
    {"values", [](Runtime&, const Value& s, const Arguments&) { return view(s, SequenceKind::kDictValues); }},
    {"get", [](Runtime&, const Value& s, const Arguments& a) { return get_method(s, a); }},
    {"copy", [](Runtime&, const Value& s, const Arguments&) { return s; }},
    {"clear", refuse_change},
    {"pop", refuse_change},
    {"popitem", refuse_change},
    {"setdefault", refuse_change},
    {"update", refuse_change},
};

template <std::size_t N>
Value find_entry(const Entry (&entries)[N], const Value& object, const std::string& name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) {
      return Callable{name, [object, method = entry.method](Runtime& runtime, Arguments& arguments) {
                        runtime.charge(object.is_string() ? static_cast<int64_t>(object.as_string().size()) : 0);
                        return method(runtime, object, arguments);
                      }};
    }
  }
  return Undefined{name};
}

}  // namespace

Value method(const Value& object, const std::string& name) {
  if (object.is_string()) return find_entry(kStringMethods, object, name);
  if (object.is_list_or_tuple()) return find_entry(kListMethods, object, name);
  if (object.is_dict()) return find_entry(kDictMethods, object, name);
  return Undefined{name};
}

}  // namespace longship::jinja
