#include "launcher/server/grammar_fields.h"

#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/fields.h"

namespace longship {

namespace {

using Kind = GrammarSpec::Kind;

/// A grammar and the field that it came in.
struct Asked {
  std::string field;
  GrammarSpec spec;
};

struct Field {
  const char* name;
  Kind kind;
};

constexpr Field kTopFields[] = {{"guided_json", Kind::kJsonSchema}, {"json_schema", Kind::kJsonSchema},
                                {"guided_regex", Kind::kRegex},     {"guided_choice", Kind::kChoice},
                                {"guided_grammar", Kind::kGbnf},    {"grammar", Kind::kGbnf}};
constexpr Field kStructuredOutputs[] = {
    {"json", Kind::kJsonSchema}, {"regex", Kind::kRegex}, {"choice", Kind::kChoice}, {"grammar", Kind::kGbnf}};

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw ApiError{.status = 400, .message = field + ": " + why, .param = field};
}

// A list of choices is JSON, and a schema that or a text of it; regular expressions and GBNF are text.
GrammarSpec spec_of(const Fields& fields, const Field& field) {
  const Json& value = *fields.find(field.name);
  if (field.kind == Kind::kChoice || (field.kind == Kind::kJsonSchema && !value.is_string())) {
    return {field.kind, dump_json(value)};
  }
  return {field.kind, *fields.text(field.name)};
}

void find_among(const Fields& fields, std::span<const Field> names, const std::string& prefix,
                std::vector<Asked>& asked) {
  for (const Field& field : names) {
    const Json* value = fields.find(field.name);
    const bool none = value == nullptr || (value->is_string() && value->as_string().empty());  // llama.cpp's clients
    if (!none) {
      asked.push_back({prefix + field.name, spec_of(fields, field)});
    }
  }
}

// {"type": "json_schema", "json_schema": {"schema": ...}} or, as in llama.cpp, with the schema beside the type.
void find_response_format(const Fields& fields, std::vector<Asked>& asked) {
  const Json* format = fields.find("response_format");
  if (format == nullptr) {
    return;
  }
  if (!format->is_object()) {
    fields.fail("response_format", "must be an object");
  }
  const Fields inner(*format, "response_format.");
  const std::string type = inner.text("type").value_or("text");
  const Json* wrapped = inner.find("json_schema");
  if (wrapped != nullptr && !wrapped->is_object()) {
    inner.fail("json_schema", "must be an object");
  }
  const Json* schema = wrapped != nullptr ? Fields(*wrapped).find("schema") : inner.find("schema");
  if (type != "text" && type != "json_object" && type != "json_schema") {
    inner.fail("type", "must be text, json_object or json_schema");
  }
  if (type == "json_schema" && schema == nullptr) {
    inner.fail("json_schema", "must have a schema");
  }
  if (type != "text" && schema != nullptr) {
    const char* field = wrapped != nullptr ? "response_format.json_schema.schema" : "response_format.schema";
    asked.push_back({field, {Kind::kJsonSchema, dump_json(*schema)}});
  } else if (type == "json_object") {
    asked.push_back({"response_format", {Kind::kJsonObject, ""}});
  }
}

void find_structured_outputs(const Fields& fields, std::vector<Asked>& asked) {
  const Json* object = fields.find("structured_outputs");
  if (object == nullptr) {
    return;
  }
  if (!object->is_object()) {
    fields.fail("structured_outputs", "must be an object");
  }
  const std::string prefix = "structured_outputs.";
  const std::size_t before = asked.size();
  const Fields inner(*object, prefix);
  find_among(inner, kStructuredOutputs, prefix, asked);
  if (inner.flag("json_object").value_or(false)) {
    asked.push_back({prefix + "json_object", {Kind::kJsonObject, ""}});
  }
  for (const char* key : {"structural_tag", "whitespace_pattern"}) {
    if (inner.find(key) != nullptr) {
      inner.fail(key, "is not supported");
    }
  }
  if (asked.size() == before) {
    fields.fail("structured_outputs", "must have one of json, json_object, regex, choice and grammar");
  }
}

}  // namespace

GrammarSpec grammar_of(const Fields& fields) {
  std::vector<Asked> asked;
  find_response_format(fields, asked);
  find_structured_outputs(fields, asked);
  find_among(fields, kTopFields, "", asked);
  if (asked.empty()) {
    return {};
  }
  if (asked.size() > 1) {
    refuse(asked[1].field, "a request has one grammar, and " + asked[0].field + " is there as well");
  }
  try {
    compile_grammar(asked[0].spec);
  } catch (const Error& error) {
    refuse(asked[0].field, error.cause() + (error.remedy().empty() ? "" : ". " + error.remedy()));
  }
  return std::move(asked[0].spec);
}

}  // namespace longship
