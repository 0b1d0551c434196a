#include "engine/text/jinja/scope.h"

#include <algorithm>

namespace longship::jinja {

bool Mentions::in(const Expressions& expressions) const {
  return std::any_of(expressions.begin(), expressions.end(), [this](const ExpressionPtr& e) { return in(e.get()); });
}

bool Mentions::in(const Expression* expression) const {
  if (expression == nullptr) {
    return false;
  }
  const CallArguments& arguments = expression->arguments;
  return (expression->kind == Expression::Kind::kName && expression->name == name_) || in(expression->children) ||
         in(arguments.positional) || in(arguments.extra_positional.get()) || in(arguments.extra_keywords.get()) ||
         std::any_of(arguments.keywords.begin(), arguments.keywords.end(),
                     [this](const auto& k) { return in(k.second.get()); });
}

bool Mentions::in(const Block& block) const {
  return std::any_of(block.begin(), block.end(), [this](const StatementPtr& statement) {
    return in(statement->expressions) || std::any_of(statement->blocks.begin(), statement->blocks.end(),
                                                     [this](const Block& inner) { return in(inner); });
  });
}

}  // namespace longship::jinja
