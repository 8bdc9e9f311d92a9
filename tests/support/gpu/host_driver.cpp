// A CUDA driver (libcuda.so.1) on the host: what samotion asks of one by way of pycuda and of NVIDIA's bindings.
//
// Work on a stream happens at once, or, while the stream is recorded, whenever the graph is launched; tests/fake_cuda.py
// is where streams are late. What CUDA forbids fails here as well: calls without a context, memory that is nobody's,
// waiting and allocating while something is recorded, arguments that a kernel does not have. Kernels are the sources,
// compiled for the host (kernels_host.h), which Python registers by name.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#define PUBLIC extern "C" __attribute__((visibility("default")))
// Every call counts under its own name; most need a context.
#define CALL(name) PUBLIC int name
#define COUNTED counts[__func__]++
#define IN_CONTEXT COUNTED; if (contexts.empty()) return refused(__func__, "no context", INVALID_CONTEXT)
#define NOT_RECORDING IN_CONTEXT; if (recordings) return refused(__func__, "while a stream is recorded", UNSUPPORTED)
#define ON_DEVICE(address, size) if (!within(device, address, size)) \
    return refused(__func__, "memory of nobody", INVALID_VALUE)

typedef uint64_t Address;
typedef std::function<void()> Work;
enum { SUCCESS = 0, INVALID_VALUE = 1, NO_SUCH_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201,
       INVALID_HANDLE = 400, ILLEGAL_STATE = 401, NOT_FOUND = 500, UNKNOWN = 801, UNSUPPORTED = 900 };
enum { THREAD_LOCAL = 1, MAJOR = 75, MINOR = 76, PARAMS_END = 0, PARAMS = 1, PARAMS_SIZE = 2 };

struct Stream { bool recorded = false; std::vector<Work> graph; };
struct Event { double at = -1; };
struct Graph { std::vector<Work> work; };
struct Kernel { std::string name; void (*run)(unsigned, unsigned, int, void**); std::vector<int> sizes; };
typedef std::map<Address, size_t> Blocks;

static Blocks device, pinned;
static std::map<std::string, Kernel> kernels;
static std::map<std::string, long> counts;
static thread_local std::vector<void*> contexts;
static Stream legacy;
static int recordings = 0, context;

static int refused(const char* call, const char* why, int code) {
    fprintf(stderr, "%s: %s\n", call, why);
    return code;
}
static bool within(const Blocks& blocks, Address address, size_t size) {
    auto after = blocks.upper_bound(address);
    return after != blocks.begin() && address + size <= std::prev(after)->first + std::prev(after)->second;
}
static Stream* on(void* stream) { return stream ? static_cast<Stream*>(stream) : &legacy; }
static int put(void* stream, Work work) {
    if (on(stream)->recorded) on(stream)->graph.push_back(work);
    else work();
    return SUCCESS;
}
static double milliseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
}

// The device and its context.
CALL(cuInit)(unsigned) { return COUNTED, SUCCESS; }
CALL(cuDriverGetVersion)(int* version) { return *version = 12090, SUCCESS; }
CALL(cuDeviceGetCount)(int* count) { return *count = 1, SUCCESS; }
CALL(cuDeviceGet)(int* found, int number) { return *found = 0, number ? NO_SUCH_DEVICE : SUCCESS; }
CALL(cuDeviceGetName)(char* name, int size, int) { return snprintf(name, size, "host"), SUCCESS; }
CALL(cuDeviceComputeCapability)(int* major, int* minor, int) { return *major = 8, *minor = 9, SUCCESS; }
CALL(cuDeviceGetAttribute)(int* value, int which, int) {
    return *value = which == MAJOR ? 8 : which == MINOR ? 9 : 1024, SUCCESS;
}
CALL(cuDevicePrimaryCtxRetain)(void** found, int) { return *found = &context, SUCCESS; }
CALL(cuDevicePrimaryCtxRelease_v2)(int) { return SUCCESS; }
CALL(cuCtxPushCurrent_v2)(void* one) { return contexts.push_back(one), SUCCESS; }
CALL(cuCtxPopCurrent_v2)(void** one) {
    IN_CONTEXT;
    if (one) *one = contexts.back();
    return contexts.pop_back(), SUCCESS;
}
CALL(cuCtxGetDevice)(int* found) { IN_CONTEXT; return *found = 0, SUCCESS; }
CALL(cuCtxSynchronize)() { NOT_RECORDING; return SUCCESS; }
CALL(cuGetErrorString)(int code, const char** text) {
    static thread_local char said[32];
    snprintf(said, sizeof said, "CUDA error %d", code);
    return *text = said, SUCCESS;
}

// Memory: all ones, hence NaN, until it is written and after it is freed.
static Address taken(Blocks& blocks, size_t size) {
    void* memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    blocks[reinterpret_cast<Address>(memory)] = size;
    return reinterpret_cast<Address>(memset(memory, 0xff, size));
}
static int given_back(Blocks& blocks, Address address) {
    auto found = blocks.find(address);
    if (found == blocks.end()) return refused("free", "memory of nobody", INVALID_VALUE);
    memset(reinterpret_cast<void*>(address), 0xff, found->second);
    free(reinterpret_cast<void*>(address));
    return blocks.erase(found), SUCCESS;
}
static int copied(void* to, const void* from, size_t size, void* stream) {
    return put(stream, [=] { memmove(to, from, size); });
}
CALL(cuMemGetInfo_v2)(size_t* free, size_t* total) {
    IN_CONTEXT;
    return *free = *total = size_t(1) << 34, SUCCESS;
}
CALL(cuMemAlloc_v2)(Address* found, size_t size) { NOT_RECORDING; return *found = taken(device, size), SUCCESS; }
CALL(cuMemFree_v2)(Address address) { NOT_RECORDING; return given_back(device, address); }
CALL(cuMemHostAlloc)(Address* found, size_t size, unsigned) {
    NOT_RECORDING;
    return *found = taken(pinned, size), SUCCESS;
}
CALL(cuMemFreeHost)(Address address) { NOT_RECORDING; return given_back(pinned, address); }
CALL(cuMemcpyHtoD_v2)(Address to, const void* from, size_t size) {
    NOT_RECORDING;
    ON_DEVICE(to, size);
    return copied(reinterpret_cast<void*>(to), from, size, nullptr);
}
CALL(cuMemcpyDtoH_v2)(void* to, Address from, size_t size) {
    NOT_RECORDING;
    ON_DEVICE(from, size);
    return copied(to, reinterpret_cast<void*>(from), size, nullptr);
}
CALL(cuMemcpyHtoDAsync_v2)(Address to, const void* from, size_t size, void* stream) {
    IN_CONTEXT;
    ON_DEVICE(to, size);
    if (!within(pinned, reinterpret_cast<Address>(from), size)) counts["up, not pinned"]++;
    return copied(reinterpret_cast<void*>(to), from, size, stream);
}
CALL(cuMemcpyDtoHAsync_v2)(void* to, Address from, size_t size, void* stream) {
    IN_CONTEXT;
    ON_DEVICE(from, size);
    return copied(to, reinterpret_cast<void*>(from), size, stream);
}
CALL(cuMemcpyDtoDAsync_v2)(Address to, Address from, size_t size, void* stream) {
    IN_CONTEXT;
    ON_DEVICE(to, size);
    ON_DEVICE(from, size);
    return copied(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size, stream);
}
CALL(cuMemsetD32Async)(Address to, unsigned bits, size_t count, void* stream) {
    IN_CONTEXT;
    ON_DEVICE(to, 4 * count);
    return put(stream, [=] { std::fill_n(reinterpret_cast<unsigned*>(to), count, bits); });
}

// Streams and events.
#define NOT_RECORDED(stream) if (on(stream)->recorded) \
    return refused(__func__, "on a stream that is recorded", UNSUPPORTED)
CALL(cuStreamCreate)(void** made, unsigned) { IN_CONTEXT; return *made = new Stream, SUCCESS; }
CALL(cuStreamDestroy_v2)(void* stream) { IN_CONTEXT; return delete on(stream), SUCCESS; }
CALL(cuStreamSynchronize)(void* stream) { IN_CONTEXT; NOT_RECORDED(stream); return SUCCESS; }
CALL(cuStreamWaitEvent)(void* stream, void*, unsigned) { IN_CONTEXT; NOT_RECORDED(stream); return SUCCESS; }
CALL(cuEventCreate)(void** made, unsigned) { IN_CONTEXT; return *made = new Event, SUCCESS; }
CALL(cuEventDestroy_v2)(void* event) { IN_CONTEXT; return delete static_cast<Event*>(event), SUCCESS; }
CALL(cuEventRecord)(void* event, void* stream) {
    IN_CONTEXT;
    NOT_RECORDED(stream);
    return static_cast<Event*>(event)->at = milliseconds(), SUCCESS;
}
CALL(cuEventQuery)(void*) { IN_CONTEXT; return SUCCESS; }
CALL(cuEventSynchronize)(void*) { NOT_RECORDING; return SUCCESS; }
CALL(cuEventElapsedTime)(float* found, void* begin, void* end) {
    IN_CONTEXT;
    double from = static_cast<Event*>(begin)->at, to = static_cast<Event*>(end)->at;
    return *found = float(to - from), from < 0 || to < 0 ? INVALID_HANDLE : SUCCESS;
}

// Kernels. Arguments come in one block, each aligned to its own size.
CALL(cuModuleLoadDataEx)(void** made, const char* image, unsigned, void*, void*) {
    IN_CONTEXT;
    return *made = &kernels, memcmp(image, "\x7f" "ELF", 4) ? INVALID_IMAGE : SUCCESS;
}
CALL(cuModuleUnload)(void*) { IN_CONTEXT; return SUCCESS; }
CALL(cuModuleGetFunction)(void** found, void*, const char* name) {
    IN_CONTEXT;
    auto known = kernels.find(name);
    if (known == kernels.end()) return refused(__func__, name, NOT_FOUND);
    return *found = &known->second, SUCCESS;
}
CALL(cuFuncSetBlockShape)(void*, int, int, int) { IN_CONTEXT; return SUCCESS; }
CALL(cuLaunchKernel)(void* function, unsigned blocks, unsigned y, unsigned z, unsigned threads, unsigned ty,
                     unsigned tz, unsigned shared, void* stream, void** each, void** extra) {
    IN_CONTEXT;
    Kernel* kernel = static_cast<Kernel*>(function);
    const char* block = nullptr;
    size_t size = 0, place = 0;
    for (; extra[0] != reinterpret_cast<void*>(PARAMS_END); extra += 2) {
        if (extra[0] == reinterpret_cast<void*>(PARAMS)) block = static_cast<const char*>(extra[1]);
        if (extra[0] == reinterpret_cast<void*>(PARAMS_SIZE)) size = *static_cast<size_t*>(extra[1]);
    }
    std::vector<size_t> offsets;
    for (size_t bytes : kernel->sizes) {
        offsets.push_back(place = (place + bytes - 1) / bytes * bytes);
        place += bytes;
    }
    bool one_dimension = y * z * ty * tz == 1 && !shared && !each;
    if (!blocks || !threads || threads > 1024 || !one_dimension || place != size)
        return refused(__func__, kernel->name.c_str(), INVALID_VALUE);
    std::vector<char> held(block, block + size);
    return put(stream, [=]() mutable {
        std::vector<void*> arguments;
        for (size_t offset : offsets) arguments.push_back(held.data() + offset);
        kernel->run(blocks, threads, 0, arguments.data());
    });
}

// CUDA graphs.
CALL(cuStreamBeginCapture_v2)(void* stream, int mode) {
    IN_CONTEXT;
    if (mode != THREAD_LOCAL || !stream || on(stream)->recorded) return refused(__func__, "not now", ILLEGAL_STATE);
    recordings++;
    return on(stream)->recorded = true, SUCCESS;
}
CALL(cuStreamEndCapture)(void* stream, void** graph) {
    IN_CONTEXT;
    if (!on(stream)->recorded) return refused(__func__, "nothing is recorded", ILLEGAL_STATE);
    recordings--;
    on(stream)->recorded = false;
    Graph* made = new Graph;
    made->work.swap(on(stream)->graph);
    return *graph = made, SUCCESS;
}
CALL(cuGraphInstantiateWithFlags)(void** made, void* graph, uint64_t) {
    IN_CONTEXT;
    return *made = new Graph(*static_cast<Graph*>(graph)), SUCCESS;
}
CALL(cuGraphLaunch)(void* graph, void* stream) {
    IN_CONTEXT;
    for (Work& work : static_cast<Graph*>(graph)->work) put(stream, work);
    return SUCCESS;
}
CALL(cuGraphDestroy)(void* graph) { IN_CONTEXT; return delete static_cast<Graph*>(graph), SUCCESS; }
CALL(cuGraphExecDestroy)(void* graph) { IN_CONTEXT; return delete static_cast<Graph*>(graph), SUCCESS; }

// How NVIDIA's bindings find calls, and what NVRTC asks whether a driver is there.
static int unknown() { return UNKNOWN; }
CALL(cuGetProcAddress_v2)(const char* name, void** found, int, uint64_t, int* status) {
    static void* self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (status) *status = 0;
    for (const char* end : {"_v2", "WithFlags", ""})
        if ((*found = dlsym(self, (std::string(name) + end).c_str()))) return SUCCESS;
    return *found = reinterpret_cast<void*>(unknown), SUCCESS;
}
CALL(cuGetExportTable)(const void** table, const void*) { return *table = nullptr, NOT_FOUND; }

// For Python: kernels to run, work of an engine's that is no kernel, and what was called how often.
PUBLIC void host_kernel(const char* name, void (*run)(unsigned, unsigned, int, void**), int count, const int* sizes) {
    kernels[name] = {name, run, std::vector<int>(sizes, sizes + count)};
}
PUBLIC void host_put(void* stream, void (*run)(long), long number) { put(stream, [=] { run(number); }); }
PUBLIC int host_recorded(void* stream) { return on(stream)->recorded; }
PUBLIC int host_within(Address address, size_t size) { return within(device, address, size); }
PUBLIC long host_count(const char* call) { return counts[call]; }
