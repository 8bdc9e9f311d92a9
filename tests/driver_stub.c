/* A driver that knows only what records CUDA graphs, and prints what it is asked for: what NVIDIA's own bindings load. */
#include <stdio.h>
#include <string.h>

typedef int Result;
typedef void *Handle;

static Result begin(Handle stream, int mode) { return printf("begin %p %d\n", stream, mode), 0; }
static Result end(Handle stream, Handle *graph) { *graph = (Handle)0x77; return printf("end %p\n", stream), 0; }
static Result instantiate(Handle *made, Handle graph, unsigned long long flags) {
    *made = (Handle)0x88;
    return printf("instantiate %p %llu\n", graph, flags), 0;
}
static Result launch(Handle made, Handle stream) { return printf("launch %p %p\n", made, stream), 719; }
static Result destroy(Handle graph) { return printf("destroy %p\n", graph), 0; }
static Result free_it(Handle made) { return printf("free %p\n", made), 0; }
static Result unknown(void) { return 999; }

Result cuGetProcAddress_v2(const char *name, void **found, int version, unsigned long long flags, int *status) {
    static const struct { const char *name; void *call; } known[] = {
        {"cuStreamBeginCapture", begin}, {"cuStreamEndCapture", end}, {"cuGraphInstantiate", instantiate},
        {"cuGraphInstantiateWithFlags", instantiate}, {"cuGraphLaunch", launch}, {"cuGraphDestroy", destroy},
        {"cuGraphExecDestroy", free_it}, {"cuGetProcAddress", cuGetProcAddress_v2},
    };
    *found = unknown;
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) *found = known[i].call;
    if (status) *status = 0;
    return 0;
}
