// Convolutions by products: the windows of an image become the columns of a matrix.
#pragma once
#include <vector>

#include "elements.h"
#include "products.h"

namespace emulation {

// A tensor or filter; images have three spatial sizes, the first is 1 where they are flat.
struct Tensor {
    Format format;
    long size[5];    // images, channels, depth, height, width
    long stride[5];  // in elements

    long span() const {
        long last = 0;
        for (int i = 0; i < 5; i++) last += (size[i] - 1) * stride[i];
        return last + 1;
    }
    long at(long n, long c, long d, long h, long w) const {
        return n * stride[0] + c * stride[1] + d * stride[2] + h * stride[3] + w * stride[4];
    }
};

struct Convolution {
    long pad[3] = {0, 0, 0}, step[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
    int groups = 1;
    bool flipped = false;  // a convolution in the strict sense, with the filter turned round
    Sums sums = Sums::FLOAT;

    long output_size(const Tensor& x, const Tensor& w, int axis) const {
        const long window = (w.size[axis + 2] - 1) * dilation[axis] + 1;
        return (x.size[axis + 2] + 2 * pad[axis] - window) / step[axis] + 1;
    }
};

// One convolution's sizes and the walk over its windows.
struct Windows {
    const Convolution& c;
    const Tensor &x, &w, &y;

    long filters() const { return y.size[1] / c.groups; }
    long window() const { return w.size[1] * w.size[2] * w.size[3] * w.size[4]; }
    long places() const { return y.size[2] * y.size[3] * y.size[4]; }

    // Calls visit(row, column, index) for each element of image n, group g that a window covers:
    // row counts the elements of a window, column the windows, index the elements of x.
    template <class Visit>
    void walk(long n, long g, Visit visit) const {
        long row = 0;
        for (long channel = 0; channel < w.size[1]; channel++)
            for (long fd = 0; fd < w.size[2]; fd++)
                for (long fh = 0; fh < w.size[3]; fh++)
                    for (long fw = 0; fw < w.size[4]; fw++, row++)
                        walk_row(n, g * w.size[1] + channel, fd, fh, fw, row, visit);
    }

    // A filter row by row: (filters, window) of group g.
    template <class Visit>
    void walk_filter(long g, Visit visit) const {
        const auto turned = [&](long i, int axis) { return c.flipped ? w.size[axis] - 1 - i : i; };
        for (long o = 0; o < filters(); o++) {
            long row = 0;
            for (long channel = 0; channel < w.size[1]; channel++)
                for (long d = 0; d < w.size[2]; d++)
                    for (long h = 0; h < w.size[3]; h++)
                        for (long v = 0; v < w.size[4]; v++, row++)
                            visit(o * window() + row,
                                  w.at(g * filters() + o, channel, turned(d, 2), turned(h, 3), turned(v, 4)));
        }
    }

    // The outputs of image n, group g row by row: (filters, places).
    template <class Visit>
    void walk_output(long n, long g, Visit visit) const {
        for (long o = 0; o < filters(); o++) {
            long place = 0;
            for (long d = 0; d < y.size[2]; d++)
                for (long h = 0; h < y.size[3]; h++)
                    for (long v = 0; v < y.size[4]; v++, place++)
                        visit(o * places() + place, y.at(n, g * filters() + o, d, h, v));
        }
    }

private:
    template <class Visit>
    void walk_row(long n, long channel, long fd, long fh, long fw, long row, Visit visit) const {
        long column = 0;
        for (long d = 0; d < y.size[2]; d++) {
            const long xd = d * c.step[0] - c.pad[0] + fd * c.dilation[0];
            for (long h = 0; h < y.size[3]; h++) {
                const long xh = h * c.step[1] - c.pad[1] + fh * c.dilation[1];
                for (long v = 0; v < y.size[4]; v++, column++) {
                    const long xw = v * c.step[2] - c.pad[2] + fw * c.dilation[2];
                    if (xd >= 0 && xh >= 0 && xw >= 0 && xd < x.size[2] && xh < x.size[3] && xw < x.size[4])
                        visit(row, column, x.at(n, channel, xd, xh, xw));
                }
            }
        }
    }
};

// (rows, columns) -> (columns, rows)
inline std::vector<float> turned(const std::vector<float>& a, long rows, long columns) {
    std::vector<float> out(a.size());
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j];
    return out;
}

// Y = X * W
inline void convolve(const Windows& s, const void* x, const void* w, void* y, float alpha, float beta) {
    const long K = s.window(), P = s.places(), O = s.filters();
    std::vector<float> columns(K * P), filter(O * K), out(O * P);
    for (long g = 0; g < s.c.groups; g++) {
        s.walk_filter(g, [&](long to, long at) { filter[to] = element(w, at, s.w.format); });
        for (long n = 0; n < s.y.size[0]; n++) {
            std::fill(columns.begin(), columns.end(), 0.f);
            s.walk(n, g, [&](long row, long column, long at) {
                columns[row * P + column] = element(x, at, s.x.format);
            });
            product(O, P, K, filter.data(), columns.data(), out.data(), s.c.sums);
            s.walk_output(n, g, [&](long from, long at) {
                const float before = beta ? beta * element(y, at, s.y.format) : 0.f;
                set_element(y, at, s.y.format, alpha * out[from] + before);
            });
        }
    }
}

// dX from dY and W
inline void convolve_back(const Windows& s, const void* w, const void* dy, void* dx, float alpha, float beta) {
    const long K = s.window(), P = s.places(), O = s.filters();
    std::vector<float> filter(O * K), outer(O * P), columns(K * P), sum(s.x.span());
    for (long g = 0; g < s.c.groups; g++) {
        s.walk_filter(g, [&](long to, long at) { filter[to] = element(w, at, s.w.format); });
        const std::vector<float> across = turned(filter, O, K);
        for (long n = 0; n < s.y.size[0]; n++) {
            s.walk_output(n, g, [&](long to, long at) { outer[to] = element(dy, at, s.y.format); });
            product(K, P, O, across.data(), outer.data(), columns.data(), s.c.sums);
            s.walk(n, g, [&](long row, long column, long at) { sum[at] += columns[row * P + column]; });
        }
    }
    for (long n = 0; n < s.x.size[0]; n++)
        for (long c = 0; c < s.x.size[1]; c++)
            for (long d = 0; d < s.x.size[2]; d++)
                for (long h = 0; h < s.x.size[3]; h++)
                    for (long v = 0; v < s.x.size[4]; v++) {
                        const long at = s.x.at(n, c, d, h, v);
                        const float before = beta ? beta * element(dx, at, s.x.format) : 0.f;
                        set_element(dx, at, s.x.format, alpha * sum[at] + before);
                    }
}

// dW from X and dY
inline void convolve_filter(const Windows& s, const void* x, const void* dy, void* dw, float alpha, float beta) {
    const long K = s.window(), P = s.places(), O = s.filters();
    std::vector<float> columns(K * P), outer(O * P), part(O * K);
    for (long g = 0; g < s.c.groups; g++) {
        std::vector<float> sum(O * K);
        for (long n = 0; n < s.y.size[0]; n++) {
            std::fill(columns.begin(), columns.end(), 0.f);
            s.walk(n, g, [&](long row, long column, long at) {
                columns[row * P + column] = element(x, at, s.x.format);
            });
            s.walk_output(n, g, [&](long to, long at) { outer[to] = element(dy, at, s.y.format); });
            const std::vector<float> across = turned(columns, K, P);
            product(O, K, P, outer.data(), across.data(), part.data(), s.c.sums);
            for (long i = 0; i < O * K; i++) sum[i] += part[i];
        }
        s.walk_filter(g, [&](long from, long at) {
            const float before = beta ? beta * element(dw, at, s.w.format) : 0.f;
            set_element(dw, at, s.w.format, alpha * sum[from] + before);
        });
    }
}

}  // namespace emulation
