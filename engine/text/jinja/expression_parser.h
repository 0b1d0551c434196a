#pragma once

#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/lexer.h"

namespace longship::jinja {

/// The tokens of a template, read from front to back.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const;
  Token next();
  int line() const { return peek().line; }
  bool peek_operator(std::string_view op) const { return peek().kind == TokenKind::kOperator && peek().text == op; }
  bool peek_name(std::string_view name) const { return peek().kind == TokenKind::kName && peek().text == name; }
  bool skip_operator(std::string_view op);
  bool skip_name(std::string_view name);
  Token expect(TokenKind kind);
  void expect_operator(std::string_view op);

  int depth = 0;  ///< Nesting of what is being parsed.

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

/// Counts one level of nesting while it lives. Errors: TemplateError beyond the limit.
class DepthGuard {
 public:
  explicit DepthGuard(TokenStream& tokens);
  ~DepthGuard() { --tokens_.depth; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  TokenStream& tokens_;
};

/// Expressions, by Jinja's precedences (rising): if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary,
/// then attribute, item, call, filter and test.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExpressionPtr parse_expression(bool with_conditional = true);
  /// One expression, or several with commas between them as a tuple.
  ExpressionPtr parse_tuple(bool with_conditional = true);
  /// "| filter ..." of a set block, applied to kBlockText; null if there is none.
  ExpressionPtr parse_block_filters();
  /// "filter | filter ..." of a filter block, applied to kBlockText.
  ExpressionPtr parse_filter_block();

 private:
  ExpressionPtr make(Expression::Kind kind) const;
  /// Sets the depth of a node whose children are complete. Errors: TemplateError beyond the limit.
  static ExpressionPtr complete(ExpressionPtr expression);
  ExpressionPtr binary(std::string op, ExpressionPtr left, ExpressionPtr right) const;
  ExpressionPtr parse_conditional();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_number();
  ExpressionPtr parse_parentheses();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr expression);
  ExpressionPtr parse_filters(ExpressionPtr expression);
  ExpressionPtr parse_subscript(ExpressionPtr expression);
  ExpressionPtr parse_filter(ExpressionPtr expression);
  ExpressionPtr parse_test(ExpressionPtr expression);
  ExpressionPtr parse_call(ExpressionPtr expression);
  CallArguments parse_arguments();
  std::string parse_dotted_name();

  TokenStream& tokens_;
};

}  // namespace longship::jinja
