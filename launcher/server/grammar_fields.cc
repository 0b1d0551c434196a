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

constexpr Field kTopFields[] = {{"guided_regex", Kind::kRegex},
                                {"guided_choice", Kind::kChoice},
                                {"guided_grammar", Kind::kGbnf},
                                {"grammar", Kind::kGbnf}};
constexpr Field kStructuredOutputs[] = {{"regex", Kind::kRegex}, {"choice", Kind::kChoice}, {"grammar", Kind::kGbnf}};

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw ApiError{.status = 400, .message = field + ": " + why, .param = field};
}

// A list of choices is JSON; regular expressions and GBNF are text.
GrammarSpec spec_of(const Fields& fields, const Field& field) {
  if (field.kind != Kind::kChoice) {
    return {field.kind, *fields.text(field.name)};
  }
  return {field.kind, dump_json(*fields.find(field.name))};
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

void find_response_format(const Fields& fields, std::vector<Asked>&) {
  const Json* format = fields.find("response_format");
  if (format == nullptr) {
    return;
  }
  if (!format->is_object()) {
    fields.fail("response_format", "must be an object");
  }
  if (Fields(*format, "response_format.").text("type").value_or("text") != "text") {
    fields.fail("response_format", "is not supported but for text");
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
  find_among(Fields(*object, prefix), kStructuredOutputs, prefix, asked);
  if (asked.size() == before) {
    fields.fail("structured_outputs", "must have one of regex, choice and grammar");
  }
}

}  // namespace

GrammarSpec grammar_of(const Json& body) {
  const Fields fields(body);
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
