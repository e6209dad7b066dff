// Device memory as mappings that are closed (PROT_NONE) unless an `Operation` is under way. Between
// allocations lie pages that are always closed, so that kernels do not run past an end unseen.
#include "device_memory.h"

#include <cuda_runtime_api.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "card.h"
#include "counters.h"
#include "threads.h"

namespace emulation {
namespace {

const size_t PAGE = 4096, ALIGNMENT = 256;

struct Allocation {
    char* start;
    size_t bytes;
    char* pages;  // the pages that are opened; one closed page lies on each side
    size_t mapped;
    int card;
    Kind kind;
};

// Never destroyed: libraries release memory while the process ends.
struct Memory {
    std::recursive_mutex mutex;
    std::map<const char*, Allocation> allocations;  // by the start of the pages
    std::map<int, size_t> in_use;
    int open = counts_only();  // operations under way; where nothing computes, always open
    const char* operation = nullptr;
};

Memory& memory() {
    static Memory* const only = new Memory;
    return *only;
}

void protect(const Allocation& a, bool open) {
    if (a.kind == Kind::MANAGED) return;
    if (mprotect(a.pages, a.mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE)) {
        perror("cuda_emulation: mprotect");
        abort();
    }
}

// The allocation whose pages, or the closed page on a side, hold an address.
const Allocation* near(const void* address) {
    Memory& m = memory();
    const char* const at = (const char*)address;
    auto next = m.allocations.upper_bound(at);
    if (next != m.allocations.begin()) {
        const Allocation& a = std::prev(next)->second;
        if (at < a.pages + a.mapped + PAGE) return &a;
    }
    if (next != m.allocations.end() && at >= next->second.pages - PAGE) return &next->second;
    return nullptr;
}

const Allocation* holding(const void* address) {
    const Allocation* a = near(address);
    const char* const at = (const char*)address;
    return a && at >= a->start && at < a->start + a->bytes ? a : nullptr;
}

struct sigaction previous;

// A fault in or beside device memory: say what was touched, where from, and let the process die.
void on_fault(int signal, siginfo_t* info, void* context) {
    const Allocation* a = near(info->si_addr);
    if (!a && Block::stack_overflows_at(info->si_addr)) {
        const char* const operation = memory().operation;
        fprintf(stderr, "\ncuda_emulation: a thread of the kernel %s needs more than %zu KiB of stack\n",
                operation ? operation : "", STACK_BYTES >> 10);
        ::signal(SIGSEGV, SIG_DFL);
        return;
    }
    if (!a) {
        if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
        if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
            return previous.sa_handler(signal);
        ::signal(SIGSEGV, SIG_DFL);
        return;
    }
    char text[512];
    const long at = (const char*)info->si_addr - a->start;
    const char* const operation = memory().operation;
    const int length = snprintf(
        text, sizeof text,
        "\ncuda_emulation: %s%s touched device memory: address %p, byte %ld %s an allocation of "
        "%zu bytes on card %d.%s\n",
        operation ? "the kernel or library call " : "host code", operation ? operation : "",
        info->si_addr, at, at >= 0 && at < (long)a->bytes ? "of" : "counted from the start, outside",
        a->bytes, a->card,
        operation ? "" : " Copy it with cudaMemcpy, or compute in a kernel.");
    if (write(STDERR_FILENO, text, length) < 0) _exit(139);
    void* frames[40];
    backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
    ::signal(SIGSEGV, SIG_DFL);  // the instruction runs again, and ends the process
}

// Jittor and Python's faulthandler install handlers of their own: the last one is asked for
// whatever is no device memory.
void watch_faults() {
    struct sigaction current;
    sigaction(SIGSEGV, nullptr, &current);
    if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == on_fault) return;
    void* frame;
    backtrace(&frame, 1);  // loads what it needs now: a handler must not allocate
    previous = current;
    struct sigaction ours = {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &ours, nullptr);
}

std::atomic<long> work_done{0};

}  // namespace

void* allocate(size_t bytes, int card, Kind kind) {
    Memory& m = memory();
    const std::lock_guard<std::recursive_mutex> lock(m.mutex);
    if (m.in_use[card] + bytes > card_memory(card)) return nullptr;
    const size_t rounded = ((bytes ? bytes : 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t mapped = (rounded + PAGE - 1) / PAGE * PAGE;
    void* all = mmap(nullptr, mapped + 2 * PAGE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    Allocation a;
    a.pages = (char*)all + PAGE;
    a.mapped = mapped;
    a.start = a.pages + mapped - rounded;  // the end of the allocation is the end of its pages
    a.bytes = bytes;
    a.card = card;
    a.kind = kind;
    if (kind == Kind::MANAGED) mprotect(a.pages, mapped, PROT_READ | PROT_WRITE);
    protect(a, m.open > 0);
    m.allocations[a.pages] = a;
    m.in_use[card] += bytes;
    count_memory((long long)bytes);
    watch_faults();
    return a.start;
}

bool release(void* start) {
    Memory& m = memory();
    const std::lock_guard<std::recursive_mutex> lock(m.mutex);
    const Allocation* found = near(start);
    if (!found || found->start != start) return false;
    const Allocation a = *found;
    m.allocations.erase(a.pages);
    munmap(a.pages - PAGE, a.mapped + 2 * PAGE);
    m.in_use[a.card] -= a.bytes;
    count_memory(-(long long)a.bytes);
    return true;
}

size_t in_use(int card) {
    Memory& m = memory();
    const std::lock_guard<std::recursive_mutex> lock(m.mutex);
    return m.in_use[card];
}

bool on_device(const void* address) {
    const std::lock_guard<std::recursive_mutex> lock(memory().mutex);
    return holding(address) != nullptr;
}

bool within_allocation(const void* start, size_t bytes) {
    const std::lock_guard<std::recursive_mutex> lock(memory().mutex);
    const Allocation* a = holding(start);
    return a && (const char*)start + bytes <= a->start + a->bytes;
}

Operation::Operation(const char* name) {
    Memory& m = memory();
    m.mutex.lock();
    before_ = m.operation;
    m.operation = name;
    if (m.open++ == 0)
        for (const auto& entry : m.allocations) protect(entry.second, true);
}

Operation::~Operation() {
    Memory& m = memory();
    if (--m.open == 0)
        for (const auto& entry : m.allocations) protect(entry.second, false);
    m.operation = before_;
    watch_faults();
    m.mutex.unlock();
}

bool card_is_lost() {
    static const long limit = setting("FAKE_GPU_LOST_AFTER", -1);
    if (limit >= 0 && work_done >= limit) return true;
    static const char* const lost = getenv("FAKE_GPUS_LOST");
    if (!lost) return false;
    int index = 0;
    cudaGetDevice(&index);
    return access((std::string(lost) + "/" + std::to_string(card_number(index))).c_str(), F_OK) == 0;
}

bool card_takes_work() {
    if (card_is_lost()) return false;
    work_done++;
    return true;
}

}  // namespace emulation
