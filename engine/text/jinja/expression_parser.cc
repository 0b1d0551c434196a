#include "engine/text/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace longship::jinja {

const Token& TokenStream::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token TokenStream::next() {
  Token token = peek();
  at_ = std::min(at_ + 1, tokens_.size() - 1);
  return token;
}

bool TokenStream::skip_operator(std::string_view op) {
  const bool found = peek_operator(op);
  if (found) {
    next();
  }
  return found;
}

bool TokenStream::skip_name(std::string_view name) {
  const bool found = peek_name(name);
  if (found) {
    next();
  }
  return found;
}

Token TokenStream::expect(TokenKind kind) {
  if (peek().kind != kind) {
    throw TemplateError(peek().text.empty() ? "the tag is not complete" : "unexpected '" + peek().text + "'", line());
  }
  return next();
}

void TokenStream::expect_operator(std::string_view op) {
  if (!skip_operator(op)) {
    throw TemplateError("expected '" + std::string(op) + "'", line());
  }
}

DepthGuard::DepthGuard(TokenStream& tokens) : tokens_(tokens) {
  constexpr int kMaxDepth = 64;
  if (++tokens_.depth > kMaxDepth) {
    --tokens_.depth;
    throw TemplateError("the template is nested too deep", tokens.line());
  }
}

ExpressionPtr ExpressionParser::make(Expression::Kind kind) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = tokens_.line();
  return expression;
}

ExpressionPtr ExpressionParser::complete(ExpressionPtr expression) {
  constexpr int kMaxDepth = 400;
  const auto include = [&](const ExpressionPtr& child) {
    if (child != nullptr) {
      expression->depth = std::max(expression->depth, child->depth + 1);
    }
  };
  for (const ExpressionPtr& child : expression->children) {
    include(child);
  }
  for (const ExpressionPtr& argument : expression->arguments.positional) {
    include(argument);
  }
  for (const auto& [keyword, argument] : expression->arguments.keywords) {
    include(argument);
  }
  include(expression->arguments.extra_positional);
  include(expression->arguments.extra_keywords);
  if (expression->depth > kMaxDepth) {
    throw TemplateError("an expression is nested too deep", expression->line);
  }
  return expression;
}

ExpressionPtr ExpressionParser::binary(std::string op, ExpressionPtr left, ExpressionPtr right) const {
  ExpressionPtr expression = make(Expression::Kind::kBinary);
  expression->name = std::move(op);
  expression->children.push_back(std::move(left));
  expression->children.push_back(std::move(right));
  return complete(std::move(expression));
}

ExpressionPtr ExpressionParser::parse_expression(bool with_conditional) {
  const DepthGuard guard(tokens_);
  return with_conditional ? parse_conditional() : parse_or();
}

ExpressionPtr ExpressionParser::parse_tuple(bool with_conditional) {
  ExpressionPtr first = parse_expression(with_conditional);
  if (!tokens_.peek_operator(",")) {
    return first;
  }
  ExpressionPtr tuple = make(Expression::Kind::kTuple);
  tuple->children.push_back(std::move(first));
  while (tokens_.skip_operator(",")) {
    const TokenKind kind = tokens_.peek().kind;
    if (kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || tokens_.peek_operator(")")) {
      break;
    }
    tuple->children.push_back(parse_expression(with_conditional));
  }
  return complete(std::move(tuple));
}

ExpressionPtr ExpressionParser::parse_conditional() {
  ExpressionPtr value = parse_or();
  while (tokens_.skip_name("if")) {
    ExpressionPtr expression = make(Expression::Kind::kConditional);
    expression->children.push_back(parse_or());
    expression->children.push_back(std::move(value));
    expression->children.push_back(tokens_.skip_name("else") ? parse_expression() : nullptr);
    value = complete(std::move(expression));
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (tokens_.skip_name("or")) {
    left = binary("or", std::move(left), parse_and());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (tokens_.skip_name("and")) {
    left = binary("and", std::move(left), parse_not());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!tokens_.peek_name("not")) {
    return parse_compare();
  }
  const DepthGuard guard(tokens_);
  ExpressionPtr expression = make(Expression::Kind::kUnary);
  tokens_.next();
  expression->name = "not";
  expression->children.push_back(parse_not());
  return complete(std::move(expression));
}

ExpressionPtr ExpressionParser::parse_compare() {
  constexpr std::array<std::string_view, 6> kOperators = {"==", "!=", "<", "<=", ">", ">="};
  ExpressionPtr first = parse_sum();
  ExpressionPtr compare;
  for (;;) {
    std::string op;
    const Token& token = tokens_.peek();
    if (token.kind == TokenKind::kOperator &&
        std::find(kOperators.begin(), kOperators.end(), token.text) != kOperators.end()) {
      op = tokens_.next().text;
    } else if (tokens_.skip_name("in")) {
      op = "in";
    } else if (tokens_.peek_name("not") && tokens_.peek(1).kind == TokenKind::kName && tokens_.peek(1).text == "in") {
      tokens_.next();
      tokens_.next();
      op = "not in";
    } else {
      return compare != nullptr ? complete(std::move(compare)) : std::move(first);
    }
    if (compare == nullptr) {
      compare = make(Expression::Kind::kCompare);
      compare->children.push_back(std::move(first));
    }
    compare->operators.push_back(std::move(op));
    compare->children.push_back(parse_sum());
  }
}

ExpressionPtr ExpressionParser::parse_sum() {
  ExpressionPtr left = parse_concat();
  while (tokens_.peek_operator("+") || tokens_.peek_operator("-")) {
    std::string op = tokens_.next().text;
    left = binary(std::move(op), std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concat() {
  ExpressionPtr first = parse_product();
  if (!tokens_.peek_operator("~")) {
    return first;
  }
  ExpressionPtr concat = make(Expression::Kind::kConcat);
  concat->children.push_back(std::move(first));
  while (tokens_.skip_operator("~")) {
    concat->children.push_back(parse_product());
  }
  return complete(std::move(concat));
}

ExpressionPtr ExpressionParser::parse_product() {
  ExpressionPtr left = parse_power();
  while (tokens_.peek_operator("*") || tokens_.peek_operator("/") || tokens_.peek_operator("//") ||
         tokens_.peek_operator("%")) {
    std::string op = tokens_.next().text;
    left = binary(std::move(op), std::move(left), parse_power());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (tokens_.skip_operator("**")) {
    left = binary("**", std::move(left), parse_unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filter) {
  ExpressionPtr expression;
  if (tokens_.peek_operator("-") || tokens_.peek_operator("+")) {
    const DepthGuard guard(tokens_);
    expression = make(Expression::Kind::kUnary);
    expression->name = tokens_.next().text;
    expression->children.push_back(parse_unary(false));
    expression = complete(std::move(expression));
  } else {
    expression = parse_primary();
  }
  expression = parse_postfix(std::move(expression));
  return with_filter ? parse_filters(std::move(expression)) : std::move(expression);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token& token = tokens_.peek();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number();
    case TokenKind::kString: {
      ExpressionPtr expression = make(Expression::Kind::kConstant);
      std::string text;
      while (tokens_.peek().kind == TokenKind::kString) {
        text += tokens_.next().text;
      }
      expression->value = Value(std::move(text));
      return expression;
    }
    default:
      break;
  }
  if (tokens_.peek_operator("(")) return parse_parentheses();
  if (tokens_.peek_operator("[")) return parse_list();
  if (tokens_.peek_operator("{")) return parse_dict();
  throw TemplateError(token.text.empty() ? "an expression is missing" : "unexpected '" + token.text + "'", token.line);
}

ExpressionPtr ExpressionParser::parse_name() {
  const Token token = tokens_.peek();
  for (const char* keyword : {"and", "or", "not", "in", "is", "if", "else"}) {
    if (token.text == keyword) {
      throw TemplateError("unexpected '" + token.text + "'", token.line);
    }
  }
  ExpressionPtr expression = make(Expression::Kind::kConstant);
  tokens_.next();
  if (token.text == "true" || token.text == "True") {
    expression->value = Value(true);
  } else if (token.text == "false" || token.text == "False") {
    expression->value = Value(false);
  } else if (token.text != "none" && token.text != "None") {
    expression->kind = Expression::Kind::kName;
    expression->name = token.text;
  }
  return expression;
}

ExpressionPtr ExpressionParser::parse_number() {
  ExpressionPtr expression = make(Expression::Kind::kConstant);
  const Token token = tokens_.next();
  if (token.kind == TokenKind::kFloat) {
    expression->value = Value(std::strtod(token.text.c_str(), nullptr));
    return expression;
  }
  const char prefix = token.text.size() > 1 ? static_cast<char>(token.text[1] | 0x20) : '\0';
  const int base = prefix == 'x' ? 16 : (prefix == 'o' ? 8 : (prefix == 'b' ? 2 : 10));
  Int value = 0;
  for (const char c : std::string_view(token.text).substr(base == 10 ? 0 : 2)) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (digit >= base || __builtin_mul_overflow(value, Int{base}, &value) ||
        __builtin_add_overflow(value, Int{digit}, &value)) {
      throw TemplateError("the integer " + token.text.substr(0, 40) + " is not valid or too large", token.line);
    }
  }
  expression->value = Value(value);
  return expression;
}

ExpressionPtr ExpressionParser::parse_parentheses() {
  const DepthGuard guard(tokens_);
  tokens_.next();
  if (tokens_.peek_operator(")")) {
    ExpressionPtr empty = make(Expression::Kind::kTuple);
    tokens_.next();
    return empty;
  }
  ExpressionPtr expression = parse_tuple();
  tokens_.expect_operator(")");
  return expression;
}

ExpressionPtr ExpressionParser::parse_list() {
  ExpressionPtr list = make(Expression::Kind::kList);
  tokens_.next();
  while (!tokens_.skip_operator("]")) {
    if (!list->children.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.skip_operator("]")) {
        break;
      }
    }
    list->children.push_back(parse_expression());
  }
  return complete(std::move(list));
}

ExpressionPtr ExpressionParser::parse_dict() {
  ExpressionPtr dict = make(Expression::Kind::kDict);
  tokens_.next();
  while (!tokens_.skip_operator("}")) {
    if (!dict->children.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.skip_operator("}")) {
        break;
      }
    }
    dict->children.push_back(parse_expression());
    tokens_.expect_operator(":");
    dict->children.push_back(parse_expression());
  }
  return complete(std::move(dict));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr expression) {
  for (;;) {
    if (tokens_.peek_operator(".") || tokens_.peek_operator("[")) {
      expression = parse_subscript(std::move(expression));
    } else if (tokens_.peek_operator("(")) {
      expression = parse_call(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::parse_filters(ExpressionPtr expression) {
  for (;;) {
    if (tokens_.skip_operator("|")) {
      expression = parse_filter(std::move(expression));
    } else if (tokens_.skip_name("is")) {
      expression = parse_test(std::move(expression));
    } else if (tokens_.peek_operator("(")) {
      expression = parse_call(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr expression) {
  if (tokens_.skip_operator(".")) {
    ExpressionPtr result = make(Expression::Kind::kAttribute);
    result->children.push_back(std::move(expression));
    if (tokens_.peek().kind == TokenKind::kInteger) {
      result->kind = Expression::Kind::kItem;
      result->children.push_back(parse_number());
    } else {
      result->name = tokens_.expect(TokenKind::kName).text;
    }
    return complete(std::move(result));
  }
  ExpressionPtr result = make(Expression::Kind::kItem);
  tokens_.next();
  result->children.push_back(std::move(expression));
  ExpressionPtr first = tokens_.peek_operator(":") ? nullptr : parse_tuple();
  if (!tokens_.peek_operator(":")) {
    result->children.push_back(std::move(first));
    tokens_.expect_operator("]");
    return complete(std::move(result));
  }
  result->kind = Expression::Kind::kSlice;
  result->children.push_back(std::move(first));
  for (int part = 0; part < 2; ++part) {
    const bool given = tokens_.skip_operator(":") && !tokens_.peek_operator(":") && !tokens_.peek_operator("]");
    result->children.push_back(given ? parse_expression() : nullptr);
  }
  tokens_.expect_operator("]");
  return complete(std::move(result));
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = tokens_.expect(TokenKind::kName).text;
  while (tokens_.skip_operator(".")) {
    name += "." + tokens_.expect(TokenKind::kName).text;
  }
  return name;
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr expression) {
  ExpressionPtr filter = make(Expression::Kind::kFilter);
  filter->name = parse_dotted_name();
  filter->children.push_back(std::move(expression));
  if (tokens_.peek_operator("(")) {
    filter->arguments = parse_arguments();
  }
  return complete(std::move(filter));
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr expression) {
  const bool negated = tokens_.skip_name("not");
  ExpressionPtr test = make(Expression::Kind::kTest);
  test->name = parse_dotted_name();
  test->children.push_back(std::move(expression));
  const Token& token = tokens_.peek();
  const bool keyword = token.kind == TokenKind::kName &&
                       (token.text == "else" || token.text == "or" || token.text == "and" || token.text == "is" ||
                        token.text == "if" || token.text == "not" || token.text == "in" || token.text == "recursive");
  const bool literal =
      token.kind == TokenKind::kString || token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat;
  if (tokens_.peek_operator("(")) {
    test->arguments = parse_arguments();
  } else if (literal || (token.kind == TokenKind::kName && !keyword) || tokens_.peek_operator("[") ||
             tokens_.peek_operator("{")) {
    test->arguments.positional.push_back(parse_postfix(parse_primary()));
  } else if (keyword && token.text == "is") {
    throw TemplateError("tests cannot be chained", token.line);
  }
  test = complete(std::move(test));
  if (!negated) {
    return test;
  }
  ExpressionPtr expression_not = make(Expression::Kind::kUnary);
  expression_not->name = "not";
  expression_not->children.push_back(std::move(test));
  return complete(std::move(expression_not));
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr expression) {
  ExpressionPtr call = make(Expression::Kind::kCall);
  call->children.push_back(std::move(expression));
  call->arguments = parse_arguments();
  return complete(std::move(call));
}

CallArguments ExpressionParser::parse_arguments() {
  const DepthGuard guard(tokens_);
  CallArguments arguments;
  tokens_.expect_operator("(");
  for (bool first = true; !tokens_.skip_operator(")"); first = false) {
    if (!first) {
      tokens_.expect_operator(",");
      if (tokens_.skip_operator(")")) {
        break;
      }
    }
    const Token& token = tokens_.peek();
    if (tokens_.skip_operator("**")) {
      arguments.extra_keywords = parse_expression();
    } else if (tokens_.skip_operator("*")) {
      arguments.extra_positional = parse_expression();
    } else if (token.kind == TokenKind::kName && tokens_.peek(1).kind == TokenKind::kOperator &&
               tokens_.peek(1).text == "=") {
      std::string name = tokens_.next().text;
      tokens_.next();
      arguments.keywords.emplace_back(std::move(name), parse_expression());
    } else if (!arguments.keywords.empty()) {
      throw TemplateError("a positional argument follows a keyword argument", token.line);
    } else {
      arguments.positional.push_back(parse_expression());
    }
  }
  return arguments;
}

ExpressionPtr ExpressionParser::parse_block_filters() {
  if (!tokens_.peek_operator("|")) {
    return nullptr;
  }
  ExpressionPtr text = make(Expression::Kind::kName);
  text->name = kBlockText;
  return parse_filters(std::move(text));
}

ExpressionPtr ExpressionParser::parse_filter_block() {
  ExpressionPtr text = make(Expression::Kind::kName);
  text->name = kBlockText;
  return parse_filters(parse_filter(std::move(text)));
}

}  // namespace longship::jinja
