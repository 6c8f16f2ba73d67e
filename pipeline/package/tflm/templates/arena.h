/* Bytes of TFLite Micro's arena for the network on a 32-bit device: an upper bound, from its arena on a 64-bit computer less what its own
 * structures are smaller there. A 64-bit computer needs @HOST_ARENA@. */
#ifndef @UPPER@_ARENA_H
#define @UPPER@_ARENA_H

#include <stdint.h>

#if UINTPTR_MAX > UINT32_MAX
#define @UPPER@_ARENA_BYTES @HOST_ARENA@
#else
#define @UPPER@_ARENA_BYTES @ARENA@
#endif

#endif
