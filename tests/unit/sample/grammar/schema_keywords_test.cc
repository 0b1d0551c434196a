// Keywords of JSON Schema that several conditions for one value come from.
#include <string>

#include "tests/unit/sample/grammar/accepts.h"

namespace longship {
namespace {

constexpr auto kSchema = GrammarSpec::Kind::kJsonSchema;

TEST(SchemaKeywords, PatternsWithinLengths) {
  const std::string label = R"(^[a-z0-9]([-a-z0-9]*[a-z0-9])?$)";
  check(kSchema,
        {{R"({"type":"string","pattern":"^a+$","maxLength":3})", {R"("a")", R"("aaa")"}, {R"("")", R"("aaaa")"}},
         {R"({"type":"string","pattern":"^[a-z]*$","minLength":2})", {R"("ab")", R"("abc")"}, {R"("a")", R"("aB")"}},
         {R"({"type":"string","pattern":"[A-Z]","minLength":3,"maxLength":4})",
          {R"("xYz")", R"("Yzzz")", R"("語\n語A")"},
          {R"("xY")", R"("xyz")", R"("xYzzz")"}},
         {R"({"type":"string","pattern":")" + label + R"(","maxLength":63})",
          {R"("a")", R"("a-b")", "\"" + std::string(63, 'x') + "\"", "\"a" + std::string(61, '-') + "b\""},
          {R"("")", R"("-a")", R"("a-")", "\"" + std::string(64, 'x') + "\"", "\"a" + std::string(62, '-') + "b\""}},
         {R"({"type":"string","pattern":"^(ab)*$","minLength":3,"maxLength":7})",
          {R"("abab")", R"("ababab")"},
          {R"("ab")", R"("aba")", R"("abababab")"}},
         {R"({"type":"string","pattern":"^x{2,500}$","minLength":400,"maxLength":410})",
          {"\"" + std::string(400, 'x') + "\"", "\"" + std::string(410, 'x') + "\""},
          {"\"" + std::string(399, 'x') + "\"", "\"" + std::string(411, 'x') + "\""}},
         // A character is one, however it is written.
         {R"({"type":"string","pattern":"^[\"\\\\\u0001é😀]+$","maxLength":2})",
          {R"("\"\\")", R"("\u0001é")", "\"\xF0\x9F\x98\x80é\""},
          {R"("\"\"\"")", R"("")"}},
         {R"({"type":"string","format":"email","maxLength":10})", {R"("a@b.org")"}, {R"("abcdefgh@b.org")"}},
         {R"({"type":"string","format":"date","pattern":"^2024-"})", {R"("2024-02-29")"}, {R"("2023-01-01")"}}});
}

TEST(SchemaKeywords, SeveralPatterns) {
  check(kSchema,
        {{R"({"allOf":[{"pattern":"^[a-z]+$"},{"pattern":"x.*y"},{"pattern":"z"}],"maxLength":6})",
          {R"("xzy")", R"("zxxyy")", R"("axybcz")"},
          {R"("xy")", R"("yxz")", R"("xZyz")", R"("aaaxzya")"}},
         {R"({"pattern":"[0-9]","allOf":[{"$ref":"#/$defs/p"}],"$defs":{"p":{"pattern":"[a-z]","minLength":3}}})",
          {R"("a1!")"},
          {R"("a1")", R"("abc")", R"("123")"}},
         {R"({"allOf":[{"pattern":"a"},{"pattern":"a"}]})", {R"("bab")"}, {R"("b")"}},
         {R"({"enum":["ab","b","abc"],"allOf":[{"pattern":"a"},{"pattern":"c"}]})", {R"("abc")"}, {R"("ab")"}}});
}

TEST(SchemaKeywords, MultipleOf) {
  std::vector<std::string> sevens;
  std::vector<std::string> others;
  for (int i = -3000; i <= 3000; ++i) (i % 7 == 0 ? sevens : others).push_back(std::to_string(i));
  std::vector<std::string> inside;
  std::vector<std::string> outside;
  for (int i = -100; i <= 100; ++i) (i % 5 == 0 && i >= -33 && i <= 60 ? inside : outside).push_back(std::to_string(i));
  check(
      kSchema,
      {{R"({"type":"integer","multipleOf":7})", sevens, others},
       {R"({"type":"integer","minimum":-33,"maximum":60,"multipleOf":5})", inside, outside},
       {R"({"type":"integer","minimum":1,"multipleOf":1000})",
        {"1000", "12000", "999000"},
        {"0", "100", "1500", "-1000", "01000"}},
       {R"({"type":"integer","multipleOf":9000000000000000})", {"0", "9000000000000000"}, {"9000000000000001"}},
       {R"({"type":"integer","minimum":0,"multipleOf":997})",
        {"0", "997", "1994", "997000000000000"},
        {"998", "-997", "0997", "997000000000000000000"}},
       {R"({"type":"integer","minimum":1,"multipleOf":4093})", {"4093", "8186"}, {"0", "1", "-4093"}},
       {R"({"type":"integer","multipleOf":997})", {"0", "-997", "997"}, {"-0", "1"}},
       {R"({"type":"number","multipleOf":3,"maximum":10.5})", {"9", "-3", "0"}, {"12", "1", "9.5"}},
       {R"({"type":"number","multipleOf":0.25,"minimum":0,"maximum":2})",
        {"0", "0.25", "1.5", "1.50", "2", "2.0", "1.75"},
        {"0.2", "0.26", "2.25", "-0.25", "1.", "1.500", "1.05"}},
       {R"({"type":"number","multipleOf":2.5})", {"2.5", "-7.5", "10", "1000000002.5"}, {"2", "5.5", "2.55"}},
       {R"({"type":"integer","multipleOf":2.5})", {"5", "-10", "0"}, {"2", "7"}},
       {R"({"type":"number","multipleOf":0.01})",
        {"0", "0.07", "19.99", "-3.5", "4", "4.10", "1234567890123.45"},
        {"0.001", "19.999", "4.100", "12345678901234.5", "1e2"}},
       {R"({"type":"number","multipleOf":0.01,"minimum":0,"maximum":999.99})",
        {"0", "0.00", "0.29", "999.99"},
        {"-0.01", "1000", "999.999"}},
       {R"({"type":"number","multipleOf":0.05,"exclusiveMinimum":0})", {"0.05", "0.3", "7.95"}, {"0", "0.01", "7.96"}},
       {R"({"type":"number","multipleOf":0.15})", {"0.15", "59.85", "-1.5", "1999.95"}, {"0.1", "59.9", "20"}},
       {R"({"type":"number","multipleOf":0.0000001,"maximum":1})", {"0.0000003", "1"}, {"0.00000003", "1.0000001"}},
       {R"({"type":"integer","multipleOf":0.01,"minimum":1,"maximum":9})", {"1", "9"}, {"0", "1.01"}},
       {R"({"allOf":[{"type":"number","multipleOf":0.4},{"multipleOf":0.06}]})", {"1.2", "2.4", "0"}, {"0.4", "0.6"}},
       {R"({"enum":[0.07,0.075,1,19.99,5000000000],"multipleOf":0.01})",
        {"0.07", "1", "19.99", "5000000000"},
        {"0.075"}},
       {R"({"allOf":[{"type":"integer","multipleOf":4},{"multipleOf":6}]})", {"12", "0", "-24"}, {"4", "6", "8"}},
       {R"({"enum":[1,2,3,4.5,6,"x"],"multipleOf":1.5})", {"3", "4.5", "6", R"("x")"}, {"1", "2"}}});
}

TEST(SchemaKeywords, UniqueItems) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += (i > 0 ? "," : "") + std::to_string(i);
  check(kSchema,
        {{R"({"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true})",
          {"[]", R"(["a"])", R"(["c", "a"])", R"(["b","c","a"])"},
          {R"(["a","a"])", R"(["a","b","a"])", R"(["a","b","c","a"])", R"(["d"])"}},
         {R"({"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":2,"maxItems":2})",
          {R"(["c","a"])", "[ \"a\", \"b\" ]"},
          {"[]", R"(["a"])", R"(["b","b"])", R"(["a","b","c"])"}},
         {R"({"type":"array","items":{"type":["boolean","null"]},"uniqueItems":true})",
          {"[true,null,false]", "[null]"},
          {"[null,null]", "[true,false,true]"}},
         {R"({"type":"array","items":{"anyOf":[{"const":1},{"enum":[1.0,2,{"k":[1]}]}]},"uniqueItems":true})",
          {R"([1,{"k": [1]},2])"},
          {"[1,1]", "[1,1.0]", R"([{"k": [1]},{"k": [1]}])"}},
         {R"({"type":"array","items":{"type":"integer","minimum":1,"maximum":7},"uniqueItems":true,"maxItems":3})",
          {"[7,1,3]"},
          {"[7,7]", "[1,2,3,4]", "[0]"}},
         // Of many values in the order of the list.
         {R"({"type":"array","items":{"enum":[)" + many + R"(]},"uniqueItems":true})",
          {"[]", "[0,39]", "[3, 20, 21]", "[" + many + "]"},
          {"[1,1]", "[39,39]", "[0,1,1]"}},
         {R"({"type":"array","items":{"enum":[)" + many + R"(]},"uniqueItems":true,"minItems":2,"maxItems":3})",
          {"[0,39]", "[3, 20, 21]"},
          {"[]", "[7]", "[1,1]", "[0,1,2,3]"}},
         {R"({"type":"array","uniqueItems":true,"maxItems":1})", {"[]", R"([{"a":1}])"}, {"[1,2]"}},
         {R"({"type":"array","uniqueItems":false})", {"[1,1]"}, {}},
         {R"({"enum":[[1,1],[1,2],[true,1]],"uniqueItems":true})", {"[1, 2]", "[true, 1]"}, {"[1, 1]"}}});
}

TEST(SchemaKeywords, NamesOfMembers) {
  check(
      kSchema,
      {{R"({"type":"object","patternProperties":{"^S_":{"type":"string"},"^I_":{"type":"integer"}},"additionalProperties":false})",
        {"{}", R"({"S_a":"x","I_b":1,"S_":""})"},
        {R"({"S_a":1})", R"({"I_b":"x"})", R"({"a":1})", R"({"\u0053_a":1})"}},
       {R"({"type":"object","properties":{"S_x":{"maxLength":1},"n":{"type":"null"}},"patternProperties":{"^S_":{"type":"string"}}})",
        {R"({"S_x":"a","n":null,"S_y":"long"})", R"({"S_xx":"long"})"},
        {R"({"S_x":"ab"})", R"({"S_x":1})", R"({"m":null})", R"({"S_y":1})"}},
       {R"({"patternProperties":{"a":{"type":"integer"},"b":{"minimum":5}},"additionalProperties":{"type":"null"}})",
        {R"({"a":1,"b":7.5,"ab":6,"c":null})"},
        {R"({"ab":1})", R"({"ab":7.5})", R"({"b":4})", R"({"c":1})", R"({"a":null})"}},
       {R"({"patternProperties":{"^x-":{}},"required":["y"],"properties":{"y":{"type":"null"}}})",
        {R"({"y":null,"x-1":[1]})"},
        {R"({"x-1":[1]})", R"({"y":null,"x":1})"}},
       {R"({"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":3},"additionalProperties":{"type":"integer"}})",
        {"{}", R"({"abc":1,"d":2})"},
        {R"({"abcd":1})", R"({"A":1})", R"({"":1})", R"({"a":"x"})"}},
       {R"({"type":"object","propertyNames":{"enum":["red","green"]},"additionalProperties":{"type":"integer"}})",
        {"{}", R"({"red":1})", R"({"red":1,"green":2})"},
        {R"({"blue":1})", R"({"red":1,"red":2})", R"({"red":"x"})"}},
       {R"({"type":"object","properties":{"ab":{"type":"null"},"abc":{"type":"null"}},"propertyNames":{"maxLength":2}})",
        {R"({"ab":null})"},
        {R"({"abc":null})"}},
       {R"({"type":"object","propertyNames":false})", {"{}"}, {R"({"a":1})"}},
       {R"({"type":"object","propertyNames":{"enum":["a","b"]},"minProperties":1})", {R"({"b":[]})"}, {"{}"}},
       {R"({"enum":[{"a1":1},{"a1":"x"},{"b":1}],"patternProperties":{"\\d":{"type":"integer"}},"propertyNames":{"minLength":2}})",
        {R"({"a1": 1})"},
        {R"({"a1": "x"})", R"({"b": 1})"}}});
}

TEST(SchemaKeywords, MembersThatDependOnOthers) {
  const std::string named =
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},)";
  check(kSchema, {{named + R"("dependentRequired":{"a":["b"]}})",
                   {"{}", R"({"b":null})", R"({"a":null,"b":null})", R"({"c":null})", R"({"b":null,"c":null})"},
                   {R"({"a":null})", R"({"a":null,"c":null})"}},
                  {named + R"("dependencies":{"a":["b"],"c":{"required":["a"]}}})",
                   {"{}", R"({"b":null})", R"({"a":null,"b":null,"c":null})"},
                   {R"({"a":null})", R"({"c":null})", R"({"b":null,"c":null})"}},
                  {named + R"("dependentSchemas":{"a":{"properties":{"b":false}}}})",
                   {R"({"a":null,"c":null})", R"({"b":null})"},
                   {R"({"a":null,"b":null})"}},
                  {R"({"type":"object","dependentRequired":{"a":["b"]}})",
                   {"{}", R"({"c":1})", R"({"b":1,"c":null})", R"({"a":1,"b":2})", R"({"a":1,"b":2,"c":3})"},
                   {R"({"a":1})", R"({"c":1,"a":1})", R"({"a":1,"c":1})"}},
                  {R"({"type":"object","additionalProperties":{"type":"null"},"dependentRequired":{"a":["b"]}})",
                   {"{}", R"({"c":null})", R"({"a":null,"b":null,"c":null})"},
                   {R"({"a":null})", R"({"c":1})"}},
                  {R"({"enum":[{"a":1},{"a":1,"b":2}],"dependentRequired":{"a":["b"]}})",
                   {R"({"a": 1, "b": 2})"},
                   {R"({"a": 1})"}}});
}

TEST(SchemaKeywords, WhatNoOtherWordIsAbout) {
  check(
      kSchema,
      {{R"({"allOf":[{"properties":{"a":{"type":"null"}}},{"$ref":"#/$defs/b"}],"unevaluatedProperties":false,"$defs":{"b":{"properties":{"b":{"type":"null"}}}}})",
        {R"({"a":null,"b":null})"},
        {R"({"c":1})"}},
       {R"({"properties":{"a":{"type":"null"}},"unevaluatedProperties":{"type":"integer"}})",
        {R"({"a":null,"x":1})"},
        {R"({"x":"1"})"}},
       {R"({"properties":{"a":{"type":"null"}},"required":["r"],"unevaluatedProperties":{"type":"integer"}})",
        {R"({"r":1})"},
        {R"({"r":"1"})", "{}"}},
       {R"({"anyOf":[{"properties":{"a":{"type":"null"}}},{"properties":{"b":{"type":"null"}}}],"unevaluatedProperties":{"type":"integer"}})",
        {R"({"a":null,"x":1})", R"({"b":null})"},
        {R"({"x":null})"}},
       {R"({"type":"array","prefixItems":[{"type":"null"}],"unevaluatedItems":{"type":"integer"}})",
        {"[null,1,2]"},
        {"[null,null]"}},
       {R"({"type":"array","prefixItems":[{"type":"null"}],"unevaluatedItems":true})", {"[null]"}, {"[1]"}}});
}

TEST(SchemaKeywords, ElementsByPlaceFromSeveralSchemas) {
  check(
      kSchema,
      {{R"({"allOf":[{"items":{"type":"integer"}},{"type":"array","prefixItems":[{"minimum":5},{}]}]})",
        {"[5,1]"},
        {"[4,1]", R"([5,"x"])", "[5.5,1]"}},
       {R"({"allOf":[{"type":"array","prefixItems":[{"type":"integer"}]},{"prefixItems":[{"minimum":5},{"type":"null"}]}]})",
        {"[5,null]"},
        {"[4,null]", "[5,1]"}}});
}

TEST(SchemaKeywords, SeveralChoicesForOneValue) {
  check(
      kSchema,
      {{R"({"allOf":[{"anyOf":[{"type":"integer"},{"type":"string"}]},{"anyOf":[{"type":"string"},{"type":"null"}]}]})",
        {R"("a")"},
        {"1", "null"}},
       {R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},"allOf":[{"oneOf":[{"required":["a"]},{"properties":{"a":false}}]},{"oneOf":[{"required":["b"]},{"properties":{"b":false}}]}]})",
        {"{}", R"({"a":null})", R"({"b":null})", R"({"a":null,"b":null})"},
        {R"({"c":1})"}}});
}

TEST(SchemaKeywords, WordsOfOlderDrafts) {
  check(kSchema, {{R"({"type":"integer","minimum":3,"exclusiveMinimum":true,"maximum":5,"exclusiveMaximum":false})",
                   {"4", "5"},
                   {"3", "6"}},
                  {R"({"type":"array","items":[{"type":"null"}],"additionalItems":{"type":"integer"}})",
                   {"[null,1]", "[null]"},
                   {"[null,null]", "[1]"}},
                  {R"({"type":"array","items":[{"type":"null"}],"additionalItems":false})", {"[null]"}, {"[null,1]"}},
                  {R"({"type":"array","items":{"type":"null"},"additionalItems":false})", {"[null,null]"}, {"[1]"}}});
}

TEST(SchemaKeywords, MoreFormats) {
  const auto format = [](const std::string& name) { return R"({"type":"string","format":")" + name + "\"}"; };
  check(kSchema, {{format("iri"), {R"("https://example.org/a")"}, {R"("a b")"}},
                  {format("uri-reference"), {R"("/a/b?x=1#y")", R"("https://example.org")"}, {R"("a b")"}},
                  {format("idn-email"), {R"("a@b.org")"}, {R"("a")"}},
                  {format("json-pointer"), {R"("")", R"("/a/~0b/~1/語")"}, {R"("a")", R"("/~2")"}},
                  {format("relative-json-pointer"), {R"("0#")", R"("12/a")"}, {R"("/a")", R"("01")"}},
                  {format("uri-template"), {R"("https://example.org/{id}/x")"}, {R"("https://example.org/{id")"}},
                  {format("regex"), {R"("^[a-z]+\\d*$")", R"("a.b")"}, {R"("*")", R"("[")"}},
                  // None of JSON Schema's: they only describe.
                  {format("password"), {R"("x y\n")"}, {"1"}},
                  {R"({"type":"integer","format":"int32"})", {"7"}, {"7.5"}}});
}

TEST(SchemaKeywords, Not) {
  check(kSchema,
        {{R"({"not":{"type":["object","array","number"]}})", {"null", "true", R"("a")"}, {"1", "1.5", "{}", "[]"}},
         {R"({"type":"string","not":{"pattern":"^[a-z]+$"},"maxLength":3})",
          {R"("")", R"("A")", R"("ab1")"},
          {R"("a")", R"("abc")", R"("ABCD")"}},
         {R"({"type":"string","not":{"enum":["red","re"]}})", {R"("r")", R"("redd")"}, {R"("red")", R"("re")"}},
         {R"({"type":["integer","boolean"],"not":{"enum":[3,5,true]}})", {"2", "4", "6", "false"}, {"3", "5", "true"}},
         {R"({"type":"string","not":{"anyOf":[{"const":"a"},{"minLength":3}]}})",
          {R"("b")", R"("aa")"},
          {R"("a")", R"("bbb")"}},
         {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{}},"not":{"required":["a","b"]}})",
          {"{}", R"({"a":1})", R"({"b":1})"},
          {R"({"a":1,"b":1})"}},
         {R"({"type":"object","not":{"required":["a"]}})", {"{}", R"({"b":1})"}, {R"({"a":1})", R"({"b":1,"a":1})"}},
         {R"({"type":"object","minProperties":1,"not":{"required":["a"]}})", {R"({"b":1})"}, {"{}", R"({"a":1})"}},
         {R"({"type":"object","not":{"not":{"required":["a"]}}})", {R"({"a":1})"}, {"{}", R"({"b":1})"}},
         {R"({"type":"object","properties":{},"not":{"required":["a"]}})", {"{}"}, {R"({"b":1})", R"({"a":1})"}},
         {R"({"enum":[{"a":1},{"b":1}],"not":{"required":["a"]}})", {R"({"b": 1})"}, {R"({"a": 1})"}},
         {R"({"oneOf":[{"type":"object","required":["a"]},{"type":"object","not":{"required":["a"]}}]})",
          {R"({"a":1})", R"({"b":1})", "{}"},
          {"1"}},
         {R"({"type":"string","if":{"not":{"pattern":"^a"}},"then":{"maxLength":2}})",
          {R"("abcd")", R"("bc")"},
          {R"("bcd")"}},
         {R"({"type":"string","not":{"not":{"enum":["x","y"]}}})", {R"("x")"}, {R"("z")"}},
         {R"({"not":{"not":{"type":"null"}}})", {"null"}, {"1", "{}"}},
         {R"({"enum":["a","b",1],"not":{"const":"a"}})", {R"("b")", "1"}, {R"("a")"}}});
  EXPECT_NE(refusal(kSchema, R"({"not":{}})").find("no text of finite length"), std::string::npos);
}

TEST(SchemaKeywords, Conditions) {
  const std::string address =
      R"({"type":"object","properties":{"country":{"enum":["US","CA","NL"]},"code":{"type":"string"}},"required":["country","code"],)";
  check(
      kSchema,
      {{address +
            R"("if":{"properties":{"country":{"const":"US"}}},"then":{"properties":{"code":{"pattern":"^\\d{5}$"}}},"else":{"properties":{"code":{"maxLength":3}}}})",
        {R"({"country":"US","code":"12345"})", R"({"country":"CA","code":"abc"})"},
        {R"({"country":"US","code":"abc"})", R"({"country":"NL","code":"12345"})", R"({"code":"abc"})"}},
       {R"({"type":"object","properties":{"kind":{"type":"string"},"x":{"type":"null"}},"if":{"properties":{"kind":{"const":"a"}},"required":["kind"]},"then":{"required":["x"]}})",
        {"{}", R"({"x":null})", R"({"kind":"b"})", R"({"kind":"a","x":null})"},
        {R"({"kind":"a"})", R"({"x":1})"}},
       {R"({"type":"integer","if":{"minimum":10},"else":{"enum":[1,2,3]}})", {"10", "2", "99"}, {"4", "9"}},
       {R"({"type":"integer","if":{"minimum":10}})", {"1", "10"}, {"null"}},
       {R"({"type":"integer","then":{"minimum":10}})", {"1", "10"}, {"null"}}});
}

TEST(SchemaKeywords, HostileConditionsAreQuick) {
  std::string patterns;
  std::string properties;
  std::string multiples;
  std::string unique;
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    const std::string comma = i > 0 ? "," : "";
    patterns += comma + R"({"pattern":"[a-z]x)" + n + "\"}";
    properties += comma + "\"p" + n + R"(":{"type":"string","pattern":"(a|b)*a(a|b){9}","maxLength":1)" + n + "}";
    multiples += comma + "\"p" + n + R"(":{"type":"integer","multipleOf":)" + std::to_string(1009 + i) + "}";
    unique += comma + "\"p" + n + R"(":{"type":"array","uniqueItems":true,"items":{"type":"integer","minimum":)" + n +
              R"(,"maximum":)" + std::to_string(i + 7) + "}}";
  }
  const std::string wide = R"({"type":"object","properties":{)";
  check_hostile(
      kSchema,
      {{R"({"allOf":[)" + patterns + "]}", "too many states"},
       {wide + properties + "}}", "too many states"},
       {wide + multiples + "}}", "too many states"},
       {wide + unique + "}}", "too many states"},
       {R"({"type":"string","pattern":"^.*$","maxLength":100000})", ""},
       {R"({"type":"string","pattern":"x.*y","maxLength":100000})", ""},
       {R"({"type":"string","pattern":"((a{1,1000}){1,1000}){1,1000}","maxLength":99})", "too "},
       {R"({"type":"string","pattern":"^(a?){1000}$","maxLength":900})", "may be empty"},
       {R"({"patternProperties":{"((a|b){1,9}c){1,9}":{},"(b*a){50}":{},"x":{},"y.*z":{}},"additionalProperties":{}})",
        "too "},
       {R"({"dependentRequired":{"a":["b"],"b":["c"],"c":["d"],"d":["e"],"e":["f"],"f":["g"],"g":["h"],"h":["i"],"i":["j"],"j":["k"],"k":["l"],"l":["m"]}})",
        "combinations"}});
}

}  // namespace
}  // namespace longship
