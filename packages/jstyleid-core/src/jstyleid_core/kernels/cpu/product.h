// Products of float32 matrices, each on the calling thread alone.
//
// A number of the result is the sum over k of a[i][k] b[k][j], added up in the order of k by fused
// multiply-adds. Neither the size of the matrices nor the place in them changes a bit of it, and so
// neither do threads, other examples of a batch, or the width of the processor's registers.
//
// The second matrix is laid out in panels (Goto and van de Geijn 2008): for PANEL columns, one line
// after the other. Sums of ROWS lines and one panel stay in registers.
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace product {

#if defined(__AVX512F__)
constexpr int WIDTH = 16, VECTORS = 4;  // 24 of 32 registers hold sums
#elif defined(__AVX__)
constexpr int WIDTH = 8, VECTORS = 2;   // 12 of 16
#else
constexpr int WIDTH = 4, VECTORS = 2;
#endif
constexpr int64_t ROWS = 6, PANEL = WIDTH * VECTORS;
// Lines of a panel that are multiplied at a time, and columns: they stay in the second-level cache.
constexpr int64_t DEPTH = 256, COLUMNS = 256;

typedef float Vector __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t Places __attribute__((vector_size(4 * WIDTH)));

static inline int64_t rounded_up(int64_t n, int64_t size) { return (n + size - 1) / size * size; }

// R lines of N vectors of the result. The first matrix has `row` between its lines and `step`
// between the numbers of one, and `line(i)` is the place of line i of the second.
template <int R, int N, class Line>
static inline __attribute__((always_inline)) void add_block(
    const float* a, int64_t row, int64_t step, int64_t k, const Line& line, bool add,
    float* c, int64_t ldc) {
    Vector sums[R][N];
    #pragma GCC unroll 8
    for (int r = 0; r < R; r++)
        #pragma GCC unroll 8
        for (int n = 0; n < N; n++)
            sums[r][n] = add ? *(const Vector*)(c + r * ldc + n * WIDTH) : Vector{};
    for (int64_t i = 0; i < k; i++) {
        const float* b = line(i);
        Vector values[N];
        #pragma GCC unroll 8
        for (int n = 0; n < N; n++) values[n] = *(const Vector*)(b + n * WIDTH);
        #pragma GCC unroll 8
        for (int r = 0; r < R; r++)
            #pragma GCC unroll 8
            for (int n = 0; n < N; n++) sums[r][n] += a[r * row + i * step] * values[n];
    }
    #pragma GCC unroll 8
    for (int r = 0; r < R; r++)
        #pragma GCC unroll 8
        for (int n = 0; n < N; n++) *(Vector*)(c + r * ldc + n * WIDTH) = sums[r][n];
}

// c (m lines of N vectors) = a b, or c + a b.
template <int N, class Line>
static void add_lines(int64_t m, const float* a, int64_t row, int64_t step, int64_t k,
                      const Line& line, bool add, float* c, int64_t ldc) {
    for (; m >= ROWS; m -= ROWS, a += ROWS * row, c += ROWS * ldc)
        add_block<ROWS, N>(a, row, step, k, line, add, c, ldc);
    switch (m) {
        case 5: add_block<5, N>(a, row, step, k, line, add, c, ldc); break;
        case 4: add_block<4, N>(a, row, step, k, line, add, c, ldc); break;
        case 3: add_block<3, N>(a, row, step, k, line, add, c, ldc); break;
        case 2: add_block<2, N>(a, row, step, k, line, add, c, ldc); break;
        case 1: add_block<1, N>(a, row, step, k, line, add, c, ldc); break;
    }
}

// Calls `run` with the number of vectors that are computed for so many columns, as a constant.
template <class Run>
static inline void with_vectors(int64_t columns, const Run& run) {
    if (columns > 2 * WIDTH) run(std::integral_constant<int, VECTORS>());
    else if (columns > WIDTH) run(std::integral_constant<int, 2>());
    else run(std::integral_constant<int, 1>());
}

// Lines and columns exchanged: in each step, those of one half come between those of the other.
static inline void transpose(Vector* lines) {
    Places low, high;
    for (int i = 0; i < WIDTH; i++) {
        low[i] = i / 2 + i % 2 * WIDTH;
        high[i] = low[i] + WIDTH / 2;
    }
    #pragma GCC unroll 4
    for (int done = 1; done < WIDTH; done *= 2) {
        Vector mixed[WIDTH];
        #pragma GCC unroll 8
        for (int i = 0; i < WIDTH / 2; i++) {
            mixed[2 * i] = __builtin_shuffle(lines[i], lines[i + WIDTH / 2], low);
            mixed[2 * i + 1] = __builtin_shuffle(lines[i], lines[i + WIDTH / 2], high);
        }
        #pragma GCC unroll 16
        for (int i = 0; i < WIDTH; i++) lines[i] = mixed[i];
    }
}

// The panels of k lines of n numbers, from the lines (`transposed`: from the columns), `ld` apart.
static inline void pack(const float* b, int64_t ld, bool transposed, int64_t k, int64_t n,
                        float* to) {
    for (int64_t first = 0; first < n; first += PANEL, to += k * PANEL) {
        const int64_t columns = std::min(PANEL, n - first);
        if (!transposed) {
            for (int64_t i = 0; i < k; i++) {
                std::copy_n(b + i * ld + first, columns, to + i * PANEL);
                std::fill(to + i * PANEL + columns, to + (i + 1) * PANEL, 0.f);
            }
            continue;
        }
        for (int64_t j = 0; j < PANEL; j += WIDTH)
        for (int64_t i = 0; i < k; i += WIDTH) {
            const int64_t width = std::max<int64_t>(0, std::min<int64_t>(WIDTH, columns - j));
            const int64_t depth = std::min<int64_t>(WIDTH, k - i);
            const float* from = b + (first + j) * ld + i;
            Vector square[WIDTH];
            if (width == WIDTH && depth == WIDTH)
                for (int e = 0; e < WIDTH; e++) square[e] = *(const Vector*)(from + e * ld);
            else
                for (int e = 0; e < WIDTH; e++)
                for (int f = 0; f < WIDTH; f++)
                    square[e][f] = e < width && f < depth ? from[e * ld + f] : 0.f;
            transpose(square);
            for (int64_t e = 0; e < depth; e++) *(Vector*)(to + (i + e) * PANEL + j) = square[e];
        }
    }
}

// c (m lines of n numbers, `ldc` apart) = a b, or c + a b, with b as panels.
static inline void multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t row,
                            int64_t step, const float* panels, bool add, float* c, int64_t ldc) {
    float part[ROWS * PANEL] = {};
    for (int64_t i = 0; i < m; i += ROWS)
    for (int64_t j = 0; j < n; j += PANEL) {
        const int64_t lines = std::min(ROWS, m - i), columns = std::min(PANEL, n - j);
        const float *first = a + i * row, *panel = panels + j * k;
        auto line = [=](int64_t place) { return panel + place * PANEL; };
        float* to = c + i * ldc + j;
        with_vectors(columns, [&](auto vectors) {
            constexpr int N = decltype(vectors)::value;
            if (columns == N * WIDTH) {
                add_lines<N>(lines, first, row, step, k, line, add, to, ldc);
                return;
            }
            if (add)
                for (int64_t e = 0; e < lines; e++)
                    std::copy_n(to + e * ldc, columns, part + e * PANEL);
            add_lines<N>(lines, first, row, step, k, line, add, part, PANEL);
            for (int64_t e = 0; e < lines; e++)
                std::copy_n(part + e * PANEL, columns, to + e * ldc);
        });
    }
}

// c = op(a) op(b), or c + op(a) op(b), where op takes lines for columns if `a_op`, `b_op` is 'T'.
// All matrices are row-major, with `ld` numbers from line to line.
static inline void multiply(char a_op, char b_op, int64_t m, int64_t n, int64_t k,
                            const float* a, int64_t lda, const float* b, int64_t ldb,
                            bool add, float* c, int64_t ldc) {
    const bool of_columns = b_op == 'T';
    static thread_local std::vector<float> panels(DEPTH * COLUMNS), panel(DEPTH * PANEL);
    for (int64_t j = 0; j < n; j += COLUMNS)
    for (int64_t i = 0; i < k; i += DEPTH) {
        const int64_t columns = std::min(COLUMNS, n - j), depth = std::min(DEPTH, k - i);
        pack(b + (of_columns ? j * ldb + i : i * ldb + j), ldb, of_columns, depth, columns,
             panels.data());
        if (a_op != 'T') {
            multiply(m, columns, depth, a + i, lda, 1, panels.data(), add || i, c + j, ldc);
            continue;
        }
        // Numbers of one column lie far apart: they are brought together.
        for (int64_t first = 0; first < m; first += PANEL) {
            const int64_t lines = std::min(PANEL, m - first);
            pack(a + i * lda + first, lda, false, depth, lines, panel.data());
            multiply(lines, columns, depth, panel.data(), 1, PANEL, panels.data(), add || i,
                     c + first * ldc + j, ldc);
        }
    }
}

}  // namespace product
