// The one exception type of the library, and the places it points at.
//
// An Error carries what a person needs to mend the input: a stable code (docs/errors.md lists all of them), a
// message that says what was expected and what was found, where it happened, and notes. It is thrown while a model
// is loaded, planned and validated. Inside a running plan there are no exceptions: steps return a Status
// (engine/runtime/status.h), which the session turns into an Error.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nnefrun {

// A place in a text. line and column are 1-based; 0 means unknown. length counts characters under the caret.
// `source` is the whole text of the file, shared, so that a message can show the line (may be null).
struct SourceLocation {
  std::shared_ptr<const std::string> file;    // name for messages, e.g. "graph.nnef"
  std::shared_ptr<const std::string> source;  // whole text
  int line = 0;
  int column = 0;
  int length = 1;
  explicit operator bool() const { return line > 0; }
  // "graph.nnef:12:13", or "" when unknown
  std::string to_string() const;
  // The text of the line, without its line end; "" when unknown.
  std::string source_line() const;
};

class Error : public std::exception {
 public:
  Error(std::string_view code, std::string message) : code_(code), message_(std::move(message)) {}
  Error(std::string_view code, std::string message, SourceLocation where)
      : code_(code), message_(std::move(message)), where_(std::move(where)) {}

  const std::string& code() const { return code_; }        // e.g. "shape-mismatch"
  const std::string& message() const { return message_; }  // one sentence, no trailing stop
  const SourceLocation& where() const { return where_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // Fragment calls from the innermost outwards: "in fragment `stem` called at graph.nnef:40:5".
  const std::vector<std::string>& call_chain() const { return call_chain_; }

  // Builder style, so that a layer can add what it knows: throw error.note("input `x` is float32 [1, 3]").
  Error& note(std::string text) &;
  Error&& note(std::string text) &&;
  Error& called_from(std::string text) &;
  // Sets the place unless a deeper layer already knew it.
  Error& at(const SourceLocation& where) &;
  Error&& at(const SourceLocation& where) &&;

  // "error[code]: message" followed by place, source line with caret, chain and notes: the form of docs/errors.md.
  std::string render(bool color = false) const;
  // One JSON object on one line: code, message, file, line, column, length, source_line, call_chain, notes.
  std::string render_json() const;
  // "[code] message (file:line:col)"
  const char* what() const noexcept override;

 private:
  std::string code_, message_;
  SourceLocation where_;
  std::vector<std::string> call_chain_, notes_;
  mutable std::string what_;
};

// JSON string escaping, quotes included; shared by everything that writes JSON by hand.
std::string json_quoted(std::string_view text);

}  // namespace nnefrun
