#include "engine/text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "engine/text/jinja/expression_parser.h"

namespace longship::jinja {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Block run() {
    Block block = parse_until({});
    return block;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  [[noreturn]] void fail(const std::string& message) const { throw TemplateError(message, tokens_.line()); }

  // Statements up to a block that begins with one of `ends` (its name is then next) or to the end of the template.
  Block parse_until(Names ends) {
    const DepthGuard guard(tokens_);
    Block block;
    while (tokens_.peek().kind != TokenKind::kEnd) {
      const Token token = tokens_.next();
      if (token.kind == TokenKind::kData) {
        auto statement = make(Statement::Kind::kData);
        statement->text = token.text;
        block.push_back(std::move(statement));
      } else if (token.kind == TokenKind::kVariableBegin) {
        auto statement = make(Statement::Kind::kOutput);
        statement->expressions.push_back(expressions_.parse_tuple());
        tokens_.expect(TokenKind::kVariableEnd);
        block.push_back(std::move(statement));
      } else {
        const Token& name = tokens_.peek();
        if (name.kind != TokenKind::kName) {
          fail("a block needs a name");
        }
        if (std::find(ends.begin(), ends.end(), name.text) != ends.end()) {
          return block;
        }
        block.push_back(parse_statement());
      }
    }
    if (ends.size() != 0) {
      fail("a block is not closed: " + std::string(*(ends.end() - 1)) + " is missing");
    }
    return block;
  }

  StatementPtr make(Statement::Kind kind) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = tokens_.line();
    return statement;
  }

  void end_block() { tokens_.expect(TokenKind::kBlockEnd); }

  // The body of a block, its end tag included.
  Block body(std::string_view end) {
    end_block();
    Block block = parse_until({end});
    tokens_.next();
    end_block();
    return block;
  }

  StatementPtr parse_statement() {
    const std::string name = tokens_.next().text;
    if (name == "if") return parse_if();
    if (name == "for") return parse_for();
    if (name == "set") return parse_set();
    if (name == "macro") return parse_macro();
    if (name == "call") return parse_call();
    if (name == "filter") return parse_filter();
    if (name == "with") return parse_with();
    if (name == "block") return parse_block();
    if (name == "print") return parse_print();
    if (name == "generation") return parse_body("endgeneration");
    if (name == "autoescape") {
      expressions_.parse_expression();
      return parse_body("endautoescape");
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) {
        fail(name + " outside a loop");
      }
      auto statement = make(name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue);
      end_block();
      return statement;
    }
    fail("unknown or unsupported tag '" + name + "'");
  }

  StatementPtr parse_body(std::string_view end) {
    auto statement = make(Statement::Kind::kBody);
    statement->blocks.push_back(body(end));
    return statement;
  }

  StatementPtr parse_print() {
    auto statement = make(Statement::Kind::kOutput);
    statement->expressions.push_back(expressions_.parse_tuple());
    end_block();
    return statement;
  }

  StatementPtr parse_if() {
    auto statement = make(Statement::Kind::kIf);
    for (;;) {
      statement->expressions.push_back(expressions_.parse_tuple(false));
      end_block();
      statement->blocks.push_back(parse_until({"elif", "else", "endif"}));
      const std::string name = tokens_.next().text;
      if (name == "elif") {
        continue;
      }
      if (name == "else") {
        statement->blocks.push_back(body("endif"));
      } else {
        end_block();
      }
      return statement;
    }
  }

  StatementPtr parse_for() {
    auto statement = make(Statement::Kind::kFor);
    statement->target = parse_targets(false);
    if (!tokens_.skip_name("in")) {
      fail("a for loop needs 'in'");
    }
    statement->expressions.push_back(expressions_.parse_tuple(false));
    statement->expressions.push_back(tokens_.skip_name("if") ? expressions_.parse_expression() : nullptr);
    statement->recursive = tokens_.skip_name("recursive");
    end_block();
    ++loops_;
    statement->blocks.push_back(parse_until({"else", "endfor"}));
    --loops_;
    if (tokens_.next().text == "else") {
      statement->blocks.push_back(body("endfor"));
    } else {
      end_block();
    }
    return statement;
  }

  // One target, or several with commas between them as a tuple.
  Target parse_targets(bool with_attribute) {
    Target target;
    bool tuple = false;
    do {
      if (tuple && !is_target_start()) {
        break;
      }
      target.parts.push_back(parse_target(with_attribute));
      tuple = tuple || tokens_.peek_operator(",");
    } while (tokens_.skip_operator(","));
    return tuple ? target : std::move(target.parts.front());
  }

  bool is_target_start() const {
    return tokens_.peek().kind == TokenKind::kName || tokens_.peek_operator("(") || tokens_.peek_operator("[");
  }

  Target parse_target(bool with_attribute) {
    const DepthGuard guard(tokens_);
    for (const auto& [open, close] : {std::pair{"(", ")"}, std::pair{"[", "]"}}) {
      if (tokens_.skip_operator(open)) {
        Target target = parse_targets(with_attribute);
        tokens_.expect_operator(close);
        return target;
      }
    }
    Target target;
    target.name = tokens_.expect(TokenKind::kName).text;
    for (const char* reserved :
         {"true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"}) {
      if (target.name == reserved) {
        fail("cannot assign to '" + target.name + "'");
      }
    }
    if (with_attribute && tokens_.skip_operator(".")) {
      target.attribute = tokens_.expect(TokenKind::kName).text;
    }
    return target;
  }

  StatementPtr parse_set() {
    auto statement = make(Statement::Kind::kSet);
    statement->target = parse_targets(true);
    if (tokens_.skip_operator("=")) {
      statement->expressions.push_back(expressions_.parse_tuple());
      end_block();
      return statement;
    }
    statement->kind = Statement::Kind::kSetBlock;
    statement->expressions.push_back(expressions_.parse_block_filters());
    statement->blocks.push_back(isolated_body("endset"));
    return statement;
  }

  // A body out of which break and continue do not lead.
  Block isolated_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Block block = body(end);
    loops_ = loops;
    return block;
  }

  std::vector<Statement::Parameter> parse_parameters() {
    std::vector<Statement::Parameter> parameters;
    tokens_.expect_operator("(");
    while (!tokens_.skip_operator(")")) {
      if (!parameters.empty()) {
        tokens_.expect_operator(",");
      }
      Statement::Parameter parameter;
      parameter.name = tokens_.expect(TokenKind::kName).text;
      if (tokens_.skip_operator("=")) {
        parameter.fallback = expressions_.parse_expression();
      } else if (!parameters.empty() && parameters.back().fallback != nullptr) {
        fail("a parameter without default follows one with a default");
      }
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  StatementPtr parse_macro() {
    auto statement = make(Statement::Kind::kMacro);
    statement->text = tokens_.expect(TokenKind::kName).text;
    statement->parameters = parse_parameters();
    statement->blocks.push_back(isolated_body("endmacro"));
    return statement;
  }

  StatementPtr parse_call() {
    auto statement = make(Statement::Kind::kCall);
    if (tokens_.peek_operator("(")) {
      statement->parameters = parse_parameters();
    }
    statement->expressions.push_back(expressions_.parse_expression());
    if (statement->expressions[0]->kind != Expression::Kind::kCall) {
      fail("a call block needs a call");
    }
    statement->blocks.push_back(isolated_body("endcall"));
    return statement;
  }

  StatementPtr parse_filter() {
    auto statement = make(Statement::Kind::kFilter);
    statement->expressions.push_back(expressions_.parse_filter_block());
    statement->blocks.push_back(isolated_body("endfilter"));
    return statement;
  }

  StatementPtr parse_with() {
    auto statement = make(Statement::Kind::kWith);
    while (tokens_.peek().kind != TokenKind::kBlockEnd) {
      if (!statement->targets.empty()) {
        tokens_.expect_operator(",");
      }
      statement->targets.push_back(parse_target(false));
      tokens_.expect_operator("=");
      statement->expressions.push_back(expressions_.parse_expression());
    }
    statement->blocks.push_back(body("endwith"));
    return statement;
  }

  StatementPtr parse_block() {
    auto statement = make(Statement::Kind::kScope);
    tokens_.expect(TokenKind::kName);
    tokens_.skip_name("scoped");
    tokens_.skip_name("required");
    end_block();
    const int loops = std::exchange(loops_, 0);
    statement->blocks.push_back(parse_until({"endblock"}));
    loops_ = loops;
    tokens_.next();
    if (tokens_.peek().kind == TokenKind::kName) {
      tokens_.next();
    }
    end_block();
    return statement;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return Parser(source).run();
}

}  // namespace longship::jinja
