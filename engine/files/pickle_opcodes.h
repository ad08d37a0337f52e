#pragma once

#include <cstdint>
#include <string_view>

// The part of Python's pickle protocol 2 that torch.save uses for a dict of tensors; the reader's and the writer's.
namespace sae::pickle {

enum Opcode : uint8_t {
  mark = '(',
  stop = '.',
  bin_float = 'G',
  bin_int = 'J',
  bin_int1 = 'K',
  bin_int2 = 'M',
  none = 'N',
  bin_persistent_id = 'Q',
  reduce = 'R',
  bin_unicode = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  appends = 'e',
  bin_get = 'h',
  long_bin_get = 'j',
  bin_put = 'q',
  long_bin_put = 'r',
  set_item = 's',
  tuple = 't',
  set_items = 'u',
  empty_list = ']',
  empty_dict = '}',
  empty_tuple = ')',
  proto = 0x80,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  new_true = 0x88,
  new_false = 0x89,
  long1 = 0x8a,
};

inline constexpr std::string_view ordered_dict = "collections OrderedDict",
                                  rebuild_tensor = "torch._utils _rebuild_tensor_v2",
                                  rebuild_parameter = "torch._utils _rebuild_parameter", torch_module = "torch ";

}  // namespace sae::pickle
