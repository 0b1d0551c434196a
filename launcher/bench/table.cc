#include "launcher/bench/table.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/error.h"

namespace longship {

namespace {

std::string decimal(double value, int decimals) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string shown(const Json* value, const TableColumn& column) {
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  if (value->is_int() && column.factor == 1 && column.decimals == 0) {
    return std::to_string(value->as_int());
  }
  if (value->is_number()) {
    return decimal(value->as_double() * column.factor, column.decimals);
  }
  return value->is_string() ? value->as_string() : dump_json(*value);
}

std::string markdown_cell(const Json& row, const TableColumn& column) {
  std::string text = shown(row.find(column.key), column);
  const Json* spread = column.spread.empty() ? nullptr : row.find(column.spread);
  if (spread != nullptr && spread->is_number()) {
    text += " +- " + decimal(spread->as_double() * column.factor, column.decimals);
  }
  return text;
}

std::string csv_cell(const Json* value) {
  if (value == nullptr || value->is_null()) {
    return "";
  }
  if (value->is_double()) {
    std::array<char, 64> number{};
    std::snprintf(number.data(), number.size(), "%.9g", value->as_double());
    return number.data();
  }
  std::string text = value->is_string() ? value->as_string() : dump_json(*value);
  if (text.find_first_of(",\"\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string csv(const Json::Array& rows, const std::vector<TableColumn>& columns) {
  std::vector<std::string> keys;
  for (const TableColumn& column : columns) {
    keys.push_back(column.key);
    if (!column.spread.empty()) {
      keys.push_back(column.spread);
    }
  }
  std::string text;
  for (const std::string& key : keys) {
    text += (text.empty() ? "" : ",") + key;
  }
  for (const Json& row : rows) {
    text += '\n';
    for (std::size_t i = 0; i < keys.size(); ++i) {
      text += (i == 0 ? "" : ",") + csv_cell(row.find(keys[i]));
    }
  }
  return text + "\n";
}

std::string table_line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line = "|";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += " " + std::string(widths[i] - cells[i].size(), ' ') + cells[i] + " |";
  }
  return line + "\n";
}

std::string markdown(const Json::Array& rows, const Json& machine, const std::vector<TableColumn>& columns) {
  std::vector<std::vector<std::string>> lines(1);
  for (const TableColumn& column : columns) {
    lines[0].push_back(column.title);
  }
  for (const Json& row : rows) {
    lines.emplace_back();
    for (const TableColumn& column : columns) {
      lines.back().push_back(markdown_cell(row, column));
    }
  }
  std::vector<std::size_t> widths(columns.size(), 3);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string text;
  for (const auto& [key, value] : machine.as_object()) {
    text += (text.empty() ? "" : ", ") + key + ": " + shown(&value, {});
  }
  text += "\n\n" + table_line(lines[0], widths);
  for (const std::size_t width : widths) {
    text += "|" + std::string(width + 1, '-') + ":";
  }
  text += "|\n";
  for (std::size_t i = 1; i < lines.size(); ++i) {
    text += table_line(lines[i], widths);
  }
  return text;
}

}  // namespace

TableFormat table_format(std::string_view name) {
  if (name == "md") return TableFormat::kMarkdown;
  if (name == "csv") return TableFormat::kCsv;
  if (name == "json") return TableFormat::kJson;
  throw Error(ErrorKind::kUsage, "there is no output format \"" + std::string(name) + "\"", "Use -o md, csv or json.");
}

std::string format_results(const Json::Array& rows, const Json& machine, const std::vector<TableColumn>& columns,
                           TableFormat format, const Json& more) {
  switch (format) {
    case TableFormat::kMarkdown:
      return markdown(rows, machine, columns);
    case TableFormat::kCsv:
      return csv(rows, columns);
    case TableFormat::kJson:
      break;
  }
  Json all;
  all.set("results", rows);
  all.set("machine", machine);
  for (const auto& [name, value] : more.as_object()) {
    all.set(name, value);
  }
  return dump_json(all, 2) + "\n";
}

}  // namespace longship
