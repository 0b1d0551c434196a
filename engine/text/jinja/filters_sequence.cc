#include <algorithm>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

bool given(const Value& value) {
  return !value.is_undefined();
}
bool is_true(const Value& value) {
  return given(value) && value.truthy();
}

Value length(const FilterCall& call) {
  if (call.value.is_undefined()) return 0;
  if (call.value.is_string()) return call.value.string_length();
  if (call.value.is_dict()) return call.value.as_dict().items.size();
  if (call.value.is_sequence() && !call.value.is_sequence(SequenceKind::kGenerator))
    return call.value.as_sequence().items.size();
  throw TemplateError("object of type '" + call.value.type_name() + "' has no len()");
}

Value first(const FilterCall& call) {
  const Items items = iterate(call.value);
  return items.empty() ? Value(Undefined{"first item"}) : items.front();
}

Value last(const FilterCall& call) {
  const Items items = iterate(call.value);
  return items.empty() ? Value(Undefined{"last item"}) : items.back();
}

Value join(const FilterCall& call) {
  const std::string separator = given(call.bound[0]) ? text_of(call.bound[0]) : "";
  std::string out;
  bool first_item = true;
  for (const Value& element : iterate(call.value)) {
    out += first_item ? "" : separator;
    out += text_of(given(call.bound[1]) && !call.bound[1].is_none() ? value_at(call.runtime, element, call.bound[1])
                                                                    : element);
    call.runtime.check_size(static_cast<int64_t>(separator.size()));
    first_item = false;
  }
  return out;
}

Value reverse(const FilterCall& call) {
  Items items = iterate(call.value);
  std::reverse(items.begin(), items.end());
  if (!call.value.is_string()) {
    return Value::sequence(SequenceKind::kGenerator, std::move(items));
  }
  std::string out;
  for (const Value& character : items) {
    out += character.as_string();
  }
  return out;
}

// The values by which elements are sorted or grouped: themselves, or what is at one or more paths of them.
Value sort_key(const FilterCall& call, const Value& element, const Value& paths, bool ignore_case) {
  if (!given(paths) || paths.is_none()) {
    return ignore_case ? fold_case(element) : element;
  }
  Items keys;
  std::string_view rest = paths.is_string() ? std::string_view(paths.as_string()) : std::string_view();
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    const Value path = paths.is_string() ? Value(strip(rest.substr(0, comma), nullptr, true, true)) : paths;
    rest.remove_prefix(more ? comma + 1 : 0);
    const Value key = value_at(call.runtime, element, path);
    keys.push_back(ignore_case ? fold_case(key) : key);
  }
  return keys.size() == 1 ? keys[0] : Value::list(std::move(keys));
}

struct Keyed {
  Value key;
  Value element;
};

std::vector<Keyed> sorted(const FilterCall& call, const Value& paths, bool ignore_case, bool descending) {
  std::vector<Keyed> keyed;
  for (const Value& element : iterate(call.value)) {
    keyed.push_back({sort_key(call, element, paths, ignore_case), element});
  }
  call.runtime.charge(static_cast<int64_t>(keyed.size()) * 64);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return descending ? less(b.key, a.key) : less(a.key, b.key);
  });
  return keyed;
}

Value sort(const FilterCall& call) {
  Items items;
  for (Keyed& keyed : sorted(call, call.bound[2], !is_true(call.bound[1]), is_true(call.bound[0]))) {
    items.push_back(std::move(keyed.element));
  }
  return Value::list(std::move(items));
}

Value dict_sort(const FilterCall& call) {
  if (!call.value.is_dict()) {
    throw TemplateError("dictsort takes a dict, not " + call.value.type_name());
  }
  const std::string by = given(call.bound[1]) ? text_of(call.bound[1]) : "key";
  if (by != "key" && by != "value") {
    throw TemplateError("dictsort sorts by key or value");
  }
  const bool ignore_case = !is_true(call.bound[0]);
  const bool descending = is_true(call.bound[2]);
  auto members = call.value.as_dict().items;
  const auto key = [&](const auto& member) {
    const Value& value = by == "key" ? member.first : member.second;
    return ignore_case ? fold_case(value) : value;
  };
  call.runtime.charge(static_cast<int64_t>(members.size()) * 64);
  std::stable_sort(members.begin(), members.end(), [&](const auto& a, const auto& b) {
    return descending ? less(key(b), key(a)) : less(key(a), key(b));
  });
  Items items;
  for (auto& [name, value] : members) {
    items.push_back(Value::tuple({name, value}));
  }
  return Value::list(std::move(items));
}

Value group_by(const FilterCall& call) {
  const bool ignore_case = !is_true(call.bound[2]);
  Items groups;
  Items members;
  Value folded;
  Value grouper;
  const auto close = [&] {
    if (!members.empty()) {
      groups.push_back(Value::sequence(SequenceKind::kGroup, {grouper, Value::list(std::exchange(members, {}))}));
    }
  };
  const auto key_of = [&](const Value& element) {
    const Value key = value_at(call.runtime, element, call.bound[0]);
    return key.is_undefined() && given(call.bound[1]) ? call.bound[1] : key;
  };
  std::vector<Keyed> keyed;
  for (const Value& element : iterate(call.value)) {
    const Value key = key_of(element);
    keyed.push_back({ignore_case ? fold_case(key) : key, element});
  }
  call.runtime.charge(static_cast<int64_t>(keyed.size()) * 64);
  std::stable_sort(keyed.begin(), keyed.end(), [](const Keyed& a, const Keyed& b) { return less(a.key, b.key); });
  for (Keyed& element : keyed) {
    if (members.empty() || !equal(element.key, folded)) {
      close();
      folded = element.key;
      grouper = key_of(element.element);
    }
    members.push_back(std::move(element.element));
  }
  close();
  return Value::list(std::move(groups));
}

Value unique(const FilterCall& call) {
  const bool ignore_case = !is_true(call.bound[0]);
  Items keys;
  Items items;
  for (const Value& element : iterate(call.value)) {
    const Value key = sort_key(call, element, call.bound[1], ignore_case);
    call.runtime.charge(static_cast<int64_t>(keys.size()));
    if (std::none_of(keys.begin(), keys.end(), [&](const Value& known) { return equal(known, key); })) {
      keys.push_back(key);
      items.push_back(element);
    }
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(items));
}

Value sum(const FilterCall& call) {
  Value total = given(call.bound[1]) ? call.bound[1] : Value(0);
  for (const Value& element : iterate(call.value)) {
    total = binary(call.runtime, "+", total,
                   given(call.bound[0]) ? value_at(call.runtime, element, call.bound[0]) : element);
  }
  return total;
}

Value extreme(const FilterCall& call, bool largest) {
  const bool ignore_case = !is_true(call.bound[0]);
  const Items items = iterate(call.value);
  if (items.empty()) {
    return Undefined{"item of an empty sequence"};
  }
  std::size_t best = 0;
  Value best_key = sort_key(call, items[0], call.bound[1], ignore_case);
  for (std::size_t i = 1; i < items.size(); ++i) {
    Value key = sort_key(call, items[i], call.bound[1], ignore_case);
    if (largest ? less(best_key, key) : less(key, best_key)) {
      best = i;
      best_key = std::move(key);
    }
  }
  return items[best];
}

Value batch(const FilterCall& call) {
  const int64_t size = to_index(call.bound[0]);
  if (size <= 0) {
    throw TemplateError("batch needs a size above 0");
  }
  Items batches;
  Items current;
  for (const Value& element : iterate(call.value)) {
    current.push_back(element);
    if (static_cast<int64_t>(current.size()) == size) {
      batches.push_back(Value::list(std::exchange(current, {})));
    }
  }
  if (!current.empty()) {
    call.runtime.check_size(given(call.bound[1]) ? size : 0);
    while (given(call.bound[1]) && static_cast<int64_t>(current.size()) < size) {
      current.push_back(call.bound[1]);
    }
    batches.push_back(Value::list(std::move(current)));
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(batches));
}

Value slice_filter(const FilterCall& call) {
  const int64_t slices = to_index(call.bound[0]);
  if (slices <= 0) {
    throw TemplateError("slice needs a number above 0");
  }
  call.runtime.check_size(slices);
  const Items items = iterate(call.value);
  const auto count = static_cast<int64_t>(items.size());
  const int64_t larger = count % slices;
  Items result;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t size = count / slices + (i < larger ? 1 : 0);
    Items part(items.begin() + at, items.begin() + at + size);
    if (given(call.bound[1]) && i >= larger) {
      part.push_back(call.bound[1]);
    }
    at += size;
    result.push_back(Value::list(std::move(part)));
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(result));
}

Value items_filter(const FilterCall& call) {
  if (call.value.is_undefined()) {
    return Value::sequence(SequenceKind::kGenerator, {});
  }
  if (!call.value.is_dict()) {
    throw TemplateError("items takes a dict, not " + call.value.type_name());
  }
  Items items;
  for (const auto& [key, value] : call.value.as_dict().items) {
    items.push_back(Value::tuple({key, value}));
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(items));
}

Value attr(const FilterCall& call) {
  return attribute(call.runtime, call.value, text_of(call.bound[0]));
}

}  // namespace

std::span<const Filter> sequence_filters() {
  static const Filter kFilters[] = {
      {"length", {}, length},
      {"count", {}, length},
      {"first", {}, first},
      {"last", {}, last},
      {"random", {}, first},  // rendering is a function of its input
      {"join", {"d", "attribute"}, join},
      {"list", {}, [](const FilterCall& c) { return Value::list(iterate(c.value)); }},
      {"reverse", {}, reverse},
      {"sort", {"reverse", "case_sensitive", "attribute"}, sort},
      {"dictsort", {"case_sensitive", "by", "reverse"}, dict_sort},
      {"groupby", {"attribute", "default", "case_sensitive"}, group_by},
      {"unique", {"case_sensitive", "attribute"}, unique},
      {"sum", {"attribute", "start"}, sum},
      {"min", {"case_sensitive", "attribute"}, [](const FilterCall& c) { return extreme(c, false); }},
      {"max", {"case_sensitive", "attribute"}, [](const FilterCall& c) { return extreme(c, true); }},
      {"batch", {"linecount", "fill_with"}, batch},
      {"slice", {"slices", "fill_with"}, slice_filter},
      {"items", {}, items_filter},
      {"attr", {"name"}, attr},
  };
  return kFilters;
}

}  // namespace longship::jinja
