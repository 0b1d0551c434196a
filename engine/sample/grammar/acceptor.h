#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// A deterministic machine over symbols, which are numbers below 256.
class Acceptor {
 public:
  using State = uint32_t;
  static constexpr State kDead = 0;  ///< No way leads on from here.

  virtual ~Acceptor() = default;
  virtual State start() = 0;
  /// Errors: kUsage if there are too many states.
  virtual State next(State state, uint8_t symbol) = 0;
  virtual bool ends(State state) = 0;
  virtual uint64_t visits() const { return 0; }  ///< Nodes that it has visited, as a measure of time.
};

/// What a grammar over symbols describes. Errors: kUsage for a grammar that is refused.
std::unique_ptr<Acceptor> accept_grammar(const Grammar& grammar);

struct Demand {
  std::unique_ptr<Acceptor> acceptor;
  bool holds = true;  ///< Or its texts are those that are not wanted.
};

/// Puts texts that several acceptors agree on into a grammar. The time for all of them is bounded.
class Products {
 public:
  /// How a symbol of the set is written in the grammar.
  using WriteSymbol = std::function<ExprId(const ByteSet&)>;

  explicit Products(Grammar& grammar) : grammar_(grammar) {}

  /// Texts of these symbols for which all demands hold, and so many. Errors: kUsage, saying that `what` is too much.
  ExprId add(std::vector<Demand> demands, const ByteSet& symbols, const WriteSymbol& write, const std::string& what,
             PartCount count = {});
  /// Counts what else is done for products, in like steps. Errors: kUsage, saying that `what` is too much.
  void spend(uint64_t steps, const std::string& what);

 private:
  std::vector<MachineState> states_of(const std::vector<Demand>& demands, const ByteSet& symbols,
                                      const WriteSymbol& write, const std::string& what);

  Grammar& grammar_;
  uint64_t steps_ = 0;
};

}  // namespace longship
