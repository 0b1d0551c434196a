#include "engine/sample/grammar/json_schema.h"

#include "tests/unit/sample/grammar/accepts.h"

namespace longship {
namespace {

constexpr auto kSchema = GrammarSpec::Kind::kJsonSchema;

TEST(JsonSchema, Scalars) {
  check(kSchema,
        {{R"({"type":"boolean"})", {"true", "false"}, {"null", "True", " true", "true "}},
         {R"({"type":["null","integer"]})", {"null", "0", "-7", "42"}, {"01", "1.0", "-", "\"1\"", "-0"}},
         {R"({"type":"number"})", {"0", "-0.5", "1.25e-7", "12E+3"}, {".5", "1.", "+1", "1e", "NaN", "1e999"}},
         {R"({"type":"string"})",
          {R"("")", R"("a\n\"\\\/\u00e9\ud83d\ude00")", "\"é語\xF0\x9F\x98\x80\""},
          {R"("a)", "\"a\nb\"", R"("\x")", R"("\ud83d")", R"("\udc00\ud83d")", "\"\xFF\"", "\"\xED\xA0\x80\"", "a"}},
         {R"({"type":"string","minLength":2,"maxLength":3})",
          {R"("ab")", R"("語語語")", R"("\u0041\"")", R"("\ud83d\ude00a")"},
          {R"("a")", R"("abcd")", R"("\ud83d\ude00")"}},
         {R"({"type":"string","maxLength":100000})",
          {"\"" + std::string(100000, 'a') + "\""},
          {"\"" + std::string(100001, 'a') + "\""}},
         {R"({"type":"string","pattern":"^\\d{3}-[a-z]+$"})", {R"("123-ab")"}, {R"("123-")", R"("x123-ab")"}},
         {R"({"type":"string","pattern":"b\"|c"})", {R"("ab\"x")", R"("c")", R"("\nc\\")"}, {R"("ab")", R"("b"")"}},
         {R"({"enum":["a",1,null,{"k":[1,"é"]},"a\"b"]})",
          {R"("a")", "1", "null", R"({"k": [1, "é"]})", R"("a\"b")"},
          {"2", "a"}},
         {R"({"type":"string","enum":["a",1]})", {R"("a")"}, {"1"}},
         {R"({"const":"x"})", {R"("x")"}, {R"("y")"}},
         {R"({"type":"string","nullable":true})", {R"("x")", "null"}, {"1"}},
         {R"({})", {"1", "{}", "[[], {\"a\": null}]", R"("x")"}, {"", "x"}},
         {"true", {"null"}, {"nul"}},
         {R"({"title":"t","description":"d","x-unknown":3,"type":"null"})", {"null"}, {"1"}}});
}

TEST(JsonSchema, NumbersWithBounds) {
  std::vector<std::string> inside;
  std::vector<std::string> outside;
  for (int i = -1300; i <= 1300; ++i) (i >= -123 && i <= 1021 ? inside : outside).push_back(std::to_string(i));
  check(
      kSchema,
      {{R"({"type":"integer","minimum":-123,"maximum":1021})", inside, outside},
       {R"({"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":8})", {"6", "7"}, {"5", "8", "06"}},
       {R"({"type":"integer","minimum":1.5,"maximum":3.5})", {"2", "3"}, {"1", "4"}},
       {R"({"type":"integer","maximum":-10})", {"-10", "-11", "-999999"}, {"-9", "0", "10"}},
       {R"({"type":"integer","minimum":9007199254740993,"maximum":9007199254740995})",
        {"9007199254740993", "9007199254740995"},
        {"9007199254740992", "9007199254740996"}},
       {R"({"type":"integer","minimum":0})", {"0", "10", "999999999999999999"}, {"-1"}},
       {R"({"type":"number","minimum":0,"maximum":1})",
        {"0", "1", "0.5", "1.0", "0.0000"},
        {"1.01", "-0.1", "2", "1e-5"}},
       {R"({"type":"number","exclusiveMinimum":0,"maximum":1})", {"0.01", "1"}, {"0", "0.0", "1.1"}},
       {R"({"type":"number","minimum":-1.25,"exclusiveMaximum":2.5})",
        {"-1.25", "-1.2", "-1", "-0.99", "0", "2", "2.4", "2.49999", "-1.2500"},
        {"-1.26", "-1.3", "-2", "2.5", "2.50", "2.51", "3"}},
       {R"({"type":"number","minimum":1.25,"maximum":1.5})",
        {"1.25", "1.3", "1.50", "1.49"},
        {"1", "1.2", "1.24", "1.51", "2", "1.6"}},
       {R"({"type":"number","minimum":99.5})", {"99.5", "100", "99.75", "100000.1"}, {"99", "99.4", "-100"}},
       // To the last bit of a double.
       {R"({"type":"number","minimum":100000000000000.25,"maximum":100000000000000.5})",
        {"100000000000000.25", "100000000000000.5"},
        {"100000000000000.24", "100000000000000.51"}},
       {R"({"const":100000000000000.25})", {"100000000000000.25"}, {"100000000000000.23"}},
       // Bounds beyond all numbers that are written.
       {R"({"type":"number","minimum":-9223372036854775808,"maximum":1.5})", {"-99.5", "1.5"}, {"1.6", "1e5"}},
       {R"({"type":"number","minimum":-1.8e308,"maximum":1.7976931348623157e308})", {"0", "-5.25", "123456789"}, {}}});
}

TEST(JsonSchema, Objects) {
  check(
      kSchema,
      {{R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"},"c":{"type":"boolean"}},"required":["b"]})",
        {R"({"a":1,"b":null,"c":true})", R"({"b": null})", "{\n  \"a\": 1,\n  \"b\": null\n}",
         R"({ "b":null, "c":false })"},
        {R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"d":1})", R"({"b":null,})", R"({,"b":null})",
         "{\n\n\"b\":null}"}},
       {R"({"type":"object","properties":{"a":{"type":"integer"}}})", {"{}", R"({"a":1})"}, {R"({"a":1,"a":2})"}},
       {R"({"type":"object"})", {"{}", R"({"x":[{"y":null}]})"}, {"[]", R"({x:1})"}},
       {R"({"type":"object","properties":{"ab":{"type":"integer"},"abc":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
        {R"({"ab":1,"abc":null,"x":true})", R"({"a":true})", R"({"abcd":true,"":false})", R"({"ac":true})"},
        {R"({"ab":true})", R"({"x":1})", R"({"\u0061b":true})", R"({"abc":true})"}},
       {R"({"type":"object","required":["q"],"additionalProperties":{"type":"integer"}})",
        {R"({"q":1,"r":2})"},
        {"{}", R"({"r":2})"}},
       {R"({"properties":{"größe \"x\"":{"type":"null"}},"required":["größe \"x\""]})",
        {R"({"größe \"x\"":null})"},
        {"{}"}},
       {R"({"type":"object","properties":{"a":false,"b":{"type":"null"}}})", {"{}", R"({"b":null})"}, {R"({"a":1})"}}});
}

TEST(JsonSchema, ObjectsOfSoManyMembers) {
  const std::string named = R"({"properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}})";
  check(kSchema, {{named + R"(,"minProperties":2})",
                   {R"({"a":null,"b":null})", R"({"a":null,"c":null})", R"({"a":null,"b":null,"c":null})"},
                   {"{}", R"({"b":null})"}},
                  {named + R"(,"maxProperties":1})",
                   {"{}", R"({"a":null})", R"({ "c": null })"},
                   {R"({"a":null,"b":null})", R"({"b":null,"c":null})"}},
                  {named + R"(,"required":["b"],"minProperties":1,"maxProperties":2})",
                   {R"({"b":null})", R"({"a":null,"b":null})", R"({"b":null,"c":null})"},
                   {"{}", R"({"a":null})", R"({"a":null,"b":null,"c":null})"}},
                  {named + R"(,"required":["a","b","c"],"minProperties":1,"maxProperties":10})",
                   {R"({"a":null,"b":null,"c":null})"},
                   {R"({"a":null,"b":null})"}},
                  {named + R"(,"additionalProperties":{"type":"boolean"},"minProperties":2,"maxProperties":3})",
                   {R"({"a":null,"x":true})", R"({"a":null,"b":null})", R"({"b":null,"x":true,"y":true})"},
                   {"{}", R"({"x":true})", R"({"x":true,"y":true})", R"({"a":null,"b":null,"x":true,"y":true})"}},
                  {R"({"minProperties":1,"maxProperties":2})",
                   {R"({"x":1})", R"({"x":[],"y":{}})"},
                   {"{}", R"({"x":1,"y":2,"z":3})"}},
                  {R"({"type":"object","maxProperties":0})", {"{}"}, {R"({"x":1})"}},
                  {R"({"enum":[{},{"a":1},{"a":1,"b":2}],"minProperties":1,"maxProperties":1})",
                   {R"({"a": 1})"},
                   {"{}", R"({"a": 1, "b": 2})"}}});
}

TEST(JsonSchema, Arrays) {
  check(kSchema,
        {{R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
          {"[1]", "[1, 2,3]", "[ 1 ]", "[\n1\n]"},
          {"[]", "[1,2,3,4]", "[1,]", "[,1]"}},
         {R"({"type":"array","items":{"type":"null"},"maxItems":0})", {"[]"}, {"[null]"}},
         {R"({"type":"array","items":{"type":"null"},"minItems":200,"maxItems":201})",
          {"[" + repeated("null,", 199) + "null]"},
          {"[null]", "[" + repeated("null,", 201) + "null]"}},
         {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}]})",
          {R"([1,"a"])"},
          {"[]", "[1]", R"([1,"a",2])"}},
         {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"minItems":1})",
          {R"([1,"a"])", "[1]"},
          {"[]"}},
         {R"({"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":0,"maxItems":3})",
          {"[]", "[1]", "[1,null,null]"},
          {"[null]", "[1,1]", "[1,null,null,null]"}},
         {R"({"type":"array"})", {"[]", R"([1,"x",[]])"}, {"{}"}}});
}

TEST(JsonSchema, CombinationsAndReferences) {
  check(
      kSchema,
      {{R"({"anyOf":[{"type":"integer"},{"type":"null"}]})", {"1", "null"}, {"true"}},
       {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]})",
        {R"({"a":1,"b":null})"},
        {R"({"a":1})", R"({"b":null})"}},
       {R"({"allOf":[{"type":"integer","minimum":3},{"minimum":5,"maximum":9},{"type":["integer","string"]}]})",
        {"5", "9"},
        {"4", "10", "\"a\""}},
       {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}}})",
        {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":null}})"},
        {R"({"v":1})", R"({"v":1,"next":{}})"}},
       {R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
       {R"({"properties":{"a":{"$ref":"#/definitions/t","description":"x"},"b":{"$ref":"#/definitions/t","maximum":5}},"definitions":{"t":{"type":"integer","minimum":0}}})",
        {R"({"a":9,"b":5})"},
        {R"({"b":6})", R"({"a":-1})"}},
       {R"({"$ref":"#/$defs/a~1b","$defs":{"a/b":{"type":"null"}}})", {"null"}, {"1"}},
       {R"({"$ref":"#/$defs/50%25%20off","$defs":{"50% off":{"type":"null"}}})", {"null"}, {"1"}},
       // Words that are none of JSON Schema's may differ.
       {R"({"allOf":[{"type":"integer","x-order":1},{"type":"integer","x-order":2}]})", {"1"}, {"null"}},
       {R"({"allOf":[{"type":"integer","nullable":true},{"type":["integer","string"]}]})", {"1"}, {"null", "\"a\""}},
       {R"({"type":"string","nullable":true})", {"\"a\"", "null"}, {"1"}},
       {R"({"nullable":true,"anyOf":[{"type":"string"},{"type":"integer"}]})", {"\"a\"", "1"}, {"null"}},
       {R"({"allOf":[{"enum":[1,2,{"a":1,"b":2},"x"]},{"enum":[1.0,{"b":2,"a":1},"y"]}]})",
        {"1", R"({"a": 1, "b": 2})"},
        {"2"}}});
}

TEST(JsonSchema, OneOfIsExactlyOne) {
  check(
      kSchema,
      {{R"({"oneOf":[{"type":"integer","maximum":3},{"type":"integer","minimum":4},{"type":["string","null"],"maxLength":2},{"type":"string","minLength":3}]})",
        {"3", "4", "null", "\"ab\"", "\"abc\""},
        {"true", "3.5"}},
       {R"({"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"null"}},"required":["x"]},{"properties":{"k":{"enum":["b","c"]},"y":{"type":"null"}}}]})",
        {R"({"k":"a","x":null})", R"({"k":"b"})", R"({"k":"c","y":null})"},
        {R"({"k":"a"})", R"({"k":"b","x":null})"}},
       {R"({"oneOf":[{"properties":{"a":{"type":"null"}},"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]})",
        {R"({"a":null})", R"({"b":null})"},
        {R"({"a":null,"b":null})", "{}"}},
       {R"({"oneOf":[{"anyOf":[{"type":"null"},{"type":"integer"}]},{"$ref":"#/$defs/s"}],"$defs":{"s":{"type":"string"}}})",
        {"1", "null", "\"s\""},
        {"true"}}});
  for (
      const char* schema :
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", R"({"oneOf":[{"type":"string"},{}]})",
       R"({"oneOf":[{"enum":["a"]},{"type":"string","pattern":"a"}]})",
       R"({"type":"object","properties":{"k":{"type":"string"}},"oneOf":[{"required":["k"]},{"properties":{"n":{"type":"null"}},"required":["n"]}]})",
       R"({"oneOf":[{"const":1},{"const":1.0}]})", R"({"oneOf":[{"const":{"a":1,"b":2}},{"const":{"b":2,"a":1}}]})"}) {
    EXPECT_NE(refusal(kSchema, schema).find("may describe the same value"), std::string::npos) << schema;
  }
}

TEST(JsonSchema, ValuesOfAnEnumerationAreThoseThatTheOtherKeywordsAllow) {
  check(
      kSchema,
      {{R"({"enum":["a","bcd","größ",5,50,null,[1],[1,2],{"k":1},{}],"type":["string","number","array","object"],"maxLength":3,"minimum":6,"maxItems":1,"required":["k"]})",
        {"\"a\"", "\"bcd\"", "50", "[1]", R"({"k": 1})"},
        {"\"größ\"", "5", "null", "[1, 2]", "{}"}},
       {R"({"enum":["2024-01-01","x1","y"],"pattern":"\\d"})", {"\"2024-01-01\"", "\"x1\""}, {"\"y\""}},
       {R"({"enum":["2024-01-01","x1"],"format":"date"})", {"\"2024-01-01\""}, {"\"x1\""}},
       {R"({"enum":[1,"a",true],"anyOf":[{"type":"integer"},{"type":"boolean"}]})", {"1", "true"}, {"\"a\""}},
       {R"({"enum":[{"a":1},{"a":"x"},{"b":1}],"properties":{"a":{"type":"integer"}},"additionalProperties":false})",
        {R"({"a": 1})"},
        {R"({"a": "x"})", R"({"b": 1})"}}});
}

TEST(JsonSchema, Formats) {
  const auto format = [](const std::string& name) { return R"({"type":"string","format":")" + name + "\"}"; };
  check(kSchema,
        {{format("date"),
          {R"("2024-02-29")", R"("2023-12-31")", R"("2000-02-29")"},
          {R"("2023-02-29")", R"("1900-02-29")", R"("2023-13-01")", R"("2023-04-31")", R"("2023-1-1")"}},
         {format("time"), {R"("23:59:59Z")", R"("00:00:00.125+05:30")"}, {R"("24:00:00Z")", R"("12:00Z")"}},
         {format("date-time"), {R"("2024-02-29T01:02:03Z")"}, {R"("2024-02-29 01:02:03Z")"}},
         {format("duration"), {R"("P1Y2M3DT4H5M6S")", R"("PT5M")", R"("P2W")"}, {R"("P")", R"("PT")", R"("5M")"}},
         {format("email"), {R"("a.b+c@example.org")"}, {R"("a@b")", R"("@b.org")", R"("a..b@c.de")"}},
         {format("uuid"), {R"("123e4567-e89b-12d3-a456-426614174000")"}, {R"("123e4567e89b12d3a456426614174000")"}},
         {format("ipv4"), {R"("255.0.10.1")"}, {R"("256.0.0.1")", R"("1.2.3")"}},
         {format("ipv6"), {R"("::1")", R"("2001:db8:0:0:0:0:0:1")", R"("fe80::1:2")"}, {R"("1:2")"}},
         {format("uri"), {R"("https://example.org:8080/a/b?x=1#y")"}, {R"("example.org")"}},
         {format("hostname"), {R"("a-b.example")"}, {R"("-a")", R"("a_b")"}}});
}

TEST(JsonSchema, RefusesByNameWhatItLacks) {
  const std::vector<std::pair<std::string, std::string>> refusals = {
      {R"({"not":{"multipleOf":2}})", "\"multipleOf\" within \"not\""},
      {R"({"not":{"const":{}}})", "within \"not\""},
      {R"({"type":"array","contains":{"const":1},"minContains":1})", "\"contains\""},
      {R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})", "\"uniqueItems\""},
      {R"({"type":"array","uniqueItems":true,"items":{"type":"string"}})", "\"uniqueItems\""},
      {R"({"type":"number","multipleOf":1e-16})", "\"multipleOf\" of more than 15 decimals"},
      {R"({"type":"integer","multipleOf":123456789})", "\"multipleOf\""},
      {R"({"type":"integer","multipleOf":0})", "\"multipleOf\""},
      {R"({"if":{"format":"date"},"then":{"maxLength":3}})", "\"format\" within \"not\" or \"if\""},
      {R"({"type":"object","minProperties":2})", "\"minProperties\""},
      {R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"patternProperties":{"^x":{}}}]})",
       "\"patternProperties\" with \"additionalProperties\""},
      {R"({"patternProperties":{"^x":{}},"allOf":[{"additionalProperties":{"type":"null"}}]})",
       "\"patternProperties\" with \"additionalProperties\""},
      {R"-({"type":"string","pattern":"(?=a)"})-", "look-around"},
      {R"({"type":"text"})", "no type \"text\""},
      {R"({"type":7})", "\"type\""},
      {R"({"type":"integer","divisibleBy":3})", "\"divisibleBy\""},
      {R"({"const":12345678901234567890})", "64 bits"},
      {R"({"enum":[[{"a":1e30}]]})", "64 bits"},
      {R"({"type":"number","minimum":1e15})", "10^15"},
      {R"({"$defs":{"a":{"$id":"a.json","$defs":{"b":{"type":"null"}},"items":{"$ref":"#/$defs/b"}}},"$ref":"#/$defs/a"})",
       "\"$id\" of its own"},
      {R"({"$ref":"other.json"})", "leads out"},
      {R"({"$ref":"#/$defs/missing"})", "leads nowhere"},
      {R"({"$ref":"#"})", "call itself"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})", "call itself"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a","type":"null"}}})", "leads to itself"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "no text of finite length"},
      {R"({"type":"integer","minimum":3,"maximum":2})", "no text of finite length"},
      {R"({"type":"integer","exclusiveMaximum":-9.3e18})", "no text of finite length"},
      {R"({"type":"integer","minimum":1e19})", "no text of finite length"},
      {R"({"enum":[]})", "no text of finite length"},
      {R"({"allOf":[{"pattern":"^a$"},{"pattern":"^b$"}]})", "no text of finite length"},
      {R"({"allOf":[{"pattern":"a"},{"pattern":7}]})", "\"pattern\""},
      {R"({"patternProperties":{"a":{},"b":{},"c":{},"d":{},"e":{}}})", "\"patternProperties\""},
      {R"({"propertyNames":{"anyOf":[{"pattern":"a"},{"maxLength":3}]}})", "\"propertyNames\""},
      {R"({"allOf":[{"patternProperties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})",
       "\"patternProperties\""},
      {R"({"oneOf":[{"type":"object"},{"type":"null"}],"unevaluatedProperties":false})", "\"unevaluatedProperties\""},
      {R"({"type":"string","minLength":-1})", "\"minLength\""},
      {R"([1])", "not an object"},
      {R"({"type":)", "not JSON"},
      {R"({"properties":[]})", "\"properties\""},
      {R"({"type":"object","required":"a"})", "\"required\""},
  };
  for (const auto& [text, words] : refusals) {
    const std::string cause = refusal(kSchema, text);
    EXPECT_NE(cause.find(words), std::string::npos) << text << ": " << cause;
  }
}

TEST(JsonSchema, HostileSchemasAreQuick) {
  std::string wide = R"({"type":"object","properties":{)";
  std::string enums = R"({"enum":[)";
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  std::string doubling = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 2000; ++i) {
    wide += "\"property" + std::to_string(i) + "\":{\"type\":\"integer\"},";
    enums += "\"value " + std::to_string(i * 7919) + "\",";
    chain += "\"d" + std::to_string(i) + R"(":{"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"},";
  }
  for (int i = 0; i < 50; ++i) {
    const std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
    doubling += "\"d" + std::to_string(i) + R"(":{"allOf":[)" + next + "," + next + "]},";
  }
  std::string names = R"({"required":[)";
  std::string others = R"({"required":[)";
  std::string properties = R"({"properties":{)";
  std::string more = R"({"properties":{)";
  std::string type_names;
  for (int i = 0; i < 4000; ++i) {
    names += "\"some name " + std::to_string(i) + "\",";
    others += "\"some more " + std::to_string(i) + "\",";
    if (i % 4 == 0) {
      type_names += R"("string","null",)";
      properties += "\"some property " + std::to_string(i) + R"(":{},)";
      more += "\"some property " + std::to_string(3999 - i) + R"(":{},)";
    }
  }
  std::string dates = R"({"properties":{)";
  for (int i = 0; i < 1500; ++i) {
    const std::string number = std::to_string(i);
    dates += "\"date " + number + R"(":{"type":"string","format":"date-time","title":")" + number + "\"},";
  }
  const std::string types = R"({"type":[)" + type_names;
  const auto both = [](const std::string& a, const std::string& b) { return R"({"allOf":[)" + a + "," + b + "]}"; };
  check_hostile(kSchema,
                {{enums + R"(1],"format":"uri"})", ""},
                 {enums + R"(1],"pattern":"^v(a|l|u|e| |[0-9]{1,9}){1,60}$"})", ""},
                 {both(enums + "1]}", enums + "2]}"), ""},
                 {both(names + "\"a\"]}", others + "\"a\"]}"), "more than"},
                 {both(properties + R"("a":{}}})", more + R"("a":{}}})"), ""},
                 {both(types + "\"null\"]}", types + "\"integer\"]}"), ""},
                 {R"({"additionalProperties":{},"properties":{")" + repeated("k", 100000) + R"(":{}}})", "a name of"}});
  check_hostile(kSchema, {{wide + R"("last":{}}})", ""},
                          {wide + R"("last":{}},"additionalProperties":true})", "more than"},
                          {enums + "1]}", ""},
                          {chain + R"("d2000":{"type":"null"}}})", ""},
                          {doubling + R"("d50":{"type":"null"}}})", "allOf"},
                          {R"({"type":"string","minLength":1000000,"maxLength":100000000})", ""},
                          {R"({"type":"string","pattern":"((a{1,1000}){1,1000}){1,1000}"})", ""},
                          {R"({"type":"array","minItems":1000000,"items":{"type":"array","minItems":1000000}})", ""},
                          {repeated(R"({"type":"array","items":)", 40) + "{}" + repeated("}", 40), ""},
                          {repeated(R"({"items":)", 100) + "{}" + repeated("}", 100), "not JSON"},
                          {repeated(R"({"anyOf":[{"type":"null"},)", 30) + "{}" + repeated("]}", 30), ""},
                          {R"({"enum":[)" + repeated("1,", 20000) + "1]}", "more than 10000 nodes"},
                          {R"({"type":"number","minimum":-1e-300,"maximum":1e-300})", ""}});
}

TEST(JsonObject, IsAnyObjectAndNothingElse) {
  const auto automaton = compile_grammar({GrammarSpec::Kind::kJsonObject, ""});
  for (const char* text : {"{}", R"({"a": [1, {"b": null}], "c": -1.5e3})", "{\n\t\"a\": true\n}"}) {
    EXPECT_TRUE(accepts(*automaton, text)) << text;
  }
  for (const char* text : {"[]", "1", "{", R"({"a"})", R"({"a":1}})", "{\n\n}", "{   }"}) {
    EXPECT_FALSE(accepts(*automaton, text)) << text;
  }
}

TEST(TaggedGrammar, IsCallsBetweenTheirTexts) {
  check(
      GrammarSpec::Kind::kTagged,
      {{R"({"tags":[{"begin":"<c>{\"name\": \"f\", \"arguments\": ","schema":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]},"end":"}</c>"},
               {"begin":"<g>","schema":{"$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}},"end":"</g>"}],"separator":"\n","most":2})",
        {R"(<c>{"name": "f", "arguments": {"x": 1}}</c>)", "<g>null</g>", "<g>null</g>\n<g>null</g>"},
        {"", "<g>1</g>", "<g>null</g><g>null</g>", "<g>null</g>\n<g>null</g>\n<g>null</g>"}},
       {R"({"tags":[{"begin":"a","schema":{"type":"null"}}],"least":0})", {"", "anull", "anullanull"}, {"a"}}});
  EXPECT_NE(refusal(GrammarSpec::Kind::kTagged, R"({"tags":[]})"), "");
}

TEST(TaggedGrammar, OrTextInWhichTagsStandBehindTheirMark) {
  const std::string tags = R"({"tags":[{"begin":":","schema":{"type":"integer"},"end":";"}],"separator":"+","free":)";
  check(GrammarSpec::Kind::kTagged,
        {{tags + R"({"mark":"aab"}})",
          {"", "a", "aaaa", "{a", "aab:1;", "xaab:1;aaab:22;aa", "aaab:3;", "\xc3\xa9 b"},
          {"aab", "aaab1", "aab:x;", "xaab:1", "aab:1;aab"}},
         {tags + R"({"mark":"<c>","first":"text"}})",
          {"", "  ", "a{", " x", "<", "<c>:1;", " <c>:1; {"},
          {"{", "  {", "{}", "<c>{"}},
         {tags + R"({"mark":"<c>","first":"tag"}})",
          {"", ":1;", ":1;+:2;", " :1;", "<c>:1;+:2;", "a:b"},
          {"{", "<c>:1;a", "<c>"}},
         {tags + R"({"mark":"<c>"},"most":1})", {"a<c>:1;", "<"}, {"<c>:1;<c>:1;", "<c>:1; "}}});
  EXPECT_NE(refusal(GrammarSpec::Kind::kTagged, tags + R"({"mark":""}})"), "");
}

TEST(TaggedGrammar, MayHaveSpecialTokensForMarks) {
  const std::string mark = special_bytes("[C]");
  const std::string end = special_bytes("[D]");
  const std::string forced =
      R"({"tags":[{"begin":[{"special":"[C]"},"<"],"schema":{"type":"integer"},"end":[">",{"special":"[D]"}]}]})";
  const std::string free =
      R"({"tags":[{"begin":"<","schema":{"type":"integer"},"end":">"}],"free":{"mark":{"special":"[C]"}}})";
  const Table in_forced = {
      forced, {mark + "<7>" + end}, {"[C]<7>[D]", mark + "<7>", mark + "<7>[D]", end + "<7>" + end}};
  const Table in_free = {free,
                         {"", "[C", "a [C<7>", mark + "<7>", "a[[C" + mark + "<7> b" + mark + "<8>"},
                         {mark, "[C]", "a [[C]<7>", "a" + mark + " b", end, "a" + end + "<7>", "\xff"}};
  check(GrammarSpec::Kind::kTagged, {in_forced, in_free});
}

TEST(Reasoning, MayStandBeforeWhatAGrammarHolds) {
  const auto taken = [](const GrammarSpec& spec, const std::string& text) {
    return accepts(*compile_grammar(spec), text);
  };
  using Kind = GrammarSpec::Kind;
  const GrammarSpec may = {Kind::kRegex, "a+", {"<t>", "</t>"}};
  for (const char* text : {"a", "aa", "<t></t>a", "<t>b \xc3\xa9 <t> </</t>\n\naa"}) {
    EXPECT_TRUE(taken(may, text)) << text;
  }
  for (const char* text : {"", "<t>", "<t>a", "<t>a</t>", "</t>a", "b</t>a", "<t>b</t>b"}) {
    EXPECT_FALSE(taken(may, text)) << text;
  }
  const GrammarSpec begun = {Kind::kRegex, "a+", {"", "</t>"}};
  EXPECT_TRUE(taken(begun, "hm, a or b?</t> a"));
  EXPECT_FALSE(taken(begun, "a"));
  const GrammarSpec special = {Kind::kRegex, "a+", {special_bytes("[T]"), special_bytes("[/T]")}};
  EXPECT_TRUE(taken(special, special_bytes("[T]") + "x[/Ta" + special_bytes("[/T]") + "a"));
  EXPECT_FALSE(taken(special, special_bytes("[T]") + "x[/T]a"));
  EXPECT_FALSE(taken(special, special_bytes("[T]") + special_bytes("[T]") + special_bytes("[/T]") + "a"));
  const GrammarSpec nested = {Kind::kGbnf, R"(root ::= "<" root ">" | "x")", {"<t>", "</t>"}};
  EXPECT_TRUE(taken(nested, "<t>1</t><<x>>"));
  EXPECT_FALSE(taken(nested, "<<t>1</t>x>")) << "it stands at the beginning only";
}

}  // namespace
}  // namespace longship
