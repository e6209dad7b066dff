// Device memory: apart from the host's, and closed to the host. Exported by the runtime's
// stand-in; the stand-ins of the other libraries open it through `Operation`.
#pragma once
#include <cstddef>

namespace emulation {

enum class Kind { DEVICE, MANAGED };

// A new allocation on a card, its address a multiple of 256; null where the card is full.
void* allocate(size_t bytes, int card, Kind kind);
// False where `start` is not the start of an allocation.
bool release(void* start);
// Bytes in use on a card.
size_t in_use(int card);

// Whether an address lies in an allocation on a card, and whether all of a range lies in one.
bool on_device(const void* address);
bool within_allocation(const void* start, size_t bytes);

// Work of the card: device memory is readable and writable while at least one exists. Work of
// several threads is done one after another, as on one stream.
class Operation {
public:
    explicit Operation(const char* name);
    ~Operation();
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

private:
    const char* before_;
};

// Counts a piece of work, and says whether the card is still there to do it (FAKE_GPU_LOST_AFTER).
bool card_takes_work();
bool card_is_lost();

}  // namespace emulation
