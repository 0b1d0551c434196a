#include "engine/sample/grammar/json_format.h"

#include <map>

namespace longship {

namespace {

// Days of months, 29 February in leap years alone.
#define LONGSHIP_DATE                                                                                 \
  "(?:[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)" \
  "|02-(?:0[1-9]|1\\d|2[0-8]))|(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
#define LONGSHIP_TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LONGSHIP_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define LONGSHIP_HOST LONGSHIP_LABEL "(?:\\." LONGSHIP_LABEL "){0,5}"
#define LONGSHIP_BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define LONGSHIP_H16 "[0-9A-Fa-f]{1,4}"
#define LONGSHIP_EMAIL \
  "[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,30}){0,1}@" LONGSHIP_LABEL "(?:\\." LONGSHIP_LABEL "){1,4}"
#define LONGSHIP_ORIGIN "[a-z][a-z0-9+.-]{0,15}://" LONGSHIP_HOST "(?::\\d{1,5})?"
#define LONGSHIP_PATH_CHAR "[A-Za-z0-9._~!$&'()*+,;=:@-]"
#define LONGSHIP_QUERY                            \
  "(?:\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]{0,200})?" \
  "(?:#[A-Za-z0-9._~!$&'()*+,;=:@/?-]{0,60})?"
#define LONGSHIP_URI LONGSHIP_ORIGIN "(?:/" LONGSHIP_PATH_CHAR "{0,60}){0,20}" LONGSHIP_QUERY
#define LONGSHIP_URI_REFERENCE LONGSHIP_URI "|(?:/" LONGSHIP_PATH_CHAR "{1,60}){1,20}" LONGSHIP_QUERY
#define LONGSHIP_POINTER "(?:/(?:[^~/\\x00-\\x1f]|~[01]){0,60}){0,20}"

// RFC 3339, RFC 5321, RFC 1123, RFC 4291, RFC 9562, RFC 3986, RFC 6901, RFC 6570; lengths are bounded.
// International forms begin as the others do.
const std::map<std::string_view, std::string_view>& patterns() {
  static const std::map<std::string_view, std::string_view> kPatterns = {
      {"date", LONGSHIP_DATE},
      {"time", LONGSHIP_TIME},
      {"date-time", LONGSHIP_DATE "T" LONGSHIP_TIME},
      {"duration",
       "P(?:\\d{1,6}W|(?:\\d{1,6}Y(?:\\d{1,6}M(?:\\d{1,6}D)?)?|\\d{1,6}M(?:\\d{1,6}D)?|\\d{1,6}D)"
       "(?:T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))?"
       "|T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))"},
      {"email", LONGSHIP_EMAIL},
      {"idn-email", LONGSHIP_EMAIL},
      {"idn-hostname", LONGSHIP_HOST},
      {"hostname", LONGSHIP_HOST},
      {"ipv4", LONGSHIP_BYTE "(?:\\." LONGSHIP_BYTE "){3}"},
      {"ipv6", "(?:" LONGSHIP_H16 ":){7}" LONGSHIP_H16 "|::(?:" LONGSHIP_H16 "(?::" LONGSHIP_H16
               "){0,5})?|" LONGSHIP_H16 "::(?:" LONGSHIP_H16 "(?::" LONGSHIP_H16 "){0,4})?"},
      {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"},
      {"uri", LONGSHIP_URI},
      {"iri", LONGSHIP_URI},
      {"uri-reference", LONGSHIP_URI_REFERENCE},
      {"iri-reference", LONGSHIP_URI_REFERENCE},
      {"uri-template", LONGSHIP_ORIGIN "(?:/(?:[A-Za-z0-9._~-]{0,60}|\\{[A-Za-z0-9_]{1,30}\\})){0,20}"},
      {"json-pointer", LONGSHIP_POINTER},
      {"relative-json-pointer", "(?:0|[1-9]\\d{0,5})(?:#|" LONGSHIP_POINTER ")"},
      {"regex",
       "\\^?(?:(?:[A-Za-z0-9_:/@, -]|\\.|\\\\[dwsDWS.*+?()^$|]|\\[[A-Za-z0-9_]{1,20}\\]|\\[a-z\\]|\\[A-Z\\]|\\[0-9\\]"
       "|\\[A-Za-z0-9\\])[*+?]?){0,60}\\$?"},
  };
  return kPatterns;
}

}  // namespace

std::optional<std::string_view> pattern_of_format(std::string_view format) {
  const auto found = patterns().find(format);
  return found == patterns().end() ? std::nullopt : std::optional(found->second);
}

}  // namespace longship
