"""Two-dimensional convolution as products with the weight, tile by tile, and its gradients.

A tile of pixels has its input copied, with the padding around it. There, all output pixels have the
input of one place of the kernel at the same distance, so the lines of the second matrix of the
product lie in the copy, shifted against each other. Nothing is laid out as columns ("indirect
convolution", Dukhan 2019, is akin). The gradients use columns (Chellapilla et al. 2006).

Tiles have a fixed size and one thread each, so the number of threads does not show in the result.
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
    const int threads = threads_for(2. * B * O * P * C * KK);
"""

_COLUMNS = """
    const bool pointwise = KK == 1 && SH == 1 && SW == 1 && PH == 0 && PW == 0;
    const int64 pixels = std::min<int64>(P, 256);

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

# With a stride, each tap of the kernel meets the pixels of one remainder only, which are copied
# side by side. The copy's lines are a little longer than the output's, and so are the sums'.
_FORWARD = """
    const auto &x_shape = in0->shape, &w_shape = in1->shape, &y_shape = out->shape;
""" + _SIZES + """
    const int64 OH = y_shape[2];
    const int64 columns = OW > 384 ? 256 : OW;
    const int64 rows = std::min(OH, std::max<int64>(1, 256 / columns));
    const int64 down = blocks_of(OH, rows), along = blocks_of(OW, columns);
    const int64 size = std::min<int64>(O, 160), across = blocks_of(O, size);
    const int64 part = std::min<int64>(C, 32);
    const int64 RH = std::min(SH, (KH - 1) * DH + 1), RW = std::min(SW, (KW - 1) * DW + 1);
    const int64 line = columns + (KW - 1) * DW / SW, lines = rows + (KH - 1) * DH / SH;
    const int64 plane = line * lines;
    const int64 width = product::rounded_up(rows * line, product::PANEL);
    std::vector<int64> places(part * KK);
    for (int64 c = 0, k = 0; c < part; c++)
    for (int64 i = 0; i < KH * DH; i += DH)
    for (int64 j = 0; j < KW * DW; j += DW)
        places[k++] = ((c * RH + i % SH) * RW + j % SW) * plane + i / SH * line + j / SW;

    #pragma omp parallel num_threads(threads)
    {
        std::vector<float> input(part * RH * RW * plane + width), sums(size * width);
        #pragma omp for schedule(dynamic)
        for (int64 t = 0; t < B * down * along * across; t++) {
            const int64 b = t / (down * along * across), o = t % across * size;
            const int64 y = t / (along * across) % down * rows, x = t / across % along * columns;
            const int64 no = std::min(size, O - o), ny = std::min(rows, OH - y);
            const int64 nx = std::min(columns, OW - x);
            const float* w = in1_p + o * C * KK;
            for (int64 c = 0; c < C; c += part) {
                const int64 channels = std::min(part, C - c);
                float* to = input.data();
                for (int64 e = c; e < c + channels; e++)
                for (int64 i = 0; i < RH; i++)
                for (int64 j = 0; j < RW; j++)
                for (int64 l = 0; l < lines; l++, to += line) {
                    const int64 iy = (y + l) * SH + i - PH, ix = x * SW + j - PW;
                    const float* from = in0_p + ((b * C + e) * H + iy) * W + ix;
                    int64 first = ix < 0 ? std::min(line, (-ix + SW - 1) / SW) : 0;
                    int64 last = ix >= W ? 0 : std::min(line, (W - ix + SW - 1) / SW);
                    if (iy < 0 || iy >= H) first = last = 0;
                    first = std::min(first, last);
                    std::fill(to, to + first, 0.f);
                    if (SW == 1) std::copy(from + first, from + last, to + first);
                    else for (int64 p = first; p < last; p++) to[p] = from[p * SW];
                    std::fill(to + last, to + line, 0.f);
                }
                const int64* place = places.data();
                const int64 pixels = (ny - 1) * line + nx;
                for (int64 p = 0; p < pixels;) {
                    const float* pixel = input.data() + p;
                    auto at = [=](int64 k) { return pixel + place[k]; };
                    product::with_vectors(pixels - p, [&](auto vectors) {
                        constexpr int N = decltype(vectors)::value;
                        product::add_lines<N>(no, w + c * KK, C * KK, 1, channels * KK, at, c,
                                              sums.data() + p, width);
                        p += N * product::WIDTH;
                    });
                }
            }
            for (int64 i = 0; i < no; i++)
            for (int64 l = 0; l < ny; l++) {
                const float* from = sums.data() + i * width + l * line;
                float* to = out_p + ((b * O + o + i) * OH + y + l) * OW + x;
                for (int64 p = 0; p < nx; p++) to[p] = finish(from[p], o + i);
            }
        }
    }
"""

_AS_IT_IS = "auto finish = [](float y, int64) { return y; };"
_ADD_BIAS = "auto finish = [&](float y, int64 channel) { return y + in2_p[channel]; };"

# The columns of the input's gradient are W^T g; each goes back to the pixel it came from. One
# thread owns a few channels of an image, since neighbouring columns meet in one pixel.
_INPUT_GRADIENT = """
    const auto &x_shape = out->shape, &w_shape = in1->shape, &y_shape = in0->shape;
""" + _SIZES + _COLUMNS + """
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
                product::multiply('T', 'N', nc, P, O, w, C, g, P, false, image + c * P, P);
                continue;
            }
            std::fill(image + c * H * W, image + (c + nc) * H * W, 0.f);
            for (int64 p = 0; p < P; p += pixels) {
                const int64 np = std::min(pixels, P - p);
                product::multiply('T', 'N', nc * KK, np, O, w, C * KK, g + p, P,
                                  false, columns.data(), np);
                each_run(c, nc, p, np, columns.data(),
                         [&](float* row, int64 offset, int64, int64 first, int64 last) {
                    for (int64 e = first; e < last; e++) image[offset + e * SW] += row[e];
                });
            }
        }
    }
"""

# dW = g columns^T, summed over the images and their tiles of pixels in order.
_WEIGHT_GRADIENT = """
    const auto &x_shape = in1->shape, &w_shape = out->shape, &y_shape = in0->shape;
""" + _SIZES + _COLUMNS + """
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
                product::multiply('N', 'T', no, nc * KK, np, in0_p + (b * O + o) * P + p, P,
                                  columns.data(), np, b || p, out_p + (o * C + c) * KK, C * KK);
            }
        }
    }
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
        return cpu_kernel([shape], inputs, source, self.data, product=True)


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
