// The cards that the stand-ins pretend to have, as the environment describes them. Used by the
// runtime and by the driver, which are two libraries: all functions are inline.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace emulation {

// The whole number in an environment variable; a wrong one ends the process with a message. Of
// several with commas between them, the one for this card; the last is for all cards after it.
inline long setting(const char* name, long standard, int card = 0) {
    const char* text = getenv(name);
    if (!text || !*text) return standard;
    const char* at = text;
    while (true) {
        char* end = nullptr;
        const long value = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || value < 0) {
            fprintf(stderr, "cuda_emulation: %s=%s: a whole number from 0 is expected\n", name, text);
            _Exit(2);
        }
        if (*end == 0 || card-- == 0) return value;
        at = end + 1;
    }
}

inline int capability() { return (int)setting("FAKE_CC", 90); }

// The numbers of the cards that CUDA_VISIBLE_DEVICES leaves visible. As with the real driver, the
// first entry that names no card hides itself and all entries after it.
inline std::vector<int> visible_cards() {
    const int all = (int)setting("FAKE_GPUS", 1);
    std::vector<int> chosen;
    const char* wanted = getenv("CUDA_VISIBLE_DEVICES");
    if (!wanted) {
        for (int card = 0; card < all; card++) chosen.push_back(card);
        return chosen;
    }
    const std::string text = wanted;
    for (size_t at = 0; at <= text.size();) {
        const size_t comma = std::min(text.find(',', at), text.size());
        const std::string entry = text.substr(at, comma - at);
        int found = -1;
        for (int card = 0; card < all; card++) {
            char uuid[64];
            snprintf(uuid, sizeof uuid, "GPU-00000000-0000-0000-0000-%012d", card);
            const bool by_uuid = entry.size() > 4 && !strncmp(uuid, entry.c_str(), entry.size());
            if (entry == std::to_string(card) || by_uuid) found = card;
        }
        if (found < 0) break;
        chosen.push_back(found);
        at = comma + 1;
    }
    return chosen;
}

// Whether kernels, products, convolutions and copies on the card are counted and do nothing, so that
// what a large model asks of a card is known in seconds.
inline bool counts_only() {
    static const bool only = getenv("FAKE_CUDA_COUNT_ONLY") != nullptr;
    return only;
}

// The card's number of the one that this process calls `index`.
inline int card_number(int index) {
    static const std::vector<int> visible = visible_cards();
    return index < (int)visible.size() ? visible[index] : 0;
}

inline size_t card_memory(int index) {
    return (size_t)setting("FAKE_GPU_MEMORY", 24576, card_number(index)) << 20;  // MiB
}

// The dynamic shared memory in bytes that a block may ask for: without cudaFuncSetAttribute, and
// with it (CUDA C++ Programming Guide, table "Technical specifications per compute capability").
const size_t SHARED_BYTES = 48 << 10;

inline size_t shared_bytes_on_request() {
    switch (capability()) {
        case 75: return 64 << 10;
        case 80: case 87: return 163 << 10;
        case 90: case 100: case 103: return 227 << 10;
        default: return 99 << 10;  // 8.6, 8.9, 12.0
    }
}

}  // namespace emulation
