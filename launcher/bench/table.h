#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace longship {

enum class TableFormat : uint8_t { kMarkdown, kCsv, kJson };

/// A column of a table of results: where its value stands in a row, and how people read it.
struct TableColumn {
  std::string key;
  std::string title;
  int decimals = 0;      ///< Of numbers that are not whole.
  double factor = 1;     ///< Shown = value x factor, in Markdown only.
  std::string spread{};  ///< Key of a number that is shown behind it as "+- X", if any.
};

/// Errors: kUsage for an unknown name ("md", "csv", "json").
TableFormat table_format(std::string_view name);

/// The results of a bench as text. JSON: one object with "results" (the rows as they are) and "machine". CSV: a header
/// and a line for each row, the columns' keys and plain values. Markdown: what the machine is, then an aligned table.
/// A row that lacks a column's key, or has null, shows "-" (nothing in CSV).
/// `more`: an object whose members JSON has beside these.
std::string format_results(const Json::Array& rows, const Json& machine, const std::vector<TableColumn>& columns,
                           TableFormat format, const Json& more = Json(Json::Object()));

}  // namespace longship
