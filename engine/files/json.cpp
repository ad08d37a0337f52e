#include "engine/files/json.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "engine/error.h"
#include "engine/files/mapped_file.h"

namespace sae {

// Containers are held by shared_ptr, so that a copied node is cheap; whoever changes one makes sure first that nobody
// else holds it. nlohmann/json does the syntax; its own value type is not used, because finding a key in its ordered
// object takes time in proportion to the object, and because it keeps quiet about keys given twice.
struct Json::Object {
  std::vector<std::pair<std::string, Node>> members;
  std::map<std::string, size_t, std::less<>> places;
};

struct Json::Node {
  using Items = std::vector<Node>;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<Items>, std::shared_ptr<Object>>
      value;

  template <class T>
  const T* get() const {
    if constexpr (std::is_arithmetic_v<T>) {
      return std::get_if<T>(&value);
    } else {
      const auto* held = std::get_if<std::shared_ptr<T>>(&value);
      return held == nullptr ? nullptr : held->get();
    }
  }
  std::string_view kind() const {
    constexpr std::string_view names[] = {"null",     "a boolean", "an integer", "an integer",
                                          "a number", "text",      "an array",   "an object"};
    return names[value.index()];
  }
};

// nlohmann's SAX events into nodes.
class Json::Builder {
 public:
  explicit Builder(const std::string& source, const Stream* stream = nullptr) : source_(source), stream_(stream) {}

  bool null() { return add(Node{}); }
  bool boolean(bool value) { return add(Node{value}); }
  bool number_integer(int64_t value) { return add(Node{value}); }
  bool number_unsigned(uint64_t value) {
    return value <= INT64_MAX ? add(Node{static_cast<int64_t>(value)}) : add(Node{value});
  }
  bool number_float(double value, const std::string&) { return add(Node{value}); }
  bool string(std::string& value) { return add(Node{std::make_shared<const std::string>(std::move(value))}); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Node{std::make_shared<Object>()}); }
  bool start_array(size_t) { return open(Node{std::make_shared<Node::Items>()}); }
  bool key(std::string& name) {
    Open& top = open_.back();
    top.key = std::move(name);
    if (top.place != nowhere) return true;
    Object& object = *std::get<std::shared_ptr<Object>>(top.node.value);
    const bool is_new = object.places.emplace(top.key, object.members.size()).second;
    CHECK(is_new, "{}: the key \"{}\" is given twice in one object", source_, top.key);
    object.members.emplace_back(top.key, Node{});
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) {
    std::string_view text = error.what();
    const size_t prefix = text.find("] ");
    if (prefix != std::string_view::npos) text.remove_prefix(prefix + 2);
    constexpr size_t longest = 300;
    fail("{}: not valid JSON: {}{}", source_, text.substr(0, longest), text.size() > longest ? " ..." : "");
  }
  Node take() { return std::move(root_); }

 private:
  static constexpr size_t max_depth = 64;
  static constexpr size_t nowhere = SIZE_MAX;
  struct Open {
    Node node;
    size_t place = nowhere;  // in the stream's list
    std::string key;         // of an object's member that is being read
  };

  bool add(Node node) {
    count_value();
    return attach(std::move(node));
  }
  bool attach(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (const Open& top = open_.back(); top.place != nowhere) {
      hand_over(top, std::move(node));
    } else if (auto* items = std::get_if<std::shared_ptr<Node::Items>>(&top.node.value)) {
      (*items)->push_back(std::move(node));
    } else {
      std::get<std::shared_ptr<Object>>(top.node.value)->members.back().second = std::move(node);
    }
    return true;
  }
  bool open(Node node) {
    CHECK(open_.size() < max_depth, "{}: JSON nested deeper than {} levels", source_, max_depth);
    count_value();
    const size_t place = find_place();
    open_.push_back({std::move(node), place, ""});
    if (place != nowhere) item_values_.push_back(0);
    return true;
  }
  bool close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    if (closed.place != nowhere) item_values_.pop_back();
    return attach(std::move(closed.node));
  }

  /// Which of the stream's places the value that begins now is.
  size_t find_place() const {
    if (stream_ == nullptr) return nowhere;
    std::string path;
    for (const Open& outer : open_) {
      if (std::holds_alternative<std::shared_ptr<Node::Items>>(outer.node.value)) return nowhere;
      path += (path.empty() ? "" : "/") + outer.key;
    }
    const auto found = std::find(stream_->places.begin(), stream_->places.end(), path);
    return found == stream_->places.end() ? nowhere : static_cast<size_t>(found - stream_->places.begin());
  }
  void count_value() {
    CHECK(stream_ == nullptr || ++item_values_.back() <= stream_->most_values, "{} more than {} values", where(),
          stream_->most_values);
  }
  void hand_over(const Open& streamed, Node node) {
    item_values_.back() = 0;
    stream_->take(streamed.place, streamed.key, Json(std::make_shared<Node>(std::move(node)), where()));
  }
  /// "config.json: model layers"
  std::string where() const {
    std::string place = source_ + ":";
    for (const Open& outer : open_) place += outer.key.empty() ? "" : " " + outer.key;
    return place;
  }

  const std::string& source_;
  const Stream* stream_;
  std::vector<Open> open_;
  std::vector<size_t> item_values_ = {0};  // since the last was handed over, for each streamed value that is open
  Node root_;
};

struct Json::Printer {
  int indent = 0;
  std::string out;

  void line(int depth) {
    if (indent > 0) out.append("\n").append(static_cast<size_t>(indent * depth), ' ');
  }
  void text(const std::string& value) { out += nlohmann::json(value).dump(-1, ' ', false, replace); }
  void print(const Node& node, int depth) {
    if (const auto* items = node.get<Node::Items>()) return print_items(*items, depth);
    if (const auto* object = node.get<Object>()) return print_object(*object, depth);
    if (const auto* value = node.get<const std::string>()) return text(*value);
    if (const auto* value = node.get<bool>()) {
      out += *value ? "true" : "false";
    } else if (const auto* integer = node.get<int64_t>()) {
      out += std::to_string(*integer);
    } else if (const auto* natural = node.get<uint64_t>()) {
      out += std::to_string(*natural);
    } else if (const auto* real = node.get<double>()) {
      out += nlohmann::json(*real).dump();  // the fewest digits that read back the same
    } else {
      out += "null";
    }
  }

 private:
  // Foreign bytes that are not UTF-8 (a file's name, say) must not cost the run its results.
  static constexpr auto replace = nlohmann::json::error_handler_t::replace;

  void print_items(const Node::Items& items, int depth) {
    // An array of plain values stays on one line, or every shape would take a screen.
    bool nested = false;
    for (const Node& item : items) nested |= item.get<Node::Items>() != nullptr || item.get<Object>() != nullptr;
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += indent > 0 && !nested ? ", " : ",";
      if (nested) line(depth + 1);
      print(items[i], depth + 1);
    }
    if (nested) line(depth);
    out += ']';
  }
  void print_object(const Object& object, int depth) {
    out += '{';
    for (size_t i = 0; i < object.members.size(); ++i) {
      if (i > 0) out += ',';
      line(depth + 1);
      text(object.members[i].first);
      out += indent > 0 ? ": " : ":";
      print(object.members[i].second, depth + 1);
    }
    if (!object.members.empty()) line(depth);
    out += '}';
  }
};

Json::Json(std::shared_ptr<Node> node, std::string where) : node_(std::move(node)), where_(std::move(where)) {}
Json::Json() : node_(std::make_shared<Node>()) {}
Json::Json(bool value) : node_(std::make_shared<Node>(Node{value})) {}
Json::Json(int64_t value) : node_(std::make_shared<Node>(Node{value})) {}
Json::Json(uint64_t value) : node_(std::make_shared<Node>(Node{value})) {
  if (value <= INT64_MAX) node_->value = static_cast<int64_t>(value);
}
Json::Json(double value) : Json() {
  if (std::isfinite(value)) node_->value = value;
}
Json::Json(std::string value) : Json() { node_->value = std::make_shared<const std::string>(std::move(value)); }
Json::Json(const std::vector<int64_t>& values) : Json(array()) {
  for (const int64_t value : values) push(value);
}
Json::Json(const std::vector<double>& values) : Json(array()) {
  for (const double value : values) push(value);
}
Json::Json(const std::vector<std::string>& values) : Json(array()) {
  for (const std::string& value : values) push(value);
}
Json Json::object() { return Json(std::make_shared<Node>(Node{std::make_shared<Object>()}), ""); }
Json Json::array() { return Json(std::make_shared<Node>(Node{std::make_shared<Node::Items>()}), ""); }

Json Json::built(Builder builder, std::string_view text, const std::string& source) {
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return Json(std::make_shared<Node>(builder.take()), source + ":");
}
Json Json::parse(std::string_view text, std::string source) { return built(Builder(source), text, source); }
Json Json::parse(std::string_view text, std::string source, const Stream& stream) {
  return built(Builder(source, &stream), text, source);
}

namespace {

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

Json Json::read(const std::string& path) { return parse(text_of(MappedFile(path)), path); }
Json Json::read(const std::string& path, const Stream& stream) {
  return parse(text_of(MappedFile(path)), path, stream);
}

bool Json::is_null() const { return std::holds_alternative<std::monostate>(node_->value); }
bool Json::is_boolean() const { return node_->get<bool>() != nullptr; }
bool Json::is_integer() const { return node_->get<int64_t>() != nullptr; }
bool Json::is_text() const { return node_->get<const std::string>() != nullptr; }
bool Json::is_array() const { return node_->get<Node::Items>() != nullptr; }
bool Json::is_object() const { return node_->get<Object>() != nullptr; }

void Json::refuse(const char* expected) const {
  fail("{}{}expected {}, got {}", where_, where_.empty() ? "JSON: " : " ", expected, node_->kind());
}

bool Json::boolean() const {
  if (const auto* value = node_->get<bool>()) return *value;
  refuse("true or false");
}
int64_t Json::integer() const {
  if (const auto* value = node_->get<int64_t>()) return *value;
  refuse("an integer of 64 bits");
}
uint64_t Json::unsigned_integer() const {
  if (const auto* value = node_->get<uint64_t>()) return *value;
  if (const auto* value = node_->get<int64_t>(); value != nullptr && *value >= 0) return static_cast<uint64_t>(*value);
  refuse("a natural number of 64 bits");
}
double Json::number() const {
  if (const auto* value = node_->get<double>()) return *value;
  if (const auto* value = node_->get<int64_t>()) return static_cast<double>(*value);
  if (const auto* value = node_->get<uint64_t>()) return static_cast<double>(*value);
  refuse("a number");
}
const std::string& Json::text() const {
  if (const auto* value = node_->get<const std::string>()) return *value;
  refuse("text");
}

template <class T, class Item>
std::vector<T> Json::collect(Item item) const {
  const auto* items = node_->get<Node::Items>();
  if (items == nullptr) refuse("an array");
  std::vector<T> values;
  values.reserve(items->size());
  for (size_t i = 0; i < items->size(); ++i) values.push_back(item(at(static_cast<int64_t>(i))));
  return values;
}
std::vector<int64_t> Json::integers() const {
  return collect<int64_t>([](const Json& item) { return item.integer(); });
}
std::vector<double> Json::numbers() const {
  return collect<double>([](const Json& item) { return item.number(); });
}
std::vector<std::string> Json::texts() const {
  return collect<std::string>([](const Json& item) { return item.text(); });
}

const Json::Object& Json::members() const {
  if (const auto* object = node_->get<Object>()) return *object;
  refuse("an object");
}
Json Json::child(const Node& node, std::string place) const {
  // An aliasing pointer: the child keeps the whole tree alive.
  std::shared_ptr<Node> shared(node_, const_cast<Node*>(&node));
  return Json(std::move(shared), where_.empty() ? "" : where_ + std::move(place));
}
int64_t Json::size() const {
  if (const auto* items = node_->get<Node::Items>()) return static_cast<int64_t>(items->size());
  return static_cast<int64_t>(members().members.size());
}
Json Json::at(int64_t index) const {
  CHECK(index >= 0 && index < size(), "{} item {} of {} was asked for", where_, index, size());
  if (const auto* items = node_->get<Node::Items>()) {
    return child((*items)[static_cast<size_t>(index)], fmt::format("[{}]", index));
  }
  const auto& [name, node] = members().members[static_cast<size_t>(index)];
  return child(node, " " + name);
}
const std::string& Json::key(int64_t index) const {
  CHECK(index >= 0 && index < size(), "{} member {} of {} was asked for", where_, index, size());
  return members().members[static_cast<size_t>(index)].first;
}
bool Json::has(std::string_view key) const { return members().places.contains(key); }
Json Json::at(std::string_view key) const {
  const Object& object = members();
  const auto place = object.places.find(key);
  CHECK(place != object.places.end(), "{} the key \"{}\" is missing", where_.empty() ? "JSON:" : where_, key);
  return child(object.members[place->second].second, " " + std::string(key));
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) *this = object();
  Node own = *node_;
  auto* held = std::get_if<std::shared_ptr<Object>>(&own.value);
  if (held == nullptr) refuse("an object to add a member to");
  node_.reset();  // so that a tree which nobody else holds is changed in place
  if (held->use_count() > 1) *held = std::make_shared<Object>(**held);
  const auto [place, is_new] = (*held)->places.emplace(key, (*held)->members.size());
  if (is_new) (*held)->members.emplace_back(key, Node{});
  (*held)->members[place->second].second = *value.node_;
  node_ = std::make_shared<Node>(std::move(own));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) *this = array();
  Node own = *node_;
  auto* held = std::get_if<std::shared_ptr<Node::Items>>(&own.value);
  if (held == nullptr) refuse("an array to add an item to");
  node_.reset();
  if (held->use_count() > 1) *held = std::make_shared<Node::Items>(**held);
  (*held)->push_back(*value.node_);
  node_ = std::make_shared<Node>(std::move(own));
  return *this;
}

std::string Json::dump(int indent) const {
  Printer printer{indent, ""};
  printer.print(*node_, 0);
  return std::move(printer.out);
}

void Json::write(const std::string& path, IfExists if_exists) const { write_file(path, dump(2) + "\n", if_exists); }

}  // namespace sae
