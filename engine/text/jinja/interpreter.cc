#include "engine/text/jinja/interpreter.h"

#include <algorithm>
#include <map>

#include "engine/text/jinja/scope.h"

namespace longship::jinja {

namespace {

enum class Flow : uint8_t { kNormal, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(Runtime& runtime, const Json& context) : runtime_(runtime) {
    auto root = std::make_shared<Scope>(nullptr);
    for (auto& [name, value] : globals()) {
      root->set(name, value);
    }
    for (const Json::Member& member : context.as_object()) {
      root->set(member.first, Value::from_json(member.second));
    }
    scope_ = std::make_shared<Scope>(root);
  }

  ~Interpreter() {
    for (const auto& scope : captured_) {
      scope->clear();
    }
    scope_->clear();
    runtime_.release();
  }

  std::string run(const Block& block) {
    execute(block);
    return std::move(output_);
  }

 private:
  using ScopePtr = std::shared_ptr<Scope>;

  // Makes `scope` the current one while it lives.
  class Enter {
   public:
    Enter(Interpreter& interpreter, ScopePtr scope)
        : interpreter_(interpreter), outer_(std::exchange(interpreter.scope_, std::move(scope))) {}
    ~Enter() { interpreter_.scope_ = std::move(outer_); }
    Enter(const Enter&) = delete;
    Enter& operator=(const Enter&) = delete;

   private:
    Interpreter& interpreter_;
    ScopePtr outer_;
  };

  class EnterCall {
   public:
    explicit EnterCall(Runtime& runtime) : runtime_(runtime) { runtime_.enter_call(); }
    ~EnterCall() { runtime_.leave_call(); }
    EnterCall(const EnterCall&) = delete;
    EnterCall& operator=(const EnterCall&) = delete;

   private:
    Runtime& runtime_;
  };

  void write(std::string_view text) {
    runtime_.charge(static_cast<int64_t>(text.size()));
    if (static_cast<int64_t>(output_.size() + text.size()) > runtime_.limits().output_bytes) {
      throw TemplateError("the output is too large");
    }
    output_.append(text);
  }

  // What `body` writes, as text.
  template <class Body>
  std::string capture(const Body& body) {
    std::string outer = std::exchange(output_, {});
    try {
      body();
    } catch (...) {
      output_ = std::move(outer);
      throw;
    }
    return std::exchange(output_, std::move(outer));
  }

  Flow execute(const Block& block) {
    for (const StatementPtr& statement : block) {
      const Flow flow = execute(*statement);
      if (flow != Flow::kNormal) {
        return flow;
      }
    }
    return Flow::kNormal;
  }

  Flow execute(const Statement& statement) {
    try {
      runtime_.charge();
      return dispatch(statement);
    } catch (const TemplateError& error) {
      throw error.line() != 0 ? error : TemplateError(error.what(), statement.line);
    }
  }

  Flow dispatch(const Statement& statement) {
    switch (statement.kind) {
      case Statement::Kind::kData:
        write(statement.text);
        break;
      case Statement::Kind::kOutput:
        write(to_string(evaluate(*statement.expressions[0])));
        break;
      case Statement::Kind::kIf:
        return execute_if(statement);
      case Statement::Kind::kFor:
        execute_for(statement, evaluate(*statement.expressions[0]), 1);
        break;
      case Statement::Kind::kSet:
        assign(statement.target, evaluate(*statement.expressions[0]));
        break;
      case Statement::Kind::kSetBlock: {
        std::string text = capture_block(statement);
        const Expression* filters = statement.expressions[0].get();
        assign(statement.target, filters != nullptr ? filter_text(*filters, std::move(text)) : Value(std::move(text)));
        break;
      }
      case Statement::Kind::kMacro:
        scope_->set(statement.text, make_macro(statement, statement.text));
        break;
      case Statement::Kind::kCall:
        execute_call(statement);
        break;
      case Statement::Kind::kFilter:
        write(to_string(filter_text(*statement.expressions[0], capture_block(statement))));
        break;
      case Statement::Kind::kWith:
        execute_with(statement);
        break;
      case Statement::Kind::kScope: {
        const Enter enter(*this, std::make_shared<Scope>(scope_));
        execute(statement.blocks[0]);
        break;
      }
      case Statement::Kind::kBody:
        return execute(statement.blocks[0]);
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNormal;
  }

  std::string capture_block(const Statement& statement) {
    return capture([&] {
      const Enter enter(*this, std::make_shared<Scope>(scope_));
      execute(statement.blocks[0]);
    });
  }

  Value filter_text(const Expression& filters, std::string text) {
    const Enter enter(*this, std::make_shared<Scope>(scope_));
    scope_->set(kBlockText, Value(std::move(text)));
    return evaluate(filters);
  }

  Flow execute_if(const Statement& statement) {
    for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
      if (evaluate(*statement.expressions[i]).truthy()) {
        return execute(statement.blocks[i]);
      }
    }
    const bool has_else = statement.blocks.size() > statement.expressions.size();
    return has_else ? execute(statement.blocks.back()) : Flow::kNormal;
  }

  void execute_with(const Statement& statement) {
    auto inner = std::make_shared<Scope>(scope_);
    std::vector<Value> values;
    for (const ExpressionPtr& expression : statement.expressions) {
      values.push_back(evaluate(*expression));
    }
    const Enter enter(*this, inner);
    for (std::size_t i = 0; i < values.size(); ++i) {
      assign(statement.targets[i], std::move(values[i]));
    }
    execute(statement.blocks[0]);
  }

  void assign(const Target& target, Value value) {
    if (!target.parts.empty()) {
      const Items items = iterate(value);
      if (items.size() != target.parts.size()) {
        throw TemplateError("cannot unpack " + std::to_string(items.size()) + " values into " +
                            std::to_string(target.parts.size()));
      }
      for (std::size_t i = 0; i < items.size(); ++i) {
        assign(target.parts[i], items[i]);
      }
    } else if (!target.attribute.empty()) {
      const Value object = scope_->get(target.name);
      if (!object.is_object() || !object.as_object()->is_namespace) {
        throw TemplateError("cannot assign attribute on non-namespace object");
      }
      set_attribute(*object.as_object(), target.attribute, std::move(value));
    } else {
      scope_->set(target.name, std::move(value));
    }
  }

  static void set_attribute(Object& object, const std::string& name, Value value) {
    for (auto& [key, old] : object.attributes) {
      if (key == name) {
        old = std::move(value);
        return;
      }
    }
    object.attributes.emplace_back(name, std::move(value));
  }

  // --- loops

  Items loop_items(const Statement& statement, const Value& iterable) {
    Items all = iterate(iterable);
    const Expression* filter = statement.expressions[1].get();
    if (filter == nullptr) {
      return all;
    }
    Items kept;
    for (const Value& value : all) {
      const Enter enter(*this, std::make_shared<Scope>(scope_));
      assign(statement.target, value);
      if (evaluate(*filter).truthy()) {
        kept.push_back(value);
      }
    }
    return kept;
  }

  // The state of a running loop; its object in the template shares it.
  struct LoopState {
    Items items;
    std::size_t index = 0;
    int depth = 1;
    Items changed;
    bool has_changed = false;
  };

  static Value loop_attribute(const LoopState& state, const std::string& name) {
    const std::size_t count = state.items.size();
    if (name == "index") return state.index + 1;
    if (name == "index0") return state.index;
    if (name == "revindex") return count - state.index;
    if (name == "revindex0") return count - state.index - 1;
    if (name == "first") return state.index == 0;
    if (name == "last") return state.index + 1 == count;
    if (name == "length") return count;
    if (name == "depth") return state.depth;
    if (name == "depth0") return state.depth - 1;
    if (name == "previtem") return state.index > 0 ? state.items[state.index - 1] : Value(Undefined{name});
    if (name == "nextitem") return state.index + 1 < count ? state.items[state.index + 1] : Value(Undefined{name});
    return Undefined{name};
  }

  Value make_loop(const Statement& statement, const std::shared_ptr<LoopState>& state) {
    auto loop = std::make_shared<Object>();
    loop->type = "LoopContext";
    loop->attribute = [state](const std::string& name) { return loop_attribute(*state, name); };
    loop->attributes.emplace_back("cycle",
                                  Callable{"cycle", [state](Runtime&, Arguments& arguments) {
                                             if (arguments.positional.empty()) {
                                               throw TemplateError("no items for cycling given");
                                             }
                                             return arguments.positional[state->index % arguments.positional.size()];
                                           }});
    loop->attributes.emplace_back(
        "changed", Callable{"changed", [state](Runtime&, Arguments& arguments) {
                              const Items& now = arguments.positional;
                              const bool same = state->has_changed && state->changed.size() == now.size() &&
                                                std::equal(now.begin(), now.end(), state->changed.begin(), equal);
                              state->changed = now;
                              state->has_changed = true;
                              return Value(!same);
                            }});
    if (statement.recursive) {
      const ScopePtr outer = scope_;
      loop->call = [this, &statement, outer, depth = state->depth](Runtime& runtime, Arguments& arguments) {
        const EnterCall call(runtime);
        const Value iterable = bind("loop", {"iterable"}, arguments)[0];
        return Value(capture([&] {
          const Enter enter(*this, outer);
          execute_for(statement, iterable, depth + 1);
        }));
      };
    }
    runtime_.track(loop);
    return loop;
  }

  void execute_for(const Statement& statement, const Value& iterable, int depth) {
    auto state = std::make_shared<LoopState>();
    state->items = loop_items(statement, iterable);
    state->depth = depth;
    if (state->items.empty()) {
      if (statement.blocks.size() > 1) {
        const Enter enter(*this, std::make_shared<Scope>(scope_));
        execute(statement.blocks[1]);
      }
      return;
    }
    const Value loop = make_loop(statement, state);
    for (; state->index < state->items.size(); ++state->index) {
      runtime_.charge();
      const Enter enter(*this, std::make_shared<Scope>(scope_));
      scope_->set("loop", loop);
      assign(statement.target, state->items[state->index]);
      if (execute(statement.blocks[0]) == Flow::kBreak) {
        break;
      }
    }
  }

  // --- macros

  Value make_macro(const Statement& statement, const std::string& name) {
    captured_.push_back(scope_);
    auto macro = std::make_shared<Object>();
    macro->type = "Macro";
    Items names;
    for (const Statement::Parameter& parameter : statement.parameters) {
      names.emplace_back(parameter.name);
    }
    macro->attributes.emplace_back("name", Value(name));
    macro->attributes.emplace_back("arguments", Value::tuple(std::move(names)));
    macro->call = [this, &statement, name, scope = std::weak_ptr<Scope>(scope_)](Runtime& runtime,
                                                                                 Arguments& arguments) {
      const EnterCall call(runtime);
      return call_macro(statement, name, scope.lock(), arguments);
    };
    runtime_.track(macro);
    return macro;
  }

  Value call_macro(const Statement& statement, const std::string& name, ScopePtr definition, Arguments& arguments) {
    const Enter enter(*this, std::make_shared<Scope>(std::move(definition)));
    bind_parameters(statement, name, arguments);
    return Value(capture([&] { execute(statement.blocks[0]); }));
  }

  void bind_parameters(const Statement& statement, const std::string& name, Arguments& arguments) {
    const auto& parameters = statement.parameters;
    std::vector<bool> bound(parameters.size(), false);
    for (std::size_t i = 0; i < std::min(parameters.size(), arguments.positional.size()); ++i) {
      scope_->set(parameters[i].name, arguments.positional[i]);
      bound[i] = true;
    }
    std::vector<std::pair<Value, Value>> rest;
    bool caller = false;
    for (auto& [keyword, value] : arguments.keywords) {
      const auto parameter = std::find_if(parameters.begin(), parameters.end(),
                                          [&keyword = keyword](const auto& p) { return p.name == keyword; });
      if (parameter != parameters.end()) {
        scope_->set(keyword, value);
        bound[static_cast<std::size_t>(parameter - parameters.begin())] = true;
      } else if (keyword == "caller") {
        scope_->set(keyword, value);
        caller = true;
      } else {
        rest.emplace_back(Value(keyword), value);
      }
    }
    Items extra;
    for (std::size_t i = parameters.size(); i < arguments.positional.size(); ++i) {
      extra.push_back(arguments.positional[i]);
    }
    refuse_extra(statement, name, !extra.empty(), rest.empty() ? nullptr : &rest.front().first);
    scope_->set("varargs", Value::tuple(std::move(extra)));
    scope_->set("kwargs", Value::dict(std::move(rest)));
    if (!caller && !mentions(statement, "caller")) {
      scope_->set("caller", Value(Undefined{"caller"}));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!bound[i]) {
        scope_->set(parameters[i].name, parameters[i].fallback != nullptr ? evaluate(*parameters[i].fallback)
                                                                          : Value(Undefined{parameters[i].name}));
      }
    }
  }

  // More arguments than parameters are an error unless the macro looks at varargs or kwargs.
  void refuse_extra(const Statement& statement, const std::string& name, bool extra, const Value* keyword) {
    if (extra && !mentions(statement, "varargs")) {
      throw TemplateError("macro '" + name + "' takes not more than " + std::to_string(statement.parameters.size()) +
                          " argument(s)");
    }
    if (keyword != nullptr && !mentions(statement, "kwargs")) {
      throw TemplateError("macro '" + name + "' takes no keyword argument '" + to_string(*keyword) + "'");
    }
  }

  bool mentions(const Statement& statement, std::string_view name) { return Mentions(name).in(statement.blocks[0]); }

  void execute_call(const Statement& statement) {
    const Expression& expression = *statement.expressions[0];
    Arguments arguments = evaluate_arguments(expression.arguments);
    arguments.keywords.emplace_back("caller", make_macro(statement, "caller"));
    write(to_string(call(runtime_, evaluate(*expression.children[0]), std::move(arguments))));
  }

  // --- expressions

  Arguments evaluate_arguments(const CallArguments& given) {
    Arguments arguments;
    for (const ExpressionPtr& argument : given.positional) {
      arguments.positional.push_back(evaluate(*argument));
    }
    if (given.extra_positional != nullptr) {
      for (Value& value : iterate(evaluate(*given.extra_positional))) {
        arguments.positional.push_back(std::move(value));
      }
    }
    for (const auto& [keyword, argument] : given.keywords) {
      arguments.keywords.emplace_back(keyword, evaluate(*argument));
    }
    if (given.extra_keywords != nullptr) {
      const Value extra = evaluate(*given.extra_keywords);
      if (!extra.is_dict()) {
        throw TemplateError("argument after ** must be a dict");
      }
      for (const auto& [key, value] : extra.as_dict().items) {
        arguments.keywords.emplace_back(to_string(key), value);
      }
    }
    return arguments;
  }

  Items evaluate_all(const Expressions& expressions) {
    Items items;
    for (const ExpressionPtr& expression : expressions) {
      items.push_back(evaluate(*expression));
    }
    return items;
  }

  Value evaluate_part(const ExpressionPtr& expression) {
    return expression != nullptr ? evaluate(*expression) : Value();
  }

  Value evaluate(const Expression& expression) {
    try {
      runtime_.charge();
      return compute(expression);
    } catch (const TemplateError& error) {
      throw error.line() != 0 ? error : TemplateError(error.what(), expression.line);
    }
  }

  Value compute(const Expression& e) {
    switch (e.kind) {
      case Expression::Kind::kConstant:
        return e.value;
      case Expression::Kind::kName:
        return scope_->get(e.name);
      case Expression::Kind::kList:
        return Value::list(evaluate_all(e.children));
      case Expression::Kind::kTuple:
        return Value::tuple(evaluate_all(e.children));
      case Expression::Kind::kDict:
        return compute_dict(e);
      case Expression::Kind::kUnary:
        return unary(e.name, evaluate(*e.children[0]));
      case Expression::Kind::kBinary:
        return compute_binary(e);
      case Expression::Kind::kConcat:
        return compute_concat(e);
      case Expression::Kind::kCompare:
        return compute_compare(e);
      case Expression::Kind::kConditional:
        if (evaluate(*e.children[0]).truthy()) {
          return evaluate(*e.children[1]);
        }
        return e.children[2] != nullptr ? evaluate(*e.children[2]) : Value(Undefined{"the else of an inline if"});
      case Expression::Kind::kAttribute:
        return named(attribute(runtime_, evaluate(*e.children[0]), e.name), e);
      case Expression::Kind::kItem: {
        const Value object = evaluate(*e.children[0]);
        return item(runtime_, object, evaluate(*e.children[1]));
      }
      case Expression::Kind::kSlice: {
        const Value object = evaluate(*e.children[0]);
        const Value begin = evaluate_part(e.children[1]);
        const Value end = evaluate_part(e.children[2]);
        return slice(object, begin, end, evaluate_part(e.children[3]));
      }
      case Expression::Kind::kCall: {
        const Value function = evaluate(*e.children[0]);
        return call(runtime_, function, evaluate_arguments(e.arguments));
      }
      case Expression::Kind::kFilter: {
        const Value value = evaluate(*e.children[0]);
        return apply_filter(runtime_, e.name, value, evaluate_arguments(e.arguments));
      }
      case Expression::Kind::kTest: {
        const Value value = evaluate(*e.children[0]);
        return apply_test(runtime_, e.name, value, evaluate_arguments(e.arguments));
      }
    }
    return {};
  }

  static Value named(const Value& value, const Expression& e) {
    return value.is_undefined() ? Value(Undefined{e.name}) : value;
  }

  Value compute_dict(const Expression& e) {
    std::vector<std::pair<Value, Value>> members;
    for (std::size_t i = 0; i < e.children.size(); i += 2) {
      Value key = evaluate(*e.children[i]);
      if (key.is_dict() || key.is_sequence(SequenceKind::kList)) {
        throw TemplateError("unhashable type: '" + key.type_name() + "'");
      }
      members.emplace_back(std::move(key), evaluate(*e.children[i + 1]));
    }
    return Value::dict(std::move(members));
  }

  Value compute_binary(const Expression& e) {
    Value left = evaluate(*e.children[0]);
    if (e.name == "and" || e.name == "or") {
      return left.truthy() == (e.name == "and") ? evaluate(*e.children[1]) : left;
    }
    const Value right = evaluate(*e.children[1]);
    return binary(runtime_, e.name, left, right);
  }

  Value compute_concat(const Expression& e) {
    std::string text;
    for (const ExpressionPtr& child : e.children) {
      text += to_string(evaluate(*child));
    }
    runtime_.check_size(static_cast<int64_t>(text.size()));
    return text;
  }

  Value compute_compare(const Expression& e) {
    Value left = evaluate(*e.children[0]);
    for (std::size_t i = 0; i < e.operators.size(); ++i) {
      Value right = evaluate(*e.children[i + 1]);
      if (!compare(e.operators[i], left, right)) {
        return false;
      }
      left = std::move(right);
    }
    return true;
  }

  Runtime& runtime_;
  ScopePtr scope_;
  std::vector<ScopePtr> captured_;
  std::string output_;
};

}  // namespace

std::string render(const Block& block, const Json& context, Runtime& runtime) {
  return Interpreter(runtime, context).run(block);
}

}  // namespace longship::jinja
