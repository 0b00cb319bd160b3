// Exceptions do not cross into Rust: null, and the message on request.

#pragma once

#include <ATen/ATen.h>

#include <exception>
#include <string>

namespace retouch {

inline thread_local std::string last_error;

template <typename F>
at::Tensor* guarded(F&& operation) {
  try {
    return new at::Tensor(operation());
  } catch (const std::exception& error) {
    last_error = error.what();
    return nullptr;
  }
}

}  // namespace retouch
