#include "engine/files/pickle.h"

#include <bit>
#include <map>
#include <set>

#include "engine/error.h"
#include "engine/files/pickle_opcodes.h"

namespace sae {

using namespace pickle;

namespace {

/// What is copied for each use must be short, or a small file could fill the memory.
constexpr size_t most_axes = 4, longest_text = 200, most_keys = 10000;

/// Values refer to each other by their places in one list, so that no nesting and no cycle can hurt.
struct Item {
  enum class Kind { mark, none, number, text, tuple, list, dict, global, storage, tensor } kind = Kind::none;
  Pickle::Number number;
  std::string text;           ///< text, global ("module name")
  std::vector<size_t> items;  ///< tuple, list; dict: key, value, key, ...
  PickledTensor tensor;       ///< storage, tensor
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  Pickle run() {
    while (true) {
      opcode_at_ = at_;
      const uint8_t code = byte();
      if (code == stop) break;
      step(code);
    }
    CHECK(at_ == bytes_.size(), "{}: byte {}: {} bytes follow the pickle's end", place_, at_, bytes_.size() - at_);
    const size_t top = pop();
    CHECK(stack_.empty() && items_[top].kind == Item::Kind::dict, "{}: holds no dict of tensors", place_);
    Pickle result;
    collect(items_[top], "", result);
    return result;
  }

 private:
  template <class... Values>
  [[noreturn]] void refuse(fmt::format_string<Values...> text, Values&&... values) const {
    fail("{}: byte {}: {}", place_, opcode_at_, fmt::format(text, std::forward<Values>(values)...));
  }

  std::string_view take(size_t count) {
    if (count > bytes_.size() - at_)
      refuse("the pickle is cut off: {} bytes are missing", count - (bytes_.size() - at_));
    const std::string_view found(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
    at_ += count;
    return found;
  }
  uint8_t byte() { return static_cast<uint8_t>(take(1)[0]); }
  uint64_t unsigned_number(size_t count) {
    uint64_t value = 0;
    const std::string_view bytes = take(count);
    for (size_t i = 0; i < count; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    return value;
  }
  std::string line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) refuse("the pickle is cut off within a name");
    at_ += end + 1;
    return std::string(rest.substr(0, end));
  }

  size_t make(Item item) {
    items_.push_back(std::move(item));
    return items_.size() - 1;
  }
  void push(Item item) { stack_.push_back(make(std::move(item))); }
  void push_kind(Item::Kind kind) {
    Item item;
    item.kind = kind;
    push(std::move(item));
  }
  void push_integer(int64_t value) {
    Item item;
    item.kind = Item::Kind::number;
    item.number = {static_cast<double>(value), true, value};
    push(std::move(item));
  }
  size_t pop() {
    if (stack_.empty() || items_[stack_.back()].kind == Item::Kind::mark) refuse("a value is missing");
    const size_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Item& top(Item::Kind kind, const char* expected) {
    if (stack_.empty() || items_[stack_.back()].kind != kind) refuse("expected {}", expected);
    return items_[stack_.back()];
  }
  std::vector<size_t> pop_to_mark() {
    std::vector<size_t> found;
    size_t begin = stack_.size();
    while (begin > 0 && items_[stack_[begin - 1]].kind != Item::Kind::mark) --begin;
    if (begin == 0) refuse("a mark is missing");
    found.assign(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
    stack_.resize(begin - 1);
    return found;
  }
  void push_tuple(std::vector<size_t> items) {
    Item item;
    item.kind = Item::Kind::tuple;
    item.items = std::move(items);
    push(std::move(item));
  }
  void push_last(size_t count) {
    std::vector<size_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push_tuple(std::move(items));
  }

  void put(uint64_t place) {
    if (stack_.empty()) refuse("a value is missing");
    memo_[place] = stack_.back();
  }
  void get(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) refuse("value {} of the memo was never stored", place);
    stack_.push_back(found->second);
  }

  void step(uint8_t code) {
    switch (code) {
      case proto:
        if (const uint8_t version = byte(); version != 2)
          refuse("the pickle has protocol {}, torch.save uses 2", version);
        return;
      case mark:
        return push_kind(Item::Kind::mark);
      case none:
        return push_kind(Item::Kind::none);
      case empty_dict:
        return push_kind(Item::Kind::dict);
      case empty_list:
        return push_kind(Item::Kind::list);
      case empty_tuple:
        return push_tuple({});
      case new_true:
        return push_integer(1);
      case new_false:
        return push_integer(0);
      case bin_int:
        return push_integer(static_cast<int32_t>(static_cast<uint32_t>(unsigned_number(4))));
      case bin_int1:
        return push_integer(byte());
      case bin_int2:
        return push_integer(static_cast<int64_t>(unsigned_number(2)));
      case long1:
        return push_long();
      case bin_float:
        return push_float();
      case bin_unicode: {
        Item item;
        item.kind = Item::Kind::text;
        item.text = take(unsigned_number(4));
        return push(std::move(item));
      }
      case bin_put:
        return put(byte());
      case long_bin_put:
        return put(unsigned_number(4));
      case bin_get:
        return get(byte());
      case long_bin_get:
        return get(unsigned_number(4));
      case tuple:
        return push_tuple(pop_to_mark());
      case tuple1:
        return push_last(1);
      case tuple2:
        return push_last(2);
      case tuple3:
        return push_last(3);
      case append: {
        const size_t value = pop();
        top(Item::Kind::list, "a list").items.push_back(value);
        return;
      }
      case appends:
        return extend(Item::Kind::list, "a list", pop_to_mark());
      case set_item: {
        const size_t value = pop(), key = pop();
        return extend(Item::Kind::dict, "a dict", {key, value});
      }
      case set_items:
        return extend(Item::Kind::dict, "a dict", pop_to_mark());
      case global:
        return push_global();
      case bin_persistent_id:
        return push_storage();
      case reduce:
        return call();
      case build:  // the _metadata of a state dict
        pop();
        top(Item::Kind::dict, "a dict");
        return;
      default:
        refuse("the opcode {:#04x} is not used for a dict of tensors", code);
    }
  }

  void extend(Item::Kind kind, const char* expected, const std::vector<size_t>& values) {
    Item& target = top(kind, expected);
    if (kind == Item::Kind::dict && values.size() % 2 != 0) refuse("a key has no value");
    target.items.insert(target.items.end(), values.begin(), values.end());
  }

  void push_long() {
    const uint8_t count = byte();
    if (count > 8) refuse("an integer of {} bytes is too large", count);
    uint64_t value = unsigned_number(count);
    if (count > 0 && count < 8 && (value >> (8 * count - 1)) != 0) value |= ~uint64_t{0} << (8 * count);
    push_integer(static_cast<int64_t>(value));
  }
  void push_float() {
    uint64_t bits = 0;
    for (const char one : take(8)) bits = bits << 8 | static_cast<uint8_t>(one);
    Item item;
    item.kind = Item::Kind::number;
    item.number.value = std::bit_cast<double>(bits);
    push(std::move(item));
  }

  void push_global() {
    Item item;
    item.kind = Item::Kind::global;
    item.text = line();
    item.text += " ";
    item.text += line();
    const bool storage = item.text.starts_with(torch_module) && item.text.ends_with("Storage");
    if (!storage && item.text != ordered_dict && item.text != rebuild_tensor && item.text != rebuild_parameter) {
      refuse("it asks for '{}', which is no part of a dict of tensors; such code is never run",
             item.text.substr(0, 80));
    }
    push(std::move(item));
  }

  const Item& part(const Item& whole, size_t index, Item::Kind kind, const char* what) const {
    if (index >= whole.items.size() || items_[whole.items[index]].kind != kind) refuse("{} is missing", what);
    return items_[whole.items[index]];
  }
  int64_t integer_part(const Item& whole, size_t index, const char* what) const {
    const Item& found = part(whole, index, Item::Kind::number, what);
    if (!found.number.is_integer || found.number.integer < 0) refuse("{} is no integer of 0 or more", what);
    return found.number.integer;
  }
  std::vector<int64_t> integers_part(const Item& whole, size_t index, const char* what) const {
    const Item& found = part(whole, index, Item::Kind::tuple, what);
    if (found.items.size() > most_axes)
      refuse("{} has {} axes, expected at most {}", what, found.items.size(), most_axes);
    std::vector<int64_t> values;
    for (size_t i = 0; i < found.items.size(); ++i) values.push_back(integer_part(found, i, what));
    return values;
  }

  /// ('storage', torch.FloatStorage, key, device, elements)
  void push_storage() {
    const Item id = items_[pop()];
    Item item;
    item.kind = Item::Kind::storage;
    if (id.kind != Item::Kind::tuple || part(id, 0, Item::Kind::text, "a storage's mark").text != "storage") {
      refuse("a persistent id is of no storage");
    }
    const std::string& type = part(id, 1, Item::Kind::global, "a storage's type").text;
    if (!type.starts_with(torch_module)) refuse("a storage has the type '{}'", type);
    item.tensor.storage_type = type.substr(torch_module.size());
    item.tensor.key = part(id, 2, Item::Kind::text, "a storage's key").text;
    if (item.tensor.key.size() > longest_text) refuse("a storage's key has {} bytes", item.tensor.key.size());
    item.tensor.storage_elements = integer_part(id, 4, "a storage's size");
    push(std::move(item));
  }

  void call() {
    const Item arguments = items_[pop()];
    const Item function = items_[pop()];
    if (function.kind != Item::Kind::global || arguments.kind != Item::Kind::tuple) refuse("expected a function");
    Item result;
    if (function.text == ordered_dict) {
      if (!arguments.items.empty()) refuse("expected an empty OrderedDict");
      result.kind = Item::Kind::dict;
    } else if (function.text == rebuild_tensor) {  // (storage, offset, shape, strides, requires_grad, hooks)
      result = part(arguments, 0, Item::Kind::storage, "a tensor's storage");
      result.kind = Item::Kind::tensor;
      result.tensor.offset = integer_part(arguments, 1, "a tensor's offset");
      result.tensor.shape = integers_part(arguments, 2, "a tensor's shape");
      result.tensor.strides = integers_part(arguments, 3, "a tensor's strides");
      if (result.tensor.shape.size() != result.tensor.strides.size()) refuse("a tensor has other strides than extents");
    } else if (function.text == rebuild_parameter) {  // (tensor, requires_grad, hooks)
      result = part(arguments, 0, Item::Kind::tensor, "a parameter's tensor");
    } else {
      refuse("'{}' is called, which is no part of a dict of tensors", function.text);
    }
    push(std::move(result));
  }

  void collect(const Item& dict, const std::string& prefix, Pickle& result) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const Item& key = items_[dict.items[i]];
      const Item& value = items_[dict.items[i + 1]];
      CHECK(key.kind == Item::Kind::text, "{}: a key of the dict is no text", place_);
      CHECK(key.text.size() <= longest_text && seen_.size() < most_keys, "{}: the dict has too long or too many keys",
            place_);
      const std::string name = prefix + key.text;
      CHECK(seen_.insert(name).second, "{}: the key '{}' is there twice", place_, name.substr(0, 80));
      if (value.kind == Item::Kind::tensor) {
        result.tensors.emplace_back(name, value.tensor);
      } else if (value.kind == Item::Kind::text && value.text.size() <= longest_text) {
        result.texts.emplace_back(name, value.text);
      } else if (value.kind == Item::Kind::number) {
        result.numbers.emplace_back(name, value.number);
      } else if (value.kind == Item::Kind::dict && prefix.empty()) {
        collect(value, name + ".", result);
      } else {
        result.others.push_back(name);
      }
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& place_;
  size_t at_ = 0, opcode_at_ = 0;
  std::vector<Item> items_;
  std::vector<size_t> stack_;
  std::map<uint64_t, size_t> memo_;
  std::set<std::string> seen_;
};

}  // namespace

Pickle Pickle::parse(std::span<const std::byte> bytes, const std::string& place) { return Machine(bytes, place).run(); }

}  // namespace sae
