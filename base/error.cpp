#include "base/error.h"

#include <algorithm>
#include <cstdio>

namespace nnefrun {

std::string SourceLocation::to_string() const {
  if (line <= 0) return file ? *file : std::string();
  return (file ? *file : std::string("<text>")) + ":" + std::to_string(line) + ":" + std::to_string(column);
}

std::string SourceLocation::source_line() const {
  if (!source || line <= 0) return {};
  size_t begin = 0;
  for (int l = 1; l < line; ++l) {
    begin = source->find('\n', begin);
    if (begin == std::string::npos) return {};
    ++begin;
  }
  size_t end = std::min(source->find('\n', begin), source->size());
  if (end > begin && (*source)[end - 1] == '\r') --end;
  return source->substr(begin, end - begin);
}

Error& Error::note(std::string text) & {
  notes_.push_back(std::move(text));
  return *this;
}
Error&& Error::note(std::string text) && { return std::move(this->note(std::move(text))); }

Error& Error::called_from(std::string text) & {
  call_chain_.push_back(std::move(text));
  return *this;
}

Error& Error::at(const SourceLocation& where) & {
  if (!where_) where_ = where;
  return *this;
}
Error&& Error::at(const SourceLocation& where) && { return std::move(this->at(where)); }

std::string Error::render(bool color) const {
  const std::string red = color ? "\033[1;31m" : "", blue = color ? "\033[1;34m" : "",
                    bold = color ? "\033[1m" : "", off = color ? "\033[0m" : "";
  std::string out = red + "error[" + code_ + "]" + off + bold + ": " + message_ + off + "\n";
  const std::string place = where_.to_string();
  std::string gutter = "  ";
  if (!place.empty()) {
    const std::string number = where_.line > 0 ? std::to_string(where_.line) : std::string();
    gutter = std::string(number.size() + 1, ' ');
    out += gutter + blue + "-->" + off + " " + place + "\n";
    std::string line = where_.source_line();
    if (!line.empty()) {
      // A line of a generated file can be a megabyte: show a window around the caret.
      size_t column = static_cast<size_t>(std::max(where_.column, 1)) - 1;
      if (line.size() > 160) {
        const size_t from = column > 80 ? column - 80 : 0;
        line = line.substr(from, 160);
        column -= from;
      }
      std::string under;
      for (size_t i = 0; i < column && i < line.size(); ++i) under += line[i] == '\t' ? '\t' : ' ';
      const size_t room = line.size() > column ? line.size() - column : 1;
      under += std::string(std::clamp<size_t>(static_cast<size_t>(std::max(where_.length, 1)), 1, room), '^');
      out += gutter + blue + "|" + off + "\n";
      out += blue + number + " |" + off + " " + line + "\n";
      out += gutter + blue + "|" + off + " " + red + under + off;
      if (!call_chain_.empty()) out += " " + call_chain_.front();
      out += "\n";
      for (size_t i = 1; i < call_chain_.size(); ++i) out += gutter + blue + "|" + off + " " + call_chain_[i] + "\n";
    } else {
      for (const auto& call : call_chain_) out += gutter + blue + "|" + off + " " + call + "\n";
    }
  }
  for (const auto& text : notes_) out += gutter + " " + blue + "=" + off + " note: " + text + "\n";
  return out;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (u < 0x20 || u == 0x7F) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", u);
      out += buffer;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Error::render_json() const {
  std::string out = "{\"severity\":\"error\",\"code\":" + json_quoted(code_) + ",\"message\":" + json_quoted(message_);
  if (where_.file) out += ",\"file\":" + json_quoted(*where_.file);
  if (where_) {
    out += ",\"line\":" + std::to_string(where_.line) + ",\"column\":" + std::to_string(where_.column) +
           ",\"length\":" + std::to_string(where_.length) + ",\"source_line\":" + json_quoted(where_.source_line());
  }
  const auto list = [&](const char* key, const std::vector<std::string>& items) {
    out += std::string(",\"") + key + "\":[";
    for (size_t i = 0; i < items.size(); ++i) out += (i ? "," : "") + json_quoted(items[i]);
    out += "]";
  };
  list("call_chain", call_chain_);
  list("notes", notes_);
  return out + "}";
}

const char* Error::what() const noexcept {
  try {
    what_ = "[" + code_ + "] " + message_;
    if (where_) what_ += " (" + where_.to_string() + ")";
    return what_.c_str();
  } catch (...) {
    return "nnefrun error";
  }
}

}  // namespace nnefrun
