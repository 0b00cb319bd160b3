// LibTorch operations that tch does not bind: matrix products with weights that oneDNN has laid out in advance.
//
// The operations are reached by name through the dispatcher, as TorchInductor's generated code reaches them (PyTorch
// v2.11.0 aten/src/ATen/native/mkldnn/Linear.cpp).

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>

#include "guarded.h"

using retouch::guarded;

extern "C" {

const char* retouch_last_error() { return retouch::last_error.c_str(); }

// weight [outputs, inputs], dense -> the same weight, opaque. Null where oneDNN cannot on this processor.
at::Tensor* retouch_pack_linear(const at::Tensor* weight) {
  return guarded([&] {
    static const auto pack =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
            .typed<at::Tensor(const at::Tensor&, std::optional<int64_t>)>();
    return pack.call(*weight, std::nullopt);
  });
}

// x [.., inputs], packed weight, bias [outputs] or null -> [.., outputs].
at::Tensor* retouch_packed_linear(const at::Tensor* x, const at::Tensor* packed, const at::Tensor* bias) {
  return guarded([&] {
    static const auto linear =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
            .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                              c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>)>();
    std::optional<at::Tensor> optional_bias;
    if (bias != nullptr) optional_bias = *bias;
    return linear.call(*x, *packed, optional_bias, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
  });
}

}  // extern "C"
