#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "launcher/bench/serve_sample.h"

namespace longship {

/// What is reported of a load. The metrics, all in milliseconds: "ttft" (request sent to first token), "tpot" (each
/// further token of a request, on average), "itl" (between two pieces of text), "e2el" (request sent to last byte).
struct ServeReport {
  std::vector<std::string> metrics = {"ttft", "tpot", "itl", "e2el"};  ///< Whose percentiles are shown.
  std::vector<double> percentiles = {99};
  std::map<std::string, double> goodput{};  ///< Most milliseconds that a good request takes, of ttft, tpot and e2el.
};

/// Errors: kUsage unless each is "METRIC:MILLISECONDS".
std::map<std::string, double> parse_goodput(const std::vector<std::string>& words);
/// Errors: kUsage for names that are none. `text` is separated by commas.
std::vector<std::string> parse_metrics(const std::string& text);

/// Numbers between sorted ones are interpolated, as numpy.percentile does. `sorted` is not empty, `percent` in [0,
/// 100].
double percentile(const std::vector<double>& sorted, double percent);

/// Results of a load that took `duration_s`, under the names that vLLM's benchmark gives them.
Json serve_row(const std::vector<ServeSample>& samples, double duration_s, const ServeReport& report);

/// The row as vLLM's benchmark prints it.
std::string serve_block(const Json& row, const ServeReport& report);

}  // namespace longship
