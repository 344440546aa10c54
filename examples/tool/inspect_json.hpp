// `trainstate inspect --json`: the same for programs, one object a file on one line.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "checkpoint_file.hpp"
#include "text.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/text.hpp"

namespace tool {

inline void append_text(std::string& json, std::string_view text) {
  ts::format::append_json_string(json, ts::format::as_utf8(text));
}

/// `"key":`, after a comma unless it is the first of an object.
inline void append_key(std::string& json, std::string_view key) {
  if (json.back() != '{') json += ',';
  append_text(json, key);
  json += ':';
}

/// A value as JSON. Infinities and NaN are texts, bytes that are no UTF-8 are `%XX`, tensors say dtype and shape.
inline void append_value(std::string& json, const Value& value) {
  const auto tensor = [&](const ts::TensorInfo& x) {
    append_key(json += '{', "dtype");
    append_text(json, name(x.dtype));
    append_key(json, "shape");
    json += shape_text(x.shape) + '}';
  };
  std::visit(
      [&]<class T>(const T& x) {
        if constexpr (std::is_same_v<T, ts::None>) {
          json += "null";
        } else if constexpr (std::is_same_v<T, bool>) {
          json += x ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          ts::format::append_json_integer(json, x);
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(x)) {
            ts::format::append_json_double(json, x);
          } else {
            append_text(json, ts::detail::double_text(x));
          }
        } else if constexpr (std::is_same_v<T, std::string>) {
          append_text(json, x);
        } else if constexpr (std::is_same_v<T, ts::TensorInfo>) {
          tensor(x);
        } else if constexpr (std::is_same_v<T, ts::UnsupportedTensor>) {
          tensor(x.info);
        } else if constexpr (std::is_same_v<T, List>) {
          json += '[';
          for (std::size_t i = 0; i < x.size(); ++i) {
            if (i != 0) json += ',';
            append_value(json, x[i]);
          }
          json += ']';
        } else {
          json += '{';
          for (const auto& [key, item] : x) {
            append_key(json, ts::detail::to_string(key));
            append_value(json, item);
          }
          json += '}';
        }
      },
      value.variant());
}

/// {"file", "bytes", "container", "format", "tensors": [{"path", "name", "dtype", "shape", "bytes", "device"}…],
/// "values": [{"path", "value"}…], "manifest", "metadata", "checksums"}. Tensors and values are lists since two keys
/// of a tree may look the same (5 and "5").
inline std::string inspect_json(const CheckpointFile& file) {
  const auto& document = file.document;
  std::string json = "{";
  append_key(json, "file");
  append_text(json, file.path.string());
  append_key(json, "bytes");
  ts::format::append_json_integer(json, file.size);
  append_key(json, "container");
  append_text(json, file.container);
  append_key(json, "format");
  ts::format::append_json_integer(json, document.format);
  std::string tensors, values;
  each_leaf(document.tree, [&](const std::string& path, const std::string& dotted, const Value& value) {
    const auto* tensor = value.get_if<ts::TensorInfo>();
    std::string& list = tensor ? tensors : values;
    if (!list.empty()) list += ',';
    append_key(list += '{', "path");
    append_text(list, path);
    if (tensor) {
      append_key(list, "name");
      append_text(list, dotted);
      append_key(list, "dtype");
      append_text(list, name(tensor->dtype));
      append_key(list, "shape");
      list += shape_text(tensor->shape);
      append_key(list, "bytes");
      ts::format::append_json_integer(list, tensor->nbytes());
      append_key(list, "device");
      append_text(list, tensor->storage ? tensor->storage->device : "cpu");
    } else {
      append_key(list, "value");
      append_value(list, value);
    }
    list += '}';
  });
  append_key(json, "tensors");
  json += '[' + tensors + ']';
  append_key(json, "values");
  json += '[' + values + ']';
  append_key(json, "manifest");
  append_value(json, document.manifest ? Value(*document.manifest) : Value());
  append_key(json, "metadata");
  json += '{';
  for (const auto& [key, text] : document.metadata) {
    append_key(json, key);
    append_text(json, text);
  }
  json += '}';
  append_key(json, "checksums");
  json += '{';
  for (const auto& [tensor, checksum] : document.checksums) {
    append_key(json, tensor);
    append_text(json, checksum);
  }
  return json + "}}";
}

}  // namespace tool
