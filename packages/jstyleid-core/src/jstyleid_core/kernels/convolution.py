"""Two-dimensional convolution as matrix products over tiles of pixels, and its gradients.

A tile's inputs are laid out as columns (Chellapilla et al. 2006), a few channels at a time so that
they stay in the second-level cache, and multiplied with the weight where it lies. Tiles have a
fixed size and one thread each, so the number of threads does not show in the result. oneDNN's own
convolution chooses its algorithm and divides its sums by it, and reorders the weight at each call.
"""

from __future__ import annotations

from typing import Any

from jstyleid_core.kernels.code import cpu_kernel, cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

# x is (B, C, H, W), the weight (O, C, KH, KW), the output (B, O, OH, OW); P = OH * OW pixels.
# `x_shape`, `w_shape` and `y_shape` are defined by each kernel.
_SIZES = """
    const int64 B = x_shape[0], C = x_shape[1], H = x_shape[2], W = x_shape[3];
    const int64 O = w_shape[0], KH = w_shape[2], KW = w_shape[3], KK = KH * KW;
    const int64 OW = y_shape[3], P = y_shape[2] * OW;
    const int64 SH = (int64)data["stride_h"], SW = (int64)data["stride_w"];
    const int64 PH = (int64)data["padding_h"], PW = (int64)data["padding_w"];
    const int64 DH = (int64)data["dilation_h"], DW = (int64)data["dilation_w"];
    const bool pointwise = KK == 1 && SH == 1 && SW == 1 && PH == 0 && PW == 0;
    const int threads = threads_for(2. * B * O * P * C * KK);
    const int64 pixels = std::min<int64>(P, 256);
    Product product;

    // Calls `visit(row, offset, run)` for each place (channel, i, j) of the kernel and each run of
    // output pixels of one line: `row` points into the columns, `offset` to the input pixel of
    // the first, in an image, and `first` to `last` are those of the run whose input exists.
    auto each_run = [&](int64 channel, int64 channels, int64 pixel, int64 count, float* columns,
                        auto&& visit) {
        for (int64 c = channel; c < channel + channels; c++)
        for (int64 i = 0; i < KH; i++)
        for (int64 j = 0; j < KW; j++, columns += count) {
            int64 y = pixel / OW, x = pixel % OW;
            for (int64 p = 0; p < count;) {
                const int64 run = std::min(OW - x, count - p);
                const int64 iy = y * SH - PH + i * DH, ix = x * SW - PW + j * DW;
                int64 first = ix < 0 ? std::min(run, (-ix + SW - 1) / SW) : 0;
                int64 last = ix >= W ? 0 : std::min(run, (W - ix + SW - 1) / SW);
                if (iy < 0 || iy >= H) first = last = 0;
                first = std::min(first, last);
                visit(columns + p, (c * H + iy) * W + ix, run, first, last);
                p += run; x = 0; y++;
            }
        }
    };

    // The inputs of `count` output pixels, a line for each (channel, i, j); 0 beside the image.
    auto gather = [&](const float* image, int64 channel, int64 channels, int64 pixel, int64 count,
                      float* columns) {
        each_run(channel, channels, pixel, count, columns,
                 [&](float* row, int64 offset, int64 run, int64 first, int64 last) {
            const float* from = image + offset;
            std::fill(row, row + first, 0.f);
            if (SW == 1) std::copy(from + first, from + last, row + first);
            else for (int64 e = first; e < last; e++) row[e] = from[e * SW];
            std::fill(row + last, row + run, 0.f);
        });
    };
"""

_FORWARD = """
    const auto &x_shape = in0->shape, &w_shape = in1->shape, &y_shape = out->shape;
""" + _SIZES + """
    const int64 part = std::min<int64>(C, 64), along = blocks_of(P, pixels);
    // Each tile lays its columns out anew, so tiles are tall; less tall where there are few.
    const int64 size = along * blocks_of(O, 320) < 8 ? 160 : 320, across = blocks_of(O, size);
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> columns(pointwise ? 0 : part * KK * pixels);
        #pragma omp for schedule(dynamic)
        for (int64 t = 0; t < B * along * across; t++) {
            const int64 b = t / (along * across);
            const int64 p = t / across % along * pixels, np = std::min(pixels, P - p);
            const int64 o = t % across * size, no = std::min(size, O - o);
            const float *image = in0_p + b * C * H * W, *w = in1_p + o * C * KK;
            float* y = out_p + (b * O + o) * P + p;
            if (pointwise)
                product('N', 'N', no, np, C, 1.f, w, C, image + p, P, 0.f, y, P);
            else
                for (int64 c = 0; c < C; c += part) {
                    const int64 nc = std::min(part, C - c);
                    gather(image, c, nc, p, np, columns.data());
                    product('N', 'N', no, np, nc * KK, 1.f, w + c * KK, C * KK,
                            columns.data(), np, c ? 1.f : 0.f, y, P);
                }
            finish(y, o, no, np);
        }
    }
    product.check();
"""

_AS_IT_IS = "auto finish = [](float*, int64, int64, int64) {};"
_ADD_BIAS = """
    auto finish = [&](float* y, int64 o, int64 no, int64 np) {
        const int64 P = out_shape2 * out_shape3;
        for (int64 i = 0; i < no; i++)
            for (int64 p = 0; p < np; p++) y[i * P + p] += in2_p[o + i];
    };
"""

# The columns of the input's gradient are W^T g; each goes back to the pixel it came from. One
# thread owns a few channels of an image, since neighbouring columns meet in one pixel.
_INPUT_GRADIENT = """
    const auto &x_shape = out->shape, &w_shape = in1->shape, &y_shape = in0->shape;
""" + _SIZES + """
    const int64 part = std::min<int64>(C, 16), across = blocks_of(C, part);
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> columns(pointwise ? 0 : part * KK * pixels);
        #pragma omp for schedule(dynamic)
        for (int64 t = 0; t < B * across; t++) {
            const int64 b = t / across, c = t % across * part, nc = std::min(part, C - c);
            float* image = out_p + b * C * H * W;
            const float *g = in0_p + b * O * P, *w = in1_p + c * KK;
            if (pointwise) {
                product('T', 'N', nc, P, O, 1.f, w, C, g, P, 0.f, image + c * P, P);
                continue;
            }
            std::fill(image + c * H * W, image + (c + nc) * H * W, 0.f);
            for (int64 p = 0; p < P; p += pixels) {
                const int64 np = std::min(pixels, P - p);
                product('T', 'N', nc * KK, np, O, 1.f, w, C * KK, g + p, P,
                        0.f, columns.data(), np);
                each_run(c, nc, p, np, columns.data(),
                         [&](float* row, int64 offset, int64, int64 first, int64 last) {
                    for (int64 e = first; e < last; e++) image[offset + e * SW] += row[e];
                });
            }
        }
    }
    product.check();
"""

# dW = g columns^T, summed over the images and their tiles of pixels in order.
_WEIGHT_GRADIENT = """
    const auto &x_shape = in1->shape, &w_shape = out->shape, &y_shape = in0->shape;
""" + _SIZES + """
    const int64 size = 256, part = std::min<int64>(C, 16);
    const int64 across = blocks_of(C, part), count = blocks_of(O, size) * across;
    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> columns(part * KK * pixels);
        #pragma omp for schedule(dynamic)
        for (int64 t = 0; t < count; t++) {
            const int64 o = t / across * size, no = std::min(size, O - o);
            const int64 c = t % across * part, nc = std::min(part, C - c);
            for (int64 b = 0; b < B; b++)
            for (int64 p = 0; p < P; p += pixels) {
                const int64 np = std::min(pixels, P - p);
                gather(in1_p + b * C * H * W, c, nc, p, np, columns.data());
                product('N', 'T', no, nc * KK, np, 1.f, in0_p + (b * O + o) * P + p, P,
                        columns.data(), np, b || p ? 1.f : 0.f, out_p + (o * C + c) * KK, C * KK);
            }
        }
    }
    product.check();
"""


class _Convolution(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self, data: dict[str, float]) -> None:
        self.data = data

    def execute(self, x: Var, weight: Var, bias: Var | None) -> Var:
        self.shape, self.weight, self.bias = x.shape, weight, bias
        # Beside a LoRA weights are frozen: the input need not be kept for their gradient.
        self.x = None if weight.is_stop_grad() else x
        shape = [x.shape[0], weight.shape[0], *_output_size(x.shape, weight.shape, self.data)]
        if bias is None:
            return self._kernel(shape, [x, weight], _AS_IT_IS + _FORWARD)
        return self._kernel(shape, [x, weight, bias], _ADD_BIAS + _FORWARD)

    def grad(self, grad: Var) -> Any:
        weight = self.weight
        return (
            self._kernel(self.shape, [grad, weight], _INPUT_GRADIENT),
            None if self.x is None else
            self._kernel(weight.shape, [grad, self.x], _WEIGHT_GRADIENT),
            None if self.bias is None else grad.sum([0, 2, 3]),
        )

    def _kernel(self, shape: Any, inputs: list[Var], source: str) -> Var:
        return cpu_kernel([shape], inputs, source, self.data, dnnl=True)


class _CudaConvolution(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """The same by cuDNN."""

    def __init__(self, data: dict[str, float]) -> None:
        self.data = data

    def execute(self, x: Var, weight: Var) -> Var:
        self.shape, self.weight = x.shape, weight
        self.x = None if weight.is_stop_grad() else x
        shape = [x.shape[0], weight.shape[0], *_output_size(x.shape, weight.shape, self.data)]
        return self._pass("forward, in0, in1, out0", shape, [x, weight])

    def grad(self, grad: Var) -> Any:
        weight = self.weight
        return (
            self._pass("input_gradient, out0, in0, in1", self.shape, [weight, grad]),
            None if self.x is None else
            self._pass("weight_gradient, in0, out0, in1", weight.shape, [self.x, grad]),
        )

    def _pass(self, name_and_arrays: str, shape: Any, inputs: list[Var]) -> Var:
        call = f"convolution::run<in0_type>(convolution::Pass::{name_and_arrays}, data);"
        return cuda_kernel([shape], [str(inputs[0].dtype)], inputs, "convolution", call, self.data,
                           cudnn=True)[0]


def conv2d(
    x: Var,
    weight: Var,
    bias: Var | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Var:
    """Cross-correlation of images with a weight, as deep learning calls convolution.

    Args:
        x: (B, C, H, W).
        weight: (O, C, KH, KW).
        bias: (O,), or None.
        stride, padding, dilation: vertical and horizontal; the padding is of zeros.

    Returns:
        (B, O, OH, OW) with OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1, likewise OW.

    Raises:
        ValueError: the channels do not fit, or the kernel is larger than the padded image.
    """
    data: dict[str, float] = {}
    for name, (vertical, horizontal) in (
        ("stride", stride), ("padding", padding), ("dilation", dilation),
    ):
        data[f"{name}_h"], data[f"{name}_w"] = vertical, horizontal
    if x.shape[1] != weight.shape[1] or min(_output_size(x.shape, weight.shape, data)) < 1:
        raise ValueError(f"a convolution {tuple(weight.shape)} does not fit {tuple(x.shape)}")
    if runs_on_cpu():
        return _Convolution(data)(x, weight, bias)
    y = _CudaConvolution(data)(x, weight)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def _output_size(x: Any, weight: Any, data: dict[str, float]) -> list[int]:
    return [
        int((x[2 + i] + 2 * data[f"padding_{side}"]
             - data[f"dilation_{side}"] * (weight[2 + i] - 1) - 1) // data[f"stride_{side}"] + 1)
        for i, side in enumerate("hw")
    ]
