#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/jinja/value.h"

namespace longship::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
using Expressions = std::vector<ExpressionPtr>;

/// Arguments of a call, a filter or a test.
struct CallArguments {
  Expressions positional;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  ExpressionPtr extra_positional;  ///< *expression
  ExpressionPtr extra_keywords;    ///< **expression
};

struct Expression {
  enum class Kind : uint8_t {
    kConstant,     ///< value
    kName,         ///< name
    kList,         ///< children
    kTuple,        ///< children
    kDict,         ///< children: key, value, key, value, ...
    kUnary,        ///< name: "-", "+", "not"; children[0]
    kBinary,       ///< name: an operator, "and", "or"; children[0], [1]
    kConcat,       ///< children, as text one after the other
    kCompare,      ///< children[0] op[0] children[1] op[1] ...
    kConditional,  ///< children: condition, then, else or null
    kAttribute,    ///< children[0] . name
    kItem,         ///< children[0] [ children[1] ]
    kSlice,        ///< children[0] [ children[1] : children[2] : children[3] ], each or null
    kCall,         ///< children[0] ( arguments )
    kFilter,       ///< children[0] | name ( arguments )
    kTest,         ///< children[0] is name ( arguments )
  };

  Kind kind = Kind::kConstant;
  int line = 0;
  int depth = 1;  ///< Of the tree; bounds the recursion of whatever walks it.
  std::string name;
  Value value;
  Expressions children;
  std::vector<std::string> operators;
  CallArguments arguments;
};

struct Statement;
using StatementPtr = std::unique_ptr<Statement>;
using Block = std::vector<StatementPtr>;

/// What an assignment assigns to: a name, names of a tuple, or an attribute of a namespace.
struct Target {
  std::string name;
  std::string attribute;  ///< Not empty: name.attribute.
  std::vector<Target> parts;
};

struct Statement {
  enum class Kind : uint8_t {
    kData,      ///< text
    kOutput,    ///< expressions[0]
    kIf,        ///< expressions: conditions; blocks: one for each, and one more if there is an else
    kFor,       ///< target; expressions: iterable, filter or null; blocks: body, else; recursive
    kSet,       ///< target; expressions[0]
    kSetBlock,  ///< target; expressions: filters applied to a placeholder or null; blocks[0]
    kMacro,     ///< text: name; parameters; blocks[0]
    kCall,      ///< expressions[0]: a call; parameters; blocks[0]
    kFilter,    ///< expressions[0]: filters applied to a placeholder; blocks[0]
    kWith,      ///< targets and expressions; blocks[0]
    kScope,     ///< blocks[0] in a scope of its own (block)
    kBody,      ///< blocks[0] (generation, autoescape)
    kBreak,
    kContinue,
  };

  struct Parameter {
    std::string name;
    ExpressionPtr fallback;
  };

  Kind kind = Kind::kData;
  int line = 0;
  std::string text;
  Target target;
  std::vector<Target> targets;
  Expressions expressions;
  std::vector<Parameter> parameters;
  std::vector<Block> blocks;
  bool recursive = false;
};

/// Name under which the text of a filter or set block stands in its filter expression.
inline constexpr const char* kBlockText = "\x01";

}  // namespace longship::jinja
