// Numbers in the formats of device memory, widened to float and rounded back.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace emulation {

enum class Format { FLOAT, HALF, BFLOAT16, DOUBLE, NONE };

inline size_t width(Format f) { return f == Format::DOUBLE ? 8 : f == Format::FLOAT ? 4 : 2; }

inline float round_to_half(float value) { return (float)(_Float16)value; }

inline float element(const void* data, long i, Format f) {
    switch (f) {
        case Format::FLOAT: return ((const float*)data)[i];
        case Format::HALF: return (float)((const _Float16*)data)[i];
        case Format::DOUBLE: return (float)((const double*)data)[i];
        case Format::BFLOAT16: {
            const uint32_t bits = (uint32_t)((const uint16_t*)data)[i] << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            return value;
        }
        default: abort();
    }
}

// Rounds to the nearest, ties to even.
inline void set_element(void* data, long i, Format f, float value) {
    switch (f) {
        case Format::FLOAT: ((float*)data)[i] = value; return;
        case Format::HALF: ((_Float16*)data)[i] = (_Float16)value; return;
        case Format::DOUBLE: ((double*)data)[i] = value; return;
        case Format::BFLOAT16: {
            uint32_t bits;
            memcpy(&bits, &value, sizeof bits);
            if (value == value) bits += 0x7fff + (bits >> 16 & 1);
            ((uint16_t*)data)[i] = (uint16_t)(bits >> 16);
            return;
        }
        default: abort();
    }
}

inline std::vector<float> widened(const void* data, long count, Format f) {
    std::vector<float> out(count);
    for (long i = 0; i < count; i++) out[i] = element(data, i, f);
    return out;
}

}  // namespace emulation
