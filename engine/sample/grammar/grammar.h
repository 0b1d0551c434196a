#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sample/grammar/byte_set.h"

namespace longship {

/// Parts of a grammar, and its rules, by number.
using ExprId = uint32_t;
using RuleId = uint32_t;

inline constexpr uint32_t kUnbounded = UINT32_MAX;

/// Why a grammar's text is refused: one sentence of cause, one of remedy (may be empty), kUsage.
[[noreturn]] void refuse_grammar(std::string cause, std::string remedy = {});

/// A part of a grammar: what text it stands for.
struct Expr {
  enum class Kind : uint8_t {
    kBytes,     ///< One byte of a set.
    kLiteral,   ///< These bytes.
    kSequence,  ///< The parts, one behind the other; no parts: the empty text.
    kChoice,    ///< One of the parts; no parts: nothing at all.
    kRepeat,    ///< The one part, `least` to `most` times.
    kCall,      ///< A rule.
    kMachine,   ///< The ways of a deterministic machine; its parts are those of the ways.
  };

  Kind kind = Kind::kSequence;
  ByteSet bytes{};
  std::string literal{};
  std::vector<ExprId> parts{};
  uint32_t least = 0;
  uint32_t most = 0;
  RuleId rule = 0;
  uint32_t machine = 0;
};

/// A state of a machine, and where it goes on behind a part, which stands for some text and for none that is
/// empty.
struct MachineState {
  struct Way {
    ExprId part = 0;
    uint32_t to = 0;  ///< Of the machine.
  };

  std::vector<Way> ways{};
  bool may_end = false;
};

/// How many parts a text is to have.
struct PartCount {
  uint32_t least = 0;
  uint32_t most = kUnbounded;

  bool any() const { return least == 0 && most == kUnbounded; }
  friend auto operator<=>(const PartCount&, const PartCount&) = default;
};

/// A machine, and for each state how many parts may lead to it if others are to lead on to a right end.
struct Machine {
  std::vector<MachineState> states{};
  std::vector<PartCount> counts{};
};

/// A grammar over bytes, as front ends (GBNF, regular expressions, JSON schemas) write it: rules of expressions. Parts
/// may be used several times. Bounded: what grows beyond its limits is refused. Rule 0 is the root.
class Grammar {
 public:
  struct Rule {
    std::string name;
    ExprId body = 0;
    bool shared = false;  ///< Never copied into its callers, so that what is known of it is known once.
    bool defined = false;
  };

  Grammar();

  ExprId empty() { return 0; }    ///< The empty text.
  ExprId nothing() { return 1; }  ///< No text at all.
  ExprId bytes(const ByteSet& set);
  ExprId literal(std::string_view text);
  ExprId sequence(std::vector<ExprId> parts);
  ExprId choice(const std::vector<ExprId>& parts);
  ExprId repeat(ExprId part, uint32_t least, uint32_t most);
  ExprId optional(ExprId part) { return choice({part, empty()}); }
  ExprId call(RuleId rule);
  /// What leads a machine from its first state to one that may end. States without a way there are left out.
  ExprId machine(std::vector<MachineState> states);
  /// Those of so many parts. Nothing if the numbers of parts from some state have gaps, which no count can tell.
  std::optional<ExprId> machine(std::vector<MachineState> states, PartCount count);
  /// One of these texts; common beginnings are shared.
  ExprId one_of(std::vector<std::string> texts);

  RuleId add_rule(std::string name, bool shared = false);
  void define(RuleId rule, ExprId body);
  /// Puts a part, which does not call the root, in front of all that the grammar stands for.
  void begin_with(ExprId part);

  const Expr& expr(ExprId id) const { return exprs_[id]; }
  const std::vector<Expr>& exprs() const { return exprs_; }
  const std::vector<Rule>& rules() const { return rules_; }
  const Machine& machine_of(const Expr& expr) const { return machines_[expr.machine]; }

 private:
  ExprId add(Expr expr);

  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
  std::vector<Machine> machines_;
  std::size_t literal_bytes_ = 0;
};

}  // namespace longship
