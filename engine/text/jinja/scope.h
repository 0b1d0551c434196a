#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/text/jinja/ast.h"

namespace longship::jinja {

/// Names and their values; look-ups go outwards, assignments stay inside.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> outer) : outer_(std::move(outer)) {}

  void set(const std::string& name, Value value) { values_[name] = std::move(value); }
  Value get(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_.get()) {
      const auto found = scope->values_.find(name);
      if (found != scope->values_.end()) {
        return found->second;
      }
    }
    return Undefined{name};
  }
  /// Lets go of all values, which may hold the scope in turn.
  void clear() { values_.clear(); }

 private:
  std::shared_ptr<Scope> outer_;
  std::unordered_map<std::string, Value> values_;
};

/// Whether a name is looked up anywhere in a block.
class Mentions {
 public:
  explicit Mentions(std::string_view name) : name_(name) {}
  bool in(const Block& block) const;

 private:
  bool in(const Expression* expression) const;
  bool in(const Expressions& expressions) const;

  std::string_view name_;
};

}  // namespace longship::jinja
