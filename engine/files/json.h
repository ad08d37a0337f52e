#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/atomic_file.h"

namespace sae {

/// A JSON value: null, boolean, number, text, array or object (members in the order in which they came). Copies are
/// cheap and independent of each other. A value that was read knows its file and its place in it ("config.json:
/// model.layers"), and every getter throws naming them where the value is not what was asked for.
class Json {
 public:
  Json();  // null
  Json(bool value);
  Json(int value) : Json(static_cast<int64_t>(value)) {}
  Json(int64_t value);
  Json(uint64_t value);
  /// Printed with as many digits as it takes to read the same number back. NaN and infinity, which JSON does not have,
  /// become null.
  Json(double value);
  Json(const char* value) : Json(std::string(value)) {}
  Json(std::string_view value) : Json(std::string(value)) {}
  Json(std::string value);
  Json(const std::vector<int64_t>& values);
  Json(const std::vector<double>& values);
  Json(const std::vector<std::string>& values);
  static Json object();
  static Json array();

  /// Throws with `source` (a file's name), line and column on bad syntax, on a key given twice in one object, on text
  /// that is not UTF-8, on a number out of range and on more than 64 levels of nesting.
  static Json parse(std::string_view text, std::string source);
  static Json read(const std::string& path);

  /// Arrays and objects whose items are handed over one by one and not kept, so that a long file takes little memory.
  struct Stream {
    /// Each as the names of the members that lead to it, "model/vocab"; "" is the outermost value.
    std::vector<std::string> places;
    /// `key` is empty for an item of an array. That a key is given twice is for the receiver to find.
    std::function<void(size_t place, const std::string& key, const Json& item)> take;
    /// More values than this in one item, or in all that is kept, are refused.
    size_t most_values = 1024;
  };
  /// The same, with streamed arrays and objects empty in what is returned.
  static Json parse(std::string_view text, std::string source, const Stream& stream);
  static Json read(const std::string& path, const Stream& stream);

  bool is_null() const;
  bool is_boolean() const;
  bool is_integer() const;  ///< of 64 bits
  bool is_text() const;
  bool is_array() const;
  bool is_object() const;

  bool boolean() const;
  int64_t integer() const;
  uint64_t unsigned_integer() const;
  /// An integer counts as a number.
  double number() const;
  const std::string& text() const;
  std::vector<int64_t> integers() const;
  std::vector<double> numbers() const;
  std::vector<std::string> texts() const;

  /// Items of an array or members of an object.
  int64_t size() const;
  Json at(int64_t index) const;
  /// The name of the member at that place of an object.
  const std::string& key(int64_t index) const;
  bool has(std::string_view key) const;
  Json at(std::string_view key) const;

  /// Adds or replaces a member; a null becomes an object first.
  Json& set(std::string_view key, Json value);
  /// Adds an item; a null becomes an array first.
  Json& push(Json value);

  /// One line, or with an indent several.
  std::string dump(int indent = 0) const;
  /// Written indented, atomically.
  void write(const std::string& path, IfExists if_exists) const;

 private:
  struct Node;
  struct Object;
  struct Printer;
  class Builder;
  Json(std::shared_ptr<Node> node, std::string where);
  static Json built(Builder builder, std::string_view text, const std::string& source);
  [[noreturn]] void refuse(const char* expected) const;
  const Object& members() const;
  Json child(const Node& node, std::string place) const;
  template <class T, class Item>
  std::vector<T> collect(Item item) const;

  std::shared_ptr<Node> node_;
  std::string where_;
};

}  // namespace sae
