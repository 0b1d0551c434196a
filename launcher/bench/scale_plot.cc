#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>

#include "launcher/bench/scale_bench.h"

namespace longship {

namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 440;
constexpr double kLeft = 60;
constexpr double kRight = 190;
constexpr double kTop = 50;
constexpr double kBottom = 60;
constexpr double kLabelHeight = 15;
constexpr std::array<const char*, 6> kColours = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"};

struct Point {
  double ranks;
  double speedup;
};
// How a line looks: every colour solid first, then dashed, then dotted.
struct Style {
  const char* colour;
  const char* dashes;
};

Style style_of(std::size_t line) {
  constexpr std::array<const char*, 3> kDashes = {"", "stroke-dasharray=\"9 3\"", "stroke-dasharray=\"2 3\""};
  return {kColours[line % kColours.size()], kDashes[line / kColours.size() % kDashes.size()]};
}

// A name beside the end of its line.
struct Label {
  std::string name;
  double x;
  double y;
  const char* colour;
};

// Moves labels down from those above them, and all up again from `bottom`, as far as there is room.
void move_apart(std::vector<Label>& labels, double top, double bottom) {
  std::ranges::stable_sort(labels, {}, &Label::y);
  const double height = std::min(kLabelHeight, (bottom - top) / static_cast<double>(labels.size()));
  for (std::size_t i = 1; i < labels.size(); ++i) {
    labels[i].y = std::max(labels[i].y, labels[i - 1].y + height);
  }
  double most = bottom;
  for (std::size_t i = labels.size(); i-- > 0; most = labels[i].y - height) {
    labels[i].y = std::min(labels[i].y, most);
  }
}

using Series = std::map<std::string, std::vector<Point>>;  // by "mode test"

template <class... Values>
std::string text(const char* format, Values... values) {
  std::array<char, 512> line{};
  std::snprintf(line.data(), line.size(), format, values...);
  return line.data();
}

std::string escaped(const std::string& raw) {
  std::string out;
  for (const char c : raw) {
    out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

class Plot {
 public:
  Plot(const Series& series, const std::set<int>& ranks) : series_(series), ranks_(ranks) {
    least_ = *ranks.begin();
    most_ = *ranks.rbegin();
    highest_ = most_ / least_;
    for (const auto& [name, points] : series) {
      for (const Point& point : points) highest_ = std::max(highest_, point.speedup);
    }
  }

  std::string draw(const std::string& title) const {
    std::string out = text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" ", kWidth, kHeight) +
                      "font-family=\"sans-serif\" font-size=\"13\">\n";
    out += text("<rect width=\"%g\" height=\"%g\" fill=\"white\"/>\n", kWidth, kHeight);
    out += text("<text x=\"%g\" y=\"28\" font-size=\"16\">%s</text>\n", kLeft, escaped(title).c_str());
    out += axes();
    out += line({{least_, 1}, {most_, most_ / least_}}, "#999999", "stroke-dasharray=\"5 4\"");
    std::vector<Label> labels = {label("ideal", {most_, most_ / least_}, "#999999")};
    std::size_t i = 0;
    for (const auto& [name, points] : series_) {
      const auto& [colour, dashes] = style_of(i++);
      out += line(points, colour, dashes);
      for (const Point& point : points) {
        out += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x(point), y(point), colour);
      }
      labels.push_back(label(name, points.back(), colour));
    }
    move_apart(labels, kTop, kHeight - kBottom);
    for (const Label& label : labels) {
      out += text("<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n", label.x, label.y, label.colour,
                  escaped(label.name).c_str());
    }
    return out + "</svg>\n";
  }

 private:
  double x(const Point& point) const {
    const double span = std::max(1.0, most_ - least_);
    return kLeft + (point.ranks - least_) / span * (kWidth - kLeft - kRight);
  }
  double y(const Point& point) const {
    return kHeight - kBottom - point.speedup / highest_ * (kHeight - kTop - kBottom);
  }

  std::string axes() const {
    std::string out;
    for (const int count : ranks_) {
      const Point at{static_cast<double>(count), 0};
      out += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>\n", x(at), y(at) + 20, count);
    }
    const int step = std::max(1, static_cast<int>(highest_ / 8));
    for (int speedup = 0; speedup <= highest_; speedup += step) {
      const Point at{least_, static_cast<double>(speedup)};
      out += text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", kLeft, kWidth - kRight,
                  y(at), y(at));
      out += text("<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", kLeft - 8, y(at) + 4, speedup);
    }
    out += text("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">ranks</text>\n", (kLeft + kWidth - kRight) / 2,
                kHeight - 15);
    return out + text("<text transform=\"translate(18 %g) rotate(-90)\" text-anchor=\"middle\">speed-up</text>\n",
                      (kTop + kHeight - kBottom) / 2);
  }

  std::string line(const std::vector<Point>& points, const char* colour, const char* style) const {
    std::string out = text("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" %s points=\"", colour, style);
    for (const Point& point : points) {
      out += text("%.1f,%.1f ", x(point), y(point));
    }
    return out + "\"/>\n";
  }

  Label label(const std::string& name, const Point& at, const char* colour) const {
    return {.name = name, .x = x(at) + 10, .y = y(at) + 4, .colour = colour};
  }

  const Series& series_;
  const std::set<int>& ranks_;
  double least_;
  double most_;
  double highest_;
};

}  // namespace

std::string scale_svg(const Json::Array& rows, const std::string& title) {
  Series series;
  std::set<int> ranks;
  for (const Json& row : rows) {
    const auto count = static_cast<int>(row.find("ranks")->as_int());
    ranks.insert(count);
    series[row.find("mode")->as_string() + " " + row.find("test")->as_string()].push_back(
        {static_cast<double>(count), row.find("speedup")->as_double()});
  }
  return rows.empty() ? std::string() : Plot(series, ranks).draw(title);
}

}  // namespace longship
